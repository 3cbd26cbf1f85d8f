"""The configuration: schemas of its stable parts, and the numbers that make sense in them.

The YAML files in ``conf/`` hold every default. The dataclasses here hold the types, so that a
wrong type or an unknown key fails when the configuration is composed, before anything is loaded.
"""

import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, ListConfig, OmegaConf
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


class Range(NamedTuple):
    """The numbers that a key may have: ``whole`` ones alone, or any, from ``low`` to ``high``,
    which is one of them unless it is ``open``. None is infinite."""

    low: float
    high: float
    whole: bool = True
    open: bool = False

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if self.high == math.inf:
            return f"{kind}, at least {self.low}"
        return f"{kind}, {self.low} to {'less than ' * self.open}{self.high}"

    def holds(self, value: object) -> bool:
        """Whether a value is such a number; true and false are none."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        return self.low <= value <= self.high and value < (self.high if self.open else math.inf)


_COUNT = Range(1, 2**31 - 1)
_SHARE = Range(0, 1, whole=False)
_AMOUNT = Range(0, math.inf, whole=False)
_WIDTH = Range(1, 10_000)
_TRAINER_RANGES = {
    **dict.fromkeys(("epochs", "batch_tokens", "accumulate", "log_every", "decode_tokens"), _COUNT),
    **dict.fromkeys(("save_every_steps", "patience", "keep_last", "max_skipped_steps"), _COUNT),
    **dict.fromkeys(("rare_word_dropout", "momentum", "warmup", "ema"), _SHARE),
    **dict.fromkeys(("learning_rate", "weight_decay", "clip_norm"), _AMOUNT),
}
_DATA_RANGES = {
    "split_seed": Range(0, 2**63 - 1),
    "min_count": _COUNT,
    "max_word_length": _COUNT,
}
# Of nerlab's own parts, by the name of the argument; a list has such numbers.
_PART_RANGES = {
    **dict.fromkeys(("dim", "filters", "hidden_dim", "feedforward_dim"), _WIDTH),
    **dict.fromkeys(("layers", "heads", "widths"), Range(1, 100)),
    "dropout": Range(0, 1, whole=False, open=True),
    "init_timeout": Range(0, 3600, whole=False),
}


def check_trainer(config: TrainerConfig) -> None:
    """Raise ``ValueError`` at the first number that makes no sense."""
    _check_ranges("trainer", config, _TRAINER_RANGES)


def check_data(config: DataConfig) -> None:
    """Raise ``ValueError`` at the first number that makes no sense."""
    _check_ranges("data", config, _DATA_RANGES)


def check_part(section: str, node: object) -> None:
    """Raise ``ValueError`` at the first number in a section with a part of nerlab, or in those
    within it, that makes no sense; what numbers a part of one's own takes, it knows itself."""
    if not isinstance(node, DictConfig):
        return
    is_ours = str(node.get("_target_", "nerlab.")).startswith("nerlab.")
    # Numbers first: sections within may refer to them.
    for key in sorted(map(str, node), key=lambda key: key not in _PART_RANGES):
        value, where, wanted = node.get(key), f"{section}.{key}", _PART_RANGES.get(key)
        if wanted is None or not is_ours:
            check_part(where, value)
        elif key == "widths":
            if not isinstance(value, ListConfig) or not 1 <= len(value) <= 100:
                raise ValueError(f"{where}={_short(value)}: expected a list of 1 to 100 numbers")
            for width in value:
                _check_range(where, width, wanted)
        else:
            _check_range(where, value, wanted)


def _check_ranges(
    section: str, config: DataConfig | TrainerConfig, ranges: Mapping[str, Range]
) -> None:
    for name, wanted in ranges.items():
        if (value := getattr(config, name)) is not None:
            _check_range(f"{section}.{name}", value, wanted)


def _check_range(key: str, value: object, wanted: Range) -> None:
    if not wanted.holds(value):
        raise ValueError(f"{key}={_short(value)}: expected {wanted}")


def _short(value: object) -> str:
    plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    return reprlib.repr(plain)


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
    _check_range("seed", config.seed, Range(0, 2**63 - 1))
    if not isinstance(config.test, bool):
        raise ValueError(f"test={config.test!r}: expected true or false, without quotes")


def to_plain(config: DictConfig) -> dict[str, Any]:
    """The configuration as dictionaries, lists and scalars, every reference resolved."""
    plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
