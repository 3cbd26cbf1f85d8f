"""A corpus as flat arrays: no Python object a token, so it is small and fast to batch."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from nerlab.data.arrays import GrowingArray
from nerlab.data.flat_tags import TagRewriter
from nerlab.data.lexicon import Lexicon
from nerlab.data.sentence import Sentence, check_tag_count, tag_problem
from nerlab.messages import counted
from nerlab.tags import TagError, check, iobes_tags

# Sentences are indexed in pieces of about so many tokens, and what is indexed is let go.
_CHUNK_TOKENS = 1 << 14
_PIECE = 1 << 22


@dataclass(frozen=True, eq=False)
class Corpus:
    """S sentences with N tokens of L distinct forms.

    The arrays may be memory maps of files, see :mod:`nerlab.data.cache`; all that is done with a
    corpus is the same for both.

    Attributes:
        lexicon: the distinct tokens ``(L,)``, in order of first occurrence.
        labels: the entity types, in order of first occurrence.
        tokens: ``(N,)`` int32, into ``lexicon``.
        tags: ``(N,)`` int32, into ``tag_names``.
        offsets: ``(S + 1,)`` int64; sentence s is ``tokens[offsets[s]:offsets[s + 1]]``.
        documents: ``(S,)`` int32, the document of each sentence; -1 where none are marked.
        warnings: those of the reader, see :mod:`nerlab.data.reader_warnings`.
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


def build_corpus(
    sentences: Iterable[Sentence],
    scheme: str,
    repair: bool,
    source: str,
    folder: Path | None = None,
) -> Corpus:
    """Index sentences, whose tags are of ``scheme``, into flat arrays.

    Sentences are taken as they come and let go; what stays in memory are the distinct tokens,
    and, without a ``folder``, the arrays. Sentences without tokens are left out.

    Args:
        sentences: the sentences.
        scheme: that of their tags.
        repair: illegal tag sequences are read by conlleval's rules; else they raise.
        source: the file, for messages.
        folder: where the arrays are written, a file each; the corpus then maps these files.

    Raises:
        ValueError: a tag is unknown or illegal, with file and line; or there are too many labels.
        OSError: the folder cannot be written.
    """
    ids: defaultdict[str, int] = defaultdict()
    ids.default_factory = ids.__len__  # a new token gets the next id
    rewriter = TagRewriter(scheme)
    growing = {
        name: GrowingArray(dtype, folder and folder / name) for name, dtype in ARRAYS.items()
    }
    last = np.zeros(1, dtype=np.int64)
    growing["offsets"].extend(last)
    marks: bool | None = None
    for chunk in _chunks(sentences):
        marks = chunk[0].document is not None if marks is None else marks
        tokens = list(chain.from_iterable(sentence.tokens for sentence in chunk))
        offsets = np.cumsum([0, *(len(sentence.tokens) for sentence in chunk)])
        growing["tokens"].extend(
            np.fromiter(map(ids.__getitem__, tokens), dtype=np.int32, count=len(tokens))
        )
        growing["tags"].extend(_iobes(chunk, offsets, rewriter, repair, source))
        growing["offsets"].extend(last + offsets[1:])
        growing["documents"].extend(_documents(chunk, marks, source))
        last = last + offsets[-1]
    lexicon = Lexicon.of(list(ids))
    growing["characters"].extend(lexicon.characters)
    growing["character_offsets"].extend(lexicon.offsets)
    arrays = {name: array.finish() for name, array in growing.items()}
    return from_arrays(arrays, rewriter.labels, [])


ARRAYS = {
    "tokens": "<i4",
    "tags": "<i4",
    "offsets": "<i8",
    "documents": "<i4",
    "characters": "<u4",
    "character_offsets": "<i8",
}
"""The flat arrays that a corpus is made of, and the types of their numbers."""


def from_arrays(arrays: dict[str, np.ndarray], labels: list[str], warnings: list[str]) -> Corpus:
    """The corpus that consists of ``ARRAYS``."""
    return Corpus(
        lexicon=Lexicon(arrays["characters"], arrays["character_offsets"]),
        labels=labels,
        tokens=arrays["tokens"],
        tags=arrays["tags"],
        offsets=arrays["offsets"],
        documents=arrays["documents"],
        warnings=warnings,
    )


def _chunks(sentences: Iterable[Sentence]) -> Iterator[list[Sentence]]:
    chunk: list[Sentence] = []
    tokens = 0
    for sentence in sentences:
        if not sentence.tokens:
            continue
        chunk.append(sentence)
        tokens += len(sentence.tokens)
        if tokens >= _CHUNK_TOKENS:
            yield chunk
            chunk, tokens = [], 0
    if chunk:
        yield chunk


def _documents(chunk: list[Sentence], marks: bool, source: str) -> np.ndarray:
    """The document of each sentence, -1 for None; a reader ``marks`` all of them or none."""
    for sentence in chunk:
        document = sentence.document
        if (document is not None) != marks or (document is not None and document < 0):
            raise ValueError(
                f"{source}:{sentence.line}: document {document}: expected a number from 0 on for "
                "each sentence, or None for all of them; fix the reader"
            )
    return np.array([-1 if s.document is None else s.document for s in chunk])


def _iobes(
    chunk: list[Sentence], offsets: np.ndarray, rewriter: TagRewriter, repair: bool, source: str
) -> np.ndarray:
    """The tags of a chunk as IOBES ids, or the error of the first sentence that has one."""
    for sentence in chunk:
        check_tag_count(sentence, source)
    tags = list(chain.from_iterable(sentence.tags for sentence in chunk))
    try:
        ids, illegal = rewriter.rewrite(tags, offsets)
    except TagError as error:
        number = int(np.searchsorted(offsets, error.position, side="right")) - 1
        position = error.position - int(offsets[number])
        raise tag_problem(chunk[number], position, error, source) from None
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    if len(illegal) and not repair:
        sentence = chunk[illegal[0]]
        try:
            check(sentence.tags, rewriter.scheme)
        except TagError as error:
            raise tag_problem(sentence, error.position, error, source) from None
        raise AssertionError("the table of pairs and check() must agree")
    return ids
