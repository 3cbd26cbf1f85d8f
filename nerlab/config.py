"""The configuration: the types of its stable sections, and the values that make sense in them.

Every default is in ``conf/``. A wrong type or an unknown key fails before anything is loaded.
"""

import math
import reprlib
from copy import deepcopy
from dataclasses import dataclass, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, ListConfig, OmegaConf, open_dict

_PACKAGE = Path(__file__).resolve().parent
# In an installed package the defaults lie in it, in the repository beside it.
CONF = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.with_name("conf")


class Scheme(Enum):
    """Tag schemes of files and their aliases; plain IOB is that of Ramshaw and Marcus (1995)."""

    iob1 = iob = "iob1"
    iob2 = bio = "iob2"
    iobes = bioes = "iobes"
    bmes = "bmes"
    bilou = bioul = "bilou"


SplitRule = Enum("SplitRule", "hash blawok")  # how one file is split, see nerlab.data.splits
Published = Enum("Published", "wnut17 wikiann_en conll2003 gmb")  # see nerlab.data.published
BatchBy = Enum("BatchBy", "sentence document")
Precision = Enum("Precision", "auto fp32 bf16 fp16")
Optimizer = Enum("Optimizer", "adam adamw sgd")
Schedule = Enum("Schedule", "constant linear cosine")


class Range(NamedTuple):
    """The values that a key may have: numbers of a kind from ``low`` to ``high``, or a ``list`` of
    1 to 100 such. Infinity is none, and to Python alone true is a number."""

    low: float = 0
    high: float = math.inf
    kind: type[int | float] = float
    list: bool = False

    def __str__(self) -> str:
        if self.kind is bool:
            return "true or false"
        name = f"{'list of ' * self.list}{'whole ' * (self.kind is int)}number{'s' * self.list}"
        up_to = f"{self.low} to {self.high}" if self.high < math.inf else f"at least {self.low}"
        return f"a {name}, {up_to}"

    def holds(self, value: Any) -> bool:
        """Whether a value is one of these."""
        if self.list:
            holds = self._replace(list=False).holds
            return isinstance(value, ListConfig) and 0 < len(value) < 101 and all(map(holds, value))
        kinds = (int, float) if self.kind is float else (self.kind,)
        return type(value) in kinds and self.low <= value <= self.high and value != math.inf


class Choice(tuple[str, ...]):
    """The words that a key may have."""

    def __str__(self) -> str:
        return f"{', '.join(self[:-1])} or {self[-1]}"

    def holds(self, value: Any) -> bool:
        """Whether a value is one of these."""
        return value in self


_COUNT = Range(1, 2**31 - 1, int)
# By the name of the key, in the sections below and in nerlab's own parts.
_RANGES: dict[str, Range | Choice] = {
    **dict.fromkeys(("seed", "split_seed"), Range(0, 2**63 - 1, int)),
    **dict.fromkeys(("epochs", "patience", "batch_tokens", "decode_tokens", "accumulate"), _COUNT),
    **dict.fromkeys(("log_every", "save_every_steps", "keep_last", "max_skipped_steps"), _COUNT),
    **dict.fromkeys(("min_count", "max_word_length"), _COUNT),
    **dict.fromkeys(("learning_rate", "head_learning_rate"), Range()),
    **dict.fromkeys(("weight_decay", "clip_norm"), Range()),
    **dict.fromkeys(("samples", "sequences"), Range(1, 100_000, int)),
    "steps": Range(1, 1000, int),
    "kernel_width": Range(0.01, 100),
    "ridge": Range(),
    "label_smoothing": Range(0, 1),
    "frozen_epochs": Range(0, 2**31 - 1, int),
    **dict.fromkeys(("momentum", "warmup", "ema", "rare_word_dropout"), Range(0, 1)),
    "layer_decay": Range(0, 1),
    **dict.fromkeys(("dropout", "attention_dropout"), Range(0, 0.99)),
    **dict.fromkeys(("dim", "filters", "hidden_dim", "feedforward_dim"), Range(1, 10_000, int)),
    **dict.fromkeys(("layers", "heads"), Range(1, 100, int)),
    "vocab_size": Range(4, 2**31 - 1, int),
    "coverage": Range(0.98, 1),
    "max_positions": Range(1, 100_000, int),
    "widths": Range(1, 100, int, list=True),
    **dict.fromkeys(("bidirectional", "lowercase", "fold_digits", "turkic_i"), Range(kind=bool)),
    "artifact": Range(kind=bool),
    "init_timeout": Range(0, 3600),
    "port": Range(0, 65535, int),
    "open": Range(kind=bool),
    **dict.fromkeys(("queue_tokens", "queue_requests", "max_body", "max_bodies"), _COUNT),
    **dict.fromkeys(("timeout", "body_timeout", "drain"), Range(1, 3600, int)),
    "window": Range(0, 60),
    "align": Choice(("first", "mean")),
    "algorithm": Choice(("unigram", "bpe")),
    "norm": Choice(("pre", "post")),
    "positions": Choice(("none", "learned", "rotary", "relative")),
}


# A key with a default here is one that early checkpoints do not know.
@dataclass
class DataConfig:
    """Where the data is and how it is read; the defaults are in ``conf/data/``."""

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
    turkic_i: bool = False
    cache: bool = False


@dataclass
class TrainerConfig:
    """The training loop; the defaults are in ``conf/trainer/default.yaml``."""

    epochs: int = MISSING
    batch_tokens: int = MISSING
    accumulate: int = MISSING
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
    batch_by: BatchBy = BatchBy.sentence
    save_every_steps: int | None = None
    keep_last: int = 1
    max_skipped_steps: int = 20
    deterministic: bool = False
    head_learning_rate: float | None = None
    frozen_epochs: int = 0
    gradient_checkpointing: bool = False


@dataclass
class RunDirectory:
    """Where a run is written."""

    root: str = MISSING
    name: str = MISSING
    dir: str | None = MISSING


@dataclass
class TrainConfig:
    """A whole run: ``conf/train.yaml`` and ``conf/base.yaml``."""

    model: Any = MISSING
    data: DataConfig = MISSING
    trainer: TrainerConfig = MISSING
    tracker: Any = MISSING
    device: str = MISSING
    seed: int = MISSING
    init: str | None = None
    resume: str | None = None
    test: bool = MISSING
    run: RunDirectory = MISSING
    threads: Any = "auto"
    trust: Any = None
    debug: bool = False


def register_schemas() -> None:
    """Make the schemas known to Hydra."""
    store = ConfigStore.instance()
    store.store(name="train_schema", node=TrainConfig)
    store.store(group="data", name="schema", node=DataConfig)
    store.store(group="trainer", name="schema", node=TrainerConfig)


def check_values(section: str, node: object) -> None:
    """Raise ``ValueError`` at the first number or word in a section, or in one within it, that
    makes no sense; what a part of one's own takes, it knows itself."""
    if not isinstance(node, DictConfig):
        return
    is_typed = is_dataclass(OmegaConf.get_type(node))  # and its type says where there may be none
    ranges = _RANGES if str(node.get("_target_", "nerlab.")).startswith("nerlab.") else {}
    # Numbers first: sections within may refer to them.
    for key in sorted(map(str, node), key=lambda key: key not in ranges):
        value, where = node.get(key), f"{section}.{key}".removeprefix(".")
        if key not in ranges:
            check_values(where, value)
        elif not (ranges[key].holds(value) or (value is None and is_typed)):
            raise ValueError(f"{where}={reprlib.repr(value)}: expected {ranges[key]}")


def without_trust(config: DictConfig) -> DictConfig:
    """A copy to be saved, or as it was read: whom to trust, the person who runs says each time."""
    kept = deepcopy(config)
    with open_dict(kept):
        kept.pop("trust", None)
    return kept
