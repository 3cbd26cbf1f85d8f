"""The configuration: the types of its stable sections, and the numbers that make sense in them.

Every default is in ``conf/``. A wrong type or an unknown key fails before anything is loaded.
"""

import math
import reprlib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any, NamedTuple, cast

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


class Values(NamedTuple):
    """The values that a key may have, in words, and whether one is among them."""

    words: str
    hold: Callable[[Any], bool]


def _whole(low: int, high: int) -> Values:
    words = f"a whole number, {low} to {high}"
    return Values(words, lambda value: type(value) is int and low <= value <= high)


def _number(words: str, is_in: Callable[[float], bool]) -> Values:
    return Values(f"a number, {words}", lambda value: type(value) in (int, float) and is_in(value))


def _are_widths(value: Any) -> bool:
    return isinstance(value, ListConfig) and 0 < len(value) <= 100 and all(map(_FEW.hold, value))


_COUNT = _whole(1, 2**31 - 1)
_WIDTH = _whole(1, 10_000)
_FEW = _whole(1, 100)
_SEED = _whole(0, 2**63 - 1)
_AT_LEAST_0 = _number("at least 0", lambda value: 0 <= value < math.inf)
_SHARE = _number("0 to 1", lambda value: 0 <= value <= 1)
_SWITCH = Values("true or false", lambda value: type(value) is bool)
# Of nerlab's own parts, by the name of the argument.
_PART_VALUES: dict[str, Values] = {
    **dict.fromkeys(("dim", "filters", "hidden_dim", "feedforward_dim"), _WIDTH),
    **dict.fromkeys(("layers", "heads"), _FEW),
    **dict.fromkeys(("min_count", "max_word_length"), _COUNT),
    "rare_word_dropout": _SHARE,
    "widths": Values("a list of whole numbers, 1 to 100", _are_widths),
    "dropout": _number("0 to less than 1", lambda value: 0 <= value < 1),
    "init_timeout": _number("0 to 3600", lambda value: 0 <= value <= 3600),
    **dict.fromkeys(("bidirectional", "lowercase", "fold_digits", "turkic_i"), _SWITCH),
}


def _within(values: Values, default: Any = MISSING) -> Any:
    """A field of a schema that takes these values, and None where its type has it."""
    return field(default=default, metadata={"values": values})


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
    learning_rate: float = _within(_AT_LEAST_0)
    momentum: float = _within(_SHARE)
    weight_decay: float = _within(_AT_LEAST_0)
    schedule: Schedule = MISSING
    warmup: float = _within(_SHARE)
    clip_norm: float = _within(_AT_LEAST_0)
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
    expected = _PART_VALUES
    if is_dataclass(schema):
        expected = {key.name: key.metadata["values"] for key in fields(schema) if key.metadata}
    elif not str(node.get("_target_", "nerlab.")).startswith("nerlab."):
        expected = {}
    # Numbers first: sections within may refer to them.
    for key in sorted(map(str, node), key=lambda key: key not in expected):
        value, where = node.get(key), f"{section}.{key}".removeprefix(".")
        if key not in expected:
            check_numbers(where, value)
        elif not expected[key].hold(value) and not (is_dataclass(schema) and value is None):
            raise ValueError(f"{where}={reprlib.repr(value)}: expected {expected[key].words}")


def to_plain(config: DictConfig) -> dict[str, Any]:
    """The configuration as dictionaries, lists and scalars, every reference resolved."""
    plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True, enum_to_str=True)
    return cast(dict[str, Any], plain)


def without_trust(config: DictConfig) -> DictConfig:
    """A copy to be saved, or as it was read: whom to trust, the person who runs says each time."""
    kept = deepcopy(config)
    with open_dict(kept):
        kept.pop("trust", None)
    return kept
