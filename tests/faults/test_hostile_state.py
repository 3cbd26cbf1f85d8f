"""The state of a training that somebody else has written: nothing of it reaches an optimiser."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from conftest import SMALL_MODEL, run_script
from helpers import one_in, reseal
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from nerlab.config import Optimizer, Precision, Schedule, TrainerConfig
from nerlab.models.checkpoint import State
from nerlab.models.tagger import Tagger
from nerlab.training.averaging import average_weights
from nerlab.training.optimizer import TaggerOptimizer
from nerlab.training.recorder import Accumulator, TrainingState
from nerlab.training.restore import restore

CPU = torch.device("cpu")


def untouched(average: bool = True, **changes: Any) -> TrainingState:
    """A small network with a table, weights and biases, before its first step."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Embedding(5, 4), torch.nn.Linear(4, 3))
    values: dict[str, Any] = {"epochs": 1, "learning_rate": 0.1}
    values |= {"momentum": 0.9, "weight_decay": 0.0}
    values |= {"schedule": Schedule.constant, "warmup": 0.0, "clip_norm": 1.0}
    values |= {"precision": Precision.fp32, **changes}
    optimizer = TaggerOptimizer(model, TrainerConfig(**values), CPU)
    averaged = average_weights(model, 0.9) if average else None
    return TrainingState(cast(Tagger, model), optimizer, Accumulator(CPU), averaged)


def training(**changes: Any) -> TrainingState:
    """The same after two steps."""
    made = untouched(**changes)
    assert made.average is not None
    for step in range(2):
        loss = made.tagger(torch.tensor([step, 3])).square().sum()
        made.optimizer.backward(loss)
        made.optimizer.step(made.optimizer.clip(loss.detach()), 0.0)
        made.average.update_parameters(made.tagger)
    return made


KINDS = list(Optimizer)
shapes = st.lists(st.integers(0, 6), max_size=3)
dtypes = st.sampled_from([torch.float32, torch.float64, torch.float16, torch.int64, torch.bool])


@settings(max_examples=60)
@given(st.sampled_from(KINDS), shapes, dtypes, st.data())
def test_a_tensor_of_another_shape_or_type_is_refused(
    kind: Optimizer, shape: list[int], dtype: torch.dtype, data: st.DataObject
) -> None:
    made = training(optimizer=kind)
    tensors, values = made.snapshot()
    name = data.draw(st.sampled_from(sorted(tensors)))
    corrupted = torch.zeros(shape, dtype=dtype)
    if (corrupted.shape, corrupted.dtype) == (tensors[name].shape, tensors[name].dtype):
        return
    with pytest.raises(ValueError, match=rf"^{name}: expected "):
        restore(made, State({**tensors, name: corrupted}, values))


@pytest.mark.parametrize("kind", KINDS)
def test_a_tensor_or_a_value_that_is_missing_is_named(kind: Optimizer) -> None:
    made = training(optimizer=kind)
    tensors, values = made.snapshot()
    for name in tensors:
        rest = {key: value for key, value in tensors.items() if key != name}
        with pytest.raises(ValueError, match=rf"^{name}: missing"):
            restore(made, State(rest, values))
    for name in values:
        kept = {key: value for key, value in values.items() if key != name}
        with pytest.raises(ValueError, match=rf"^{name}: expected"):
            restore(made, State(tensors, kept))


@pytest.mark.parametrize(
    "name",
    [
        *("optimizer.0.7.exp_avg", "optimizer.5.0.exp_avg", "optimizer.x", "optimizer.-1.0.step"),
        *("optimizer.0.0.max_exp_avg_sq", "average.9", "weights.9.weight", "optimizer.0.0"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_the_optimisers_do_not_know_is_refused(kind: Optimizer, name: str) -> None:
    made = training(optimizer=kind)
    tensors, values = made.snapshot()
    with pytest.raises(ValueError, match=r": (unknown|missing|expected)"):
        restore(made, State({**tensors, name: torch.zeros(3)}, values))


@pytest.mark.parametrize("kind", KINDS)
def test_before_the_first_step_there_is_nothing_to_remember(kind: Optimizer) -> None:
    fresh = untouched(optimizer=kind, average=False)
    before = fresh.snapshot().tensors
    restore(fresh, fresh.snapshot())
    assert fresh.snapshot().tensors.keys() == before.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_of_steps_is_one(kind: Optimizer) -> None:
    made = training(optimizer=kind)
    tensors, values = made.snapshot()
    for name in [name for name in tensors if name.endswith("step")]:
        for step in (-1.0, float("nan"), float("inf")):
            with pytest.raises(ValueError, match=f"^{name}: expected a number"):
                restore(made, State({**tensors, name: torch.tensor(step)}, values))
    with pytest.raises(ValueError, match=r"^steps_averaged: expected a whole number"):
        restore(made, State({**tensors, "steps_averaged": torch.tensor(-1)}, values))


@pytest.fixture(scope="module")
def halfway(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has a checkpoint in the middle of an epoch."""
    run = tmp_path_factory.mktemp("halfway") / "run"
    keys = [*SMALL_MODEL, f"data.dir={corpus}", f"run.dir={run}", "trainer.epochs=2"]
    keys += ["trainer.save_every_steps=5", "trainer.keep_last=9", "trainer.ema=0.9"]
    assert run_script("train", *keys).status == 0
    step = run / "checkpoints" / "step-5"
    assert json.loads((step / "training.json").read_text())["progress"]["batch_index"] > 0
    return run


@pytest.fixture
def run_copy(halfway: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
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
        ("rng_state.cpu", torch.zeros(3, dtype=torch.uint8)),
        ("rng_state.cpu", torch.zeros(5056, dtype=torch.uint8)),
        ("rng_state.cpu", torch.full((5056,), 255, dtype=torch.uint8)),
        ("rng_state.cpu", torch.zeros(5056)),
        ("weights.linear.bias", torch.zeros(2)),
        ("accumulator", torch.zeros(2)),
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
COUNTS = ("step", "epoch", "batch_index", "best_epoch", "tokens")
VALUES = [
    *((key, value) for key in COUNTS for value in [*HUGE, 0.5, float("inf")]),
    *(("best_f1", value) for value in [*HUGE[2:], 2.0, -2, float("inf"), 2**70]),
]


@pytest.mark.parametrize(("key", "value"), one_in(12, VALUES))
def test_a_value_that_makes_no_sense_is_named(run_copy: Path, key: str, value: object) -> None:
    path = run_copy / "checkpoints" / "step-5" / "training.json"
    values = json.loads(path.read_text())
    put(value, f"progress.{key}")(values)
    path.write_text(json.dumps(values))
    assert f"({key}: " in refusal(run_copy)


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
