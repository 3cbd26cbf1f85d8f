"""What is added up between two lines of metrics, against a plain loop."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nerlab.training.optimisation import Step
from nerlab.training.window import Window

CPU = torch.device("cpu")
steps = st.lists(st.tuples(st.floats(0, 100), st.booleans(), st.integers(1, 4)), max_size=12)


def step(loss: float, is_skipped: bool) -> Step:
    values = (math.nan if is_skipped else loss, 1.0, float(is_skipped))
    return Step(*(torch.tensor(value) for value in values))


def filled(window: Window, steps: list[tuple[float, bool, int]]) -> Window:
    for loss, is_skipped, batches in steps:
        window = window.add(step(loss, is_skipped), batches, 10 * batches)
    return window


@given(steps, steps)
def test_losses_and_skipped_steps_are_those_of_a_plain_loop(
    before: list[tuple[float, bool, int]], steps: list[tuple[float, bool, int]]
) -> None:
    window = filled(filled(Window.empty(CPU), before).next(), steps)
    counted = [(loss, batches) for loss, is_skipped, batches in steps if not is_skipped]
    found = window.metrics()
    if counted:
        mean = sum(loss * batches for loss, batches in counted) / sum(b for _, b in counted)
        assert found["train/loss"] == pytest.approx(mean, rel=1e-5)
    else:
        assert math.isnan(found["train/loss"])
    assert found["train/skipped_steps"] == len(steps) - len(counted)
    in_a_row = 0
    for _, is_skipped, _ in before + steps:
        in_a_row = in_a_row + 1 if is_skipped else 0
    assert window.in_a_row == in_a_row


@given(steps, steps)
def test_a_window_goes_on_from_its_state(
    before: list[tuple[float, bool, int]], steps: list[tuple[float, bool, int]]
) -> None:
    whole = filled(Window.empty(CPU), before + steps)
    halfway = filled(Window.empty(CPU), before)
    assert filled(Window.restored(halfway.state(), CPU), steps).state() == whole.state()


def test_a_state_from_before_steps_were_skipped_is_read() -> None:
    window = Window.restored({"loss": 3.0, "batches": 2, "tokens": 40}, CPU)
    assert window.metrics()["train/loss"] == 1.5
    assert (window.in_a_row.item(), window.tokens) == (0, 40)
