"""The k best paths of a linear chain."""

import torch
from torch import Tensor

from .recursions import IMPOSSIBLE, both_ways, check_possible, from_the_end, maximise, peak_of


@torch.no_grad()
def best_paths(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    """The k best paths ``(k, B, T)``, and which of them are possible ``(k, B)``, in float64.

    Since the best score of all that can follow a tag is known, so is that of the best path with
    a given beginning; and of the k best paths, the beginnings are among the k best at every
    token. So k of them are kept, in place of k for every tag.
    """
    B, T, K = emissions.shape
    emissions, transitions, start, end = (
        scores.double() for scores in (emissions, transitions, start, end)
    )
    emissions = emissions - peak_of(emissions)
    transitions = transitions - peak_of(transitions.flatten())
    order = both_ways(lengths, T, T).flatten()
    tokens = emissions.flatten(0, 1).index_select(0, order).view(T, 2, B, K)
    backward = tokens[:, 1:].clone()
    maximise(backward, end[None], transitions.t()[None])
    following = backward[:, 0].gather(0, from_the_end(lengths, T)[..., None].expand(T, B, K))
    after = following - tokens[:, 0]  # without the token itself

    beginnings = following.new_full((B, k), -torch.inf)
    beginnings[:, 0] = 0.0
    step = start.expand(B, k, K).clone()
    totals, parents, tags = [], [], []
    for t in range(T):
        candidates = step.add_(beginnings[..., None]).add_(following[t, :, None, :])
        total, index = candidates.flatten(1).topk(k, dim=1)
        tag = index % K
        beginnings = total - after[t].gather(1, tag)
        step = transitions.index_select(0, tag.flatten()).view(B, k, K)
        totals.append(total)
        parents.append(index // K)
        tags.append(tag)

    rank = torch.arange(k, device=lengths.device).expand(B, k)
    path = []
    for t in range(T - 1, -1, -1):
        path.append(tags[t].gather(1, rank))
        rank = torch.where((t < lengths)[:, None], parents[t].gather(1, rank), rank)
    total = torch.stack(totals)[lengths - 1, torch.arange(B, device=lengths.device)]  # (B, k)
    check_possible(total.amax(1))
    possible = total > IMPOSSIBLE
    inside = torch.arange(T, device=lengths.device) < lengths[:, None]
    kept = possible[..., None] & inside[:, None, :]
    paths = torch.where(kept, torch.stack(path[::-1], dim=2), 0)
    return paths.transpose(0, 1), possible.t()
