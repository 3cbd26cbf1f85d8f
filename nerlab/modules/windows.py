"""Sequences that are longer than a model's positions, in overlapping windows."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def in_windows(
    encode: Callable[[Tensor, Tensor], Tensor], x: Tensor, lengths: Tensor, size: int
) -> Tensor:
    """What ``encode`` makes of sequences, of which it sees at most ``size`` steps at once.

    Neighbouring windows share a quarter of their steps. Each step is taken from the window in
    which it is farther from the border, so at least an eighth of a window is seen on both sides.
    Where a window lies depends on nothing else; a sequence that fits is a single window.

    Args:
        encode: ``(M, W, ...)`` and lengths ``(M,)``, 0 to W, to ``(M, W, D)``. Windows of length 0
            are those that other sequences of the batch have more.
        x: ``(B, S, ...)``.
        lengths: ``(B,)``, 1 to S.
        size: the longest window, at least 1.

    Returns:
        ``(B, S, D)``, 0 beyond a length.
    """
    B, S = x.shape[:2]
    overlap = size // 4
    stride = size - overlap
    positions = torch.arange(S, device=x.device)
    starts = torch.cat([positions[:1], positions[size::stride] - overlap])  # (N,)
    last = ((lengths - size).clamp(min=0) + stride - 1) // stride * stride  # (B,) of the starts
    steps = starts[:, None] + positions[:size]  # (N, W)
    N, W = steps.shape
    windows = x.index_select(1, steps.flatten().clamp(max=S - 1)).reshape(B * N, W, *x.shape[2:])
    left = (lengths[:, None] - starts).masked_fill(starts > last[:, None], 0)  # (B, N)
    encoded = encode(windows, left.clamp(max=W).flatten())  # (B N, W, D)

    start = (positions - overlap // 2).clamp(min=0) // stride * stride
    start = start.minimum(last[:, None])  # (B, S) of the window that each step is taken from
    place = (positions - start).clamp(max=W - 1)
    rows = (torch.arange(B, device=x.device)[:, None] * N + start // stride) * W + place
    joined = F.embedding(rows, encoded.flatten(0, 1))  # (B, S, D)
    return joined.masked_fill((positions >= lengths[:, None])[..., None], 0.0)
