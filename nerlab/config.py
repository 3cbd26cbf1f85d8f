"""The configuration: schemas of its stable parts, and the numbers that make sense in them.

The YAML files in ``conf/`` hold every default. The dataclasses here hold the types, so that a
wrong type or an unknown key fails when the configuration is composed, before anything is loaded.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


class Scheme(Enum):
    """Tag schemes of files, see :mod:`nerlab.tags`; the second names are aliases.

    IOB without a number is that of Ramshaw and Marcus (1995), IOB1.
    """

    iob1 = iob = "iob1"
    iob2 = bio = "iob2"
    iobes = bioes = "iobes"
    bmes = "bmes"
    bilou = bioul = "bilou"


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
    language: str | None = None
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


_TRAINER_RANGES = {
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
    "save_every_steps": (1, math.inf),
    "patience": (1, math.inf),
    "keep_last": (1, math.inf),
    "max_skipped_steps": (1, math.inf),
}
_DATA_RANGES = {
    "split_seed": (0, math.inf),
    "min_count": (1, math.inf),
    "max_word_length": (1, 2**31 - 1),
}


def check_trainer(config: TrainerConfig) -> None:
    """Raise ``ValueError`` at the first number that makes no sense."""
    _check_ranges("trainer", config, _TRAINER_RANGES)


def check_data(config: DataConfig) -> None:
    """Raise ``ValueError`` at the first number that makes no sense."""
    _check_ranges("data", config, _DATA_RANGES)


def _check_ranges(
    section: str, config: DataConfig | TrainerConfig, ranges: Mapping[str, tuple[float, float]]
) -> None:
    for name, (low, high) in ranges.items():
        value = getattr(config, name)
        if value is not None and not low <= value <= high:
            limit = f"at least {low}" if high == math.inf else f"{low} to {high}"
            raise ValueError(f"{section}.{name}={value}: expected {limit}")


def register_schemas() -> None:
    """Make the schemas known to Hydra as ``data/schema`` and ``trainer/schema``."""
    store = ConfigStore.instance()
    store.store(group="data", name="schema", node=DataConfig)
    store.store(group="trainer", name="schema", node=TrainerConfig)


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


def to_plain(config: DictConfig) -> dict[str, Any]:
    """The configuration as dictionaries, lists and scalars, every reference resolved."""
    plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
