"""Everything that can be asked of a linear chain besides its likelihood and its best path."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .best_paths import best_paths
from .chain import Chain
from .log_space import LogSpace, steps_of
from .recursions import FORBIDDEN, IMPOSSIBLE


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


class LinearChain(Chain):
    """The distribution over the tag sequences of each sentence of a batch.

    Scores of ``FORBIDDEN`` or less, -inf included, are constraints, in whichever argument: what
    they forbid has probability 0 and log-probability -inf in all that follows. Where they forbid
    every path of a sentence, ``ValueError`` names it (on a CPU; elsewhere its log Z is -inf).

    The scores are copied: what is done to the arguments afterwards changes nothing. Results have
    the type of the emissions, at least float32; inside, sums and topk are float64. argmax compares
    in the type of the emissions: paths that differ by less than it resolves (some 1e-6 in float32,
    if scores are below 10) count as equal.

    All but tags are differentiable in the scores: log_partition, log_prob and log_prob_allowed
    once by the closed form and once more through log space, the others through log space wherever
    a gradient is wanted. Under ``torch.func`` and forward-mode differentiation everything takes
    log space; argmax, max, topk and sample cannot be vmapped. TorchScript is not supported.

    Args:
        emissions: ``(B, T, K)``; what stands beyond a length is ignored.
        transitions: ``(K, K)`` [from, to].
        start: ``(K,)``.
        end: ``(K,)``.
        lengths: ``(B,)`` integers, 1 to T.
    """

    @property
    def log_partition(self) -> Tensor:
        """log Z ``(B,)``."""
        return self.as_result(self.log_likelihood(None).neg())

    def log_prob_allowed(self, allowed: Tensor) -> Tensor:
        """``log Σ p(y)`` ``(B,)`` over the paths through ``allowed (B, T, K)`` bool alone.

        The likelihood of an incomplete annotation (Tsuboi et al. 2008): one tag where it is
        known, several or all where it is not.
        """
        emissions, transitions, start, end = self.scores
        emissions = emissions.masked_fill(~allowed.bool(), FORBIDDEN)
        admitted = Chain(emissions, transitions, start, end, self.lengths)
        difference = self.log_likelihood(None) - admitted.log_likelihood(None)
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
        pairs = [from_[..., None] * log_p.exp() for from_, log_p in self._steps()]
        return torch.cat(pairs, dim=1).to(self.emissions.dtype)

    @property
    def expected_moves(self) -> Tensor:
        """The expected count of each transition ``(B, K, K)``: pair marginals summed over t."""
        B, _, K = self.emissions.shape
        counts = self.emissions.new_zeros(B, K, K, dtype=torch.float64)
        for from_, log_p in self._steps():
            counts = counts + torch.einsum("bti,btij->bij", from_, log_p.exp())
        return counts.to(self.emissions.dtype)

    @property
    def entropy(self) -> Tensor:
        """``-Σ p(y) log p(y)`` ``(B,)`` in nats, that of the first tag and of each transition."""
        before, beta = self._log_messages()
        first = torch.log_softmax((before + beta)[:, 0], dim=1)
        entropy = -(first.exp() * first).sum(1)
        for from_, log_p in self._steps():
            entropy = entropy - torch.einsum("bti,btij->b", from_, log_p.exp() * log_p)
        return entropy.to(self.emissions.dtype)

    def path_log_probabilities(self, tags: Tensor) -> tuple[Tensor, Tensor]:
        """``log p(y_t)`` and ``log p(y_t | y_{t-1})`` along the paths ``tags``, all ``(B, T)``.

        The probability of a stretch of a path is its first marginal times the conditionals after
        it. The first conditional is the marginal. What is forbidden is -inf: the marginal of a tag
        through which no path leads, the conditional of a tag that cannot follow or from which
        the end cannot be reached. Beyond a length both are 0.
        """
        before, beta = self._log_messages()
        tags = self.inside(tags)
        index = tags[..., None]
        marginal = torch.log_softmax(before + beta, dim=2).gather(2, index).squeeze(2)
        following = self.transitions.double()[tags[:, :-1]] + beta[:, 1:]  # (B, T - 1, K)
        conditional = torch.log_softmax(following, dim=2).gather(2, index[:, 1:])
        # If nothing is possible, its softmax is not 0.
        possible = following.gather(2, index[:, 1:]) > IMPOSSIBLE
        conditional = torch.where(possible, conditional, FORBIDDEN).squeeze(2)
        conditional = torch.cat([marginal[:, :1], conditional], dim=1)
        marginal, conditional = (
            torch.where(self.mask, self.as_result(log_p), 0.0) for log_p in (marginal, conditional)
        )
        return marginal, conditional

    def span_log_prob(self, spans: Spans) -> Tensor:
        """``log p`` ``(N,)`` that each span has only tags that it allows: the forward recursion
        over its tokens, with the conditionals as transitions. -inf where that cannot be."""
        before, beta = self._log_messages()
        S = spans.allowed.shape[1]
        sentences, starts, lengths = (x.long() for x in spans[:3])
        last = torch.minimum(torch.arange(S, device=starts.device), lengths[:, None] - 1)
        places = sentences[:, None], starts[:, None] + last  # (N, S)
        beta, forbidden = beta[places], ~spans.allowed.bool()
        inside = torch.log_softmax(before[places][:, 0] + beta[:, 0], dim=1)
        inside = inside.masked_fill(forbidden[:, 0], FORBIDDEN)  # (N, K)
        for t in range(1, S):
            log_p = torch.log_softmax(self.transitions.double() + beta[:, t, None, :], dim=2)
            longer = torch.logsumexp(inside[:, :, None] + log_p, dim=1)
            longer = longer.masked_fill(forbidden[:, t], FORBIDDEN)
            inside = torch.where((t < lengths)[:, None], longer, inside)
        return self.as_result(torch.logsumexp(inside, dim=1))

    @property
    def max(self) -> Tensor:
        """The score ``(B,)`` of the best path."""
        return self.path_score(self.argmax).to(self.emissions.dtype)

    def topk(self, k: int) -> tuple[Tensor, Tensor]:
        """The k best paths ``(k, B, T)`` and their scores ``(k, B)``, best first.

        Where fewer than k paths are possible, the rest are 0 with a score of -inf.
        """
        if k < 0:
            raise ValueError(f"k: expected 0 or more paths, found {k}")
        paths, possible = best_paths(*self.searched(), k=max(k, 1))
        scores = torch.where(possible, self.path_score(paths), -torch.inf)
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

    def _log_messages(self) -> tuple[Tensor, Tensor]:
        """``log (α_{t-1} A)`` (start at first) and ``log β_t``, ``(B, T, K)`` in float64.

        Each row is known up to a constant; rows beyond a length mean nothing.
        """
        wanted = torch.is_grad_enabled() and any(scores.requires_grad for scores in self.scores)
        in_log_space = wanted or self.is_transformed
        messages = LogSpace.of(*self.scores, self.lengths) if in_log_space else self.messages
        if isinstance(messages, LogSpace):
            return messages.before, messages.beta
        linear = messages.before(), messages.beta
        before, beta = (x.transpose(0, 1).log().clamp_(min=FORBIDDEN) for x in linear)
        return before, beta

    def _steps(self) -> Iterator[tuple[Tensor, Tensor]]:
        return steps_of(*self._log_messages(), self.transitions.double(), self.mask)
