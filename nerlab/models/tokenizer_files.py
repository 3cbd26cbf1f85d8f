"""What the files of a published tokenizer say, in the form that the library tokenizers reads.

That form is tokenizer.json: a normalizer, a pre-tokenizer and a model. The older files are brought
into it.
"""

import json
from collections.abc import Mapping
from typing import Any

SENTENCEPIECE, TOKENIZER, WORDPIECE = "sentencepiece.bpe.model", "tokenizer.json", "vocab.txt"
BPE, MERGES = "vocab.json", "merges.txt"
BESIDE = CONFIG, SPECIAL = "tokenizer_config.json", "special_tokens_map.json"
KINDS = ((SENTENCEPIECE,), (TOKENIZER,), (WORDPIECE,), (BPE, MERGES))
"""The files of a tokenizer of each kind, the preferred one first."""

_BERT_OPTIONS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
SPECIAL_KEYS = ("unk_token", "cls_token", "sep_token", "pad_token", "mask_token")


def describe(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The tokenizer that the files describe.

    What tokenizer_config.json says of lower case, accents and Chinese characters holds for BERT's,
    whichever file it has; where it says nothing vocab.txt is read in lower case. A byte-level
    tokenizer sees each token behind a space.

    Raises:
        ValueError: a file is broken.
    """
    if TOKENIZER in files:
        data = json_object(files, TOKENIZER)
        parts = ("added_tokens", "normalizer", "pre_tokenizer", "model")
        description = {part: data.get(part) for part in parts}
    elif WORDPIECE in files:
        description = _wordpiece(files)
    else:
        description = _byte_level(files)
    config = json_object(files, CONFIG)
    normalizer, pre_tokenizer = description["normalizer"] or {}, description["pre_tokenizer"] or {}
    if normalizer.get("type") == "BertNormalizer":
        normalizer.update({new: config[old] for old, new in _BERT_OPTIONS.items() if old in config})
    if pre_tokenizer.get("type") == "ByteLevel":
        pre_tokenizer["add_prefix_space"] = True
    model = description["model"] or {}
    if model.get("type") == "BPE" and model.get("continuing_subword_prefix"):
        # With some of these the library ends the process.
        raise ValueError("model.continuing_subword_prefix: expected none with BPE")
    return {"version": "1.0", **description}


def special_pieces(files: Mapping[str, bytes]) -> dict[str, str]:
    """The special pieces that the files name, by ``unk_token``, ``cls_token`` and so on."""
    names = {}
    for config in (json_object(files, CONFIG), json_object(files, SPECIAL)):
        for key in SPECIAL_KEYS:
            value = config.get(key)
            name = value.get("content") if isinstance(value, dict) else value
            if isinstance(name, str):
                names[key] = name
    return names


def _wordpiece(files: Mapping[str, bytes]) -> dict[str, Any]:
    normalizer = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    }
    model = {
        "type": "WordPiece",
        "unk_token": special_pieces(files).get("unk_token", "[UNK]"),
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {piece: i for i, piece in enumerate(_lines(files[WORDPIECE]))},
    }
    return {"normalizer": normalizer, "pre_tokenizer": {"type": "BertPreTokenizer"}, "model": model}


def _byte_level(files: Mapping[str, bytes]) -> dict[str, Any]:
    merges = [line for line in _lines(files[MERGES]) if not line.startswith("#version")]
    model = {"type": "BPE", "vocab": json_object(files, BPE), "merges": merges}
    pre_tokenizer = {"type": "ByteLevel", "trim_offsets": True}
    return {"normalizer": None, "pre_tokenizer": pre_tokenizer, "model": model}


def json_object(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """The JSON object in a file, empty where there is no such file."""
    try:
        data = json.loads(files.get(name, b"{}"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is no JSON: {error}") from None
    if not isinstance(data, dict):
        raise ValueError(f"{name}: expected an object, found a {type(data).__name__}")
    return data


def _lines(content: bytes) -> list[str]:
    return [line.rstrip() for line in content.decode().removesuffix("\n").split("\n")]
