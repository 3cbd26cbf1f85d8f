"""Sentences to the flat arrays of a corpus, a chunk at a time."""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nerlab.data.corpus import ARRAYS, Corpus, map_array
from nerlab.data.sentence import Sentence, check_tags
from nerlab.messages import counted
from nerlab.schemes import is_of_scheme, may_follow
from nerlab.tags import MAX_LABELS, OUTSIDE, continues, split_tag

_CHUNK = 256  # sentences
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
    token_ids: defaultdict[str, int] = defaultdict()
    token_ids.default_factory = token_ids.__len__  # a new token gets the next id
    tag_ids = _TagIds(scheme, repair)
    remaining = (sentence for sentence in sentences if sentence.tokens)
    end, marks = 0, False
    with ExitStack() as stack:
        files: dict[str, BinaryIO] = {
            name: stack.enter_context((folder / name).open("xb")) if folder else BytesIO()
            for name in ARRAYS
        }

        def append(name: str, values: np.ndarray | list[int]) -> None:
            files[name].write(np.ascontiguousarray(values, dtype=ARRAYS[name]).data)

        append("offsets", [0])
        while chunk := list(islice(remaining, _CHUNK)):
            tokens = list(chain.from_iterable(sentence.tokens for sentence in chunk))
            ids = map(token_ids.__getitem__, tokens)
            append("tokens", np.fromiter(ids, dtype=np.int32, count=len(tokens)))
            append("tags", [i for sentence in chunk for i in tag_ids.of(sentence, source)])
            offsets = end + np.cumsum([len(sentence.tokens) for sentence in chunk])
            append("offsets", offsets)
            marks = chunk[0].document is not None if end == 0 else marks
            append("documents", [_document(sentence, marks, source) for sentence in chunk])
            end = offsets[-1]
        arrays = {name: _finished(file, ARRAYS[name]) for name, file in files.items()}
    return Corpus(list(token_ids), list(tag_ids.labels), warnings=[], **arrays)


def _finished(file: BinaryIO, dtype: str) -> np.ndarray:
    """The numbers that were written to memory, or to a file, which is closed and mapped."""
    if isinstance(file, BytesIO):
        return np.frombuffer(file.getvalue(), dtype)
    file.close()
    return map_array(Path(file.name), dtype)


def _document(sentence: Sentence, marks: bool, source: str) -> int:
    """The document of a sentence, -1 for None; a reader ``marks`` all of them or none."""
    document = sentence.document
    if (document is not None) != marks or (document is not None and document < 0):
        raise ValueError(
            f"{source}:{sentence.line}: document {document}: expected a number from 0 on for each "
            "sentence, or None for all of them; fix the reader"
        )
    return -1 if document is None else document


def too_many_labels(number: int) -> str:
    """What is said of more than ``MAX_LABELS`` labels."""
    tags = 4 * number + 1
    return (
        f"{counted(number, 'entity type')}, expected {MAX_LABELS:,} at most: they make K = "
        f"{tags:,} tags, and a CRF's transitions and its work for each token grow with K^2 = "
        f"{tags**2:,}"
    )


class _TagIds(dict[tuple[str, str, str], int]):
    """The IOBES id of a tag between two others, worked out once for each three of them.

    By the rules of :func:`nerlab.tags.spans_of`, whether a tag begins or ends an entity depends on
    its neighbours alone, as does what is legal; an O stands at both ends of a sentence. ``labels``
    are those so far with their numbers, in order of first occurrence.
    """

    def __init__(self, scheme: str, repair: bool) -> None:
        super().__init__()
        self.labels: dict[str, int] = {}
        self._scheme, self._repair = scheme, repair

    def of(self, sentence: Sentence, source: str) -> list[int]:
        """The ids of the tags of a sentence, or the ``ValueError`` that says what is wrong."""
        if len(sentence.tags) != len(sentence.tokens):
            check_tags(sentence, self._scheme, self._repair, source)
        tags = [OUTSIDE, *sentence.tags, OUTSIDE]
        try:
            return [self[three] for three in zip(tags, tags[1:], tags[2:], strict=False)]
        except ValueError as error:
            check_tags(sentence, self._scheme, self._repair, source)
            raise ValueError(f"{source}: {error}") from None

    def __missing__(self, three: tuple[str, str, str]) -> int:
        before, tag, after = map(split_tag, three)
        is_legal = may_follow(before, tag, self._scheme) and may_follow(tag, after, self._scheme)
        if not (self._repair or (is_legal and is_of_scheme(three[1], self._scheme))):
            raise ValueError(f"tag {three[1]!r} is illegal here")
        if three[1] == OUTSIDE:
            number = 0
        else:
            opens, closes = not continues(before, tag), not continues(tag, after)
            role = "S" if opens and closes else "B" if opens else "E" if closes else "I"
            label = self.labels.setdefault(tag[1], len(self.labels))
            number = 1 + 4 * label + "BIES".index(role)
        if len(self.labels) > MAX_LABELS:
            raise ValueError(f"at least {too_many_labels(len(self.labels))}; {FEWER_LABELS}")
        self[three] = number
        return number
