"""What is added up between two lines of metrics, against a plain loop."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nerlab.training.recorder import Accumulator

steps = st.lists(st.tuples(st.floats(0, 100), st.booleans(), st.integers(1, 4)), max_size=12)


def add(accumulator: Accumulator, steps: list[tuple[float, bool, int]]) -> None:
    for loss, is_skipped, batches in steps:
        norm = torch.tensor(math.nan if is_skipped else 1.0)
        loss = math.nan if is_skipped else loss
        accumulator.add(torch.tensor(loss), norm, batches, 10 * batches)


@given(steps, steps)
def test_losses_and_skipped_steps_are_those_of_a_plain_loop(
    before: list[tuple[float, bool, int]], steps: list[tuple[float, bool, int]]
) -> None:
    accumulator = Accumulator(torch.device("cpu"))
    add(accumulator, before)
    accumulator.flush()
    add(accumulator, steps)
    assert accumulator.tokens == sum(10 * batches for _, _, batches in steps)
    found, found_in_a_row = accumulator.flush()
    counted = [(loss, batches) for loss, is_skipped, batches in steps if not is_skipped]
    if counted:
        mean = sum(loss * batches for loss, batches in counted) / sum(b for _, b in counted)
        assert found["train/loss"] == pytest.approx(mean, rel=1e-5)
    else:
        assert math.isnan(found["train/loss"])
    assert found["train/skipped_steps"] == len(steps) - len(counted)
    in_a_row = 0
    for _, is_skipped, _ in before + steps:
        in_a_row = in_a_row + 1 if is_skipped else 0
    assert found_in_a_row == in_a_row
