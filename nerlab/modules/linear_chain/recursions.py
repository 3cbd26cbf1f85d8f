"""The recursions of a linear chain over a batch of sentences: sums over paths, and maxima."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

FORBIDDEN = -1e30
"""The score of what is impossible: exp makes it 0, and sums of 1e8 of them stay finite."""

IMPOSSIBLE = FORBIDDEN / 2  # a score below it has met something forbidden
_BLOCK = 16  # steps between two rescalings
_SMALLEST = 1e-108  # of the positive messages: products of two, and inverses, are normal float64
_MOST_SHRINKING = 450.0  # -log of the least factor of a step: its product with such a message too


class Scaled(NamedTuple):
    """Messages in the linear domain, each up to a factor of its own sentence and token."""

    alpha: Tensor  # (T, B, K)
    beta: Tensor  # (T, B, K)
    scratch: Tensor  # (T, B, K), to be written over
    start: Tensor  # (K,), its exp
    transitions: Tensor  # (K, K), A
    lengths: Tensor  # (B,)
    log_partition: Tensor  # (B,)

    def before(self) -> Tensor:
        """``α_{t-1} A`` ``(T, B, K)``, ``exp(start)`` at first, in the scratch memory."""
        K = len(self.start)
        self.scratch[:1] = self.start
        torch.mm(self.alpha[:-1].view(-1, K), self.transitions, out=self.scratch[1:].view(-1, K))
        return self.scratch

    def expected_counts(self, weights: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """``p(y_t = k)`` times the weights ``(B,)`` of the sentences ``(B, T, K)``, 0 beyond a
        length, and the same of the transitions, summed ``(K, K)``."""
        T, _, K = self.alpha.shape
        joint = self.before().mul_(self.beta)
        inside = torch.arange(T)[:, None] < self.lengths
        share = torch.where(inside, weights / joint.sum(2), 0.0)[..., None]  # (T, B, 1)
        unary = joint.mul_(share).transpose(0, 1).to(dtype, copy=True)
        weighted = torch.mul(self.beta, share, out=self.scratch)
        pairs = self.alpha[:-1].view(-1, K).t() @ weighted[1:].view(-1, K)
        return unary, pairs.mul_(self.transitions)


def scaled_messages(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
) -> Scaled | None:
    """The sums in the linear domain, on a CPU; None if something underflowed, or may have.

    Nothing did where every positive message is so large that its product with any positive factor
    of a step is a normal number: then 0 means forbidden.
    """
    B, T, K = emissions.shape
    transitions, ends = transitions.double(), torch.stack([start.double(), end.double()])
    # New memory costs more than what is computed in it, so there is one piece of it.
    memory = transitions.new_empty(3, T, B, K)
    messages, scratch = memory[:2], memory[2]
    peak, transition_peak = emissions.amax(2), transitions.max()
    end_peaks = ends.amax(1, keepdim=True)
    weights = torch.sub(emissions, peak[..., None].double(), out=scratch.view(B, T, K)).exp_()
    relative = torch.cat([(transitions - transition_peak).view(-1), (ends - end_peaks).view(-1)])
    factors = relative.exp()
    transitions, ends = factors[: K * K].view(K, K), factors[K * K :].view(2, K)
    # The weights of the tokens become α in the forward direction and β in the backward one.
    order = both_ways(lengths, T, T).transpose(0, 1).flatten()
    torch.index_select(weights.view(-1, K), 0, order, out=messages.view(-1, K))
    messages[:, 0] *= ends[:, None]
    both = torch.stack([transitions, transitions.t()])
    scales = messages.new_ones((T - 1) // _BLOCK + 1, 2, B, 1)
    product = torch.empty_like(messages[:, 0])
    previous, *steps = messages.unbind(1)
    for t, step in enumerate(steps, start=1):
        step.mul_(torch.bmm(previous, both, out=product))
        if t % _BLOCK == 0:
            scale = torch.amax(step, 2, keepdim=True, out=scales[t // _BLOCK])
            step.div_(scale.clamp_(min=1e-300))
        previous = step

    alpha, backward = messages
    sentences, last = torch.arange(B), lengths - 1
    total = (alpha[last, sentences] * ends[1]).sum(1)
    passed = torch.arange(len(scales))[:, None] <= last // _BLOCK  # (blocks, B)
    log_scales = torch.where(passed, scales[:, 0, :, 0], 1.0).log().sum(0)
    inside = torch.arange(T) < lengths[:, None]
    offset = torch.where(inside, peak, 0.0).double().sum(1) + transition_peak * last
    log_partition = total.log() + log_scales + offset + end_peaks.sum()
    least = torch.where(emissions > IMPOSSIBLE, emissions, peak[..., None]).amin(2)
    shrinking = torch.where(inside, peak - least, 0.0)
    shrinking = shrinking - torch.where(relative > IMPOSSIBLE, relative, 0.0).amin()
    smallest = torch.where(messages > 0.0, messages, 1.0).amin(3)  # (2, T, B)
    stable = (smallest >= _SMALLEST).logical_or_(~inside.t()).all()
    if not (stable & (shrinking <= _MOST_SHRINKING).all() & (log_partition > IMPOSSIBLE).all()):
        return None
    order = (from_the_end(lengths, T) * B + sentences).flatten()
    beta = torch.index_select(backward.view(-1, K), 0, order, out=scratch.view(-1, K))
    beta = beta.view(T, B, K)
    return Scaled(alpha, beta, backward, ends[0], transitions, lengths, log_partition)


@torch.no_grad()
def best_path(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
) -> Tensor:
    """The best paths ``(B, T)``, 0 beyond a length, in the type of the emissions.

    From the middle token of each sentence, where both directions meet, its path is traced back to
    either end. The tracing begins in the middle of the longest sentence; in a shorter one the first
    steps lead nowhere, but in its middle one tag only is left.
    """
    B, T, K = emissions.shape
    transitions, start, end = (scores.to(emissions.dtype) for scores in (transitions, start, end))
    transitions = transitions - peak_of(transitions.flatten())
    steps = T // 2 + 1
    order = both_ways(lengths, T, steps)
    scores = emissions.flatten(0, 1).index_select(0, order.flatten()).view(steps, 2, B, K)
    matrices = torch.stack([transitions, transitions.t()])
    maximise(scores, torch.stack([start, end]), matrices)

    sentences, middle = torch.arange(B, device=lengths.device), (lengths - 1) // 2
    places = (middle, 0, sentences), (lengths - 1 - middle, 1, sentences)
    itself = emissions[sentences, middle]  # the middle token, which both count
    itself = itself - peak_of(itself)
    joined = scores[places[0]] + (scores[places[1]] - itself)  # (B, K)
    check_possible(joined.amax(1))
    only = torch.full_like(joined, -torch.inf).scatter_(1, joined.argmax(1, keepdim=True), 0.0)
    scores[places[0]] = scores[places[1]] = only

    # [direction and tag that is gone to, tag that is come from]
    sources = torch.cat([transitions.t(), transitions])
    offsets = torch.tensor([0, K], device=lengths.device).repeat_interleave(B)
    tags = torch.empty(steps, 2 * B, dtype=torch.int64, device=lengths.device)
    _trace(*_quickest(tags, scores.view(steps, 2 * B, K), sources, offsets))
    both = tags.view(steps, 2, B)
    t = torch.arange(T, device=lengths.device)[:, None]
    forward = both[:, 0].gather(0, t.clamp(max=steps - 1).expand(T, B))
    backward = both[:, 1].gather(0, from_the_end(lengths, T).clamp(max=steps - 1))
    path = torch.where(t <= middle, forward, backward)
    return torch.where(t < lengths, path, 0).t()


def maximise(scores: Tensor, firsts: Tensor, transitions: Tensor) -> None:
    """The best score to each tag, up to a constant of the sentence, in place of ``scores
    (T, G, B, K)``: in G directions, from ``firsts (G, K)`` by ``transitions (G, K, K)`` [from, to].

    The highest score of every token is subtracted: common offsets cost no digits. Each direction
    has its own part of the buffer, so that on two cores it has its own core and cache.
    """
    T, G, B, K = scores.shape
    scores -= peak_of(scores)
    scores[0] += (firsts - peak_of(firsts))[:, None]
    sums, best = scores.new_empty(G, K, B, K), scores.new_empty(G, B, K)
    transitions = transitions[:, :, None]  # (G, from, 1, to)
    origins = scores.transpose(2, 3)[..., None].unbind()  # (G, from, B, 1)
    steps = scores.unbind()
    for t in range(1, T):
        torch.add(origins[t - 1], transitions, out=sums)
        steps[t].add_(torch.amax(sums, 1, out=best))
        if t % _BLOCK == 0:
            steps[t].sub_(peak_of(steps[t]))


def _trace(tags: Any, scores: Any, sources: Any, offsets: Any) -> None:
    """Fill ``tags (T, N)`` from the last row to the first: the tag at t is the best one of
    ``scores[t] (N, K)`` and of ``sources``, whose row is that of the tag at t + 1."""
    tags[-1] = scores[-1].argmax(1)
    for t in range(len(tags) - 2, -1, -1):
        sums = sources[tags[t + 1] + offsets]
        sums += scores[t]
        tags[t] = sums.argmax(1)


def _quickest(*tensors: Tensor) -> tuple[Any, ...]:
    """As arrays of numpy, whose tiny operations take half the time of torch's, where it can be."""
    try:
        return tuple(tensor.numpy() for tensor in tensors)
    except (RuntimeError, TypeError):
        return tensors


def both_ways(lengths: Tensor, T: int, steps: int) -> Tensor:
    """``(steps, 2, B)``: which of the ``B T`` tokens comes at each step, from the first token
    onwards and from the last one backwards; at the end one comes again and again."""
    step = torch.arange(steps, device=lengths.device)[:, None]
    first = torch.arange(0, len(lengths) * T, T, device=lengths.device)
    tokens = torch.minimum(step, lengths - 1), from_the_end(lengths, steps)
    return torch.stack(tokens, dim=1) + first


def from_the_end(lengths: Tensor, steps: int) -> Tensor:
    """``(steps, B)``: the token of each sentence at each step from its end, 0 beyond the first."""
    step = torch.arange(steps, device=lengths.device)[:, None]
    return (lengths - 1 - step).clamp(min=0)


def peak_of(scores: Tensor) -> Tensor:
    """The highest of the scores ``(…, K)`` as ``(…, 1)``, but so that what is forbidden stays so
    when it is subtracted."""
    return scores.detach().amax(-1, keepdim=True).clamp(min=-1e20)


def is_plain(tensor: Tensor) -> bool:
    """False under ``torch.func``, ``torch.compile`` and forward-mode differentiation."""
    try:
        tensor.data_ptr()
    except RuntimeError:
        return False
    return forward_ad.unpack_dual(tensor).tangent is None


def check_possible(best: Tensor) -> None:
    """Raise if a sentence has no path at all, given log Z or the best score ``(B,)``."""
    if best.device.type == "cpu" and is_plain(best) and len(best) and best.min() <= IMPOSSIBLE:
        raise ValueError(
            f"sentence {int(best.argmin())} of the batch: every path is forbidden by the "
            "constraints on emissions, start, transitions, end or the allowed tags"
        )
