"""Checkpoints that somebody else may have written: all is looked at before it is used.

Nothing in a checkpoint is ever executed, and what it names is of nerlab or of a package that the
person who loads it trusts.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from omegaconf import DictConfig

from nerlab.config import BatchBy, Precision
from nerlab.data.vocabulary import LABELS, Vocabulary, file_prefix, from_json
from nerlab.device import autocast_dtype
from nerlab.files import former
from nerlab.models.build import build_indexers, build_tagger
from nerlab.models.checkpoint import (
    CONFIG,
    EMISSIONS,
    FORMAT,
    MANIFEST,
    TENSORS,
    VALUES,
    WEIGHTS,
    State,
    check_digest,
    is_finite,
    load_weights,
    open_tensors,
    weights_error,
)
from nerlab.models.tagger import Tagger
from nerlab.paths import check_file
from nerlab.saved_config import read_run_config

_TYPE = "F32"  # of all weights, by the name that safetensors has for it
_REQUIRED = {WEIGHTS, CONFIG, LABELS}
_OF_INDEXER = re.compile(r"indexer\.\w+\.[^/\0]+", re.DOTALL)
_MEBIBYTE = 2**20
# Bytes of the largest that are read; tensors are mapped, not read.
_LARGEST = {WEIGHTS: 2**50, CONFIG: _MEBIBYTE, TENSORS: 2**50, VALUES: _MEBIBYTE}
_LARGEST_OF_VOCABULARY = 2**30


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded checkpoint, and the folder that holds its files."""

    tagger: Tagger
    vocabulary: Vocabulary
    config: DictConfig
    directory: Path

    @property
    def run(self) -> Path:
        """Its run directory, or its own where it stands alone."""
        folder = self.directory.parent
        return folder.parent if folder.name == "checkpoints" else self.directory

    @cached_property
    def by_document(self) -> bool:
        """Whether the tagger was trained on batches of whole documents."""
        return bool(self.config.trainer.get("batch_by") == BatchBy.document.name)


def load_checkpoint(
    path: str | Path, device: torch.device, trusted: tuple[str, ...] = ()
) -> Checkpoint:
    """Rebuild the tagger of a checkpoint folder, or of the best checkpoint of a run directory.

    Args:
        path: the folder.
        device: where the tagger computes, in the precision that it was trained with.
        trusted: packages whose classes its configuration may name, beside those of nerlab.

    Raises:
        ValueError: there is none, a file of it is broken, or it is of another version.
    """
    directory = find_checkpoint(path)
    verify(directory)
    config = read_run_config(directory / CONFIG)
    vocabulary = load_vocabulary(directory, config.model, trusted)
    precision = config.trainer.get("precision")
    try:
        if precision not in Precision.__members__:
            known = ", ".join(Precision.__members__)
            raise ValueError(f"trainer.precision={precision}: expected one of {known}")
        check_shapes(config.model, vocabulary, trusted, directory)
        tagger = build_tagger(config.model, vocabulary, trusted)
    except ValueError as error:
        raise ValueError(f"{directory / CONFIG}: {error}") from None
    load_weights(tagger, directory)
    for name, weights in tagger.state_dict().items():
        if not is_finite(weights):
            raise ValueError(f"{directory / WEIGHTS}: {name} is not finite; use another checkpoint")
    tagger.autocast_dtype = autocast_dtype(Precision[precision], device)
    return Checkpoint(tagger.to(device).eval(), vocabulary, config, directory)


def load_vocabulary(
    directory: Path, model: DictConfig, trusted: tuple[str, ...] = ()
) -> Vocabulary:
    """The vocabulary of a checkpoint folder, whose files are verified; ``model`` is that of its
    configuration.

    Raises:
        ValueError: a file is missing, or holds what an indexer does not understand; or the
            configuration names none.
    """
    path = directory / LABELS
    try:
        labels = from_json(path.read_bytes())
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise ValueError("expected a list of strings")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: no labels of nerlab: {error}") from None
    try:
        vocabulary = Vocabulary(tuple(labels), build_indexers(model, trusted))
    except ValueError as error:
        raise ValueError(f"{directory / CONFIG}: {error}") from None
    names = _digests(directory / MANIFEST)
    for embedder, indexer in vocabulary.indexers.items():
        prefix = file_prefix(embedder)
        own = [name for name in names if name.startswith(prefix)]
        try:
            indexer.load({n.removeprefix(prefix): (directory / n).read_bytes() for n in own})
        except Exception as error:  # whatever a package of one's own makes of it
            problem = f"lacks {error}" if isinstance(error, KeyError) else error
            where = ", ".join(str(directory / name) for name in own) or directory / MANIFEST
            raise ValueError(
                f"{where}: not what the indexer of {embedder} has saved: "
                f"{' '.join(str(problem).split())[:200]}"
            ) from error
    return vocabulary


def verify(directory: Path) -> None:
    """Raise ``ValueError`` unless every file of a checkpoint is the one that was written."""
    for name, digest in _digests(directory / MANIFEST).items():
        check_file(directory / name, _LARGEST.get(name, _LARGEST_OF_VOCABULARY))
        check_digest(directory / name, digest)


def _digests(path: Path) -> dict[str, str]:
    """The checksums in a manifest, of the files that a checkpoint has and of no others."""
    if not path.exists() and not path.is_symlink():
        raise _unknown_version(path.parent, 1)
    check_file(path, _MEBIBYTE)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version, digests = manifest["format"], dict(manifest["sha256"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: broken file ({error}); use another checkpoint") from None
    if version != FORMAT:
        raise _unknown_version(path, version)
    others = {name for name in digests if not _OF_INDEXER.fullmatch(name)} - {EMISSIONS}
    if others not in (_REQUIRED, {*_REQUIRED, TENSORS, VALUES}):
        raise ValueError(
            f"{path}: expected the checksums of {', '.join(sorted(_REQUIRED))}, of files of "
            f"indexers, and of {TENSORS} and {VALUES} or of nothing else; use another checkpoint"
        )
    return digests


def _unknown_version(path: Path, version: object) -> ValueError:
    return ValueError(
        f"{path}: checkpoint format {version}, expected {FORMAT}; it was written by another "
        "version of nerlab: load it with that one, or train again"
    )


def find_checkpoint(path: str | Path | Sequence[str]) -> Path:
    """The checkpoint folder that ``path``, a run directory or the folder itself, means; a list of
    them, which the command line has for ensembles, is refused."""
    if not isinstance(path, str | Path):
        expected = "expected one run directory or checkpoint folder"
        raise ValueError(f"checkpoint=[...]: {expected}, found {len(path)}")
    path = Path(path).absolute()
    candidates = (path, path / "checkpoints" / "best", path / "checkpoints" / "last")
    for directory in (place for name in candidates for place in (name, former(name))):
        if all((directory / name).is_file() for name in (WEIGHTS, CONFIG)):
            return directory
    found = "no such folder" if not path.exists() else "no whole checkpoint in it"
    raise ValueError(
        f"{path}: {found}; expected a run directory of train.py, or a folder with "
        f"{WEIGHTS}, {CONFIG} and {LABELS}"
    )


def load_state(directory: Path) -> tuple[DictConfig, State]:
    """The configuration of a run and the state that its training can go on from.

    Raises:
        ValueError: the checkpoint is broken, or holds no such state.
    """
    verify(directory)
    if not (directory / VALUES).is_file():
        raise ValueError(
            f"{directory}: no state of training in it; training goes on from checkpoints/last of a "
            "run that was not finished"
        )
    try:
        values = json.loads((directory / VALUES).read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError(f"expected an object, found a {type(values).__name__}")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{directory / VALUES}: broken file ({error})") from None
    with open_tensors(directory / TENSORS) as file:
        # Cloned: a tensor of the file may lie askew in memory, and sums then round otherwise.
        tensors = {name: file.get_tensor(name).clone() for name in file.offset_keys()}
    return read_run_config(directory / CONFIG), State(tensors, values)


def find_last(path: Path) -> Path | None:
    """The checkpoint from which training goes on in a run, or ``path`` itself; None without one."""
    last = path / "checkpoints" / "last"
    places = (path, last, former(last))
    return next((place for place in places if (place / MANIFEST).exists()), None)


def check_shapes(
    model: DictConfig, vocabulary: Vocabulary, trusted: tuple[str, ...], directory: Path
) -> None:
    """Raise ``ValueError`` unless the weights of a checkpoint folder are those of the model.

    Nothing takes memory yet: of the model there are shapes alone, of the file its header. What a
    package of one's own builds may need numbers to be built; there it is left out.
    """
    if trusted:
        return
    path = directory / WEIGHTS
    with torch.device("meta"):
        expected = {
            name: list(weights.shape)
            for name, weights in build_tagger(model, vocabulary).state_dict().items()
        }
    with open_tensors(path) as file:
        slices = {name: file.get_slice(name) for name in file.offset_keys()}
        found = {name: part.get_shape() for name, part in slices.items()}
        types = {name: part.get_dtype() for name, part in slices.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            shapes = (str(shapes.get(name, "none")) for shapes in (expected, found))
            raise weights_error(path, "{}: expected the shape {}, found {}".format(name, *shapes))
        if types[name] != _TYPE:
            raise weights_error(path, f"{name}: expected the type {_TYPE}, found {types[name]}")
