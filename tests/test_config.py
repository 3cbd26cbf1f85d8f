"""Every number of the configuration has a range, which is held before anything is built."""

import math
from typing import Any

import pytest
from composed import compose
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nerlab.config import check_values
from nerlab.device import choose_device

CHOICES = (
    *(["model=bilstm_crf", "tracker=wandb"], ["model=transformer"]),
    ["model/embedder=words", "model/encoder=none"],
)
CHARACTERS = "model.embedder.characters"
OPTIONAL = ("trainer.patience", "trainer.save_every_steps", "trainer.head_learning_rate")
ODD = [math.nan, math.inf, -math.inf, -1, -0.5, 10**400, True, False, "x", [], {}, "1e9999"]


MIN_COUNT = "model.embedder.words.indexer.min_count"


def composed(*overrides: str) -> DictConfig:
    return compose("train", [*overrides, "run.name=name"])


def numbers(config: DictConfig) -> list[str]:
    """The keys of all numbers; a list is one key."""

    def visit(node: Any, key: str) -> list[str]:
        if isinstance(node, dict):
            return [found for name in node for found in visit(node[name], f"{key}.{name}")]
        is_number = isinstance(node, int | float) and not isinstance(node, bool)
        return [key[1:]] if is_number or isinstance(node, list) or key[1:] in OPTIONAL else []

    return visit(OmegaConf.to_container(config, resolve=True), "")


def refusal(config: DictConfig, key: str, value: object) -> str | None:
    """What is said of a value; None if it is taken."""
    changed = config.copy()
    try:
        OmegaConf.update(changed, key, value)
        check_values("", changed)
    except (OmegaConfBaseException, OverflowError) as error:
        return f"{key}: {error}"  # nerlab.command_line says it, before anything is run
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("overrides", CHOICES, ids=" ".join)
def test_every_number_has_a_range(overrides: list[str]) -> None:
    config = composed(*overrides)
    check_values("", config)
    keys = numbers(config)
    assert {"seed", "model.dropout", "trainer.epochs", MIN_COUNT, *OPTIONAL} <= {*keys}
    for key in keys:
        if key.startswith("data.reader."):  # nerlab.data.load knows the types of their options
            continue
        for value in ODD:
            said = refusal(config, key, value)
            assert said is not None, (key, value)
            assert said.startswith(key), (key, value, said)
            assert len(said.splitlines()[0]) < 200
        assert (refusal(config, key, None) is None) == (key in OPTIONAL)
    for key in (key for key in keys if key.startswith(("model", "tracker"))):
        assert refusal(config, key, "7") is not None, key  # the schemas make it a number elsewhere


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("seed", 2**63, "seed=9223372036854775808: expected a whole number, 0 to"),
        ("model.dropout", 1.0, "model.dropout=1.0: expected a number, 0 to 0.99"),
        ("model.encoder.layers", 4294967297, "=4294967297: expected a whole number, 1 to 100"),
        (
            "model.encoder.layers",
            1.0,
            "model.encoder.layers=1.0: expected a whole number, 1 to 100",
        ),
        ("model.embedder.words.dim", 0, "words.dim=0: expected a whole number, 1 to 10000"),
        (
            "model.embedder.characters.widths",
            [2, 0],
            "widths=[2, 0]: expected a list of whole numbers",
        ),
        (
            "model.embedder.characters.widths",
            [],
            "expected a list of whole numbers, 1 to 100",
        ),
        ("trainer.learning_rate", math.inf, "=inf: expected a number, at least 0"),
        ("trainer.epochs", 2**31, "=2147483648: expected a whole number, 1 to 2147483647"),
        ("test", "no way", "test: Value 'no way' is not a valid bool"),
    ],
)
def test_a_number_out_of_range_is_told_with_its_range(
    key: str, value: object, expected: str
) -> None:
    said = refusal(composed("model=bilstm_crf"), key, value)
    assert said is not None
    assert said.startswith(key)
    assert expected in said


@pytest.mark.parametrize("value", ["Pre", "", 1, None, True, [], ["pre"], math.nan])
def test_a_word_that_is_no_choice_is_told_with_the_choices(value: object) -> None:
    config = composed("model=transformer_crf")
    said = refusal(config, "model.encoder.norm", value)
    assert said is not None
    assert said == f"model.encoder.norm={value!r}: expected pre or post"
    said = refusal(config, "model.encoder.positions", value)
    assert said is not None
    assert said.endswith(": expected none, learned, rotary or relative")
    for word in ("none", "learned", "rotary", "relative"):
        assert refusal(config, "model.encoder.positions", word) is None


def test_the_numbers_of_a_part_of_ones_own_are_its_own() -> None:
    config = composed("model.encoder._target_=mylab.GRU")
    assert refusal(config, "model.encoder.layers", 10**9) is None


@pytest.mark.parametrize("model", ["transformer", "transformer_crf"])
def test_a_transformer_is_trained_in_its_own_way_and_an_lstm_as_ever(model: str) -> None:
    default = composed("model=bilstm_crf").trainer
    assert default == composed("model=bilstm_crf", "trainer=default").trainer
    chosen = composed(f"model={model}").trainer
    assert chosen == composed("model=bilstm_crf", "trainer=transformer").trainer
    assert chosen.warmup > default.warmup == 0
    assert chosen.ema > default.ema == 0


def test_a_quoted_value_of_a_run_has_its_type() -> None:
    config = composed("seed='7'", "test='false'")
    assert (config.seed, config.test) == (7, False)


@pytest.mark.parametrize(
    "name",
    [
        *(math.nan, True, False, 0.5, 0, -1, "", "x", "meta", "cuda:99", "cpu:cpu", None, [], {}),
        *("mps", "xla", "lazy", "hpu", "vulkan", "privateuseone", "opengl", "fpga"),
    ],
)
def test_a_device_that_is_not_here_is_named(name: Any) -> None:
    with pytest.raises(ValueError, match=r"^device=.*: not to be had here \(.*; set device=auto$"):
        choose_device(name)
