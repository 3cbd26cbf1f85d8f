"""Sentences to the flat arrays of a corpus, a chunk at a time."""

import io
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nerlab.data.corpus import ARRAYS, Corpus, Lexicon, from_arrays, map_array
from nerlab.data.sentence import Sentence, check_tag_count, tag_problem
from nerlab.messages import counted
from nerlab.schemes import TagError, check, is_of_scheme, may_follow
from nerlab.tags import MAX_LABELS, OUTSIDE, continues, split_tag

_CHUNK_TOKENS = 1 << 14
_ASKED, _LEGAL, _CONTINUES = 1, 2, 4  # bits of the table of pairs
_BEGIN, _INSIDE, _END, _SINGLE = range(4)  # the order of nerlab.tags.iobes_tags
FEWER_LABELS = (
    "merge the rare ones, or set the key of data.reader that says where the tags stand "
    "(tag_column, say)"
)


def build_corpus(
    sentences: Iterable[Sentence],
    scheme: str,
    repair: bool,
    source: str,
    folder: Path | None = None,
) -> Corpus:
    """Index sentences, whose tags are of ``scheme``, into flat arrays.

    What stays in memory are the distinct tokens, and, without a ``folder`` whose files the corpus
    maps, the arrays. Sentences without tokens are left out. With ``repair``, illegal tag sequences
    are read by conlleval's rules; else they raise. ``source`` is the file, for messages.

    Raises:
        ValueError: a tag is unknown or illegal, or a document missing, with file and line; or
            there are too many labels.
        OSError: the folder cannot be written.
    """
    ids: defaultdict[str, int] = defaultdict()
    ids.default_factory = ids.__len__  # a new token gets the next id
    rewriter = TagRewriter(scheme)
    growing = {
        name: _GrowingArray(dtype, folder and folder / name) for name, dtype in ARRAYS.items()
    }
    last = np.zeros(1, dtype=np.int64)
    growing["offsets"].extend(last)
    marks: bool | None = None  # whether the file marks documents
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


class _GrowingArray:
    """A flat array written from its first number to its last, to a file or, without, to memory."""

    def __init__(self, dtype: str, path: Path | None) -> None:
        self._dtype = np.dtype(dtype)
        self._path = path
        self._file: BinaryIO = io.BytesIO() if path is None else path.open("xb")

    def extend(self, values: np.ndarray) -> None:
        """Append some numbers."""
        self._file.write(np.ascontiguousarray(values, dtype=self._dtype).data)

    def finish(self) -> np.ndarray:
        """The whole array, which can be read only; a file is on the disk by then."""
        if self._path is None:
            assert isinstance(self._file, io.BytesIO)
            return np.frombuffer(self._file.getvalue(), dtype=self._dtype)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return map_array(self._path, self._dtype)


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
    chunk: list[Sentence],
    offsets: np.ndarray,
    rewriter: "TagRewriter",
    repair: bool,
    source: str,
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


def too_many_labels(number: int) -> str:
    """What is said of more than ``MAX_LABELS`` labels."""
    tags = 4 * number + 1
    return (
        f"{counted(number, 'entity type')}, expected {MAX_LABELS:,} at most: they make K = "
        f"{tags:,} tags, and a CRF's transitions and its work for each token grow with K^2 = "
        f"{tags**2:,}"
    )


class TagRewriter:
    """Rewrites the tags of one corpus as ids of ``iobes_tags(labels)``, many sentences at once.

    What a tag becomes depends on the tags before and after it alone, so sentences are rewritten
    by looking up pairs of neighbours in a table. It holds what :mod:`nerlab.tags` and
    :mod:`nerlab.schemes` say of each pair, asked once. ``labels`` are those so far, in order of
    first occurrence.
    """

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        self.labels: list[str] = []
        self._label_numbers: dict[str, int] = {}
        self._ids: defaultdict[str, int] = defaultdict()
        self._ids.default_factory = self._ids.__len__
        self._ids[OUTSIDE]  # has the id 0
        self._names: list[str] = []
        self._begins = np.zeros(0, dtype=np.int32)  # (K,) the IOBES id of B with the tag's label
        self._table = np.zeros((0, 0), dtype=np.uint8)  # (K, K) [tag, next tag]

    def rewrite(self, tags: Sequence[str], offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rewrite N tags, read by the rules of :func:`nerlab.tags.spans_of`.

        Those of sentence s are ``tags[offsets[s]:offsets[s + 1]]``. Returns their ids ``(N,)``
        int32, and which sentences have a sequence that the scheme forbids.

        Raises:
            TagError: a tag is one in no scheme.
            ValueError: there are more than ``MAX_LABELS`` labels.
        """
        ids = np.fromiter(map(self._ids.__getitem__, tags), dtype=np.int64, count=len(tags))
        self._learn_tags(ids)
        # An O stands before each sentence and after the last: borders are pairs like others.
        sentences = np.arange(len(offsets) - 1)
        positions = np.arange(len(ids)) + np.repeat(sentences + 1, np.diff(offsets))
        padded = np.zeros(len(ids) + len(offsets), dtype=np.int64)
        padded[positions] = ids
        pairs = self._look_up(padded[:-1], padded[1:])  # [p] of padded[p] and padded[p + 1]

        continued = (pairs & _CONTINUES) != 0
        opens, closes = ~continued[positions - 1], ~continued[positions]
        role = np.where(opens, np.where(closes, _SINGLE, _BEGIN), np.where(closes, _END, _INSIDE))
        rewritten = np.where(ids == 0, 0, self._begins[ids] + role).astype(np.int32)
        illegal = np.flatnonzero((pairs & _LEGAL) == 0)
        owners = np.searchsorted(offsets[:-1] + sentences, illegal, side="right") - 1
        return rewritten, np.unique(owners)

    def _learn_tags(self, ids: np.ndarray) -> None:
        """Take in the tags that were met for the first time in ``ids``."""
        known = len(self._names)
        new = list(self._ids)[known:]
        if not new:
            return
        begins = []
        for number, tag in enumerate(new, start=known):
            try:
                _, label = split_tag(tag)
            except ValueError as error:
                raise TagError(int(np.argmax(ids == number)), str(error)) from None
            if label and label not in self._label_numbers:
                self._label_numbers[label] = len(self.labels)
                self.labels.append(label)
            begins.append(1 + 4 * self._label_numbers[label] if label else 0)
        if len(self.labels) > MAX_LABELS:
            raise ValueError(f"at least {too_many_labels(len(self.labels))}; {FEWER_LABELS}")
        self._names += new
        self._begins = np.append(self._begins, np.array(begins, dtype=np.int32))
        self._table = np.pad(self._table, (0, len(new)))

    def _look_up(self, tags: np.ndarray, next_tags: np.ndarray) -> np.ndarray:
        pairs = self._table[tags, next_tags]
        unasked = np.flatnonzero(pairs == 0)
        if len(unasked) == 0:
            return pairs
        distinct = np.unique(tags[unasked] * len(self._names) + next_tags[unasked])
        for tag, next_tag in zip(*divmod(distinct, len(self._names)), strict=True):
            self._table[tag, next_tag] = self._ask(self._names[tag], self._names[next_tag])
        return self._table[tags, next_tags]

    def _ask(self, tag: str, next_tag: str) -> int:
        one, other = split_tag(tag), split_tag(next_tag)
        known = is_of_scheme(tag, self.scheme) and is_of_scheme(next_tag, self.scheme)
        legal = known and may_follow(one, other, self.scheme)
        return _ASKED | (_LEGAL if legal else 0) | (_CONTINUES if continues(one, other) else 0)
