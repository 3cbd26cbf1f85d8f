"""The configuration: schemas of its stable parts, and objects made from it.

The YAML files in ``conf/`` hold every default. The dataclasses here hold the types, so that a
wrong type or an unknown key fails when the configuration is composed, before anything is loaded.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

from hydra._internal.utils import _locate
from hydra.core.config_store import ConfigStore
from hydra.utils import instantiate as _hydra_instantiate
from omegaconf import MISSING, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

_OWN_PACKAGE = "nerlab"


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
    save_every_steps: int | None = None  # early checkpoints do not know it


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


def instantiate(node: DictConfig) -> Any:
    """Make the object that a configuration node names with ``_target_``.

    Only what nerlab itself defines is made, wherever the configuration came from: loading a
    checkpoint must not be a way to run somebody's code.

    Raises:
        ValueError: a ``_target_`` does not exist, is not nerlab's own, or refuses its arguments.
    """
    for target, partial in _targets(node):
        _check_target(target, partial)
    try:
        return _hydra_instantiate(node, _convert_="all")
    except Exception as error:
        cause = error.__cause__ or error
        raise ValueError(f"{node.get('_target_')}: {cause}") from error


def _targets(node: Any) -> Iterator[tuple[str, bool]]:
    if isinstance(node, DictConfig):
        if "_target_" in node:
            yield str(node["_target_"]), bool(node.get("_partial_"))
        for key in node:
            yield from _targets(node[key])
    elif isinstance(node, ListConfig):
        for item in node:
            yield from _targets(item)


def _check_target(target: str, partial: bool) -> None:
    refusal = f"_target_ {target!r}: only what package {_OWN_PACKAGE} defines may be named"
    if not target.startswith(_OWN_PACKAGE + "."):
        raise ValueError(refusal)
    try:
        found = _locate(target)
    except Exception as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ValueError(f"_target_ {target!r} cannot be found: {reason}") from None
    # A module's imports are attributes too: nerlab.x.os.system is not nerlab's.
    own = str(getattr(found, "__module__", "")).startswith(_OWN_PACKAGE + ".")
    # And a function of nerlab's may be handed on, but not be called.
    if not own or not (isinstance(found, type) or partial):
        raise ValueError(refusal)


def to_plain(config: DictConfig) -> dict[str, Any]:
    """The configuration as dictionaries, lists and scalars, every reference resolved."""
    plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def data_config(saved: DictConfig, overrides: DictConfig) -> DataConfig:
    """The data section of a checkpoint, checked against the schema, with the ``overrides`` that
    are not null."""
    changes = {key: value for key, value in overrides.items() if value is not None}
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
