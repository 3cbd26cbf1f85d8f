"""A corpus as flat arrays: no Python object a token, so it is small and fast to batch."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from nerlab.data.vocabulary import from_json
from nerlab.files import sha256_of
from nerlab.messages import counted
from nerlab.tags import iobes_tags

# The flat arrays that a corpus is made of, and the types of their numbers.
ARRAYS = {"tokens": "<i4", "tags": "<i4", "offsets": "<i8", "documents": "<i4"}
META = "meta.json"
LEXICON = "lexicon.json"
_PIECE = 1 << 22


@dataclass(frozen=True, eq=False)
class Corpus:
    """S sentences with N tokens of L distinct forms; its arrays may be memory maps of files.

    Attributes:
        lexicon: the L distinct tokens, in order of first occurrence.
        labels: the entity types, in order of first occurrence.
        tokens: ``(N,)`` int32, into ``lexicon``.
        tags: ``(N,)`` int32, into ``tag_names``.
        offsets: ``(S + 1,)`` int64; sentence s is ``tokens[offsets[s]:offsets[s + 1]]``.
        documents: ``(S,)`` int32, the document of each sentence; -1 where none are marked.
        warnings: what is to be said of the file, see :mod:`nerlab.data.index`.
    """

    lexicon: list[str]
    labels: list[str]
    tokens: np.ndarray
    tags: np.ndarray
    offsets: np.ndarray
    documents: np.ndarray
    warnings: list[str]

    def __len__(self) -> int:
        return len(self.documents)

    @cached_property
    def lengths(self) -> np.ndarray:
        """``(S,)`` tokens of each sentence."""
        return np.diff(self.offsets)

    @cached_property
    def tag_names(self) -> list[str]:
        """The tags: those of IOBES over ``labels``."""
        return iobes_tags(self.labels)

    def token_counts(self) -> Iterator[tuple[str, int]]:
        """How often each distinct token occurs."""
        counts = np.zeros(len(self.lexicon), dtype=np.int64)
        for first in range(0, len(self.tokens), _PIECE):  # bincount makes a wider copy
            counts += np.bincount(self.tokens[first : first + _PIECE], minlength=len(counts))
        return zip(self.lexicon, counts.tolist(), strict=True)

    def sentence_tokens(self, sentence: int) -> list[str]:
        """The tokens of one sentence."""
        start, end = self.offsets[sentence : sentence + 2]
        return [self.lexicon[i] for i in self.tokens[start:end].tolist()]

    def sentence_tags(self, sentence: int) -> list[str]:
        """The tags of one sentence, IOBES."""
        start, end = self.offsets[sentence : sentence + 2]
        return [self.tag_names[i] for i in self.tags[start:end].tolist()]

    def describe(self, sentence: int) -> str:
        """Which sentence it is, for messages: its number, from 1, its length, its beginning."""
        start, end = self.offsets[sentence : sentence + 2]
        words = " ".join(self.lexicon[i] for i in self.tokens[start : min(end, start + 20)])
        beginning = words if end - start <= 20 and len(words) <= 40 else f"{words[:40]}..."
        return f"sentence {sentence + 1} ({counted(int(end - start), 'token')}, {beginning!r})"

    def digest(self) -> str:
        """SHA-256 of tokens, tags, sentences and documents: equal for equal data, whatever the
        format and scheme of the file."""
        state = hashlib.sha256(json.dumps(self.labels).encode())
        characters = "".join(self.lexicon).encode("utf-32-le", "surrogatepass")
        arrays = (np.frombuffer(characters, np.uint32), np.cumsum([0, *map(len, self.lexicon)]))
        begins = np.flatnonzero(np.diff(self.documents, prepend=-1))
        for array in (*arrays, self.tokens, self.tags, self.offsets, begins):
            state.update(len(array).to_bytes(8, "little"))
            state.update(np.ascontiguousarray(array).data)
        return state.hexdigest()


def open_corpus(folder: Path) -> Corpus | None:
    """The corpus in a folder: a file for each of ``ARRAYS``, mapped into memory, ``LEXICON`` and
    ``META``; None if it is not there, or not as its checksums say."""
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        if any(sha256_of(folder / name) != meta["sha256"][name] for name in (*ARRAYS, LEXICON)):
            return None
        arrays = {name: map_array(folder / name, dtype) for name, dtype in ARRAYS.items()}
        lexicon = from_json((folder / LEXICON).read_bytes())
        return Corpus(lexicon, list(meta["labels"]), warnings=list(meta["warnings"]), **arrays)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def map_array(path: Path, dtype: str | np.dtype) -> np.ndarray:
    """The numbers of a file as a memory map: what is not looked at takes no memory."""
    if path.stat().st_size == 0:
        return np.empty(0, dtype=dtype)  # nothing cannot be mapped
    return np.memmap(path, dtype=dtype, mode="r").view(np.ndarray)
