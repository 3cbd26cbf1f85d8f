"""Checkpoints: a folder of plain data from which a tagger is rebuilt, and its training goes on.

``model.safetensors`` holds the weights, ``labels.json`` and ``indexer.<embedder>.<file>`` the
vocabulary, ``config.yaml`` the whole configuration of the run; ``training.safetensors`` and
``training.json`` the state of the training, where it can go on from here; ``emissions.onnx`` in
an export the graph of the emissions. ``manifest.json`` holds the version and the checksums of the
others. :mod:`nerlab.models.loading` reads it.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nerlab.data.vocabulary import Vocabulary
from nerlab.files import new_folder, sha256_of
from nerlab.models.tagger import Tagger

FORMAT = 4
"""The version: 1 had no manifest, 2 a ``vocab.json``, 3 other names of the character CNN."""
WEIGHTS, CONFIG, MANIFEST = "model.safetensors", "config.yaml", "manifest.json"
TENSORS, VALUES = "training.safetensors", "training.json"
EMISSIONS = "emissions.onnx"


class State(NamedTuple):
    """Where a training stands, beside the weights: tensors and plain values by name."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]


def save_checkpoint(
    directory: Path,
    weights: Mapping[str, Tensor],
    vocabulary: Vocabulary,
    config: DictConfig,
    state: State | None = None,
) -> None:
    """Write a checkpoint atomically; if it cannot be written, the one before stays whole."""
    try:
        with new_folder(directory) as part:
            write_files(part, weights, vocabulary, config)
            if state is not None:
                _save_tensors(state.tensors, part / TENSORS)
                (part / VALUES).write_text(json.dumps(state.values), encoding="utf-8")
            write_manifest(part)
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise OSError(
            f"{directory}: {reason}; no checkpoint was written, the one before stays"
        ) from None


def write_files(
    folder: Path, weights: Mapping[str, Tensor], vocabulary: Vocabulary, config: DictConfig
) -> None:
    """Write what a tagger is rebuilt from into a folder."""
    _save_tensors(weights, folder / WEIGHTS)
    for name, content in vocabulary.files().items():
        (folder / name).write_bytes(content)
    OmegaConf.save(config, folder / CONFIG, resolve=True)


def write_manifest(folder: Path) -> None:
    """Write the checksums of the files in a folder; with them it is a checkpoint."""
    digests = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    text = json.dumps({"format": FORMAT, "sha256": digests}, indent=1)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def _save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(plain, path)
    except SafetensorError as error:
        raise OSError(f"{path.name}: {error}") from None


def load_own_weights(tagger: Tagger, directory: Path) -> None:
    """Load weights that the same run has saved, unless they are corrupted."""
    digests = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))["sha256"]
    check_digest(directory / WEIGHTS, digests[WEIGHTS])
    load_weights(tagger, directory)


def load_weights(tagger: Tagger, directory: Path) -> None:
    """Load the weights of a checkpoint folder into a tagger built like the saved one."""
    path = directory / WEIGHTS
    try:
        with open_tensors(path) as file:
            tagger.load_state_dict({name: file.get_tensor(name) for name in file.offset_keys()})
    except RuntimeError as error:
        raise weights_error(path, " ".join(str(error).split())[:200]) from None


def is_finite(weights: Tensor) -> bool:
    """Whether every number is, without making anything as large as ``weights``."""
    return not weights.numel() or all(bool(end.isfinite()) for end in weights.aminmax())


@contextmanager
def open_tensors(path: Path) -> Iterator[Any]:
    """A file of safetensors, to be read; ``ValueError`` where it is broken."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: broken file ({error}); use another checkpoint") from None


def weights_error(path: Path, reason: str) -> ValueError:
    """Weights that are not those of the model."""
    return ValueError(f"{path}: weights do not fit {CONFIG} and the vocabulary: {reason}")


def check_digest(path: Path, digest: str) -> None:
    """Raise ``ValueError`` unless a file has the SHA-256 that it was written with."""
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; use another checkpoint") from None
    if found != digest:
        problem = f"broken file, its checksum is not the one in {MANIFEST}"
        raise ValueError(f"{path}: {problem}; use another checkpoint")
