"""The recursions in log space: for scores that the linear domain cannot hold, for devices where
looking at the result would mean waiting for it, and for all that autograd has to follow."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from .recursions import both_ways, check_possible, from_the_end, peak_of

_CHUNK = 2**22  # numbers of a (B, t, K, K) tensor that is computed at a time


class LogSpace(NamedTuple):
    """Messages in log space, each up to a constant of its own sentence and token."""

    before: Tensor  # (B, T, K), log (α_{t-1} A), start at first
    beta: Tensor  # (B, T, K), its log
    transitions: Tensor  # (K, K)
    mask: Tensor  # (B, T)
    log_partition: Tensor  # (B,)

    @classmethod
    def of(
        cls, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
    ) -> "LogSpace":
        """Slower than the linear domain and safe for any scores; autograd can follow."""
        B, T, K = emissions.shape
        emissions, transitions, start, end = (
            scores.double() for scores in (emissions, transitions, start, end)
        )
        peak, transition_peak = peak_of(emissions), peak_of(transitions.flatten())
        transitions = transitions - transition_peak
        mask = torch.arange(T, device=lengths.device) < lengths[:, None]
        order = both_ways(lengths, T, T).flatten()
        weights = (emissions - peak).flatten(0, 1).index_select(0, order).view(T, 2, B, K)
        both = torch.stack([transitions, transitions.t()])[:, None]  # (2, 1, from, to)
        before = [torch.stack([start, end])[:, None].expand(2, B, K)]
        after: list[Tensor] = []
        for t, step in enumerate(weights.unbind()):
            if t > 0:
                before.append(torch.logsumexp(after[-1][..., None] + both, dim=2))
            after.append(before[-1] + step)
        alpha, backward = torch.stack(after, dim=2).unbind()  # (B, T, K)
        offset = torch.where(mask, peak.squeeze(2), 0.0).sum(1) + transition_peak * (lengths - 1)
        last = alpha[torch.arange(B, device=lengths.device), lengths - 1]
        log_partition = torch.logsumexp(last + end, dim=1) + offset
        check_possible(log_partition)
        beta = backward.gather(1, from_the_end(lengths, T).t()[..., None].expand(B, T, K))
        forward = torch.stack([b[0] for b in before], dim=1)
        return cls(forward, beta, transitions, mask, log_partition)

    def expected_counts(self, weights: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """See :meth:`Scaled.expected_counts`."""
        inside = torch.where(self.mask, weights[:, None], 0.0)[..., None]  # (B, T, 1)
        unary = torch.softmax(self.before + self.beta, dim=2) * inside
        pairs = torch.zeros_like(self.transitions)
        for from_, log_p in steps_of(self.before, self.beta, self.transitions, self.mask):
            pairs = pairs + torch.einsum("b,bti,btij->ij", weights, from_, log_p.exp())
        return unary.to(dtype), pairs


def steps_of(
    before: Tensor, beta: Tensor, transitions: Tensor, mask: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Some steps at a time: ``p(y_{t-1} = i)`` ``(B, t, K)``, 0 where the sentence is over at t,
    and ``log p(y_t = j | y_{t-1} = i)`` ``(B, t, K, K)``, finite where it is impossible."""
    marginals = torch.softmax(before + beta, dim=2)
    B, T, K = beta.shape
    chunk = max(1, _CHUNK // max(1, B * K * K))
    for first in range(0, max(T - 1, 1), chunk):
        ahead = slice(first + 1, first + 1 + chunk)
        log_p = torch.log_softmax(transitions + beta[:, ahead, None, :], dim=3)
        from_ = marginals[:, first : first + log_p.shape[1]]
        yield from_.masked_fill(~mask[:, ahead, None], 0.0), log_p


def without_derivatives(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What a search for best paths sees of transformed arguments; it looks at their values."""
    given = emissions, transitions, start, end, lengths
    try:
        for values in given:
            values.detach().sum().item()
    except RuntimeError as error:
        message = "argmax, max and topk cannot be vmapped: put all sentences into one batch"
        raise ValueError(message) from error
    emissions, transitions, start, end, lengths = (
        forward_ad.unpack_dual(values.detach()).primal for values in given
    )
    return emissions, transitions, start, end, lengths
