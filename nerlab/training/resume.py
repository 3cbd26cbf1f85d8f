"""Where a run that was stopped goes on."""

from pathlib import Path
from typing import NamedTuple

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from nerlab.models.checkpoint import find_last, load_state
from nerlab.saved_config import checked_config, read_run_config

_FREE = ("resume", "debug", "trust")
_WHERE = "run.dir"  # a run may be moved, and a folder has many names


class Resumption(NamedTuple):
    """A run directory, its configuration, and the checkpoint to go on from.

    ``checkpoint`` is None where the run was stopped before its first one: it begins anew.
    """

    run: Path
    config: DictConfig
    checkpoint: Path | None


def find_resumption(config: DictConfig) -> Resumption | None:
    """What ``resume`` asks for: nothing (null), a run directory, a checkpoint in it, or ``auto``.

    A run that is named goes on with its own configuration, and no key of it may be given anew;
    ``trust`` is none of it, and is always given anew. Named by one of its earlier checkpoints it
    goes on from there, and what came after is replaced.
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
    found = _find(Path(config.resume))
    if found is None:
        raise ValueError(
            f"resume={config.resume}: found no run to go on with; expected a run directory, or "
            "a checkpoint in one"
        )
    return found


def _automatic(config: DictConfig) -> Resumption | None:
    if config.run.dir is None:
        raise ValueError("resume=auto: expected the directory of the run too; set run.dir=FOLDER")
    found = _find(Path(config.run.dir))
    if found is None:
        return None
    wanted, saved = (_flat(part) for part in (config, found.config))
    for key in sorted(wanted.keys() | saved.keys()):
        if key not in (*_FREE, _WHERE) and wanted.get(key) != saved.get(key):
            raise ValueError(
                f"{key}={wanted.get(key)}: the run in {found.run} was begun with "
                f"{saved.get(key)}; give the same, or another run.dir"
            )
    return found


def _find(path: Path) -> Resumption | None:
    """The run in a directory, or of a checkpoint; None if none was begun there."""
    if path.is_symlink() or path.parent.parent.is_symlink():
        path = path.resolve()  # runs/latest is about to be moved
    checkpoint = find_last(path)
    if checkpoint is None:
        saved = path / "config.yaml"
        if not saved.is_file():
            return None
        return Resumption(path, checked_config(read_run_config(saved)), None)
    run = checkpoint.parent.parent
    if not (run / "metrics.jsonl").is_file():
        raise ValueError(
            f"{path}: expected a checkpoint in the directory of its run, found no "
            f"{run / 'metrics.jsonl'}"
        )
    config, _ = load_state(checkpoint)
    return Resumption(run, checked_config(config), checkpoint)


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
