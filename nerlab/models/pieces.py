"""Tokenizers of published models: tokens are cut into pieces, which have numbers.

Each token is cut by itself, as transformers does with ``is_split_into_words=True`` (RoBERTa's with
``add_prefix_space=True``). A folder holds one or more of these, and the first is taken:

    sentencepiece.bpe.model   XLM-R, as it was trained; its other files were converted from it
    tokenizer.json            any model: everything about the tokenizer in one file
    vocab.txt                 BERT, DistilBERT, ELECTRA: WordPiece
    vocab.json, merges.txt    RoBERTa: byte-level BPE

tokenizer_config.json and special_tokens_map.json stand beside them and need not be there. All but
the first need the library tokenizers. Reading a tokenizer runs nothing of what it holds.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np
from sentencepiece import SentencePieceProcessor

from nerlab.data.vocabulary import Indexed, Ragged
from nerlab.models.tokenizer_files import (
    BESIDE,
    KINDS,
    SENTENCEPIECE,
    SPECIAL_KEYS,
    describe,
    special_pieces,
)
from nerlab.paths import check_file

_LARGEST = 2**28  # bytes of a file
_CHUNK = 10_000  # tokens that are cut at once: what the library makes of one takes a kilobyte
_SURROGATE = re.compile("[\ud800-\udfff]")
_OF_BERT = dict(zip(SPECIAL_KEYS, ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"), strict=True))
_OF_ROBERTA = dict(zip(SPECIAL_KEYS, ("<unk>", "<s>", "</s>", "<pad>", "<mask>"), strict=True))


class Tokenizer(Protocol):
    """Cuts tokens into pieces.

    Attributes:
        num_pieces: ids are below it.
        unknown: id of the unknown piece.
        start, end: ids of the pieces before and behind a sentence: [CLS], [SEP] or <s>, </s>.
    """

    num_pieces: int
    unknown: int
    start: int
    end: int

    def cut(self, tokens: Sequence[str]) -> Ragged:
        """The ids of the pieces of each token; there may be none."""

    def files(self) -> dict[str, bytes]:
        """What :func:`load_tokenizer` needs: the published files, as they are."""


def index_pieces(tokenizer: Tokenizer, tokens: Sequence[str]) -> Indexed:
    """``pieces``, see :func:`with_padding`; a token costs as many positions as it has pieces."""
    pieces = with_padding(tokenizer.cut(tokens), tokenizer.unknown)
    return Indexed({"pieces": pieces}, np.diff(pieces.offsets))


def with_padding(pieces: Ragged, unknown: int) -> Ragged:
    """The ids of pieces plus 1, for 0 is padding. A token that has no piece, such as a zero-width
    space, gets the unknown one: it keeps its place."""
    values, offsets = pieces
    is_empty = offsets[1:] == offsets[:-1]
    values = np.insert(values, offsets[:-1][is_empty], unknown) + 1
    return Ragged(values, offsets + np.cumsum(np.concatenate([[0], is_empty])))


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a published folder; which, if it has several, stands above.

    Raises:
        ValueError: there is none, or a file of it is broken.
    """
    for names in KINDS:
        if all((folder / name).exists() for name in names):
            break
    else:
        expected = "; ".join(" and ".join(names) for names in KINDS)
        raise ValueError(f"{folder}: no tokenizer found; expected one of {expected}")
    paths = [folder / name for name in (*names, *BESIDE) if (folder / name).exists()]
    for path in paths:
        check_file(path.resolve(), _LARGEST)  # in the cache of a hub they are links
    try:
        return load_tokenizer({path.name: path.read_bytes() for path in paths})
    except ValueError as error:
        raise ValueError(f"{folder}/{error}") from None


def load_tokenizer(files: Mapping[str, bytes]) -> Tokenizer:
    """The tokenizer that has these :meth:`Tokenizer.files`.

    Raises:
        ValueError: they are not those of a tokenizer; the message begins with the name of a file.
    """
    if SENTENCEPIECE in files:
        return SentencePieceTokenizer(files)
    return LibraryTokenizer(files)


class SentencePieceTokenizer:
    """XLM-R's: ids are those of sentencepiece plus 1, after <s> 0, <pad> 1, </s> 2, <unk> 3; <mask>
    is the last. A token is never a special piece, whatever it spells."""

    start, end, unknown = 0, 2, 3

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = dict(files)
        self._processor = open_sentencepiece(files[SENTENCEPIECE], SENTENCEPIECE)
        found = [self._processor.piece_to_id(piece) for piece in ("<unk>", "<s>", "</s>")]
        if found != [0, 1, 2]:
            raise ValueError(
                f"{SENTENCEPIECE}: expected <unk>, <s>, </s> as pieces 0, 1, 2, found {found}; it "
                "is no tokenizer of XLM-R"
            )
        self.num_pieces = len(self._processor) + 2

    def cut(self, tokens: Sequence[str]) -> Ragged:
        """See :class:`Tokenizer`."""
        values, offsets = cut_sentencepieces(self._processor, tokens)
        return Ragged(np.where(values == 0, self.unknown, values + 1), offsets)

    def files(self) -> dict[str, bytes]:
        """See :class:`Tokenizer`."""
        return dict(self._files)


def open_sentencepiece(content: bytes, name: str) -> SentencePieceProcessor:
    """A model of sentencepiece; ``ValueError``, which begins with ``name``, if it is broken."""
    processor = SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(content)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{name}: no model of sentencepiece: {_line(error)}") from None
    return processor


def cut_sentencepieces(processor: SentencePieceProcessor, tokens: Sequence[str]) -> Ragged:
    """The ids that sentencepiece gives to the pieces of each token."""
    return _ragged(processor.encode([encodable(token) for token in tokens]))


class LibraryTokenizer:
    """A tokenizer of the library tokenizers.

    Special pieces are those that tokenizer_config.json or special_tokens_map.json names, else the
    usual ones of the family. A token that spells one is that piece, as in transformers.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = dict(files)
        self._name = next(names[0] for names in KINDS if all(name in files for name in names))
        with _blaming(self._name):
            from tokenizers import Tokenizer as Implementation

            self._tokenizer = Implementation.from_str(json.dumps(describe(files)))
            pieces = self._tokenizer.get_vocab()
            usual = _OF_ROBERTA if "<s>" in pieces and "[CLS]" not in pieces else _OF_BERT
            special = usual | special_pieces(files)
            for key in SPECIAL_KEYS[:3]:
                if special[key] not in pieces:
                    raise ValueError(f"{key}: {special[key]!r} is not among the pieces")
            known = [name for name in special.values() if name in pieces]
            self._tokenizer.add_special_tokens(known)
        self.unknown, self.start, self.end = (pieces[special[key]] for key in SPECIAL_KEYS[:3])
        self.num_pieces = max(pieces.values()) + 1

    def cut(self, tokens: Sequence[str]) -> Ragged:
        """See :class:`Tokenizer`."""
        rows: list[list[int]] = []
        for first in range(0, len(tokens), _CHUNK):
            texts = [encodable(token) for token in tokens[first : first + _CHUNK]]
            with _blaming(self._name):
                found = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            rows += (encoding.ids for encoding in found)
        return _ragged(rows)

    def files(self) -> dict[str, bytes]:
        """See :class:`Tokenizer`."""
        return dict(self._files)


def encodable(token: str) -> str:
    """The token with U+FFFD for half a surrogate pair, which UTF-8 does not have."""
    return _SURROGATE.sub("\ufffd", token)


def _ragged(rows: Sequence[Sequence[int]]) -> Ragged:
    offsets = np.cumsum([0, *map(len, rows)])
    return Ragged(np.fromiter(chain.from_iterable(rows), np.int32, offsets[-1]), offsets)


@contextmanager
def _blaming(name: str) -> Iterator[None]:
    """What the library tokenizers makes of a file that it does not understand becomes one line."""
    try:
        yield
    except ImportError:
        needed = 'the library tokenizers is needed to read it; pip install -e ".[pretrained]"'
        raise ValueError(f"{name}: {needed}") from None
    except BaseException as error:
        # It may panic, which is no ``Exception``.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        line = _line(error)
        raise ValueError(line if line.startswith(BESIDE) else f"{name}: {line}") from None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
