"""The state of a training that somebody else has written: nothing of it reaches an optimiser."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import SMALL_MODEL, run_script
from helpers import one_in, reseal
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from nerlab.config import Optimizer, Precision, Schedule, TrainerConfig
from nerlab.models.checkpoint import State
from nerlab.training.optimisation import Optimisation

CPU = torch.device("cpu")


def untouched(**changes: Any) -> tuple[torch.nn.Module, Optimisation]:
    """A small network with a table, weights and biases, before its first step."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Embedding(5, 4), torch.nn.Linear(4, 3))
    values: dict[str, Any] = {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.0}
    values |= {"schedule": Schedule.constant, "warmup": 0.0, "clip_norm": 1.0, "ema": 0.9}
    values |= {"precision": Precision.fp32, **changes}
    return model, Optimisation(model, TrainerConfig(**values), CPU)


def optimisation(**changes: Any) -> Optimisation:
    """The same after two steps."""
    model, made = untouched(**changes)
    for step in range(2):
        made.backward(model(torch.tensor([step, 3])).square().sum())
        made.step(0.0)
    return made


KINDS = list(Optimizer)
shapes = st.lists(st.integers(0, 6), max_size=3)
dtypes = st.sampled_from([torch.float32, torch.float64, torch.float16, torch.int64, torch.bool])


@settings(max_examples=60)
@given(st.sampled_from(KINDS), shapes, dtypes, st.data())
def test_a_tensor_of_another_shape_or_type_is_refused(
    kind: Optimizer, shape: list[int], dtype: torch.dtype, data: st.DataObject
) -> None:
    made = optimisation(optimizer=kind)
    tensors, values = made.state()
    name = data.draw(st.sampled_from(sorted(tensors)))
    spoiled = torch.zeros(shape, dtype=dtype)
    if (spoiled.shape, spoiled.dtype) == (tensors[name].shape, tensors[name].dtype):
        return
    with pytest.raises(ValueError, match=rf"^{name}: expected "):
        made.restore(State({**tensors, name: spoiled}, values))


@pytest.mark.parametrize("kind", KINDS)
def test_a_tensor_or_a_value_that_is_missing_is_named(kind: Optimizer) -> None:
    made = optimisation(optimizer=kind)
    tensors, values = made.state()
    for name in tensors:
        rest = {key: value for key, value in tensors.items() if key != name}
        with pytest.raises(ValueError, match=rf"^{name}: missing"):
            made.restore(State(rest, values))
    for name in values:
        kept = {key: value for key, value in values.items() if key != name}
        with pytest.raises(ValueError, match=rf"^{name}: expected"):
            made.restore(State(tensors, kept))


@pytest.mark.parametrize(
    "name",
    [
        *("optimizer.0.7.exp_avg", "optimizer.5.0.exp_avg", "optimizer.x", "optimizer.-1.0.step"),
        *("optimizer.0.0.max_exp_avg_sq", "average.9", "weight.-1", "optimizer.0.0"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_the_optimisers_do_not_know_is_refused(kind: Optimizer, name: str) -> None:
    made = optimisation(optimizer=kind)
    tensors, values = made.state()
    with pytest.raises(ValueError, match=r": (unknown|missing|expected)"):
        made.restore(State({**tensors, name: torch.zeros(3)}, values))
    with pytest.raises(ValueError, match=r": (unknown|missing|expected)"):
        made.restore(State(tensors, {**values, name: 3}))


@pytest.mark.parametrize("kind", KINDS)
def test_before_the_first_step_there_is_nothing_to_remember(kind: Optimizer) -> None:
    _, fresh = untouched(optimizer=kind, ema=0.0)
    before = fresh.state().tensors
    fresh.restore(fresh.state())
    assert fresh.state().tensors.keys() == before.keys()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [-1, float("nan"), "1", None, True, 2**70, [1]])
def test_a_number_of_steps_is_one(kind: Optimizer, value: object) -> None:
    made = optimisation(optimizer=kind)
    tensors, values = made.state()
    for name in [name for name in values if name.endswith("step") or name == "average_steps"]:
        with pytest.raises(ValueError, match=f"^{name}: expected a whole number"):
            made.restore(State(tensors, {**values, name: value}))
    for name in [name for name in tensors if name.endswith("step")]:
        for step in (-1.0, float("nan"), float("inf")):
            with pytest.raises(ValueError, match=f"^{name}: expected a number"):
                made.restore(State({**tensors, name: torch.tensor(step)}, values))


@pytest.fixture(scope="module")
def halfway(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has a checkpoint in the middle of an epoch."""
    run = tmp_path_factory.mktemp("halfway") / "run"
    keys = [*SMALL_MODEL, f"data.dir={corpus}", f"run.dir={run}", "trainer.epochs=2"]
    keys += ["trainer.save_every_steps=5", "trainer.keep_last=9", "trainer.ema=0.9"]
    assert run_script("train", *keys).status == 0
    step = run / "checkpoints" / "step-5"
    assert json.loads((step / "training.json").read_text())["trainer"]["place"] > 0
    return run


@pytest.fixture
def run_copy(halfway: Path, tmp_path: Path) -> Path:
    """The same, to be spoiled."""
    return Path(shutil.copytree(halfway, tmp_path / "run"))


def refusal(run: Path) -> str:
    """Going on with a run is refused in one line, and its metrics stay; returns the line."""
    step = run / "checkpoints" / "step-5"
    reseal(step)
    result = run_script("train", f"resume={step}")
    assert (result.status, result.err.count("\n")) == (1, 1), result.err
    assert "begin a new run" in result.err
    return result.err


def test_the_shape_that_made_the_process_crash_is_named(run_copy: Path) -> None:
    path = run_copy / "checkpoints" / "step-5" / "training.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "optimizer.1.0.exp_avg": torch.zeros(3)}, path)
    assert "optimizer.1.0.exp_avg: expected torch.float32 of shape" in refusal(run_copy)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("chance.torch", torch.zeros(3, dtype=torch.uint8)),
        ("chance.torch", torch.zeros(5056, dtype=torch.uint8)),
        ("chance.torch", torch.full((5056,), 255, dtype=torch.uint8)),
        ("chance.torch", torch.zeros(5056)),
        ("average.0", torch.zeros(2)),
    ],
)
def test_a_tensor_of_the_run_that_is_none_is_named(
    run_copy: Path, name: str, tensor: torch.Tensor
) -> None:
    path = run_copy / "checkpoints" / "step-5" / "training.safetensors"
    save_file({**load_file(path), name: tensor}, path)
    assert f"({name}: " in refusal(run_copy)


def put(value: object, key: str) -> Callable[[dict[str, Any]], None]:
    def change(values: dict[str, Any]) -> None:
        *above, name = key.split(".")
        for step in above:
            values = values[step]
        if value == "missing":
            del values[name]
        else:
            values[name] = value

    return change


HUGE = [2**70, -1, "a", None, True, [], {}, "missing", float("nan")]
VALUES = [
    *((key, value) for key in ("step", "epoch", "place", "best_epoch") for value in [*HUGE, 0.5]),
    *(("best_f1", value) for value in [*HUGE[2:], 2.0, -2, float("inf"), 2**70]),
    *(("window.tokens", value) for value in [*HUGE, float("inf"), 0.5]),
    *(("window.batches", value) for value in [*HUGE, float("inf")]),
    *(("window.loss", value) for value in HUGE[2:]),
    *((f"chance.state.{key}", value) for key in ("state", "inc") for value in [-1, 2**200, 0.5]),
    *((f"epoch_chance.{key}", value) for key in ("has_uint32", "uinteger") for value in HUGE),
    *(("chance.bit_generator", value) for value in ("MT19937", None, "missing", 3)),
    *((key, value) for key in ("window", "chance", "chance.state") for value in HUGE),
]


@pytest.mark.parametrize(("key", "value"), one_in(12, VALUES))
def test_a_value_that_makes_no_sense_is_named(run_copy: Path, key: str, value: object) -> None:
    path = run_copy / "checkpoints" / "step-5" / "training.json"
    values = json.loads(path.read_text())
    put(value, f"trainer.{key}")(values)
    path.write_text(json.dumps(values))
    # An empty section is named by the first thing that it lacks.
    lacking = {"window": "loss", "chance": "bit_generator"} if value == {} else {}
    name = lacking.get(key, key.rpartition(".")[2])
    assert re.search(rf"\((\w+\.)?{name}: ", refusal(run_copy))


@pytest.mark.parametrize("value", [2**70, -1, "a", None, True, "missing"])
def test_a_length_of_the_metrics_that_makes_no_sense_is_named(
    run_copy: Path, value: object
) -> None:
    path = run_copy / "checkpoints" / "step-5" / "training.json"
    values = json.loads(path.read_text())
    put(value, "metrics_bytes")(values)
    path.write_text(json.dumps(values))
    before = (run_copy / "metrics.jsonl").read_bytes()
    assert "metrics_bytes: expected a whole number" in refusal(run_copy)
    assert (run_copy / "metrics.jsonl").read_bytes() == before
