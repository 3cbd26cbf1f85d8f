"""A corpus as flat arrays: no Python object a token, so it is small and fast to batch."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from nerlab.files import sha256_of
from nerlab.messages import counted
from nerlab.tags import iobes_tags

ARRAYS = {
    "tokens": "<i4",
    "tags": "<i4",
    "offsets": "<i8",
    "documents": "<i4",
    "characters": "<u4",
    "character_offsets": "<i8",
}
"""The flat arrays that a corpus is made of, and the types of their numbers."""
META = "meta.json"
_PIECE = 1 << 22
_ENCODING = "utf-32-le"  # four bytes a character, so that characters can be counted and indexed


@dataclass(frozen=True, eq=False)
class Lexicon:
    """L strings of M characters in all; iterates and indexes like a list of them.

    Attributes:
        characters: ``(M,)`` uint32, the code points of all strings, one string after the other.
        offsets: ``(L + 1,)`` int64; string i is ``characters[offsets[i]:offsets[i + 1]]``.
    """

    characters: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, strings: Sequence[str]) -> "Lexicon":
        """The lexicon of some strings, which may be any Python has, lone surrogates too."""
        lengths = np.fromiter(map(len, strings), dtype=np.int64, count=len(strings))
        encoded = "".join(strings).encode(_ENCODING, "surrogatepass")
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
        return cls(np.frombuffer(encoded, dtype=np.uint32), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> str:
        index = range(len(self))[index]
        return self._text[self.offsets[index] : self.offsets[index + 1]]

    def __iter__(self) -> Iterator[str]:
        borders = self.offsets.tolist()
        for start, end in zip(borders, borders[1:], strict=False):
            yield self._text[start:end]

    @property
    def lengths(self) -> np.ndarray:
        """``(L,)`` characters of each string."""
        return np.diff(self.offsets)

    @cached_property
    def _text(self) -> str:
        return self.characters.tobytes().decode(_ENCODING, "surrogatepass")


@dataclass(frozen=True, eq=False)
class Corpus:
    """S sentences with N tokens of L distinct forms; its arrays may be memory maps of files.

    Attributes:
        lexicon: the distinct tokens ``(L,)``, in order of first occurrence.
        labels: the entity types, in order of first occurrence.
        tokens: ``(N,)`` int32, into ``lexicon``.
        tags: ``(N,)`` int32, into ``tag_names``.
        offsets: ``(S + 1,)`` int64; sentence s is ``tokens[offsets[s]:offsets[s + 1]]``.
        documents: ``(S,)`` int32, the document of each sentence; -1 where none are marked.
        warnings: what is to be said of the file, see :mod:`nerlab.data.index`.
    """

    lexicon: Lexicon
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
        arrays = (self.lexicon.characters, self.lexicon.offsets, self.tokens, self.tags)
        begins = np.flatnonzero(np.diff(self.documents, prepend=-1))
        for array in (*arrays, self.offsets, begins):
            state.update(len(array).to_bytes(8, "little"))
            state.update(np.ascontiguousarray(array).data)
        return state.hexdigest()


def open_corpus(folder: Path) -> Corpus | None:
    """The corpus in a folder: a file for each of ``ARRAYS``, mapped into memory, and ``META``; None
    if it is not there, or not as its checksums say."""
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        if any(sha256_of(folder / name) != meta["sha256"][name] for name in ARRAYS):
            return None
        arrays = {name: map_array(folder / name, dtype) for name, dtype in ARRAYS.items()}
        return from_arrays(arrays, list(meta["labels"]), list(meta["warnings"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def from_arrays(arrays: dict[str, np.ndarray], labels: list[str], warnings: list[str]) -> Corpus:
    """The corpus that consists of ``ARRAYS``."""
    lexicon = Lexicon(arrays.pop("characters"), arrays.pop("character_offsets"))
    return Corpus(lexicon=lexicon, labels=labels, warnings=warnings, **arrays)


def map_array(path: Path, dtype: str | np.dtype) -> np.ndarray:
    """The numbers of a file as a memory map: what is not looked at takes no memory."""
    if path.stat().st_size == 0:
        return np.empty(0, dtype=dtype)  # nothing cannot be mapped
    return np.memmap(path, dtype=dtype, mode="r").view(np.ndarray)
