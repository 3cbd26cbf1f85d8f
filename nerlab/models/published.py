"""Folders of published models: what config.json says, and the tensors beside it.

A folder holds ``config.json`` and one of these, and the first is taken:

    model.safetensors              the tensors
    model.safetensors.index.json   names the files that the tensors are spread over
    pytorch_model.bin              the same, as torch saves it; nothing in it is run
    pytorch_model.bin.index.json

Sources: Devlin et al. 2019 (BERT), Liu et al. 2019 (RoBERTa), Conneau et al. 2020 (XLM-R), Sanh et
al. 2019 (DistilBERT), Clark et al. 2020 (ELECTRA).
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nerlab.config import Range

CONFIG = "config.json"
LARGEST = 2**20  # bytes of a file of JSON
_SAFETENSORS, _PICKLE, _INDEX = "model.safetensors", "pytorch_model.bin", ".index.json"
_NAMED = 3  # tensors that an error names
# What there is only for the task that a model was trained on.
_HEADS = (
    *("pooler", "cls", "lm_head", "classifier", "pre_classifier", "qa_outputs"),
    *("discriminator_predictions", "generator_predictions", "generator_lm_head"),
    *("vocab_transform", "vocab_layer_norm", "vocab_projector"),
)
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")  # 0, 1, 2 ... and zeros


class Architecture(NamedTuple):
    """What there is to know of a model before its weights; names are those of ``Layers``.

    Attributes:
        family: model_type of config.json.
        num_pieces: rows of the table of pieces.
        embedding_dim: width of its vectors; where it is not ``dim`` they are projected.
        positions: the longest sequence, [CLS] and [SEP] counted.
        first_position: the row of the first position.
        types: rows of the table of token types, of which the first is used; 0: there is no table.
        padding: the id of padding.
    """

    family: str
    num_pieces: int
    embedding_dim: int
    dim: int
    layers: int
    heads: int
    feedforward_dim: int
    positions: int
    first_position: int
    types: int
    padding: int
    dropout: float
    attention_dropout: float
    epsilon: float


class _Family(NamedTuple):
    """How a family names things.

    Attributes:
        prefix: what stands before the names of the tensors of a model with a head.
        layers: ... and before those of layers.
        parts: by ours, the names of the parts of a layer.
        keys: of config.json, where they are not BERT's.
        padding: the id of padding where config.json does not say it.
    """

    prefix: str
    layers: str
    parts: Mapping[str, tuple[str, ...]]
    keys: Mapping[str, str]
    padding: int


_BERT_PARTS = {
    "queries_keys_values": tuple(f"attention.self.{name}" for name in ("query", "key", "value")),
    "attention_output": ("attention.output.dense",),
    "attention_norm": ("attention.output.LayerNorm",),
    "feedforward.0": ("intermediate.dense",),
    "feedforward.2": ("output.dense",),
    "feedforward_norm": ("output.LayerNorm",),
}
_DISTILBERT_PARTS = {
    "queries_keys_values": ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    "attention_output": ("attention.out_lin",),
    "attention_norm": ("sa_layer_norm",),
    "feedforward.0": ("ffn.lin1",),
    "feedforward.2": ("ffn.lin2",),
    "feedforward_norm": ("output_layer_norm",),
}
_DISTILBERT_KEYS = {
    **{"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"},
    **{"intermediate_size": "hidden_dim", "hidden_act": "activation"},
    **{"hidden_dropout_prob": "dropout", "attention_probs_dropout_prob": "attention_dropout"},
}
_FAMILIES = {
    "bert": _Family("bert.", "encoder.layer.", _BERT_PARTS, {}, 0),
    "roberta": _Family("roberta.", "encoder.layer.", _BERT_PARTS, {}, 1),
    "xlm-roberta": _Family("roberta.", "encoder.layer.", _BERT_PARTS, {}, 1),
    "distilbert": _Family(
        "distilbert.", "transformer.layer.", _DISTILBERT_PARTS, _DISTILBERT_KEYS, 0
    ),
    "electra": _Family("electra.", "encoder.layer.", _BERT_PARTS, {}, 0),
}
_SUPPORTED: dict[str, tuple[object, ...]] = {
    "hidden_act": ("gelu", "gelu_python"),  # both exact
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
}
_OLD = {"gamma": "weight", "beta": "bias"}
_EMBEDDINGS = {
    "pieces": "embeddings.word_embeddings",
    "positions.table": "embeddings.position_embeddings",
    "types": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
    "project": "embeddings_project",
}


def read_config(content: bytes) -> Architecture:
    """The architecture that a config.json describes; somebody else may have written it.

    Raises:
        ValueError: it is no such file, or describes a model that there is not here.
    """
    try:
        config = json.loads(content)
        if not isinstance(config, dict):
            raise ValueError(f"expected an object, found a {type(config).__name__}")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"broken file ({error}); download it again") from None
    name = config.get("model_type")
    if not isinstance(name, str) or name not in _FAMILIES:
        known = ", ".join(_FAMILIES)
        raise ValueError(f"model_type={name!r:.60}: expected one of {known}; choose such a model")
    family = _FAMILIES[name]

    def value(key: str, default: object = None) -> Any:
        return config.get(family.keys.get(key, key), default)

    def number(key: str, allowed: Range, default: float | None = None) -> Any:
        found = value(key, default)
        if not allowed.holds(found):
            key = family.keys.get(key, key)
            raise ValueError(f"{key}={found!r:.60}: expected {allowed}; it is no model that works")
        return found

    for key, supported in _SUPPORTED.items():
        if (found := value(key, supported[0])) not in supported:
            key = family.keys.get(key, key)
            raise ValueError(f"{key}={found!r:.60}: expected {supported[0]}; choose another model")
    width, share = Range(1, 10_000, int), Range(0, 0.99)
    dim = number("hidden_size", width)
    heads = number("num_attention_heads", Range(1, 100, int))
    if dim % (2 * heads):
        raise ValueError(f"{heads} heads in a width of {dim}: expected heads of an even width")
    num_pieces = number("vocab_size", Range(1, 10**7, int))
    padding = number("pad_token_id", Range(0, num_pieces - 1, int), family.padding)
    first_position = padding + 1 if "roberta" in name else 0
    rows = number("max_position_embeddings", Range(first_position + 3, 10**6, int))
    return Architecture(
        family=name,
        num_pieces=num_pieces,
        embedding_dim=number("embedding_size", width, dim) if name == "electra" else dim,
        dim=dim,
        layers=number("num_hidden_layers", Range(1, 100, int)),
        heads=heads,
        feedforward_dim=number("intermediate_size", Range(1, 100_000, int)),
        positions=rows - first_position,
        first_position=first_position,
        types=0 if name == "distilbert" else number("type_vocab_size", Range(1, 1000, int), 2),
        padding=padding,
        dropout=number("hidden_dropout_prob", share, 0.1),
        attention_dropout=number("attention_probs_dropout_prob", share, 0.1),
        epsilon=1e-12 if name == "distilbert" else number("layer_norm_eps", Range(0, 0.1), 1e-12),
    )


def read_json(path: Path) -> bytes:
    """A file of a published folder that is not large; the cache of the hub is made of links.

    Raises:
        ValueError: there is none, or it is no such file.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file; expected the folder of a published model")
    if (size := path.stat().st_size) > LARGEST:
        raise ValueError(f"{path}: expected at most {LARGEST:,} bytes, found {size:,}")
    return path.read_bytes()


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of a published folder, by their published names; they are mapped, not read.

    Raises:
        ValueError: there are none, or a file is missing, broken, or more than tensors.
    """
    for name in (_SAFETENSORS, _PICKLE):
        if (folder / name).is_file():
            return _read_file(folder / name)
        index = folder / f"{name}{_INDEX}"
        if index.is_file():
            tensors: dict[str, Tensor] = {}
            for shard in _shards(index):
                if not (folder / shard).is_file():
                    raise ValueError(f"{index}: names {shard}, which is not there; download it too")
                tensors |= _read_file(folder / shard)
            return tensors
    found = ", ".join(sorted(path.name for path in folder.iterdir()))
    expected = f"expected {_SAFETENSORS} or {_PICKLE}, or the {_INDEX} of one"
    raise ValueError(f"{folder}: {expected}; found {found:.200}")


def _shards(index: Path) -> list[str]:
    """The names of the files that an index lists."""
    try:
        names = sorted(set(json.loads(read_json(index))["weight_map"].values()))
        if not all(Path(name).name == name for name in names):
            raise ValueError("a name that leads out of the folder")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        problem = " ".join(str(error).split())
        raise ValueError(f"{index}: no index of files beside it ({problem:.200})") from None
    return names


def _read_file(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.offset_keys()}
        with path.open("rb") as opened:
            is_mapped = is_zipfile(opened)  # not what torch saved before version 1.6
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=is_mapped)
    except UnpicklingError:
        raise ValueError(
            f"{path}: holds more than tensors, and to read it might run code; use {_SAFETENSORS} "
            "of this model"
        ) from None
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, SafetensorError) as error:
        problem = " ".join(str(error).split())
        raise ValueError(f"{path}: broken file ({problem:.200}); download it again") from None
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise ValueError(f"{path}: expected tensors by name; use {_SAFETENSORS} of this model")
    return tensors


def our_names(architecture: Architecture, ours: Iterable[str]) -> dict[str, list[str]]:
    """By our names the published ones, whose tensors are put one below the other."""
    family = _FAMILIES[architecture.family]
    names = {}
    for name in ours:
        part, _, kind = name.rpartition(".")
        if part in _EMBEDDINGS:
            names[name] = [f"{_EMBEDDINGS[part]}.{kind}"]
        else:
            _, _, number, part = part.split(".", 3)  # layers.layers.3.attention_norm
            names[name] = [f"{family.layers}{number}.{p}.{kind}" for p in family.parts[part]]
    return names


def match_tensors(
    tensors: Mapping[str, Tensor], architecture: Architecture, shapes: Mapping[str, torch.Size]
) -> tuple[dict[str, list[Tensor]], set[str]]:
    """By our names the tensors that are put one below the other; and the heads that are left out.

    Args:
        tensors: by their published names; LayerNorm may have gamma and beta, as in old files.
        architecture: what they should be of.
        shapes: of our tensors, by our names.

    Raises:
        ValueError: tensors are missing, of another shape or type, or nobody knows them.
    """
    names = our_names(architecture, shapes)
    prefix = _FAMILIES[architecture.family].prefix
    if not any(name.startswith(f"{prefix}embeddings.") for name in tensors):
        prefix = ""
    found, heads, problems = {}, set(), []
    expected = {name for parts in names.values() for name in parts}
    for name, tensor in tensors.items():
        short = name.removeprefix(prefix)
        old, _, kind = short.rpartition(".LayerNorm.")
        short = f"{old}.LayerNorm.{_OLD[kind]}" if kind in _OLD else short
        head = short.partition(".")[0]
        if name.startswith(prefix) and short in expected:
            found[short] = tensor
        elif head in _HEADS or not name.startswith(prefix):
            heads.add(head)
        elif short not in _BUFFERS:
            problems.append(f"{name} is not of such a model")
    for ours, parts in names.items():
        rows, *rest = shapes[ours]
        shape = [rows // len(parts), *rest]
        for name in parts:
            if name not in found:
                problems.append(f"{prefix}{name} is missing")
            elif list(found[name].shape) != shape:
                problems.append(
                    f"{prefix}{name} has the shape {list(found[name].shape)}, not {shape}"
                )
            elif not found[name].is_floating_point() or found[name].layout != torch.strided:
                problems.append(f"{prefix}{name} has the type {found[name].dtype}, not float")
    if problems:
        more = f" and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
        raise ValueError(
            f"the tensors are not those of the {architecture.family} in {CONFIG}: "
            f"{', '.join(problems[:_NAMED])}{more}; put the two that belong together"
        )
    return {ours: [found[name] for name in parts] for ours, parts in names.items()}, heads
