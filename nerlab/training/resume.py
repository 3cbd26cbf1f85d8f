"""A run that was stopped goes on: which one, with what configuration, from which checkpoint."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from nerlab.data.vocabulary import Vocabulary
from nerlab.device import Threads, use_threads
from nerlab.files import file_lock
from nerlab.messages import counted
from nerlab.models.checkpoint import State, load_weights
from nerlab.models.loading import check_shapes, find_last, load_state, load_vocabulary
from nerlab.paths import check_plain
from nerlab.saved_config import checked_config, literal, read_run_config
from nerlab.training.restore import restore, whole
from nerlab.training.run_directory import TrainingState

logger = logging.getLogger(__name__)

# Given anew each time; ``auto`` threads are those that the run was begun with.
_FREE = ("resume", "debug", "trust", "threads")
# What a run does not depend on to the last bit, but for the device: each may have moved.
_REPLACEABLE = ("data.dir", "device", "tracker")
_WHERE = "run.dir"  # a run may be moved, and a folder has many names

# What is written to in a run directory, which somebody else may have made.
_WRITTEN = (
    *("config.yaml", "metrics.jsonl", "train.log", "not-finite.jsonl"),
    *("checkpoints", "evaluation"),
)


class Location(NamedTuple):
    """What ``resume`` names, a run directory or a checkpoint, and the run directory."""

    path: Path
    run: Path


class Checkpoint(NamedTuple):
    """A checkpoint to go on from, and the state that was read from it."""

    folder: Path
    state: State


class Resumption(NamedTuple):
    """A run directory, its configuration, and the checkpoint to go on from.

    ``checkpoint`` is None where the run was stopped before its first one: it begins anew.
    """

    run: Path
    config: DictConfig
    checkpoint: Checkpoint | None

    def use_threads(self, wanted: object) -> Threads:
        """As many as the run was begun with, for the same bits, unless another number is given."""
        begun = self.config.get("threads", "auto")
        if begun == "auto":
            return use_threads(wanted)
        if wanted in ("auto", begun):
            return use_threads(begun)._replace(reason="as the run was begun")
        reason = f"as given; the run was begun with {begun}, from here on its bits are other ones"
        return use_threads(wanted)._replace(reason=reason)

    def vocabulary(self, digests: Mapping[str, str], trusted: tuple[str, ...]) -> Vocabulary:
        """That of the checkpoint; ``ValueError`` unless it is of these splits and of this model."""
        assert self.checkpoint is not None
        for name, digest in digests.items():
            if self.checkpoint.state.values.get(name) != digest:
                raise ValueError(
                    f"{self.run}: the {name.partition('_')[0]} split is not the one that the run "
                    "was begun with; put that one back, set data.dir to where it is, or begin a "
                    "new run"
                )
        vocabulary = load_vocabulary(self.checkpoint.folder, self.config.model, trusted)
        check_shapes(self.config.model, vocabulary, trusted, self.checkpoint.folder)
        return vocabulary

    def restore(self, training: TrainingState) -> None:
        """Put weights, optimiser and metrics back to where the checkpoint stands."""
        if self.checkpoint is None:
            (self.run / "metrics.jsonl").write_bytes(b"")
            return
        folder, state = self.checkpoint
        load_weights(training.tagger, folder)
        try:
            size = whole(state.values, "metrics_bytes")
            restore(training, state)
        except ValueError as error:
            raise ValueError(
                f"{folder}: no training can go on from it ({error}); begin a new run"
            ) from error
        metrics = self.run / "metrics.jsonl"
        if (found := metrics.stat().st_size) < size:
            raise ValueError(
                f"{metrics}: expected at least the {size} bytes that were there when {folder} was "
                f"saved, found {found}; put the whole file back, or begin a new run"
            )
        os.truncate(metrics, size)

    def log(self, training: TrainingState) -> None:
        """Say where the run goes on."""
        if self.checkpoint is None:
            return
        done = counted(training.epoch, "epoch")
        logger.info("resumed after step %d, %s done", training.step, done)
        if training.is_finished(self.config.trainer):
            logger.info("the run is finished: its best checkpoint is scored again, no more")


@contextmanager
def resumption_of(config: DictConfig) -> Iterator[Resumption | None]:
    """The run that ``resume`` asks for, locked within the block: a run directory, a checkpoint in
    it, or ``auto``, which goes on with ``run.dir``; None if that was not begun yet.

    It goes on with its own configuration, but for the keys of ``_REPLACEABLE`` that are given on
    the command line. Named by one of its earlier checkpoints it goes on from there, and what came
    after is replaced. With ``resume=auto`` all other keys must be those that it was begun with.

    Raises:
        ValueError: there is no run to go on with, it is broken, or would go on otherwise than it
            began.
    """
    location = _find_location(config)
    if location is None:
        yield None
        return
    # Locked before it is read: another process may be about to go on with the same run.
    with file_lock(location.run):
        yield _read(location, config)


def _find_location(config: DictConfig) -> Location | None:
    if config.resume == "auto":
        if config.run.dir is None:
            raise ValueError(
                "resume=auto: expected the directory of the run too; set run.dir=FOLDER"
            )
        return _location(Path(config.run.dir))
    given = [name for name in _overrides() if name not in _FREE and not _replaceable(name)]
    if given:
        raise ValueError(
            f"{given[0]}: a run that is resumed goes on as it began, with the configuration in "
            f"{config.resume}; leave this key out"
        )
    location = _location(Path(config.resume))
    if location is None:
        raise ValueError(
            f"resume={config.resume}: found no run to go on with; expected a run directory, or "
            "a checkpoint in one"
        )
    return location


def _location(path: Path) -> Location | None:
    """The run in a directory, or of a checkpoint; None if none was begun there."""
    if path.is_symlink() or path.parent.parent.is_symlink():
        path = path.resolve()  # runs/latest is about to be moved
    checkpoint = find_last(path)
    if checkpoint is not None:
        return Location(path, checkpoint.parent.parent)
    return Location(path, path) if (path / "config.yaml").is_file() else None


def _read(location: Location, config: DictConfig) -> Resumption:
    for name in _WRITTEN:
        check_plain(location.run / name)
    folder, checkpoint = find_last(location.path), None
    if folder is not None:
        metrics = location.run / "metrics.jsonl"
        if not metrics.is_file():
            raise ValueError(
                f"{location.path}: expected a checkpoint in the directory of its run, found no "
                f"{metrics}"
            )
        found, state = load_state(folder)
        checkpoint = Checkpoint(folder, state)
    elif location.path != location.run:
        raise ValueError(f"{location.path}: another process has removed it; choose another one")
    else:
        found = read_run_config(location.run / "config.yaml")
    saved = checked_config(found)
    if config.resume == "auto":
        _check_equal(config, saved, location.run)
    for given in filter(None, map(_replaceable, _overrides())):
        node = OmegaConf.select(config, given)
        value = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        OmegaConf.update(saved, given, literal(value), merge=False, force_add=True)
    return Resumption(location.run, saved, checkpoint)


def _check_equal(config: DictConfig, begun: DictConfig, run: Path) -> None:
    """Raise ``ValueError`` unless all keys that matter are those that a run was begun with."""
    wanted, saved = (_flat(part) for part in (config, begun))
    for key in sorted(wanted.keys() | saved.keys()):
        is_free = key in (*_FREE, _WHERE) or _replaceable(key)
        if not is_free and wanted.get(key) != saved.get(key):
            raise ValueError(
                f"{key}={wanted.get(key)}: the run in {run} was begun with {saved.get(key)}; give "
                "the same, or another run.dir"
            )


def _replaceable(name: str) -> str | None:
    """The key of ``_REPLACEABLE`` that a key is, or lies in."""
    return next((key for key in _REPLACEABLE if f"{name}.".startswith(f"{key}.")), None)


def _overrides() -> list[str]:
    """The keys that were given on the command line."""
    if not HydraConfig.initialized():
        return []
    overrides = [*HydraConfig.get().overrides.task]
    return [override.lstrip("+~").partition("=")[0] for override in overrides]


def _flat(config: DictConfig) -> dict[str, object]:
    """Every value of the configuration under its dotted key."""
    flat: dict[str, object] = {}

    def visit(value: object, key: str) -> None:
        if isinstance(value, dict):
            for name, item in value.items():
                visit(item, f"{key}.{name}" if key else str(name))
        else:
            flat[key] = value

    visit(OmegaConf.to_container(config, resolve=True, enum_to_str=True), "")
    return flat
