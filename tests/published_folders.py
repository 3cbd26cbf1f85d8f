"""Folders of published models as they are downloaded, small, with weights drawn at random.

transformers makes and saves them; importing it takes seconds, so it is done where it is needed.
"""

import io
import json
from pathlib import Path
from typing import Any

import torch
from sentencepiece import SentencePieceTrainer

FAMILIES = ("bert", "roberta", "xlm-roberta", "distilbert", "electra")
SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
}
_DISTILBERT = {
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
}
_TEXT = """Angela Merkel flew from Berlin to Paris on Monday , and met the mayor of the city .
Siemens opened a plant in New York ; nobody came but Ada Lovelace and Charles Babbage .
Azərbaycanın paytaxtı Bakı şəhəridir . İstanbul , Ankara və Gəncə ; 1918 ! ? ( ) - ' " & % :
The United Nations met in Geneva , Switzerland , while it rained for 40 days in Oslo and Rome ."""


def make_folder(
    folder: Path,
    family: str,
    head: str | None = None,
    seed: int = 1,
    std: float = 0.3,
    **sizes: Any,
) -> Path:
    """A published folder: config.json, model.safetensors, and the files of a tokenizer.

    Args:
        folder: where; it is made.
        family: one of ``FAMILIES``.
        head: the end of a class of transformers with a head for a task, "ForMaskedLM" say; None:
            the model alone, whose tensors have no prefix.
        seed: of the weights, none of which is 0 or 1.
        std: of the weights around 0, and of biases and norms around 1.
        sizes: of BERT's configuration, by its names; see ``SIZES``.
    """
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    num_pieces = write_tokenizer(folder, family)
    sizes = {**SIZES, "vocab_size": num_pieces + 3, **sizes}
    if family == "electra":
        sizes = {"embedding_size": 8, **sizes}
    if family == "distilbert":
        sizes = {_DISTILBERT.get(key, key): value for key, value in sizes.items()}
    if "roberta" in family:
        sizes = {"type_vocab_size": 1, "layer_norm_eps": 1e-5, **sizes}
    config = transformers.AutoConfig.for_model(family, **sizes)
    end = "Model" if head is None else head
    make = getattr(transformers, type(config).__name__.removesuffix("Config") + end)
    model = make(config)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        center = 1.0 if parameter.dim() == 1 else 0.0
        torch.nn.init.normal_(parameter, center, std, generator)
    model.save_pretrained(folder)
    return folder


def write_tokenizer(folder: Path, family: str) -> int:
    """The files of a tokenizer as the family publishes them; returns how many pieces it has."""
    if family == "xlm-roberta":
        model = io.BytesIO()
        SentencePieceTrainer.train(
            sentence_iterator=iter(_TEXT.splitlines()),
            model_writer=model,
            vocab_size=100,
            model_type="unigram",
            minloglevel=2,
        )
        (folder / "sentencepiece.bpe.model").write_bytes(model.getvalue())
        return 100 + 2
    if family == "roberta":
        letters = _bytes()
        merges = ["h e", "Ġ t", "i n", "Ġt he", "e r"]
        pieces = ["<s>", "<pad>", "</s>", "<unk>", *letters]
        pieces += [merge.replace(" ", "") for merge in merges] + ["<mask>"]
        vocabulary = json.dumps({piece: i for i, piece in enumerate(pieces)})
        (folder / "vocab.json").write_text(vocabulary, encoding="utf-8")
        text = "\n".join(["#version: 0.2", *merges, ""])
        (folder / "merges.txt").write_text(text, encoding="utf-8")
        return len(pieces)
    letters = sorted({c for c in _TEXT if not c.isspace()})
    words = ["Berlin", "Paris", "the", "in", "New", "York", "##in", "##er"]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*special, *letters, *(f"##{letter}" for letter in letters), *words]
    (folder / "vocab.txt").write_text("\n".join([*pieces, ""]), encoding="utf-8")
    options = {"do_lower_case": False, "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(options), encoding="utf-8")
    return len(pieces)


def _bytes() -> list[str]:
    """The 256 letters that byte-level BPE has for bytes: printable ones are themselves."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(256 - len(plain))]
