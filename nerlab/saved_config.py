"""The configuration that a run has saved, which somebody else may have written."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import MISSING, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nerlab.config import DataConfig, TrainConfig, without_trust
from nerlab.free_text import escape_references
from nerlab.paths import check_file

_HANDED_ON = ("model", "data", "trainer", "seed")
_FILES_OF_DATA = ("dir", "train", "dev", "test")
_LARGEST = 2**18  # bytes; YAML is read at a tenth of a megabyte a second


def read_run_config(path: Path) -> DictConfig:
    """The saved configuration of a run, which somebody else may have written: plain data.

    What looks like a reference (``${oc.env:HOME}``) is text, as it may be in a file name.

    Raises:
        ValueError: the file is broken, holds more than plain values, or lacks a part.
    """
    check_file(path, _LARGEST)
    try:
        content = path.read_bytes()
        # No run writes aliases; a few of them in each other stand for more than memory holds.
        if any(
            isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, yaml.SafeLoader)
        ):
            raise ValueError("found an alias, expected plain values")
        loaded = yaml.safe_load(content)
        config = OmegaConf.create(literal(loaded if isinstance(loaded, dict) else {}))
    except Exception as error:  # whatever the parser of YAML makes of it, RecursionError too
        raise ValueError(f"{path}: broken file ({' '.join(str(error).split())})") from None
    if not all(isinstance(config.get(name), DictConfig) for name in ("model", "data", "trainer")):
        raise ValueError(f"{path}: expected the configuration of a run")
    tokens = config.trainer.get("decode_tokens")
    if type(tokens) is not int or tokens < 1:
        raise ValueError(f"{path}: trainer.decode_tokens={tokens}: expected a number, at least 1")
    return without_trust(config)


def literal(node: Any) -> Any:
    """A container of plain values, spelled so that OmegaConf reads every string as it is."""
    if isinstance(node, dict):
        return {_plain(key): literal(value) for key, value in node.items()}
    if isinstance(node, list):
        return [literal(item) for item in node]
    value = _plain(node)
    return escape_references(value) if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    if value is not None and not isinstance(value, bool | int | float | str):
        raise ValueError(f"expected plain values, found a {type(value).__name__}")
    if value == MISSING:
        raise ValueError(f"expected a value, found {MISSING}")
    return value


def portable(config: DictConfig) -> DictConfig:
    """What of the configuration of a run is of use elsewhere: not where it was written to and
    logged, and of the absolute paths of files on that machine the last name alone."""
    plain = cast(dict[str, Any], OmegaConf.to_container(config))
    kept = {name: plain[name] for name in _HANDED_ON if name in plain}
    kept["model"] = _without_folders(kept["model"])
    data = kept["data"]
    kept["data"] = data | {n: _without_folders(data[n]) for n in _FILES_OF_DATA if n in data}
    return OmegaConf.create(literal(kept))


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_folders(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_folders(part) for part in value]
    if isinstance(value, str) and os.path.isabs(value):
        return Path(value).name or value
    return value


def data_config(saved: DictConfig, overrides: DictConfig) -> DataConfig:
    """The data section of a checkpoint, checked against the schema, with the ``overrides`` that
    are not null. A whole reader, with its ``_target_``, replaces that of the checkpoint."""
    given = [key for key, value in overrides.items() if value is not None]
    changes = OmegaConf.masked_copy(overrides, given)  # type: ignore[arg-type]
    reader = changes.get("reader")
    if isinstance(reader, DictConfig) and "_target_" in reader:
        saved = OmegaConf.masked_copy(saved, [str(key) for key in saved if key != "reader"])
    return cast(DataConfig, _checked("data/base", DataConfig, saved, changes))


def checked_config(saved: DictConfig) -> DictConfig:
    """The configuration of a run as it was composed: typed by its schema."""
    return cast(DictConfig, _checked("train", TrainConfig, saved, {}))


def _checked(
    name: str, schema: type, saved: DictConfig, changes: Mapping[Any, Any]
) -> DictConfig | ListConfig:
    try:
        return OmegaConf.merge(OmegaConf.structured(schema), saved, changes)
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        where = f"{name.partition('/')[0]}: {error.full_key}"
        raise ValueError(f"{where}: {reason}; expected the keys of conf/{name}.yaml") from None
