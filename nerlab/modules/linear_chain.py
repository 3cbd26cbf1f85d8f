"""The linear-chain conditional random field: its sums and its maxima.

A path ``y`` of tags over a sentence of ``L`` tokens has the score

    score(y) = start[y_1] + Σ_t emissions[t, y_t] + Σ_t transitions[y_{t-1}, y_t] + end[y_L]

and the probability ``exp(score(y)) / Z``, ``Z`` the sum over all paths (Lafferty, McCallum and
Pereira 2001). Every function here takes

    emissions (B, T, K), transitions (K, K) [from, to], start (K,), end (K,), lengths (B,)

**Sums.** With ``A = exp(transitions)`` and ``E_t = exp(emissions_t)`` the two recursions are

    α_1 = exp(start) E_1,   α_t = (α_{t-1} A) E_t             all that leads to a tag
    β_L = exp(end) E_L,     β_t = (A β_{t+1}) E_t             all that follows, E_t included

and the marginals are ``p(y_t = j) ∝ (α_{t-1} A)(j) β_t(j)``, those of pairs
``p(y_{t-1} = i, y_t = j) ∝ α_{t-1}(i) A(i, j) β_t(j)``; they are the gradient of log Z.

On the CPU both recursions run at once, β over the sentence reversed, as one batched matrix
product a step in float64, each message rescaled (Rabiner 1989); the gradient is taken in closed
form, so no graph over the steps is kept. Rescaling cannot hold the scores of tags that never
meet and drift apart without end: what is too small is lost. Forward, everything is therefore
raised to a floor, which makes Z too large if anything was lost; backward it is not, which makes Z
too small. Where the two agree both are right; where they do not, the batch (none, as a rule) is
done again in log space. On other devices log space is used throughout, because the check would
have to wait for the device.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

_DISAGREEMENT = 1e-9
_FLOOR = 1e-100  # the product of three is still a normal number


class _Scaled(NamedTuple):
    """The recursions in the linear domain, every message up to a factor of its own token.

    ``before`` is ``α_{t-1} A`` (``exp(start)`` at first); ``alpha``, ``beta`` as above, all
    ``(T, B, K)``; ``move (K, K)`` is ``A`` up to a factor; ``log_partition (B,)``.
    """

    before: Tensor
    alpha: Tensor
    beta: Tensor
    move: Tensor
    log_partition: Tensor


def log_partition(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
) -> Tensor:
    """log Z ``(B,)`` in float32 or better, differentiable once in the four scores."""
    scaled = _scaled_messages(emissions, transitions, start, end, lengths)
    if scaled is not None:
        result: Tensor = _LogPartition.apply(emissions, transitions, start, end, lengths, scaled)
        return result
    dtype = _at_least_float32(emissions)
    emissions = torch.where(_mask(emissions, lengths)[..., None], emissions.to(dtype), 0.0)
    transitions, end = transitions.to(dtype), end.to(dtype)
    _, alpha = _log_space_recursion(emissions, transitions, start.to(dtype))
    return torch.logsumexp(_at_last(alpha, lengths) + end, dim=1)


def path_score(
    emissions: Tensor,
    transitions: Tensor,
    start: Tensor,
    end: Tensor,
    lengths: Tensor,
    tags: Tensor,
) -> Tensor:
    """The score ``(B,)`` of the paths ``tags (B, T)``; what stands beyond a length is ignored."""
    mask = _mask(emissions, lengths)
    per_token = emissions.to(_at_least_float32(emissions)).gather(2, tags[..., None]).squeeze(2)
    moves = transitions[tags[:, :-1], tags[:, 1:]]
    per_token = torch.cat([per_token[:, :1], per_token[:, 1:] + moves], dim=1)
    return (
        start[tags[:, 0]] + torch.where(mask, per_token, 0.0).sum(1) + end[_at_last(tags, lengths)]
    )


def log_messages(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """``log (α_{t-1} A)`` and ``log β_t``, both ``(B, T, K)``, without a gradient.

    Each row is known up to a constant; rows beyond a length mean nothing.
    """
    with torch.no_grad():
        scaled = _scaled_messages(emissions, transitions, start, end, lengths)
        if scaled is not None:
            return scaled.before.transpose(0, 1).log(), scaled.beta.transpose(0, 1).log()
        dtype = _at_least_float32(emissions)
        emissions, transitions = emissions.to(dtype), transitions.to(dtype)
        reverse = _reversal(lengths, emissions.shape[1])[..., None].expand_as(emissions)
        before, _ = _log_space_recursion(emissions, transitions, start.to(dtype))
        _, beta = _log_space_recursion(emissions.gather(1, reverse), transitions.t(), end.to(dtype))
        return before, beta.gather(1, reverse)


def marginals(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
) -> Tensor:
    """``p(y_t = k)``, ``(B, T, K)``, 0 beyond a length."""
    before, beta = log_messages(emissions, transitions, start, end, lengths)
    probabilities = torch.softmax(before + beta, dim=2)
    return torch.where(_mask(probabilities, lengths)[..., None], probabilities, 0.0)


def path_log_probabilities(
    emissions: Tensor,
    transitions: Tensor,
    start: Tensor,
    end: Tensor,
    lengths: Tensor,
    tags: Tensor,
) -> tuple[Tensor, Tensor]:
    """``log p(y_t)`` and ``log p(y_t | y_{t-1})``, both ``(B, T)``, along the paths ``tags``.

    Given the sentence the tags form a Markov chain, so the probability of a stretch of a path is
    its first marginal times the conditionals after it. The first conditional is the marginal.
    """
    before, beta = log_messages(emissions, transitions, start, end, lengths)
    scores = transitions.to(beta.dtype)
    index = tags[..., None]
    marginal = torch.log_softmax(before + beta, dim=2).gather(2, index).squeeze(2)
    # p(y_t = j | y_{t-1} = i) ∝ A(i, j) β_t(j)
    onto = scores[tags[:, :-1]] + beta[:, 1:]  # (B, T - 1, K)
    conditional = torch.log_softmax(onto, dim=2).gather(2, index[:, 1:]).squeeze(2)
    return marginal, torch.cat([marginal[:, :1], conditional], dim=1)


@torch.no_grad()
def viterbi(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
) -> Tensor:
    """The best paths ``(B, T)``; tags beyond a length are 0 (Viterbi 1967).

    Only the best scores are kept. Where they came from is found again along the best path alone,
    which costs an arg max over ``(B, K)`` a step in place of one over ``(B, K, K)``.
    """
    dtype = _at_least_float32(emissions)
    emissions, transitions, start, end = (
        scores.detach().to(dtype) for scores in (emissions, transitions, start, end)
    )
    B, T, K = emissions.shape
    steps = emissions.transpose(0, 1).contiguous()  # (T, B, K)
    moves = transitions[:, None, :]  # (from, 1, to)
    scores = torch.empty_like(steps)
    ways = steps.new_empty(K, B, K)  # [from, B, to], written again at every step
    # Views are made once, not once a step.
    rows = scores.unbind()
    torch.add(start, steps[0], out=rows[0])
    origins = scores.transpose(1, 2)[..., None].unbind()  # (from, B, 1) of each step
    for origin, row, step in zip(origins, rows[1:], steps[1:].unbind(), strict=False):
        torch.add(origin, moves, out=ways)
        torch.amax(ways, 0, out=row)
        row += step
    final = (scores + end).argmax(2)  # (T, B): the best tag to end with at t
    onto = transitions.t().contiguous()  # row k: the scores of moving to k
    goes_on = torch.arange(1, T, device=lengths.device)[:, None] < lengths  # (T - 1, B)
    tag = final[T - 1]
    path = [tag]
    ways_back = zip(goes_on.unbind()[::-1], rows[-2::-1], final.unbind()[-2::-1], strict=True)
    for inside, row, last in ways_back:
        tag = torch.where(inside, onto.index_select(0, tag).add_(row).argmax(1), last)
        path.append(tag)
    return torch.where(_mask(emissions, lengths), torch.stack(path[::-1], dim=1), 0)


class _LogPartition(torch.autograd.Function):
    """log Z from finished recursions; its gradient, the expected counts, in closed form."""

    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        transitions: Tensor,
        start: Tensor,
        end: Tensor,
        lengths: Tensor,
        scaled: _Scaled,
    ) -> Tensor:
        ctx.save_for_backward(lengths, *scaled[:-1])
        ctx.dtypes = [scores.dtype for scores in (emissions, transitions, start, end)]
        return scaled.log_partition.to(_at_least_float32(emissions))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("log_partition can be differentiated once only; create_graph=False")
        lengths, before, alpha, beta, move = ctx.saved_tensors
        joint = before * beta
        total = joint.sum(2, keepdim=True)
        inside = _mask(beta.transpose(0, 1), lengths).t()[..., None]
        beta_share = torch.where(inside, beta / total * grad.to(beta.dtype)[:, None], 0.0)
        unary = (before * beta_share).transpose(0, 1)  # (B, T, K)
        pairs = alpha[:-1].flatten(0, 1).t() @ beta_share[1:].flatten(0, 1) * move
        grads = (unary, pairs, unary[:, 0].sum(0), _at_last(unary, lengths).sum(0))
        typed = (g.to(dtype) for g, dtype in zip(grads, ctx.dtypes, strict=True))
        return *typed, None, None


@torch.no_grad()
def _scaled_messages(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
) -> _Scaled | None:
    """The recursions in the linear domain; None where they cannot be run or not be trusted."""
    if emissions.device.type != "cpu":
        return None
    emissions, transitions, start, end = (
        scores.double() for scores in (emissions, transitions, start, end)
    )
    B, T, K = emissions.shape
    emissions = torch.where(_mask(emissions, lengths)[..., None], emissions, 0.0)
    peak = emissions.amax(2)  # (B, T)
    weights = torch.exp(emissions - peak[..., None]).transpose(0, 1)  # (T, B, K)
    reverse = _reversal(lengths, T).t()[..., None].expand(T, B, K)
    both = torch.stack([weights, weights.gather(0, reverse)], dim=1)  # (T, 2, B, K)
    move_peak, start_peak, end_peak = transitions.max(), start.max(), end.max()
    move = torch.exp(transitions - move_peak)
    first, last = torch.exp(start - start_peak), torch.exp(end - end_peak)

    both[:, 0].clamp_(min=_FLOOR)
    moves = torch.stack([move.clamp(min=_FLOOR), move.t()])
    before = emissions.new_empty(T, 2, B, K)
    after = emissions.new_empty(T, 2, B, K)
    scales = emissions.new_empty(T, 2, B, 1)
    before[0] = torch.stack([first.clamp(min=_FLOOR), last])[:, None]
    steps = zip(before, both, after, scales, after[:, 0], strict=True)
    previous = None
    for before_t, weights_t, after_t, scale_t, alpha_t in steps:
        if previous is not None:
            torch.bmm(previous, moves, out=before_t)
        torch.mul(before_t, weights_t, out=after_t)
        torch.amax(after_t, 2, keepdim=True, out=scale_t)
        after_t.div_(scale_t)
        alpha_t.clamp_(min=_FLOOR)
        previous = after_t

    at_last = (lengths - 1).expand(1, 2, B)
    # What each direction has still to meet.
    to_come = torch.stack([last.clamp(min=_FLOOR), first])[:, None]
    ending = after.gather(0, at_last[..., None].expand(1, 2, B, K)).squeeze(0)
    scale = scales.squeeze(3).log().cumsum(0).gather(0, at_last).squeeze(0)
    constant = _at_last(peak.cumsum(1), lengths) + start_peak + end_peak + move_peak * (lengths - 1)
    forward, backward = (ending * to_come).sum(2).log() + scale + constant
    sound = (forward - backward).abs() <= _DISAGREEMENT * forward.abs().clamp(min=1.0)
    if not sound.all():  # NaN and inf are not sound either
        return None
    beta = after[:, 1].gather(0, reverse)
    return _Scaled(before[:, 0], after[:, 0], beta, move, forward)


def _log_space_recursion(
    emissions: Tensor, transitions: Tensor, start: Tensor
) -> tuple[Tensor, Tensor]:
    """``log (α_{t-1} A)`` and ``log α_t``, both ``(B, T, K)``: slower, safe for any scores."""
    before = [start.expand_as(emissions[:, 0])]
    after = [before[0] + emissions[:, 0]]
    for t in range(1, emissions.shape[1]):
        before.append(torch.logsumexp(after[-1][:, :, None] + transitions, dim=1))
        after.append(before[-1] + emissions[:, t])
    return torch.stack(before, dim=1), torch.stack(after, dim=1)


def _mask(like: Tensor, lengths: Tensor) -> Tensor:
    return torch.arange(like.shape[1], device=lengths.device) < lengths[:, None]


def _reversal(lengths: Tensor, T: int) -> Tensor:
    """``(B, T)``: index that turns each sentence around in place and leaves the padding."""
    steps = torch.arange(T, device=lengths.device)
    return torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)


def _at_last(values: Tensor, lengths: Tensor) -> Tensor:
    """Of ``(B, T, …)`` the entries at each last token ``(B, …)``."""
    return values[torch.arange(len(lengths), device=lengths.device), lengths - 1]


def _at_least_float32(values: Tensor) -> torch.dtype:
    return torch.float64 if values.dtype == torch.float64 else torch.float32
