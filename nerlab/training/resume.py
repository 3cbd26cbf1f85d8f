"""A run that was stopped goes on: which one, with what configuration, from which checkpoint."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from nerlab.data.vocabulary import Vocabulary
from nerlab.files import file_lock
from nerlab.messages import counted
from nerlab.models.checkpoint import State, load_weights
from nerlab.models.loading import check_shapes, find_last, load_state, load_vocabulary
from nerlab.paths import check_plain
from nerlab.saved_config import checked_config, literal, read_run_config
from nerlab.training.recorder import TrainingState
from nerlab.training.restore import COUNT, number, restore

# Given anew each time; ``auto`` threads are as many as the run was begun with, for the same bits.
_FREE = ("resume", "debug", "trust", "threads")
# What a run does not depend on to the last bit, but for the device: each may have moved.
_REPLACEABLE = ("data.dir", "device", "tracker")
_WHERE = "run.dir"  # a run may be moved, and a folder has many names

# What is written to in a run directory, which somebody else may have made.
_WRITTEN = (
    *("config.yaml", "metrics.jsonl", "train.log", "not-finite.jsonl"),
    *("environment.json", "checkpoints", "evaluation"),
)


class Resumption(NamedTuple):
    """A run directory, its configuration, and the checkpoint to go on from with the state in it.

    ``checkpoint`` is None where the run was stopped before its first one: it begins anew.
    """

    run: Path
    config: DictConfig
    checkpoint: Path | None
    state: State

    def vocabulary(self, digests: Mapping[str, str], trusted: tuple[str, ...]) -> Vocabulary:
        """That of the checkpoint; ``ValueError`` unless it is of these splits and of this model."""
        assert self.checkpoint is not None
        for name, digest in digests.items():
            if self.state.values.get(name) != digest:
                split = name.removesuffix("_sha256")
                raise ValueError(
                    f"{self.run}: the {split} split is not the one that the run was begun with; "
                    "put that one back, set data.dir to where it is, or begin a new run"
                )
        vocabulary = load_vocabulary(self.checkpoint, self.config.model, trusted)
        check_shapes(self.config.model, vocabulary, trusted, self.checkpoint)
        return vocabulary

    def restore(self, training: TrainingState) -> list[str]:
        """Put weights, optimiser and metrics back to where the checkpoint stands; returns what the
        log should say of it."""
        metrics, folder = self.run / "metrics.jsonl", self.checkpoint
        if folder is None:
            metrics.write_bytes(b"")
            return []
        load_weights(training.model, folder)
        try:
            size = number(self.state.values, "metrics_bytes", COUNT)
            restore(training, self.state)
        except ValueError as error:
            problem = f"no training can go on from it ({error})"
            raise ValueError(f"{folder}: {problem}; begin a new run") from error
        if (found := metrics.stat().st_size) < size:
            raise ValueError(
                f"{metrics}: expected at least the {size} bytes that were there when {folder} was "
                f"saved, found {found}; put the whole file back, or begin a new run"
            )
        os.truncate(metrics, size)
        lines = [f"resumed after step {training.step}, {counted(training.epoch, 'epoch')} done"]
        if training.is_finished(self.config.trainer):
            lines.append("the run is finished: its best checkpoint is scored again, no more")
        return lines


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
    is_auto = config.resume == "auto"
    if is_auto and config.run.dir is None:
        raise ValueError("resume=auto: expected the directory of the run too; set run.dir=FOLDER")
    given = [name for name in _overrides() if name not in _FREE and not _replaceable(name)]
    if given and not is_auto:
        raise ValueError(
            f"{given[0]}: a run that is resumed goes on as it began, with the configuration in "
            f"{config.resume}; leave this key out"
        )
    path = Path(config.run.dir if is_auto else config.resume)
    if path.is_symlink() or path.parent.parent.is_symlink():
        path = path.resolve()  # runs/latest is about to be moved
    checkpoint = find_last(path)
    if checkpoint is None and not (path / "config.yaml").is_file():
        if not is_auto:
            raise ValueError(
                f"resume={config.resume}: found no run to go on with; expected a run directory, or "
                "a checkpoint in one"
            )
        yield None
        return
    run = path if checkpoint is None else checkpoint.parent.parent
    # Locked before it is read: another process may be about to go on with the same run.
    with file_lock(run):
        yield _read(path, run, config)


def _read(path: Path, run: Path, config: DictConfig) -> Resumption:
    for name in _WRITTEN:
        check_plain(run / name)
    checkpoint, state = find_last(path), State({}, {})
    if checkpoint is not None:
        if not (run / "metrics.jsonl").is_file():
            raise ValueError(
                f"{path}: expected a checkpoint in the directory of its run, found no "
                f"{run / 'metrics.jsonl'}"
            )
        found, state = load_state(checkpoint)
    elif path != run:
        raise ValueError(f"{path}: another process has removed it; choose another one")
    else:
        found = read_run_config(run / "config.yaml")
    saved = checked_config(found)
    if config.resume == "auto":
        given, begun = dict(_flat(_plain(config))), dict(_flat(_plain(saved)))
        for key in sorted(given.keys() | begun.keys()):
            is_same = given.get(key) == begun.get(key) or key in (*_FREE, _WHERE)
            if not is_same and not _replaceable(key):
                raise ValueError(
                    f"{key}={given.get(key)}: the run in {run} was begun with {begun.get(key)}; "
                    "give the same, or another run.dir"
                )
    for key in filter(None, map(_replaceable, _overrides())):
        value = _plain(OmegaConf.select(config, key))
        OmegaConf.update(saved, key, literal(value), merge=False, force_add=True)
    if config.threads != "auto":
        saved.threads = config.threads
    return Resumption(run, saved, checkpoint, state)


def _flat(node: object, key: str = "") -> Iterator[tuple[str, object]]:
    """The keys of a configuration with their values, sections opened."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _flat(value, f"{key}.{name}".removeprefix("."))
    else:
        yield key, node


def _plain(node: object) -> object:
    if not OmegaConf.is_config(node):
        return node
    return OmegaConf.to_container(node, resolve=True, enum_to_str=True)


def _replaceable(name: str) -> str | None:
    """The key of ``_REPLACEABLE`` that a key is, or lies in."""
    return next((key for key in _REPLACEABLE if f"{name}.".startswith(f"{key}.")), None)


def _overrides() -> list[str]:
    """The keys that were given on the command line."""
    given = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    return [override.lstrip("+~").partition("=")[0] for override in given]
