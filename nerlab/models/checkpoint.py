"""Checkpoints: a folder of plain data from which a tagger is rebuilt.

``model.safetensors`` holds the weights, ``vocab.json`` the vocabulary, ``config.yaml`` the whole
configuration of the run. Nothing in it is ever executed.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nerlab.config import read_run_config
from nerlab.data.vocabulary import Vocabulary
from nerlab.models.build import build_tagger
from nerlab.models.tagger import Tagger

FORMAT = 1
_WEIGHTS, _CONFIG, _VOCABULARY = "model.safetensors", "config.yaml", "vocab.json"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded checkpoint; ``run`` is its run directory, or its own where it stands alone."""

    tagger: Tagger
    vocabulary: Vocabulary
    config: DictConfig
    run: Path


def save_checkpoint(
    directory: Path, weights: dict[str, Tensor], vocabulary: Vocabulary, config: DictConfig
) -> None:
    """Write a checkpoint beside ``directory``, then put it in its place."""
    part = directory.with_name(directory.name + ".part")
    old = directory.with_name(directory.name + ".old")
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)
    part.mkdir(parents=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    save_file(tensors, part / _WEIGHTS, metadata={"nerlab_format": str(FORMAT)})
    text = json.dumps(vocabulary.to_json(), ensure_ascii=False, indent=0)
    (part / _VOCABULARY).write_text(text, encoding="utf-8", errors="surrogatepass")
    OmegaConf.save(config, part / _CONFIG, resolve=True)
    if directory.exists():
        os.replace(directory, old)
    os.replace(part, directory)
    shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(path: str | Path, device: torch.device) -> Checkpoint:
    """Rebuild the tagger of a checkpoint folder, or of the best checkpoint of a run directory.

    Raises:
        ValueError: there is none, a file of it is broken, or it is of another version.
    """
    directory = find_checkpoint(Path(path).absolute())
    config = read_run_config(directory / _CONFIG)
    vocabulary = Vocabulary.from_json(directory / _VOCABULARY)
    try:
        tagger = build_tagger(config.model, vocabulary)
    except ValueError as error:
        raise ValueError(f"{directory / _CONFIG}: {error}") from None
    load_weights(tagger, directory)
    run = directory.parent.parent if directory.parent.name == "checkpoints" else directory
    return Checkpoint(tagger.to(device).eval(), vocabulary, config, run)


def find_checkpoint(path: Path) -> Path:
    """The checkpoint folder that ``path``, a run directory or the folder itself, means."""
    candidates = (path, path / "checkpoints" / "best", path / "checkpoints" / "last")
    for directory in candidates:
        if all((directory / name).is_file() for name in (_WEIGHTS, _CONFIG, _VOCABULARY)):
            return directory
    found = "no such folder" if not path.exists() else "no whole checkpoint in it"
    raise ValueError(
        f"{path}: {found}; expected a run directory of train.py, or a folder with "
        f"{_WEIGHTS}, {_CONFIG} and {_VOCABULARY}"
    )


def load_weights(tagger: Tagger, directory: Path) -> None:
    """Load the weights of a checkpoint folder into a tagger built like the saved one."""
    path = directory / _WEIGHTS
    try:
        with safe_open(path, framework="pt") as file:
            version = (file.metadata() or {}).get("nerlab_format")
            if version != str(FORMAT):
                raise ValueError(
                    f"{path}: checkpoint format {version}, expected {FORMAT}; it was written by "
                    "another version of nerlab: load it with that one, or train again"
                )
            tagger.load_state_dict({name: file.get_tensor(name) for name in file.offset_keys()})
    except SafetensorError as error:
        raise ValueError(f"{path}: broken file ({error}); use another checkpoint") from None
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{path}: weights do not fit {_CONFIG} and {_VOCABULARY}: {reason}"
        ) from None
