"""Linear chains for tests, and the ways by which their sums are computed."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from nerlab.modules.linear_chain import recursions

Scores = tuple[Tensor, Tensor, Tensor, Tensor]  # emissions, transitions, start, end
NEVER = -torch.inf


@contextmanager
def taking(way: str) -> Iterator[None]:
    """Sums are made in log space, as they are by themselves only where that is needed."""
    with pytest.MonkeyPatch.context() as patch:
        if way == "log space":
            patch.setattr(recursions, "scaled_messages", lambda *scores: None)
        yield


def with_gradients(scores: Scores) -> Scores:
    """Copies that ask for a gradient."""
    emissions, transitions, start, end = (s.clone().requires_grad_() for s in scores)
    return emissions, transitions, start, end


def random_scores(B: int, T: int, K: int, dtype: torch.dtype = torch.float64) -> Scores:
    generator = torch.Generator().manual_seed(1000 * B + 100 * T + K)
    shapes = [(B, T, K), (K, K), (K,), (K,)]
    emissions, transitions, start, end = (torch.randn(s, generator=generator) for s in shapes)
    return emissions.to(dtype), transitions.to(dtype), start.to(dtype), end.to(dtype)


def every_path(scores: Scores, b: int, length: int) -> tuple[Tensor, Tensor]:
    """All paths ``(N, length)`` of sentence b and their scores ``(N,)``."""
    emissions, transitions, start, end = scores
    K = len(start)
    paths = torch.tensor(list(itertools.product(range(K), repeat=length)))
    totals = start[paths[:, 0]] + end[paths[:, -1]]
    for t in range(length):
        totals = totals + emissions[b, t, paths[:, t]]
        if t > 0:
            totals = totals + transitions[paths[:, t - 1], paths[:, t]]
    return paths, totals
