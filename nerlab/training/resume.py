"""Where a run that was stopped goes on."""

from pathlib import Path
from typing import NamedTuple

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from nerlab.models.checkpoint import find_last, load_state
from nerlab.paths import check_plain
from nerlab.saved_config import checked_config, literal, read_run_config

# Given anew each time; ``auto`` threads are those that the run was begun with.
_FREE = ("resume", "debug", "trust", "threads")
# What a run does not depend on to the last bit, but for the device: each may have moved.
_REPLACEABLE = ("data.dir", "data.vectors", "device", "tracker")
_WHERE = "run.dir"  # a run may be moved, and a folder has many names

# What is written to in a run directory, which somebody else may have made.
_WRITTEN = (
    *("config.yaml", "metrics.jsonl", "train.log", "not-finite.jsonl"),
    *("checkpoints", "evaluation"),
)


class Resumption(NamedTuple):
    """A run directory, its configuration, and the checkpoint to go on from.

    ``checkpoint`` is None where the run was stopped before its first one: it begins anew.
    """

    run: Path
    config: DictConfig
    checkpoint: Path | None


class Place(NamedTuple):
    """What ``resume`` names, a run directory or a checkpoint, and the run directory."""

    path: Path
    run: Path


def find_place(config: DictConfig) -> Place | None:
    """What ``resume`` asks for: nothing (null), a run directory, a checkpoint in it, or ``auto``.

    ``auto`` is for commands that are started again and again: it goes on with ``run.dir``, or
    begins it. Nothing is read yet: whoever goes on with a run locks it first.

    Raises:
        ValueError: there is no run to go on with, or it would go on otherwise than it began.
    """
    if config.resume is None:
        return None
    if config.resume == "auto":
        if config.run.dir is None:
            raise ValueError(
                "resume=auto: expected the directory of the run too; set run.dir=FOLDER"
            )
        return _place(Path(config.run.dir))
    given = [name for name in _overrides() if name not in _FREE and not _replaceable(name)]
    if given:
        raise ValueError(
            f"{given[0]}: a run that is resumed goes on as it began, with the configuration in "
            f"{config.resume}; leave this key out"
        )
    place = _place(Path(config.resume))
    if place is None:
        raise ValueError(
            f"resume={config.resume}: found no run to go on with; expected a run directory, or "
            "a checkpoint in one"
        )
    return place


def read_resumption(place: Place, config: DictConfig) -> Resumption:
    """The run to go on with, read while no other process works in it.

    It goes on with its own configuration, but for the keys of ``_REPLACEABLE`` that are given on
    the command line. Named by one of its earlier checkpoints it goes on from there, and what came
    after is replaced. With ``resume=auto`` all other keys must be those that it was begun with.

    Raises:
        ValueError: it is broken, or would go on otherwise than it began.
    """
    for name in _WRITTEN:
        check_plain(place.run / name)
    found = _read(place)
    if config.resume == "auto":
        wanted, saved = (_flat(part) for part in (config, found.config))
        for key in sorted(wanted.keys() | saved.keys()):
            is_free = key in (*_FREE, _WHERE) or _replaceable(key)
            if not is_free and wanted.get(key) != saved.get(key):
                raise ValueError(
                    f"{key}={wanted.get(key)}: the run in {found.run} was begun with "
                    f"{saved.get(key)}; give the same, or another run.dir"
                )
    for given in filter(None, map(_replaceable, _overrides())):
        node = OmegaConf.select(config, given)
        value = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        OmegaConf.update(found.config, given, literal(value), merge=False, force_add=True)
    return found


def _replaceable(name: str) -> str | None:
    """The key of ``_REPLACEABLE`` that a key is, or lies in."""
    return next((key for key in _REPLACEABLE if f"{name}.".startswith(f"{key}.")), None)


def _place(path: Path) -> Place | None:
    """The run in a directory, or of a checkpoint; None if none was begun there."""
    if path.is_symlink() or path.parent.parent.is_symlink():
        path = path.resolve()  # runs/latest is about to be moved
    checkpoint = find_last(path)
    if checkpoint is not None:
        return Place(path, checkpoint.parent.parent)
    return Place(path, path) if (path / "config.yaml").is_file() else None


def _read(place: Place) -> Resumption:
    checkpoint = find_last(place.path)
    if checkpoint is None:
        if place.path != place.run:
            raise ValueError(f"{place.path}: another process has removed it; choose another one")
        config = read_run_config(place.run / "config.yaml")
        return Resumption(place.run, checked_config(config), None)
    metrics = place.run / "metrics.jsonl"
    if not metrics.is_file():
        raise ValueError(
            f"{place.path}: expected a checkpoint in the directory of its run, found no {metrics}"
        )
    config, _ = load_state(checkpoint)
    return Resumption(place.run, checked_config(config), checkpoint)


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
