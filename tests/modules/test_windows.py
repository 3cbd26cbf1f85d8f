"""Windows of long sequences, held against windows that are cut one by one in Python."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nerlab.modules.windows import in_windows

sizes = st.integers(1, 20)
lists_of_lengths = st.lists(st.integers(1, 90), min_size=1, max_size=4)


def numbered(lengths: list[int]) -> tuple[Tensor, Tensor]:
    """Sequences of different numbers ``(B, S)`` with 0 beyond the length, and their lengths."""
    inside = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return torch.arange(1, inside.numel() + 1).view(inside.shape) * inside, torch.tensor(lengths)


def borders(length: int, size: int) -> list[tuple[int, int]]:
    """The windows of a sequence, one after the other, until its end is seen."""
    found = [(0, min(size, length))]
    while found[-1][1] < length:
        start = found[-1][0] + size - size // 4
        found.append((start, min(start + size, length)))
    return found


@given(lists_of_lengths, sizes)
def test_every_step_comes_back_to_its_place(lengths: list[int], size: int) -> None:
    x, n = numbered(lengths)
    assert torch.equal(in_windows(lambda ids, _: ids[..., None], x, n, size)[..., 0], x)


@given(lists_of_lengths, sizes)
def test_windows_are_those_cut_one_by_one(lengths: list[int], size: int) -> None:
    x, n = numbered(lengths)
    seen: list[list[int]] = []

    def look(ids: Tensor, counts: Tensor) -> Tensor:
        assert ids.shape[1] == min(size, max(lengths))
        seen.extend(row[:c].tolist() for row, c in zip(ids, counts.tolist(), strict=True) if c)
        return ids[..., None]

    in_windows(look, x, n, size)
    rows = [row[:length] for row, length in zip(x, lengths, strict=True)]
    assert seen == [row[a:b].tolist() for row in rows for a, b in borders(len(row), size)]


@given(lists_of_lengths, sizes)
def test_each_step_is_of_a_window_that_shows_what_is_around_it(
    lengths: list[int], size: int
) -> None:
    x, n = numbered(lengths)

    def edges(ids: Tensor, counts: Tensor) -> Tensor:
        """The first and last step of the window, at each of its steps."""
        last = ids.gather(1, (counts[:, None] - 1).clamp(min=0))
        return torch.stack([ids[:, :1].expand_as(ids), last.expand_as(ids)], dim=2)

    found = in_windows(edges, x, n, size)
    for row, length, edge in zip(x.tolist(), lengths, found.tolist(), strict=True):
        for t in range(length):
            windows = [(a, b) for a, b in borders(length, size) if a <= t < b]
            first, last = (int(e) - row[0] for e in edge[t])
            assert (first, last + 1) in windows
            # What a window hides; the ends of a sequence hide nothing.
            assert t - first >= (size // 4) // 2 or first == 0
            assert last - t >= size // 8 or last == length - 1


@given(lists_of_lengths, sizes)
def test_a_sequence_is_the_same_whatever_the_others(lengths: list[int], size: int) -> None:
    x, n = numbered(lengths)

    def context(ids: Tensor, counts: Tensor) -> Tensor:
        inside = torch.arange(ids.shape[1]) < counts[:, None]
        totals = (ids * inside).sum(1, keepdim=True)
        return torch.stack([ids, totals.expand_as(ids)], dim=2)

    together = in_windows(context, x, n, size)
    for i, length in enumerate(lengths):
        alone = in_windows(context, x[i : i + 1, :length], n[i : i + 1], size)
        assert torch.equal(together[i, :length], alone[0])
        assert not together[i, length:].any()


def test_a_sequence_that_fits_is_given_as_it_is_with_its_gradient() -> None:
    torch.manual_seed(1)
    x = torch.randn(3, 7, 4, requires_grad=True)
    lengths = torch.tensor([7, 3, 5])

    def encode(y: Tensor, n: Tensor) -> Tensor:
        assert torch.equal(y, x)
        assert torch.equal(n, lengths)
        return y.sin()

    for size in (7, 8, 100):
        found = in_windows(encode, x, lengths, size)
        inside = torch.arange(7) < lengths[:, None]
        assert torch.equal(found, x.sin() * inside[..., None])
        (gradient,) = torch.autograd.grad(found.sum(), x)
        assert torch.equal(gradient, x.cos() * inside[..., None])


def test_gradients_reach_every_step_of_a_window() -> None:
    torch.manual_seed(1)
    x = torch.randn(1, 21, 2, dtype=torch.float64, requires_grad=True)

    def encode(y: Tensor, n: Tensor) -> Tensor:
        inside = (torch.arange(y.shape[1]) < n[:, None])[..., None]
        return y * (y * inside).cumsum(1).sin()

    assert torch.autograd.gradcheck(lambda z: in_windows(encode, z, torch.tensor([21]), 8), x)
