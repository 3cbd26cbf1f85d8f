"""Adam by rows is SparseAdam, and Adam where every row is used."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from nerlab.training.row_adam import RowAdam

ROWS, WIDTH = 6, 3


def train(table: nn.Parameter, optimizer: torch.optim.Optimizer, steps: list[list[int]]) -> None:
    weights = torch.linspace(-1.0, 2.0, WIDTH, dtype=torch.float64)
    for rows in steps:
        found = F.embedding(torch.tensor(rows), table, sparse=True)
        (found.sin() * weights).sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def make_table() -> nn.Parameter:
    values = torch.arange(ROWS * WIDTH, dtype=torch.float64).view(ROWS, WIDTH)
    return nn.Parameter(values.cos())


steps = st.lists(
    st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=8), min_size=1, max_size=12
)


@settings(max_examples=30, deadline=None)
@given(steps)
def test_rows_move_as_in_sparse_adam_and_the_others_stay(steps: list[list[int]]) -> None:
    found, expected = make_table(), make_table()
    train(found, RowAdam([found], lr=0.1), steps)
    train(expected, torch.optim.SparseAdam([expected], lr=0.1), steps)
    # SparseAdam adds epsilon before it corrects the bias of the second moment, we after, as Adam.
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    unused = sorted(set(range(ROWS)) - {row for rows in steps for row in rows})
    assert torch.equal(found[unused], make_table()[unused])


def test_where_every_row_is_used_it_is_adam() -> None:
    found, expected = make_table(), make_table()
    steps = [list(range(ROWS)) * (1 + i % 2) for i in range(10)]
    train(found, RowAdam([found], lr=0.1), steps)
    adam = torch.optim.Adam([expected], lr=0.1)
    weights = torch.linspace(-1.0, 2.0, WIDTH, dtype=torch.float64)
    for rows in steps:
        (F.embedding(torch.tensor(rows), expected).sin() * weights).sum().backward()
        adam.step()
        adam.zero_grad()
    torch.testing.assert_close(found, expected)
