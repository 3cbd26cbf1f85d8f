"""The configuration: schemas of its stable parts, and objects made from it.

The YAML files in ``conf/`` hold every default. The dataclasses here hold the types, so that a
wrong type or an unknown key fails when the configuration is composed, before anything is loaded.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, cast

import yaml
from hydra._internal.utils import _locate
from hydra.core.config_store import ConfigStore
from hydra.utils import instantiate as _hydra_instantiate
from omegaconf import MISSING, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


class Scheme(Enum):
    """Tag schemes of files, see :mod:`nerlab.tags`."""

    iob1 = "iob1"
    iob2 = "iob2"
    iobes = "iobes"
    bmes = "bmes"
    bilou = "bilou"


class SplitRule(Enum):
    """How one file is cut into splits, see :mod:`nerlab.data.parts`."""

    hash = "hash"
    blawok = "blawok"


class Published(Enum):
    """Published corpora, see :mod:`nerlab.data.published`."""

    wnut17 = "wnut17"
    wikiann_en = "wikiann_en"
    conll2003 = "conll2003"
    gmb = "gmb"


class Precision(Enum):
    """Arithmetic of training; auto is bf16 on a GPU that has it and fp32 elsewhere."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


class Optimizer(Enum):
    """The gradient methods."""

    adam = "adam"
    adamw = "adamw"
    sgd = "sgd"


class Schedule(Enum):
    """How the learning rate falls after the warm-up."""

    constant = "constant"
    linear = "linear"
    cosine = "cosine"


@dataclass
class DataConfig:
    """Where the data is and how it is read; the defaults are in ``conf/data/``.

    A key with a default here is one that early checkpoints do not know.
    """

    dir: str = MISSING
    train: str = MISSING
    dev: str | None = MISSING
    test: str | None = MISSING
    split: SplitRule | None = None
    split_seed: int = 1
    download: Published | None = None
    reader: dict[str, Any] = MISSING
    scheme: Scheme = MISSING
    repair: bool = MISSING
    lowercase: bool = MISSING
    fold_digits: bool = MISSING
    turkic_i: bool = False
    min_count: int = MISSING
    max_word_length: int = MISSING
    vectors: str | None = MISSING
    cache: bool = False


@dataclass
class TrainerConfig:
    """The training loop; the defaults are in ``conf/trainer/default.yaml``."""

    epochs: int = MISSING
    batch_tokens: int = MISSING
    accumulate: int = MISSING
    rare_word_dropout: float = MISSING
    optimizer: Optimizer = MISSING
    learning_rate: float = MISSING
    momentum: float = MISSING
    weight_decay: float = MISSING
    schedule: Schedule = MISSING
    warmup: float = MISSING
    clip_norm: float = MISSING
    ema: float = MISSING
    precision: Precision = MISSING
    patience: int | None = MISSING
    log_every: int = MISSING
    decode_tokens: int = MISSING
    # A key with a default here is one that early checkpoints do not know.
    save_every_steps: int | None = None
    keep_last: int = 1
    max_skipped_steps: int = 20
    deterministic: bool = False


_RANGES = {
    "epochs": (1, math.inf),
    "batch_tokens": (1, math.inf),
    "accumulate": (1, math.inf),
    "rare_word_dropout": (0, 1),
    "learning_rate": (0, math.inf),
    "momentum": (0, 1),
    "weight_decay": (0, math.inf),
    "warmup": (0, 1),
    "clip_norm": (0, math.inf),
    "ema": (0, 1),
    "log_every": (1, math.inf),
    "decode_tokens": (1, math.inf),
    "keep_last": (1, math.inf),
    "max_skipped_steps": (1, math.inf),
}


def check_trainer(config: TrainerConfig) -> None:
    """Raise ``ValueError`` at the first number that makes no sense."""
    for name, (low, high) in _RANGES.items():
        value = getattr(config, name)
        if not low <= value <= high:
            limit = f"at least {low}" if high == math.inf else f"{low} to {high}"
            raise ValueError(f"trainer.{name}={value}: expected {limit}")


def register_schemas() -> None:
    """Make the schemas known to Hydra as ``data/schema`` and ``trainer/schema``."""
    store = ConfigStore.instance()
    store.store(group="data", name="schema", node=DataConfig)
    store.store(group="trainer", name="schema", node=TrainerConfig)


def read_run_config(path: Path) -> DictConfig:
    """The saved configuration of a run, which somebody else may have written: plain data.

    What looks like a reference (``${oc.env:HOME}``) is text, as it may be in a file name.

    Raises:
        ValueError: the file is broken, holds more than plain values, or lacks a part.
    """
    try:
        content = path.read_bytes()
        # No run writes aliases; a few of them in each other stand for more than memory holds.
        if any(
            isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, yaml.SafeLoader)
        ):
            raise ValueError("found an alias, expected plain values")
        loaded = yaml.safe_load(content)
        config = OmegaConf.create(_literal(loaded if isinstance(loaded, dict) else {}))
    except Exception as error:  # whatever the parser of YAML makes of it, RecursionError too
        raise ValueError(f"{path}: broken file ({' '.join(str(error).split())})") from None
    if not all(isinstance(config.get(name), DictConfig) for name in ("model", "data", "trainer")):
        raise ValueError(f"{path}: expected the configuration of a run")
    tokens = config.trainer.get("decode_tokens")
    if type(tokens) is not int or tokens < 1:
        raise ValueError(f"{path}: trainer.decode_tokens={tokens}: expected a number, at least 1")
    return config


def _literal(node: Any) -> Any:
    """A container of plain values, spelled so that OmegaConf reads every string as it is."""
    if isinstance(node, dict):
        return {_plain(key): _literal(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_literal(item) for item in node]
    value = _plain(node)
    return escape_references(value) if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    if value is not None and not isinstance(value, bool | int | float | str):
        raise ValueError(f"expected plain values, found a {type(value).__name__}")
    if value == MISSING:
        raise ValueError(f"expected a value, found {MISSING}")
    return value


def escape_references(text: str) -> str:
    r"""A string in which ``${`` stands for itself when OmegaConf reads it.

    >>> escape_references("costs ${price}")
    'costs \\${price}'
    """
    return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", text)


@dataclass
class _RunDirectory:
    root: str = MISSING
    name: str = MISSING
    dir: str | None = MISSING


@dataclass
class _RunConfig:
    """The keys of ``conf/train.yaml`` that belong to no group."""

    device: str = MISSING
    seed: int = MISSING
    test: bool = MISSING
    run: _RunDirectory = MISSING


def check_run(config: DictConfig) -> None:
    """Raise ``ValueError`` at the first key of a run itself that has a wrong type or value."""
    keys = list(_RunConfig.__dataclass_fields__)
    try:
        run = OmegaConf.merge(OmegaConf.structured(_RunConfig), OmegaConf.masked_copy(config, keys))
        OmegaConf.to_container(run, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ValueError(f"{error.full_key}: {str(error).splitlines()[0]}") from None
    if not 0 <= run.seed < 2**63:
        raise ValueError(f"seed={run.seed}: expected at least 0 and less than 2 to the 63")


def instantiate(node: DictConfig, *packages: str) -> Any:
    """Make the object that a configuration node names with ``_target_``.

    Only what ``packages`` themselves define is made, wherever the configuration came from:
    loading a checkpoint must not be a way to run somebody's code.

    Raises:
        ValueError: a ``_target_`` does not exist, is not of these packages, or refuses its
            arguments.
    """
    if not isinstance(node, DictConfig) or "_target_" not in node:
        raise ValueError(f"found {node}, expected a section that names its _target_")
    # Looked at, and then made, is the same text: what is looked up once cannot change between.
    try:
        plain = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ValueError(" ".join(str(error).split())) from None
    _check(plain, packages)
    try:
        made = _hydra_instantiate(plain, _convert_="all")
        if isinstance(made, partial):  # called later, with more arguments; these may be wrong now
            signature(made.func).bind_partial(*made.args, **made.keywords)
    except Exception as error:
        cause = error.__cause__ or error
        raise ValueError(f"{node.get('_target_')}: {' '.join(str(cause).split())}") from error
    return made


def _check(node: Any, packages: tuple[str, ...]) -> None:
    if isinstance(node, dict):
        if "_target_" in node:
            _check_target(str(node["_target_"]), bool(node.get("_partial_")), packages)
        for value in node.values():
            _check(value, packages)
    elif isinstance(node, list):
        for item in node:
            _check(item, packages)
    elif isinstance(node, str) and "${" in node:
        # It would be looked up while the object is made, when nobody looks at it any more.
        raise ValueError(f"{node!r}: a reference, or text with ${{ in it, is not possible here")


def _check_target(target: str, handed_on: bool, packages: tuple[str, ...]) -> None:
    refusal = f"_target_ {target!r}: only what {' and '.join(packages)} define may be named"
    inside = tuple(f"{package}." for package in packages)
    if not target.startswith(inside):
        raise ValueError(refusal)
    try:
        found = _locate(target)
    except Exception as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ValueError(f"_target_ {target!r} cannot be found: {reason}") from None
    # A module's imports are attributes too: nerlab.x.os.system is not nerlab's.
    own = f"{getattr(found, '__module__', '')}.".startswith(inside)
    if not own:
        raise ValueError(refusal)
    # And a function may be handed on, but not be called.
    if not (isinstance(found, type) or handed_on):
        raise ValueError(f"_target_ {target!r}: a function needs _partial_: true beside it")


def to_plain(config: DictConfig) -> dict[str, Any]:
    """The configuration as dictionaries, lists and scalars, every reference resolved."""
    plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def data_config(saved: DictConfig, overrides: DictConfig) -> DataConfig:
    """The data section of a checkpoint, checked against the schema, with the ``overrides`` that
    are not null."""
    given = [key for key, value in overrides.items() if value is not None]
    changes = OmegaConf.masked_copy(overrides, given)  # type: ignore[arg-type]
    return cast(DataConfig, _checked("data/base", DataConfig, saved, changes))


def checked_config(saved: DictConfig) -> DictConfig:
    """The configuration of a run as it was composed: its stable sections typed by the schemas."""
    config = saved.copy()
    config.data = _checked("data/base", DataConfig, saved.data, {})
    config.trainer = _checked("trainer/default", TrainerConfig, saved.trainer, {})
    return config


def _checked(
    name: str, schema: type, saved: DictConfig, changes: Mapping[Any, Any]
) -> DictConfig | ListConfig:
    try:
        return OmegaConf.merge(OmegaConf.structured(schema), saved, changes)
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        section = name.partition("/")[0]
        raise ValueError(f"{section}: {reason}; expected the keys of conf/{name}.yaml") from None
