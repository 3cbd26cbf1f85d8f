"""Tokenizers as published folders have them, trained on strings of many scripts."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceTrainer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

_GROUPS = json.loads((Path(__file__).parent / "hard_strings.json").read_text(encoding="utf-8"))
HARD_STRINGS: list[str] = [string for group in _GROUPS.values() for string in group]
_BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def write_wordpiece(folder: Path, pieces: int = 700, **config: Any) -> None:
    """vocab.txt and tokenizer_config.json, as of BERT, DistilBERT and ELECTRA."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=config.get("do_lower_case", True))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=pieces, special_tokens=_BERT)
    tokenizer.train_from_iterator(HARD_STRINGS * 3, trainer)
    ids = tokenizer.get_vocab()
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{piece}\n" for piece in sorted(ids, key=ids.__getitem__))
    (folder / "vocab.txt").write_text(lines, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def write_byte_level(folder: Path, pieces: int = 700) -> None:
    """vocab.json and merges.txt, as of RoBERTa."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=pieces, special_tokens=_ROBERTA, initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(HARD_STRINGS * 3, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.model.save(str(folder))


def write_sentencepiece(folder: Path, pieces: int = 900, **options: Any) -> None:
    """sentencepiece.bpe.model, as of XLM-R: a unigram model, whatever its name says."""
    content = BytesIO()
    SentencePieceTrainer.Train(
        sentence_iterator=iter(HARD_STRINGS * 3),
        model_writer=content,
        vocab_size=pieces,
        hard_vocab_limit=False,
        character_coverage=0.9995,
        minloglevel=2,
        **options,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sentencepiece.bpe.model").write_bytes(content.getvalue())
