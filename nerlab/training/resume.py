"""Where a run that was stopped goes on."""

from pathlib import Path
from typing import NamedTuple

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from nerlab.models.checkpoint import State, find_last, load_state
from nerlab.saved_config import checked_config

_FREE = ("resume", "debug", "trust")


class Resumption(NamedTuple):
    """A run directory, the checkpoint to go on from, and what is in it."""

    run: Path
    checkpoint: Path
    config: DictConfig
    state: State


def find_resumption(config: DictConfig) -> Resumption | None:
    """What ``resume`` asks for: nothing (null), a run directory, or ``auto``.

    A run that is named goes on with its own configuration, and no key of it may be given anew;
    ``trust`` is none of it, and is always given anew.
    ``auto`` is for commands that are started again and again: it goes on with ``run.dir``, which
    must have been begun with the same configuration, or begins it.

    Raises:
        ValueError: there is no run to go on with, or it would go on otherwise than it began.
    """
    if config.resume is None:
        return None
    if config.resume == "auto":
        return _automatic(config)
    given = [name for name in _overrides() if name not in _FREE]
    if given:
        raise ValueError(
            f"{given[0]}: a run that is resumed goes on as it began, with the configuration in "
            f"{config.resume}; leave this key out"
        )
    run = Path(config.resume)
    return _open(run.resolve() if run.is_symlink() else run)  # runs/latest is about to be moved


def _automatic(config: DictConfig) -> Resumption | None:
    if config.run.dir is None:
        raise ValueError("resume=auto: expected the directory of the run too; set run.dir=FOLDER")
    run = Path(config.run.dir)
    if find_last(run) is None:
        return None
    found = _open(run)
    wanted, saved = (_flat(part) for part in (config, found.config))
    for key in sorted(wanted.keys() | saved.keys()):
        if key not in _FREE and wanted.get(key) != saved.get(key):
            raise ValueError(
                f"{key}={wanted.get(key)}: the run in {run} was begun with {saved.get(key)}; "
                "give the same, or another run.dir"
            )
    return found


def _open(run: Path) -> Resumption:
    checkpoint = find_last(run)
    if checkpoint is None:
        raise ValueError(
            f"resume={run}: no checkpoint to go on from; expected checkpoints/last in it"
        )
    config, state = load_state(checkpoint)
    return Resumption(run, checkpoint, checked_config(config), state)


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
