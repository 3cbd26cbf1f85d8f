"""The configuration: the types of its stable sections, and the numbers that make sense in them.

Every default is in ``conf/``. A wrong type or an unknown key fails before anything is loaded.
"""

import math
import re
import reprlib
from copy import deepcopy
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any, NamedTuple

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, ListConfig, OmegaConf, open_dict


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


_COUNT = Range(1, 2**31 - 1, kind=int)
_SHARE = Range(0, 1)
_SEED = Range(0, 2**63 - 1, kind=int)
_WIDTH = Range(1, 10_000, kind=int)
# Of nerlab's own parts, by the name of the argument.
_PART_RANGES = {
    **dict.fromkeys(("dim", "filters", "hidden_dim", "feedforward_dim"), _WIDTH),
    **dict.fromkeys(("layers", "heads"), Range(1, 100, kind=int)),
    **dict.fromkeys(("min_count", "max_word_length"), _COUNT),
    "rare_word_dropout": _SHARE,
    "widths": Range(1, 100, kind=int, list=True),
    "dropout": Range(0, 0.99),
    "init_timeout": Range(0, 3600),
    **dict.fromkeys(("bidirectional", "lowercase", "fold_digits", "turkic_i"), Range(kind=bool)),
}


def _within(numbers: Range, default: Any = MISSING) -> Any:
    """A field of a schema that takes these numbers, and None where its type has it."""
    return field(default=default, metadata={"range": numbers})


# A key with a default here is one that early checkpoints do not know.
@dataclass
class DataConfig:
    """Where the data is and how it is read; the defaults are in ``conf/data/``."""

    dir: str = MISSING
    train: str = MISSING
    dev: str | None = MISSING
    test: str | None = MISSING
    split: SplitRule | None = None
    split_seed: int = _within(_SEED, 1)
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

    epochs: int = _within(_COUNT)
    batch_tokens: int = _within(_COUNT)
    accumulate: int = _within(_COUNT)
    optimizer: Optimizer = MISSING
    learning_rate: float = _within(Range())
    momentum: float = _within(_SHARE)
    weight_decay: float = _within(Range())
    schedule: Schedule = MISSING
    warmup: float = _within(_SHARE)
    clip_norm: float = _within(Range())
    ema: float = _within(_SHARE)
    precision: Precision = MISSING
    patience: int | None = _within(_COUNT)
    log_every: int = _within(_COUNT)
    decode_tokens: int = _within(_COUNT)
    batch_by: BatchBy = BatchBy.sentence
    save_every_steps: int | None = _within(_COUNT, None)
    keep_last: int = _within(_COUNT, 1)
    max_skipped_steps: int = _within(_COUNT, 20)
    deterministic: bool = False


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
    seed: int = _within(_SEED)
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


def check_numbers(section: str, node: object) -> None:
    """Raise ``ValueError`` at the first number in a section, or in one within it, that makes no
    sense; what numbers a part of one's own takes, it knows itself."""
    if not isinstance(node, DictConfig):
        return
    schema = OmegaConf.get_type(node)
    ranges = _PART_RANGES
    if is_dataclass(schema):
        ranges = {key.name: key.metadata["range"] for key in fields(schema) if key.metadata}
    elif not str(node.get("_target_", "nerlab.")).startswith("nerlab."):
        ranges = {}
    # Numbers first: sections within may refer to them.
    for key in sorted(map(str, node), key=lambda key: key not in ranges):
        value, where = node.get(key), f"{section}.{key}".removeprefix(".")
        if key not in ranges:
            check_numbers(where, value)
        elif not ranges[key].holds(value) and not (is_dataclass(schema) and value is None):
            raise ValueError(f"{where}={reprlib.repr(value)}: expected {ranges[key]}")


def without_trust(config: DictConfig) -> DictConfig:
    """A copy to be saved, or as it was read: whom to trust, the person who runs says each time."""
    kept = deepcopy(config)
    with open_dict(kept):
        kept.pop("trust", None)
    return kept


def escape_references(text: str) -> str:
    r"""A string in which ``${`` stands for itself when OmegaConf reads it.

    >>> escape_references("costs ${price}")
    'costs \\${price}'
    """
    return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", text)
