"""Tokenizers of published models: tokens are cut into pieces, which have numbers.

Each token is cut by itself, as transformers does with ``is_split_into_words=True`` (RoBERTa's with
``add_prefix_space=True``). A folder holds one or more of these, and the first is taken:

    sentencepiece.bpe.model   XLM-R, as it was trained; the other files were converted from it
    tokenizer.json            any model, everything about the tokenizer in one file
    vocab.txt                 BERT, DistilBERT, ELECTRA: WordPiece
    vocab.json, merges.txt    RoBERTa: byte-level BPE

tokenizer_config.json and special_tokens_map.json stand beside them and need not be there. All but
the first need the library tokenizers. A tokenizer is data: reading one runs nothing of it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from sentencepiece import SentencePieceProcessor

from nerlab.data.vocabulary import Indexed, Ragged
from nerlab.paths import check_file

if TYPE_CHECKING:
    import tokenizers

SENTENCEPIECE, TOKENIZER, WORDPIECE = "sentencepiece.bpe.model", "tokenizer.json", "vocab.txt"
BPE, MERGES = "vocab.json", "merges.txt"
CONFIG, SPECIAL = "tokenizer_config.json", "special_tokens_map.json"
KINDS = ((SENTENCEPIECE,), (TOKENIZER,), (WORDPIECE,), (BPE, MERGES))

_LARGEST = 2**28  # bytes of a file
_CHUNK = 10_000  # tokens cut at once: what the library makes of one takes a kilobyte
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPECIAL = ("unk_token", "cls_token", "sep_token", "pad_token", "mask_token")
_BERT_OPTIONS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
_BERT = dict(zip(_SPECIAL, ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"), strict=True))
_ROBERTA = dict(zip(_SPECIAL, ("<unk>", "<s>", "</s>", "<pad>", "<mask>"), strict=True))


class Tokenizer(Protocol):
    """Cuts tokens into pieces.

    Attributes:
        num_pieces: ids are below it.
        unknown: id of the unknown piece.
        start, end: ids of the pieces before and behind a sentence, [CLS] and [SEP] or <s> and </s>.
    """

    num_pieces: int
    unknown: int
    start: int
    end: int

    def cut(self, tokens: Sequence[str]) -> Ragged:
        """The ids of the pieces of each token; there may be none."""

    def files(self) -> dict[str, bytes]:
        """What :func:`load_tokenizer` needs."""


def index_pieces(tokenizer: Tokenizer, tokens: Sequence[str]) -> Indexed:
    """``pieces``, the ids of the pieces of each token plus 1, for 0 is padding; a token costs as
    many positions. One that has no piece, such as a zero-width space, gets the unknown one."""
    values, offsets = tokenizer.cut(tokens)
    is_empty = offsets[1:] == offsets[:-1]
    values = np.insert(values, offsets[:-1][is_empty], tokenizer.unknown) + 1
    offsets = offsets + np.cumsum(np.concatenate([[0], is_empty]))
    return Indexed({"pieces": Ragged(values, offsets)}, np.diff(offsets))


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
    beside = () if names == (SENTENCEPIECE,) else (CONFIG, SPECIAL)
    paths = [folder / name for name in names]
    paths += [folder / name for name in beside if (folder / name).exists()]
    for path in paths:
        check_file(path.resolve(), _LARGEST)  # the cache of the hub is made of links
    try:
        return load_tokenizer({path.name: path.read_bytes() for path in paths})
    except ValueError as error:
        raise ValueError(f"{folder}/{error}") from error


def load_tokenizer(files: Mapping[str, bytes]) -> Tokenizer:
    """The tokenizer that has these :meth:`Tokenizer.files`.

    Raises:
        ValueError: they are none of a tokenizer; the message begins with the name of a file.
    """
    if SENTENCEPIECE in files:
        return SentencePieceTokenizer(files[SENTENCEPIECE])
    return LibraryTokenizer(files)


class SentencePieceTokenizer:
    """XLM-R's: ids are those of sentencepiece plus 1, after <s> 0, <pad> 1, </s> 2, <unk> 3; <mask>
    is the last. Text is never a special piece, whatever it spells."""

    start, end, unknown = 0, 2, 3

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._processor = open_sentencepiece(content, SENTENCEPIECE)
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
        """The published file."""
        return {SENTENCEPIECE: self._content}


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
    return _ragged(processor.encode([_encodable(token) for token in tokens]))


class LibraryTokenizer:
    """A tokenizer of the library tokenizers.

    What tokenizer_config.json says of lower case, accents and Chinese characters holds for BERT's,
    whichever file it has; where it says nothing vocab.txt is read in lower case. Special pieces are
    those named there or in special_tokens_map.json, else the usual ones of the family; a token that
    spells one is that piece, as in transformers.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = dict(files)
        self._name = next(names[0] for names in KINDS if all(name in files for name in names))
        config = _object(files, CONFIG)
        special = _names(config) | _names(_object(files, SPECIAL))
        with _blaming(self._name):
            self._tokenizer = _build(self._name, files, config, special)
            pieces = self._tokenizer.get_vocab()
        special = (_BERT if "[CLS]" in pieces else _ROBERTA) | special
        for key in _SPECIAL[:3]:
            if special[key] not in pieces:
                raise ValueError(f"{self._name}: {key} {special[key]!r} is not among its pieces")
        self.unknown, self.start, self.end = (pieces[special[key]] for key in _SPECIAL[:3])
        self.num_pieces = max(pieces.values()) + 1
        self._tokenizer.add_special_tokens([name for name in special.values() if name in pieces])

    def cut(self, tokens: Sequence[str]) -> Ragged:
        """See :class:`Tokenizer`."""
        rows: list[list[int]] = []
        for first in range(0, len(tokens), _CHUNK):
            texts = [_encodable(token) for token in tokens[first : first + _CHUNK]]
            with _blaming(self._name):
                found = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            rows += (encoding.ids for encoding in found)
        return _ragged(rows)

    def files(self) -> dict[str, bytes]:
        """The published files."""
        return dict(self._files)


def _build(
    name: str, files: Mapping[str, bytes], config: Mapping[str, Any], special: Mapping[str, str]
) -> "tokenizers.Tokenizer":
    try:
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    except ImportError:
        needed = 'the package tokenizers is needed; pip install -e ".[pretrained]"'
        raise ValueError(needed) from None
    if name == TOKENIZER:
        tokenizer = Tokenizer.from_str(files[TOKENIZER].decode())
        tokenizer.no_truncation()
        tokenizer.no_padding()
    elif name == WORDPIECE:
        pieces = {piece: i for i, piece in enumerate(_lines(files[WORDPIECE]))}
        unknown = special.get("unk_token", _BERT["unk_token"])
        tokenizer = Tokenizer(models.WordPiece(pieces, unk_token=unknown))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    else:
        lines = (line for line in _lines(files[MERGES]) if not line.startswith("#version"))
        merges = [(left, right) for left, _, right in (line.partition(" ") for line in lines)]
        tokenizer = Tokenizer(models.BPE(_object(files, BPE), merges))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    if isinstance(tokenizer.normalizer, normalizers.BertNormalizer):
        for key, attribute in _BERT_OPTIONS.items():
            if key in config:
                setattr(tokenizer.normalizer, attribute, config[key])
    if isinstance(tokenizer.pre_tokenizer, pre_tokenizers.ByteLevel):
        tokenizer.pre_tokenizer.add_prefix_space = True
    return tokenizer


def _object(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """The JSON object in a file, empty where there is no such file."""
    try:
        data = json.loads(files.get(name, b"{}"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: no JSON: {_line(error)}") from None
    if not isinstance(data, dict):
        raise ValueError(f"{name}: expected an object, found a {type(data).__name__}")
    return data


def _names(config: Mapping[str, Any]) -> dict[str, str]:
    """The special pieces that a file names, as strings or as objects with their ``content``."""
    found = {key: config.get(key) for key in _SPECIAL}
    names = {key: v.get("content") if isinstance(v, dict) else v for key, v in found.items()}
    return {key: name for key, name in names.items() if isinstance(name, str)}


def _lines(content: bytes) -> list[str]:
    return [line.rstrip() for line in content.decode().removesuffix("\n").split("\n")]


def _encodable(token: str) -> str:
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
    except BaseException as error:
        # It may panic, which is no ``Exception``.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"{name}: {_line(error)}") from None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
