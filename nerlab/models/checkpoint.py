"""Checkpoints: a folder of plain data from which a tagger is rebuilt, and its training goes on.

``model.safetensors`` holds the weights, ``vocab.json`` the vocabulary, ``config.yaml`` the whole
configuration of the run; ``training.safetensors`` and ``training.json`` the state of the training,
where it can go on from here. ``manifest.json`` holds the version and the checksums of the others.
Nothing in a checkpoint is ever executed, and what it names is of nerlab or of a package that the
person who loads it trusts.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nerlab.data.vocabulary import Vocabulary
from nerlab.files import sha256_of, sync
from nerlab.models.build import build_tagger
from nerlab.models.tagger import Tagger
from nerlab.paths import check_file
from nerlab.saved_config import read_run_config

# 1 had no manifest, and its version in the metadata of the weights; it is read as it is.
FORMAT = 2
_TYPE = "F32"  # of all weights, by the name that safetensors has for it
_WEIGHTS, _CONFIG, _VOCABULARY = "model.safetensors", "config.yaml", "vocab.json"
_TENSORS, _VALUES = "training.safetensors", "training.json"
_MANIFEST = "manifest.json"
_REQUIRED = (_WEIGHTS, _CONFIG, _VOCABULARY)
_MEBIBYTE = 2**20
# Bytes of the largest that are read; the first and the last but one are mapped, not read.
_LARGEST = {
    _WEIGHTS: 2**50,
    _CONFIG: _MEBIBYTE,
    _VOCABULARY: 2**30,
    _TENSORS: 2**50,
    _VALUES: _MEBIBYTE,
}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded checkpoint; ``run`` is its run directory, or its own where it stands alone."""

    tagger: Tagger
    vocabulary: Vocabulary
    config: DictConfig
    run: Path


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
    """Write a checkpoint beside ``directory``, and when it is on the disk put it in its place.

    Whatever happens on the way, what was there before stays whole; should the process die between
    the two renames, it stands in ``<directory>.old``, where it is found.

    Raises:
        OSError: it cannot be written; the message names the folder.
    """
    part, old = _beside(directory)
    try:
        _recover(directory)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _save_tensors(weights, part / _WEIGHTS)
        text = json.dumps(vocabulary.to_json(), ensure_ascii=False, indent=0)
        (part / _VOCABULARY).write_text(text, encoding="utf-8", errors="surrogatepass")
        OmegaConf.save(config, part / _CONFIG, resolve=True)
        if state is not None:
            _save_tensors(state.tensors, part / _TENSORS)
            (part / _VALUES).write_text(json.dumps(state.values), encoding="utf-8")
        _seal(part)
        if directory.exists():
            os.replace(directory, old)
        os.replace(part, directory)
        sync(directory.parent)
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise OSError(
            f"{directory}: {reason}; no checkpoint was written, the one before stays"
        ) from None


def _beside(directory: Path) -> tuple[Path, Path]:
    """Where the next checkpoint grows, and where the one before waits until it is in place."""
    return directory.with_name(directory.name + ".part"), directory.with_name(
        directory.name + ".old"
    )


def _recover(directory: Path) -> None:
    """Put the checkpoint before back in its place, if a process died while it was away."""
    _, old = _beside(directory)
    if old.exists():
        if directory.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(old, directory)


def _save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(plain, path)


def _seal(part: Path) -> None:
    """Write the manifest, and wait until everything is on the disk."""
    digests = {path.name: sha256_of(path) for path in sorted(part.iterdir())}
    text = json.dumps({"format": FORMAT, "sha256": digests}, indent=1)
    (part / _MANIFEST).write_text(text, encoding="utf-8")
    for path in part.iterdir():
        sync(path)
    sync(part)


def verify(directory: Path) -> None:
    """Raise ``ValueError`` unless every file of a checkpoint is the one that was written."""
    path = directory / _MANIFEST
    if not path.exists():
        for name in _REQUIRED:
            check_file(directory / name, _LARGEST[name])
        _check_first_format(directory / _WEIGHTS)
        return
    for name, digest in _digests(path).items():
        check_file(directory / name, _LARGEST[name])
        try:
            found = sha256_of(directory / name)
        except OSError as error:
            raise ValueError(
                f"{directory / name}: {error.strerror}; use another checkpoint"
            ) from None
        if found != digest:
            raise ValueError(
                f"{directory / name}: broken file, its checksum is not the one in {_MANIFEST}; "
                "use another checkpoint"
            )


def _digests(path: Path) -> dict[str, str]:
    """The checksums in a manifest, of the files that a checkpoint has and of no others."""
    check_file(path, _MEBIBYTE)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version, digests = manifest["format"], dict(manifest["sha256"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: broken file ({error}); use another checkpoint") from None
    if version != FORMAT:
        raise _unknown_version(path, version)
    if set(digests) not in ({*_REQUIRED}, {*_LARGEST}):
        raise ValueError(
            f"{path}: expected the checksums of {', '.join(_REQUIRED)}, and of {_TENSORS} and "
            f"{_VALUES} or of nothing else; use another checkpoint"
        )
    return digests


def _check_first_format(path: Path) -> None:
    try:
        with safe_open(path, framework="pt") as file:
            version = (file.metadata() or {}).get("nerlab_format")
    except SafetensorError as error:
        raise ValueError(f"{path}: broken file ({error}); use another checkpoint") from None
    if version != "1":
        raise _unknown_version(path, version)


def _unknown_version(path: Path, version: object) -> ValueError:
    return ValueError(
        f"{path}: checkpoint format {version}, expected at most {FORMAT}; it was written by "
        "another version of nerlab: load it with that one, or train again"
    )


def load_checkpoint(
    path: str | Path, device: torch.device, trusted: tuple[str, ...] = ()
) -> Checkpoint:
    """Rebuild the tagger of a checkpoint folder, or of the best checkpoint of a run directory.

    Args:
        path: the folder.
        device: where the tagger computes.
        trusted: packages whose classes its configuration may name, beside those of nerlab.

    Raises:
        ValueError: there is none, a file of it is broken, or it is of another version.
    """
    directory = find_checkpoint(Path(path).absolute())
    verify(directory)
    config = read_run_config(directory / _CONFIG)
    vocabulary = Vocabulary.from_json(directory / _VOCABULARY)
    try:
        check_shapes(config.model, vocabulary, trusted, directory)
        tagger = build_tagger(config.model, vocabulary, trusted)
    except ValueError as error:
        raise ValueError(f"{directory / _CONFIG}: {error}") from None
    load_weights(tagger, directory)
    for name, weights in tagger.state_dict().items():
        if not weights.isfinite().all():
            raise ValueError(
                f"{directory / _WEIGHTS}: {name} is not finite; use another checkpoint"
            )
    run = directory.parent.parent if directory.parent.name == "checkpoints" else directory
    return Checkpoint(tagger.to(device).eval(), vocabulary, config, run)


def find_checkpoint(path: Path) -> Path:
    """The checkpoint folder that ``path``, a run directory or the folder itself, means."""
    candidates = (path, path / "checkpoints" / "best", path / "checkpoints" / "last")
    for directory in (place for name in candidates for place in (name, _beside(name)[1])):
        if all((directory / name).is_file() for name in (_WEIGHTS, _CONFIG, _VOCABULARY)):
            return directory
    found = "no such folder" if not path.exists() else "no whole checkpoint in it"
    raise ValueError(
        f"{path}: {found}; expected a run directory of train.py, or a folder with "
        f"{_WEIGHTS}, {_CONFIG} and {_VOCABULARY}"
    )


def load_state(directory: Path) -> tuple[DictConfig, State]:
    """The configuration of a run and the state that its training can go on from.

    Raises:
        ValueError: the checkpoint is broken, or holds no such state.
    """
    verify(directory)
    if not (directory / _VALUES).is_file():
        raise ValueError(
            f"{directory}: no state of training in it; training goes on from checkpoints/last of a "
            "run that was not finished"
        )
    try:
        values = json.loads((directory / _VALUES).read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError(f"expected an object, found a {type(values).__name__}")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{directory / _VALUES}: broken file ({error})") from None
    try:
        with safe_open(directory / _TENSORS, framework="pt") as file:
            # Cloned: a tensor of the file may lie askew in memory, and sums then round otherwise.
            tensors = {name: file.get_tensor(name).clone() for name in file.offset_keys()}
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{directory / _TENSORS}: broken file ({error})") from None
    return read_run_config(directory / _CONFIG), State(tensors, values)


def find_last(path: Path) -> Path | None:
    """The checkpoint from which training goes on in a run, or ``path`` itself; None without one."""
    last = path / "checkpoints" / "last"
    places = (path, last, _beside(last)[1])
    return next((place for place in places if (place / _MANIFEST).exists()), None)


def check_shapes(
    model: DictConfig, vocabulary: Vocabulary, trusted: tuple[str, ...], directory: Path
) -> None:
    """Raise ``ValueError`` unless the weights of a checkpoint folder are those of the model.

    Nothing takes memory yet: of the model there are shapes alone, of the file its header. What a
    package of one's own builds may need numbers to be built; there it is left out.
    """
    if trusted:
        return
    path = directory / _WEIGHTS
    with torch.device("meta"):
        expected = {
            name: list(weights.shape)
            for name, weights in build_tagger(model, vocabulary).state_dict().items()
        }
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.offset_keys()}
            found = {name: part.get_shape() for name, part in slices.items()}
            types = {name: part.get_dtype() for name, part in slices.items()}
    except SafetensorError as error:
        raise ValueError(f"{path}: broken file ({error}); use another checkpoint") from None
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            shapes = (str(shapes.get(name, "none")) for shapes in (expected, found))
            raise _misfit(path, "{}: expected the shape {}, found {}".format(name, *shapes))
        if types[name] != _TYPE:
            raise _misfit(path, f"{name}: expected the type {_TYPE}, found {types[name]}")


def _misfit(path: Path, reason: str) -> ValueError:
    return ValueError(f"{path}: weights do not fit {_CONFIG} and {_VOCABULARY}: {reason}")


def load_weights(tagger: Tagger, directory: Path) -> None:
    """Load the weights of a checkpoint folder into a tagger built like the saved one."""
    path = directory / _WEIGHTS
    try:
        with safe_open(path, framework="pt") as file:
            tagger.load_state_dict({name: file.get_tensor(name) for name in file.offset_keys()})
    except SafetensorError as error:
        raise ValueError(f"{path}: broken file ({error}); use another checkpoint") from None
    except RuntimeError as error:
        raise _misfit(path, " ".join(str(error).split())[:200]) from None
