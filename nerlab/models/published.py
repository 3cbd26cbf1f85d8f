"""Folders of published models: the tensors beside config.json, and how the families name them.

A folder holds one of these, and the first is taken:

    model.safetensors              the tensors
    model.safetensors.index.json   names the files that the tensors are spread over
    pytorch_model.bin              as torch saves them; nothing in it is run
    pytorch_model.bin.index.json

Sources: Devlin et al. 2019 (BERT), Liu et al. 2019 (RoBERTa), Conneau et al. 2020 (XLM-R), Sanh et
al. 2019 (DistilBERT), Clark et al. 2020 (ELECTRA).
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import NamedTuple
from zipfile import is_zipfile

import torch
from safetensors import safe_open
from torch import Tensor

from nerlab.models.checkpoint import is_finite

_LARGEST = 2**24  # bytes of a file of JSON
_SAFETENSORS, _PICKLE, _INDEX = "model.safetensors", "pytorch_model.bin", ".index.json"
_NAMED = 3  # tensors that an error names
# What a model has only for the task that it was trained on.
_HEADS = (
    *("pooler.", "cls.", "lm_head.", "classifier.", "pre_classifier.", "qa_outputs."),
    *("discriminator_predictions.", "generator_predictions.", "generator_lm_head."),
    *("vocab_transform.", "vocab_layer_norm.", "vocab_projector."),
)
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")  # 0, 1, 2 ... and zeros
_OLD = {"gamma": "weight", "beta": "bias"}
_EMBEDDINGS = {
    "pieces": "embeddings.word_embeddings",
    "positions.table": "embeddings.position_embeddings",
    "types": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
    "project": "embeddings_project",
}


class _Names(NamedTuple):
    """How a family names its tensors.

    Attributes:
        prefix: of all of a model that stands beside a head.
        layers: what comes before the number of a layer.
        parts: of a layer, by our names.
    """

    prefix: str
    layers: str
    parts: Mapping[str, tuple[str, ...]]


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
_NAMES = {
    "bert": _Names("bert.", "encoder.layer.", _BERT_PARTS),
    "roberta": _Names("roberta.", "encoder.layer.", _BERT_PARTS),
    "xlm-roberta": _Names("roberta.", "encoder.layer.", _BERT_PARTS),
    "distilbert": _Names("distilbert.", "transformer.layer.", _DISTILBERT_PARTS),
    "electra": _Names("electra.", "encoder.layer.", _BERT_PARTS),
}


def read_json(path: Path) -> bytes:
    """A file of a published folder that is not large; the cache of the hub is made of links.

    Raises:
        ValueError: there is none, or it is no such file.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file; expected the folder of a published model")
    if (size := path.stat().st_size) > _LARGEST:
        raise ValueError(f"{path}: expected at most {_LARGEST:,} bytes, found {size:,}")
    return path.read_bytes()


def read_weights(
    folder: Path, family: str, shapes: Mapping[str, torch.Size]
) -> tuple[dict[str, Tensor], set[str]]:
    """The weights of a published model in float32, by our names; and the heads for other tasks,
    which are left out.

    Args:
        folder: it is read file by file, so it takes its own size in memory, beside the weights.
        family: model_type of its config.json.
        shapes: of the weights, by our names.

    Raises:
        ValueError: a file is missing, broken, or holds more than tensors; a tensor is missing,
            not of such a model, or of another shape or type.
    """
    names = _published_names(shapes, family)
    expected: dict[str, torch.Size] = {}
    for ours, parts in names.items():
        rows, *rest = shapes[ours]
        expected |= dict.fromkeys(parts, torch.Size([rows // len(parts), *rest]))
    tensors = _read_tensors(folder)
    try:
        found, heads = _match(tensors, family, expected)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
    # Copies, each of which lies where torch wants it.
    weights = {ours: torch.cat([found[p] for p in parts]).float() for ours, parts in names.items()}
    return weights, heads


def _published_names(ours: Iterable[str], family: str) -> dict[str, list[str]]:
    """By our names the published ones, whose tensors are put one below the other."""
    names, scheme = {}, _NAMES[family]
    for name in ours:
        part, _, kind = name.rpartition(".")
        if part in _EMBEDDINGS:
            names[name] = [f"{_EMBEDDINGS[part]}.{kind}"]
        else:
            _, _, number, part = part.split(".", 3)  # layers.layers.3.attention_norm
            names[name] = [f"{scheme.layers}{number}.{p}.{kind}" for p in scheme.parts[part]]
    return names


def _match(
    tensors: Mapping[str, Tensor], family: str, shapes: Mapping[str, torch.Size]
) -> tuple[dict[str, Tensor], set[str]]:
    """The tensors by their names without prefix, as they are published today, of the ``shapes``
    that these should have; and the heads that are left out."""
    prefix = _NAMES[family].prefix
    if not any(name.startswith(prefix) for name in tensors):
        prefix = ""
    found, heads, problems = {}, set(), []
    for name, tensor in tensors.items():
        short = name.removeprefix(prefix)
        norm, _, kind = short.rpartition(".LayerNorm.")
        if kind in _OLD:
            short = f"{norm}.LayerNorm.{_OLD[kind]}"
        if name.startswith(prefix) and short in shapes:
            found[short] = tensor
        elif not name.startswith(prefix) or short.startswith(_HEADS):
            heads.add(short.partition(".")[0])
        elif short not in _BUFFERS:
            problems.append(f"{name} is not of such a model")
    for name, shape in shapes.items():
        if name not in found:
            problems.append(f"{prefix}{name} is missing")
        elif (tensor := found[name]).shape != shape:
            shapes_of = f"{list(tensor.shape)}, expected {list(shape)}"
            problems.append(f"{prefix}{name} has the shape {shapes_of}")
        elif not tensor.is_floating_point() or tensor.layout != torch.strided:
            problems.append(f"{prefix}{name} has the type {tensor.dtype}, expected one of floats")
        elif not is_finite(tensor):
            problems.append(f"{prefix}{name} is not finite")
    if problems:
        more = f" and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
        raise ValueError(
            f"expected the tensors of the {family} in config.json, found: "
            f"{'; '.join(problems[:_NAMED])}{more}; download both again"
        )
    return found, heads


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder, by their published names; they are mapped, not read."""
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
    except UnpicklingError as error:
        problem = " ".join(str(error).split())
        raise ValueError(
            f"{path}: broken, or more than tensors, which might run code ({problem:.100}); "
            f"download it again, or use {_SAFETENSORS} of this model"
        ) from None
    except Exception as error:  # whatever the two libraries make of it
        problem = " ".join(str(error).split())
        raise ValueError(f"{path}: broken file ({problem:.200}); download it again") from None
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise ValueError(f"{path}: expected tensors by name; use {_SAFETENSORS} of this model")
    return tensors
