"""The linear-chain conditional random field: every sum, maximum and sample of it, exactly.

A path ``y`` of K tags over a sentence of L tokens has the score

    score(y) = start[y_1] + Σ_t emissions[t, y_t] + Σ_t transitions[y_{t-1}, y_t] + end[y_L]

and the probability ``exp(score(y)) / Z``, Z being the sum over all K^L paths (Lafferty, McCallum
and Pereira 2001). All that one wants to know of it follows from two recursions over the sentence,

    α_1 = exp(start) E_1,   α_t = (α_{t-1} A) E_t        the paths that lead to each tag, and
    β_L = exp(end) E_L,     β_t = (A β_{t+1}) E_t        those that go on from it, E_t included,

where ``A = exp(transitions)`` and ``E_t = exp(emissions_t)`` multiplies tag by tag:

    Z = Σ_j α_L(j) exp(end_j),    p(y_t = j) = (α_{t-1} A)(j) β_t(j) / Z,
    p(y_{t-1} = i, y_t = j) = α_{t-1}(i) A(i, j) β_t(j) / Z,
    p(y_t = j | y_{t-1} = i) = A(i, j) β_t(j) / Σ_k A(i, k) β_t(k).

These probabilities are also the gradient of log Z in the scores. Given a sentence the tags are a
Markov chain: by the last line one walks along it, to draw samples, to multiply the probability of
a span together, to add up the entropy.

**Fast.** β is α of the sentence turned around, so one batched recursion does both, without masks:
a matrix product and a multiplication a step. The gradient is put together from α and β at the
end; no graph over the steps is kept, memory is O(B T K), and T may be thousands.

**Safe.** In float64 messages are rescaled every 16 steps (Rabiner 1989), which is exact as long as
nothing underflows. Whether it did is seen afterwards: where every positive entry of the messages
is large enough that its product with any positive factor stays a normal number, no entry was lost
and what is 0 is forbidden. Sentences where that does not hold (none, as a rule) are done again in
log space, which holds any scores. So is everything on other devices, where looking at the result
would mean waiting for it, and whatever is differentiated in a way that has no closed form here.
Both ways give the same numbers, down to events of any size; what is forbidden has probability 0.

**Maxima.** The best path takes the same recursions with max in place of Σ (Viterbi 1967). α runs
from the start and β from the end until they meet in the middle: half the steps, each twice as
wide. Only the scores are kept; where the best one came from is found again along the best path
alone, by an arg max over K tags a step in place of K². The highest score of every token and of
the transitions is subtracted first, so that common offsets cost no digits. The k best paths are
computed in float64, the best one in the type of the emissions: paths that differ by less than
that type resolves (some 1e-6 in float32, if scores are below 10) count as equal.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad

Result = TypeVar("Result")

FORBIDDEN = -1e30
"""The score of what is impossible: exp makes it 0, and sums of 1e8 of them stay finite."""

_IMPOSSIBLE = FORBIDDEN / 2  # a score below it has met something forbidden
_BLOCK = 16  # steps between two rescalings
_SMALLEST = -250.0  # log of an entry: products of two, and their inverses, stay normal float64
_MOST_SHRINKING = 450.0  # log of the least factor of a step: its product with such an entry too
_DRIFT = 16  # steps after which maxima are brought back to 0, where floats are finer
_CHUNK = 2**22  # numbers of a (B, t, K, K) tensor that is computed at a time


class Spans(NamedTuple):
    """N stretches of the sentences of a batch, with the tags that each token there may have.

    In IOBES ``B I … E`` of a label (or ``S``), one tag a token, say that these tokens, no more
    and no fewer, are an entity with that label.

    Attributes:
        sentences: ``(N,)`` into the batch.
        starts: ``(N,)``, the first token.
        lengths: ``(N,)``, how many tokens, 1 to S.
        allowed: ``(N, S, K)`` bool; what stands beyond a length is ignored.
    """

    sentences: Tensor
    starts: Tensor
    lengths: Tensor
    allowed: Tensor


class LinearChain:
    """The distribution over the tag sequences of each sentence of a batch.

    Scores of ``FORBIDDEN`` or less, -inf included, are constraints, in whichever argument: what
    they forbid has probability 0 and log-probability -inf in all that follows. Where they forbid
    every path of a sentence, ``ValueError`` names it (on a CPU; elsewhere its log Z is -inf).

    The scores are copied: what is done to the arguments afterwards changes nothing. Results have
    the type of the emissions, at least float32; inside, sums are float64. All but tags are
    differentiable in the scores: log_partition, log_prob and log_prob_allowed once by the closed
    form and once more through log space, the others through log space wherever a gradient is
    wanted. Under ``torch.no_grad()`` everything takes the fast way. Under ``torch.func`` and
    forward-mode differentiation everything takes log space; argmax, max, topk and sample cannot
    be vmapped. TorchScript is not supported.

    Args:
        emissions: ``(B, T, K)``; what stands beyond a length is ignored.
        transitions: ``(K, K)`` [from, to].
        start: ``(K,)``.
        end: ``(K,)``.
        lengths: ``(B,)`` integers, 1 to T.
    """

    def __init__(
        self, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
    ) -> None:
        if emissions.dim() != 3 or 0 in emissions.shape[1:]:
            raise ValueError(
                "emissions: expected (B, T, K) with at least one token and one tag, "
                f"found {tuple(emissions.shape)}"
            )
        B, T, K = emissions.shape
        for name, scores, shape in (
            ("transitions", transitions, (K, K)),
            ("start", start, (K,)),
            ("end", end, (K,)),
            ("lengths", lengths, (B,)),
        ):
            if scores.shape != shape:
                raise ValueError(
                    f"{name}: emissions {tuple(emissions.shape)} go with the shape {shape}, "
                    f"found {tuple(scores.shape)}"
                )
        if lengths.is_floating_point() or lengths.dtype == torch.bool:
            raise ValueError(f"lengths: expected integers, found {lengths.dtype}")
        self.lengths = lengths = lengths.to(torch.int64, copy=True)
        if _can_be_read(lengths) and B and not 1 <= lengths.min() <= lengths.max() <= T:
            bad = int(((lengths < 1) | (lengths > T)).nonzero()[0])
            raise ValueError(f"lengths[{bad}]: expected 1 to {T} tokens, found {lengths[bad]}")
        self.emissions, self.transitions, self.start, self.end = (
            _copied(scores) for scores in (emissions, transitions, start, end)
        )

    @cached_property
    def mask(self) -> Tensor:
        """``(B, T)``, whether a token is within the length."""
        T = self.emissions.shape[1]
        return torch.arange(T, device=self.lengths.device) < self.lengths[:, None]

    @property
    def log_partition(self) -> Tensor:
        """log Z ``(B,)``."""
        return _without_forbidden(self._log_likelihood(None).neg()).to(self.emissions.dtype)

    def log_prob(self, tags: Tensor) -> Tensor:
        """``log p(y)`` ``(B,)`` of the paths ``tags (B, T)``; tags beyond a length are ignored.

        -inf where a path is forbidden.
        """
        log_p = self._log_likelihood(self._inside(tags))
        return _without_forbidden(log_p).to(self.emissions.dtype)

    def log_prob_allowed(self, allowed: Tensor) -> Tensor:
        """``log Σ p(y)`` ``(B,)`` over the paths through ``allowed (B, T, K)`` bool alone.

        The likelihood of an incomplete annotation (Tsuboi et al. 2008): one tag where it is
        known, several or all where it is not.
        """
        admitted = LinearChain(
            self.emissions.masked_fill(~allowed.bool(), FORBIDDEN), *self._constraints, self.lengths
        )
        difference = self._log_likelihood(None) - admitted._log_likelihood(None)
        return difference.to(self.emissions.dtype)

    @property
    def marginals(self) -> Tensor:
        """``p(y_t = k)`` ``(B, T, K)``, 0 beyond a length."""
        before, beta = self._log_messages()
        probabilities = torch.softmax(before + beta, dim=2).to(self.emissions.dtype)
        return probabilities.masked_fill(~self.mask[..., None], 0.0)

    @property
    def pair_marginals(self) -> Tensor:
        """``p(y_{t-1} = i, y_t = j)`` ``(B, T - 1, K, K)`` [first token, from, to], 0 beyond."""
        pairs = [from_[..., None] * onto.exp() for from_, onto in self._moves()]
        return torch.cat(pairs, dim=1).to(self.emissions.dtype)

    @property
    def expected_moves(self) -> Tensor:
        """How often each move is to be expected ``(B, K, K)``: pair marginals summed over t."""
        B, _, K = self.emissions.shape
        counts = self.emissions.new_zeros(B, K, K, dtype=torch.float64)
        for from_, onto in self._moves():
            counts = counts + torch.einsum("bti,btij->bij", from_, onto.exp())
        return counts.to(self.emissions.dtype)

    @property
    def entropy(self) -> Tensor:
        """``-Σ p(y) log p(y)`` ``(B,)`` in nats, as that of the first tag and of every move."""
        before, beta = self._log_messages()
        first = torch.log_softmax((before + beta)[:, 0], dim=1)
        entropy = -(first.exp() * first).sum(1)
        for from_, onto in self._moves():
            entropy = entropy - torch.einsum("bti,btij->b", from_, onto.exp() * onto)
        return entropy.to(self.emissions.dtype)

    def path_log_probabilities(self, tags: Tensor) -> tuple[Tensor, Tensor]:
        """``log p(y_t)`` and ``log p(y_t | y_{t-1})`` along the paths ``tags``, all ``(B, T)``.

        The probability of a stretch of a path is its first marginal times the conditionals after
        it. The first conditional is the marginal. What is forbidden is -inf: the marginal of a tag
        through which no path leads, the conditional of a tag that cannot follow or from which
        the end cannot be reached. Beyond a length both are 0.
        """
        before, beta = self._log_messages()
        tags = self._inside(tags)
        index = tags[..., None]
        marginal = torch.log_softmax(before + beta, dim=2).gather(2, index)
        onto = self.transitions.double()[tags[:, :-1]] + beta[:, 1:]  # (B, T - 1, K)
        conditional = torch.log_softmax(onto, dim=2).gather(2, index[:, 1:])
        possible = onto.gather(2, index[:, 1:]) > _IMPOSSIBLE  # if nothing is, its softmax is not 0
        conditional = torch.where(possible, conditional, FORBIDDEN)
        both = torch.cat([marginal, marginal[:, :1], conditional], dim=1).squeeze(2)
        both = _without_forbidden(both).to(self.emissions.dtype)
        T = tags.shape[1]
        marginal, conditional = (
            torch.where(self.mask, log_p, 0.0) for log_p in (both[:, :T], both[:, T:])
        )
        return marginal, conditional

    def span_log_prob(self, spans: Spans) -> Tensor:
        """``log p`` ``(N,)`` that each span has only tags that it allows: the forward recursion
        over its tokens, with the conditionals as transitions. -inf where that cannot be."""
        before, beta = self._log_messages()
        S = spans.allowed.shape[1]
        sentences, starts, lengths = (
            x.long() for x in (spans.sentences, spans.starts, spans.lengths)
        )
        last = torch.minimum(torch.arange(S, device=starts.device), lengths[:, None] - 1)
        places = sentences[:, None], starts[:, None] + last  # (N, S)
        beta, barred = beta[places], ~spans.allowed.bool()
        inside = torch.log_softmax(before[places][:, 0] + beta[:, 0], dim=1)
        inside = inside.masked_fill(barred[:, 0], FORBIDDEN)  # (N, K)
        for t in range(1, S):
            onto = torch.log_softmax(self.transitions.double() + beta[:, t, None, :], dim=2)
            longer = torch.logsumexp(inside[:, :, None] + onto, dim=1)
            longer = longer.masked_fill(barred[:, t], FORBIDDEN)
            inside = torch.where((t < lengths)[:, None], longer, inside)
        return _without_forbidden(torch.logsumexp(inside, dim=1)).to(self.emissions.dtype)

    @property
    def argmax(self) -> Tensor:
        """The best path ``(B, T)``, 0 beyond a length."""
        return self._search(_viterbi)

    @property
    def max(self) -> Tensor:
        """The score ``(B,)`` of the best path."""
        return self._path_score(self.argmax).to(self.emissions.dtype)

    def topk(self, k: int) -> tuple[Tensor, Tensor]:
        """The k best paths ``(k, B, T)`` and their scores ``(k, B)``, best first.

        Where fewer than k paths are possible, the rest are 0 with a score of -inf.
        """
        if k < 0:
            raise ValueError(f"k: expected 0 or more paths, found {k}")
        paths, possible = self._search(partial(_best_paths, k=max(k, 1)))
        scores = torch.where(possible, self._path_score(paths), -torch.inf)
        scores, order = scores.sort(dim=0, descending=True, stable=True)
        paths = paths.gather(0, order[..., None].expand_as(paths))
        return paths[:k], scores[:k].to(self.emissions.dtype)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n independent paths ``(n, B, T)`` of each sentence, 0 beyond a length.

        β has summed up all that follows a tag, so walking from the first token on, each tag is
        drawn given the one before it.
        """
        before, beta = self._log_messages()
        B, T, K = beta.shape
        transitions = self.transitions.double()
        paths = torch.zeros(n, B, T, dtype=torch.int64, device=beta.device)
        scores = (before[:, 0] + beta[:, 0]).expand(n, B, K)
        for t in range(T):
            if t > 0:
                scores = transitions[paths[..., t - 1]] + beta[:, t]
            probabilities = torch.softmax(scores, dim=2).flatten(0, 1)
            paths[..., t] = torch.multinomial(probabilities, 1).view(n, B)
        return torch.where(self.mask, paths, 0)

    @property
    def _constraints(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.transitions, self.start, self.end

    @property
    def _scores(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.emissions, *self._constraints

    def _search(self, best: Callable[..., Result]) -> Result:
        """What a search for best paths finds; it takes the scores without derivatives."""
        scores = (forward_ad.unpack_dual(scores.detach()).primal for scores in self._scores)
        try:
            return best(*scores, self.lengths)
        except RuntimeError as error:
            if not _are_transformed(self._scores):
                raise
            raise ValueError(
                "argmax, max and topk cannot be vmapped: put all sentences into one batch"
            ) from error

    def _inside(self, tags: Tensor) -> Tensor:
        """A copy of the tags ``(…, B, T)`` with 0 beyond a length."""
        return torch.where(self.mask, tags, 0).long()

    def _path_score(self, tags: Tensor) -> Tensor:
        """``score(y)`` ``(…, B)`` in float64 of paths ``(…, B, T)``, 0 beyond a length."""
        K = len(self.start)
        emissions = self.emissions.expand(*tags.shape, K)
        unary = emissions.gather(-1, tags[..., None]).squeeze(-1).double()
        moves = tags[..., :-1] * K + tags[..., 1:]
        pairs = self.transitions.flatten().index_select(0, moves.flatten()).double()
        unary = torch.where(self.mask, unary, 0.0).sum(-1)
        pairs = torch.where(self.mask[:, 1:], pairs.view(moves.shape), 0.0).sum(-1)
        last = tags.gather(-1, (self.lengths - 1).expand(tags.shape[:-1])[..., None]).squeeze(-1)
        return self.start.double()[tags[..., 0]] + unary + pairs + self.end.double()[last]

    def _log_likelihood(self, tags: Tensor | None) -> Tensor:
        """``score(y) - log Z`` ``(B,)`` in float64 of the paths ``tags``, 0 beyond a length, or
        ``-log Z`` where these are None."""
        if _are_transformed((*self._scores, self.lengths)):
            minus = -_log_space_messages(*self._scores, self.lengths).log_partition
            return minus if tags is None else self._path_score(tags) + minus
        value: Tensor = _LogLikelihood.apply(*self._scores, self, tags)
        return value

    def _moves(self) -> Iterator[tuple[Tensor, Tensor]]:
        return _moves(*self._log_messages(), self.transitions.double(), self.mask)

    def _log_messages(self) -> tuple[Tensor, Tensor]:
        """``log (α_{t-1} A)`` (start at first) and ``log β_t``, ``(B, T, K)`` in float64.

        Each row is known up to a constant; rows beyond a length mean nothing.
        """
        scores = self._scores
        wanted = torch.is_grad_enabled() and any(s.requires_grad for s in scores)
        if wanted or _are_transformed((*scores, self.lengths)):
            messages = _log_space_messages(*scores, self.lengths)
            _check_possible(messages.log_partition)
            return messages.logs()
        rows = [rows for rows, _ in self._parts]
        before, beta = zip(*(messages.logs() for _, messages in self._parts), strict=True)
        return _joined(rows, before), _joined(rows, beta)

    @cached_property
    @torch.no_grad()
    def _parts(self) -> "list[tuple[slice | Tensor, _Scaled | _LogSpace]]":
        """The messages of the sentences, each of them once, with the rows that they belong to."""
        if self.emissions.device.type != "cpu":
            return [(slice(None), _log_space_messages(*self._scores, self.lengths))]
        scaled, sound = _scaled_messages(*self._scores, self.lengths)
        if sound.all():
            return [(slice(None), scaled)]
        good, bad = sound.nonzero()[:, 0], (~sound).nonzero()[:, 0]
        messages = _log_space_messages(self.emissions[bad], *self._constraints, self.lengths[bad])
        log_partition = scaled.log_partition.clone()
        log_partition[bad] = messages.log_partition
        _check_possible(log_partition)
        return [(good, scaled.select(good)), (bad, messages)]


class _LogLikelihood(torch.autograd.Function):
    """See ``LinearChain._log_likelihood``.

    The gradient is in closed form: how often the path takes a tag or move, less how often that
    is to be expected. To be differentiated again, the same is put together in log space.
    """

    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        transitions: Tensor,
        start: Tensor,
        end: Tensor,
        chain: LinearChain,
        tags: Tensor | None,
    ) -> Tensor:
        ctx.chain, ctx.tags = chain, tags
        rows, messages = zip(*chain._parts, strict=True)
        log_partition = _joined(rows, [m.log_partition for m in messages])
        return -log_partition if tags is None else chain._path_score(tags) - log_partition

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        chain: LinearChain = ctx.chain
        tags: Tensor | None = ctx.tags
        parts = chain._parts
        if torch.is_grad_enabled():
            parts = [(slice(None), _log_space_messages(*chain._scores, chain.lengths))]
        dtype = chain.emissions.dtype
        counts = [messages.expected_counts(-grad[rows], dtype) for rows, messages in parts]
        unary = _joined([rows for rows, _ in parts], [of_tags for of_tags, _ in counts])
        pairs = counts[0][1]
        for _, of_moves in counts[1:]:
            pairs = pairs + of_moves
        if tags is not None:
            weights = torch.where(chain.mask, grad[:, None], 0.0)
            unary.scatter_add_(2, tags[..., None], weights.to(unary.dtype)[..., None])
            moves = tags[:, :-1] * len(pairs) + tags[:, 1:]
            pairs.view(-1).index_add_(0, moves.flatten(), weights[:, 1:].flatten())
        grads = unary, pairs, unary[:, 0].sum(0), _at_last(unary, chain.lengths).sum(0)
        typed = (g.to(s.dtype) for g, s in zip(grads, chain._scores, strict=True))
        return *typed, None, None


class _Scaled(NamedTuple):
    """The recursions in the linear domain, every message up to a factor of its own sentence and
    token: ``alpha``, ``beta`` ``(T, B, K)``, ``exp(start)`` ``(K,)``, ``A`` ``(K, K)``."""

    alpha: Tensor
    beta: Tensor
    scratch: Tensor  # (T, B, K), to be written over
    first: Tensor
    move: Tensor
    lengths: Tensor
    log_partition: Tensor

    def select(self, rows: Tensor) -> "_Scaled":
        return self._replace(
            alpha=self.alpha[:, rows],
            beta=self.beta[:, rows],
            scratch=self.scratch[:, rows],
            lengths=self.lengths[rows],
            log_partition=self.log_partition[rows],
        )

    def _before(self) -> Tensor:
        """``α_{t-1} A`` ``(T, B, K)``, ``exp(start)`` at first, in the scratch memory."""
        K = len(self.move)
        self.scratch[:1] = self.first
        torch.mm(self.alpha[:-1].view(-1, K), self.move, out=self.scratch[1:].view(-1, K))
        return self.scratch

    def logs(self) -> tuple[Tensor, Tensor]:
        """See ``LinearChain._log_messages``."""
        messages = self._before(), self.beta
        before, beta = (
            x.transpose(0, 1).clone(memory_format=torch.contiguous_format) for x in messages
        )
        return before.log_().clamp_(min=FORBIDDEN), beta.log_().clamp_(min=FORBIDDEN)

    def expected_counts(self, weights: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """``p(y_t = k)`` times the weights ``(B,)`` of the sentences ``(B, T, K)``, 0 beyond a
        length, and those of the moves, summed ``(K, K)``."""
        T, _, K = self.alpha.shape
        joint = self._before().mul_(self.beta)
        inside = torch.arange(T)[:, None] < self.lengths
        share = torch.where(inside, weights / joint.sum(2), 0.0)[..., None]  # (T, B, 1)
        unary = joint.mul_(share).transpose(0, 1).to(dtype, copy=True)
        onto = torch.mul(self.beta, share, out=self.scratch)
        pairs = self.alpha[:-1].view(-1, K).t() @ onto[1:].view(-1, K)
        return unary, pairs.mul_(self.move)


class _LogSpace(NamedTuple):
    """The recursions in log space: ``before`` and ``beta`` ``(B, T, K)``, ``log A`` ``(K, K)``."""

    before: Tensor
    beta: Tensor
    transitions: Tensor
    mask: Tensor
    log_partition: Tensor

    def logs(self) -> tuple[Tensor, Tensor]:
        """See ``LinearChain._log_messages``."""
        return self.before, self.beta

    def expected_counts(self, weights: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """As those of the scaled recursions."""
        inside = torch.where(self.mask, weights[:, None], 0.0)[..., None]  # (B, T, 1)
        unary = torch.softmax(self.before + self.beta, dim=2) * inside
        pairs = torch.zeros_like(self.transitions)
        for from_, onto in _moves(self.before, self.beta, self.transitions, self.mask):
            pairs = pairs + torch.einsum("b,bti,btij->ij", weights, from_, onto.exp())
        return unary.to(dtype), pairs


def _moves(
    before: Tensor, beta: Tensor, transitions: Tensor, mask: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Some steps at a time: ``p(y_{t-1} = i)`` ``(B, t, K)``, 0 where the sentence is over at t,
    and ``log p(y_t = j | y_{t-1} = i)`` ``(B, t, K, K)``, finite where it is impossible."""
    marginals = torch.softmax(before + beta, dim=2)
    B, T, K = beta.shape
    chunk = max(1, _CHUNK // max(1, B * K * K))
    for first in range(0, max(T - 1, 1), chunk):
        ahead = slice(first + 1, first + 1 + chunk)
        onto = transitions + beta[:, ahead, None, :]
        from_ = marginals[:, first : first + onto.shape[1]]
        from_ = from_.masked_fill(~mask[:, ahead, None], 0.0)
        yield from_, torch.log_softmax(onto, dim=3)


def _scaled_messages(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
) -> tuple[_Scaled, Tensor]:
    """The recursions in the linear domain, and ``(B,)`` where they can be trusted."""
    B, T, K = emissions.shape
    transitions, start, end = (scores.double() for scores in (transitions, start, end))
    # New memory costs more than what is computed in it, so there is one piece of it.
    memory = transitions.new_empty(3, T, B, K)
    messages, third = memory[:2], memory[2]
    peak = emissions.amax(2)
    weights = torch.sub(emissions, peak[..., None].double(), out=third.view(B, T, K)).exp_()
    move_peak, ends = transitions.max(), torch.stack([start, end])
    end_peaks = ends.amax(1, keepdim=True)
    relative = torch.cat([(transitions - move_peak).view(-1), (ends - end_peaks).view(-1)])
    factors = relative.exp()
    move, ends = factors[: K * K].view(K, K), factors[K * K :].view(2, K)
    # The weights of the tokens become α in the forward direction and β in the backward one.
    order = _both_ways(lengths, T, T).transpose(0, 1)
    torch.index_select(weights.view(-1, K), 0, order.flatten(), out=messages.view(-1, K))
    messages[:, 0] *= ends[:, None]
    moves = torch.stack([move, move.t()])
    scales = messages.new_ones((T + _BLOCK - 1) // _BLOCK, 2, B, 1)
    product = torch.empty_like(messages[:, 0])
    previous, *steps = messages.unbind(1)
    for t, step in enumerate(steps, start=1):
        step.mul_(torch.bmm(previous, moves, out=product))
        if t % _BLOCK == 0:
            scale = torch.amax(step, 2, keepdim=True, out=scales[t // _BLOCK])
            step.div_(scale.clamp_(min=1e-300))
        previous = step

    sentences, at_last = torch.arange(B), lengths - 1
    total = (messages[0, at_last, sentences] * ends[1]).sum(1)
    passed = torch.arange(len(scales))[:, None] <= at_last // _BLOCK  # (blocks, B)
    log_scales = torch.where(passed, scales[:, 0, :, 0], 1.0).log().sum(0)
    inside = torch.arange(T) < lengths[:, None]
    constant = torch.where(inside, peak, 0.0).double().sum(1)
    log_partition = total.log() + log_scales + constant + move_peak * at_last + end_peaks.sum()
    least = emissions.amin(2)
    if (least <= _IMPOSSIBLE).any():
        least = torch.where(emissions > _IMPOSSIBLE, emissions, peak[..., None]).amin(2)
    shrinking = torch.where(inside, peak - least, 0.0).amax(1)
    shrinking = shrinking - torch.where(relative > _IMPOSSIBLE, relative, 0.0).amin()
    sound = _nothing_underflowed(messages, shrinking, lengths) & (log_partition > _IMPOSSIBLE)
    alpha, backward = messages
    turned = _turned(lengths, T) * B + sentences
    torch.index_select(backward.view(-1, K), 0, turned.flatten(), out=third.view(-1, K))
    return _Scaled(alpha, third, backward, ends[0], move, lengths, log_partition), sound


def _nothing_underflowed(messages: Tensor, shrinking: Tensor, lengths: Tensor) -> Tensor:
    """``(B,)``: whether every positive entry of the messages ``(2, T, B, K)`` is above
    exp(_SMALLEST), and whether what is 0 can have come from zeros only.

    In one step positive entries shrink by a factor of exp(shrinking) ``(B,)`` at most, so that
    it is enough to look at every 16th step, or at more where this factor is large.
    """
    distance, most = _BLOCK, max(shrinking.tolist(), default=0.0)
    while distance > 1 and distance * most > -0.6 * _SMALLEST:
        distance //= 2
    seen = messages[:, ::distance]
    smallest = torch.where(seen > 0.0, seen, 1.0).amin(3)  # (2, looks, B)
    inside = torch.arange(0, messages.shape[1], distance)[:, None] < lengths
    smallest = torch.where(inside, smallest, 1.0).amin((0, 1)).log()
    return (smallest - (distance - 1) * shrinking >= _SMALLEST) & (shrinking <= _MOST_SHRINKING)


def _log_space_messages(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
) -> _LogSpace:
    """The same recursions in log space: slower, safe for any scores, and autograd can follow."""
    B, T, K = emissions.shape
    emissions, transitions, start, end = (
        scores.double() for scores in (emissions, transitions, start, end)
    )
    peak, move_peak = _peak(emissions), _peak(transitions.flatten())
    transitions = transitions - move_peak
    mask = torch.arange(T, device=lengths.device) < lengths[:, None]
    order = _both_ways(lengths, T, T).flatten()
    weights = (emissions - peak).flatten(0, 1).index_select(0, order).view(T, 2, B, K)
    moves = torch.stack([transitions, transitions.t()])[:, None]  # (2, 1, from, to)
    before = [torch.stack([start, end])[:, None].expand(2, B, K)]
    after: list[Tensor] = []
    for t, step in enumerate(weights.unbind()):
        if t > 0:
            before.append(torch.logsumexp(after[-1][..., None] + moves, dim=2))
        after.append(before[-1] + step)
    alpha, backward = torch.stack(after, dim=2).unbind()  # (B, T, K)
    offset = torch.where(mask, peak.squeeze(2), 0.0).sum(1) + move_peak * (lengths - 1)
    log_partition = torch.logsumexp(_at_last(alpha, lengths) + end, dim=1) + offset
    beta = backward.gather(1, _turned(lengths, T).t()[..., None].expand(B, T, K))
    return _LogSpace(
        torch.stack([b[0] for b in before], dim=1), beta, transitions, mask, log_partition
    )


@torch.no_grad()
def _viterbi(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
) -> Tensor:
    """The best paths ``(B, T)``, 0 beyond a length.

    The two directions meet in the middle token of each sentence, and from there its path is
    traced back to either end. All sentences of the batch are traced from where the longest one
    begins; in a shorter one these steps lead nowhere, but in its middle one tag only is left.
    """
    B, T, K = emissions.shape
    transitions, start, end = (scores.to(emissions.dtype) for scores in (transitions, start, end))
    transitions = transitions - _peak(transitions.flatten())
    steps = T // 2 + 1
    order = _both_ways(lengths, T, steps)
    scores = emissions.flatten(0, 1).index_select(0, order.flatten()).view(steps, 2, B, K)
    firsts, moves = torch.stack([start, end]), torch.stack([transitions, transitions.t()])
    scores = _maximise(scores, firsts, moves)

    sentences, middle = torch.arange(B, device=lengths.device), (lengths - 1) // 2
    places = (middle, 0, sentences), (lengths - 1 - middle, 1, sentences)
    # Both count the middle token itself.
    itself = emissions[sentences, middle]
    itself = itself - _peak(itself)
    joined = scores[places[0]] + (scores[places[1]] - itself)  # (B, K)
    _check_possible(joined)
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
    backward = both[:, 1].gather(0, _turned(lengths, T).clamp(max=steps - 1))
    path = torch.where(t <= middle, forward, backward)
    return torch.where(t < lengths, path, 0).t()


@torch.no_grad()
def _best_paths(
    emissions: Tensor,
    transitions: Tensor,
    start: Tensor,
    end: Tensor,
    lengths: Tensor,
    k: int,
) -> tuple[Tensor, Tensor]:
    """The k best paths ``(k, B, T)``, and which of them are possible ``(k, B)``.

    Since the best score of all that can follow a tag is known, so is that of the best path with
    a given beginning; and of the k best paths, the beginnings are among the k best at every
    token. So k of them are kept, in place of k for every tag.
    """
    B, T, K = emissions.shape
    emissions, transitions, start, end = (
        scores.double() for scores in (emissions, transitions, start, end)
    )
    emissions, transitions = (
        emissions - _peak(emissions),
        transitions - _peak(transitions.flatten()),
    )
    order = _both_ways(lengths, T, T).flatten()
    tokens = emissions.flatten(0, 1).index_select(0, order).view(T, 2, B, K)
    following = _maximise(tokens[:, 1:].clone(), end[None], transitions.t()[None])
    turned = _turned(lengths, T)[..., None].expand(T, B, K)
    following = following[:, 0].gather(0, turned)
    after = following - tokens[:, 0]  # without the token itself

    beginnings = following.new_full((B, k), -torch.inf)
    beginnings[:, 0] = 0.0
    onto = start.expand(B, k, K).clone()
    totals, parents, tags = [], [], []
    for t in range(T):
        candidates = onto.add_(beginnings[..., None]).add_(following[t, :, None, :])
        total, index = candidates.flatten(1).topk(k, dim=1)
        tag = index % K
        beginnings = total - after[t].gather(1, tag)
        onto = transitions.index_select(0, tag.flatten()).view(B, k, K)
        totals.append(total)
        parents.append(index // K)
        tags.append(tag)

    rank = torch.arange(k, device=lengths.device).expand(B, k)
    path = []
    for t in range(T - 1, -1, -1):
        path.append(tags[t].gather(1, rank))
        rank = torch.where((t < lengths)[:, None], parents[t].gather(1, rank), rank)
    total = torch.stack(totals)[lengths - 1, torch.arange(B, device=lengths.device)]  # (B, k)
    _check_possible(total)
    possible = total > _IMPOSSIBLE
    inside = torch.arange(T, device=lengths.device) < lengths[:, None]
    kept = possible[..., None] & inside[:, None, :]
    paths = torch.where(kept, torch.stack(path[::-1], dim=2), 0)
    return paths.transpose(0, 1), possible.t()


def _maximise(scores: Tensor, firsts: Tensor, moves: Tensor) -> Tensor:
    """The max recursion over ``scores (T, G, B, K)``, from ``firsts (G, K)`` by ``moves (G, K, K)``
    [from, to]: those of the best path to each tag, up to a constant of the sentence; what is
    given is lost.

    Each of the G directions has its own part of the buffer, so that on two cores it has its own
    core and its own cache. The longer of B and K is innermost in memory.
    """
    T, G, B, K = scores.shape
    if B > K:
        rows = scores.transpose(2, 3).contiguous().transpose(2, 3)
        ways = scores.new_empty(G, K, K, B).transpose(2, 3)
    else:
        rows, ways = scores, scores.new_empty(G, K, B, K)  # [direction, from, B, to]
    rows -= _peak(rows)
    rows[0] += (firsts - _peak(firsts))[:, None]
    best = torch.empty_like(rows[:1]).squeeze(0)
    moves = moves[:, :, None]
    origins = rows.transpose(2, 3)[..., None].unbind()  # (G, from, B, 1)
    steps = rows.unbind()
    for t in range(1, T):
        torch.add(origins[t - 1], moves, out=ways)
        steps[t].add_(torch.amax(ways, 1, out=best))
        if t % _DRIFT == 0:
            steps[t].sub_(_peak(steps[t]))
    return scores.copy_(rows) if B > K else scores


def _trace(tags: Any, scores: Any, sources: Any, offsets: Any) -> None:
    """Fill ``tags (T, N)`` from the last row to the first: the tag at t is the best one of
    ``scores[t] (N, K)`` and of ``sources``, whose row is that of the tag at t + 1."""
    tags[-1] = scores[-1].argmax(1)
    for t in range(len(tags) - 2, -1, -1):
        ways = sources[tags[t + 1] + offsets]
        ways += scores[t]
        tags[t] = ways.argmax(1)


def _quickest(*tensors: Tensor) -> tuple[Any, ...]:
    """The same memory as arrays of numpy, whose tiny operations take half the time of torch's; on
    a GPU, or where there is no numpy, the tensors themselves, which do the same."""
    try:
        return tuple(tensor.numpy() for tensor in tensors)
    except (RuntimeError, TypeError):
        return tensors


def _both_ways(lengths: Tensor, T: int, steps: int) -> Tensor:
    """``(steps, 2, B)``: which of the ``B T`` tokens comes at each step, from the first token
    onwards and from the last one backwards; at the end one comes again and again."""
    step = torch.arange(steps, device=lengths.device)[:, None]
    first = torch.arange(0, len(lengths) * T, T, device=lengths.device)
    ways = torch.minimum(step, lengths - 1), _turned(lengths, steps)
    return torch.stack(ways, dim=1) + first


def _turned(lengths: Tensor, steps: int) -> Tensor:
    """``(steps, B)``: the token of each sentence at each step from its end, 0 beyond the first."""
    step = torch.arange(steps, device=lengths.device)[:, None]
    return (lengths - 1 - step).clamp(min=0)


def _at_last(values: Tensor, lengths: Tensor) -> Tensor:
    """Of ``(B, T, …)`` the entries at each last token ``(B, …)``."""
    return values[torch.arange(len(lengths), device=lengths.device), lengths - 1]


def _joined(rows: Sequence[Any], parts: Sequence[Tensor]) -> Tensor:
    """What the parts hold for these rows of the batch, as one tensor."""
    if len(parts) == 1:
        return parts[0]
    whole = parts[0].new_empty(sum(map(len, parts)), *parts[0].shape[1:])
    for these, part in zip(rows, parts, strict=True):
        whole[these] = part
    return whole


def _copied(scores: Tensor) -> Tensor:
    """A copy of the scores in float32 or better, FORBIDDEN where they are less. Gradients pass
    through: those of what is forbidden are 0."""
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    wanted = torch.is_grad_enabled() and scores.requires_grad
    if not wanted or not _has_memory(scores):
        return scores.clamp(min=FORBIDDEN)
    copy = scores.clone()
    with torch.no_grad():
        return copy.clamp_(min=FORBIDDEN)


def _peak(scores: Tensor) -> Tensor:
    """The highest of the scores ``(…, K)`` as ``(…, 1)``, but so that what is forbidden stays so
    when it is subtracted."""
    return scores.detach().amax(-1, keepdim=True).clamp(min=-1e20)


def _are_transformed(tensors: Iterable[Tensor]) -> bool:
    """Whether a transform of ``torch.func`` or forward-mode differentiation is at work, which
    follows plain operations only."""
    return any(not _has_memory(x) or forward_ad.unpack_dual(x).tangent is not None for x in tensors)


def _has_memory(tensor: Tensor) -> bool:
    """False for the stand-ins that ``torch.func`` and ``torch.compile`` put in place of tensors."""
    try:
        tensor.data_ptr()
    except RuntimeError:
        return False
    return True


def _can_be_read(tensor: Tensor) -> bool:
    """Whether a look at the values is possible without waiting."""
    return tensor.device.type == "cpu" and _has_memory(tensor)


def _check_possible(scores: Tensor) -> None:
    """Raise if a sentence has no path at all; ``scores (B, …)`` are those of some of its paths,
    the best one included."""
    if not scores.numel() or not _can_be_read(scores):
        return
    best = scores.view(len(scores), -1).amax(1)
    if best.min() <= _IMPOSSIBLE:
        raise ValueError(
            f"sentence {int(best.argmin())} of the batch: every path is forbidden by the "
            "constraints on emissions, start, transitions, end or the allowed tags"
        )


def _without_forbidden(log_probability: Tensor) -> Tensor:
    """-inf in place of what only says that it is forbidden."""
    return torch.where(log_probability > _IMPOSSIBLE, log_probability, -torch.inf)
