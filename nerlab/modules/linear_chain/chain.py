"""What training and decoding take of a linear chain: the likelihood and the best path."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from . import recursions
from .log_space import LogSpace, without_derivatives
from .recursions import FORBIDDEN, IMPOSSIBLE, Scaled, best_path, is_plain


class Chain:
    """The scores of a batch of sentences, checked and copied, and ``mask (B, T)``, true within the
    lengths. See ``LinearChain``."""

    def __init__(
        self, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
    ) -> None:
        given = emissions, transitions, start, end, lengths
        shapes = [tuple(x.shape) for x in given]
        B, T, K = (*shapes[0], 0, 0, 0)[:3]
        if shapes != [(B, T, K), (K, K), (K,), (K,), (B,)] or 0 in (T, K):
            wanted = "emissions (B, T, K), transitions (K, K), start (K,), end (K,), lengths (B,)"
            raise ValueError(f"expected {wanted}, none of T and K being 0, found {shapes}")
        if lengths.is_floating_point() or lengths.dtype == torch.bool:
            raise ValueError(f"lengths: expected integers, found {lengths.dtype}")
        plain = lengths.device.type == "cpu" and is_plain(lengths)
        if plain and B and not 1 <= lengths.min() <= lengths.max() <= T:
            bad = int(((lengths < 1) | (lengths > T)).nonzero()[0])
            raise ValueError(f"lengths[{bad}]: expected 1 to {T} tokens, found {lengths[bad]}")
        self.lengths = lengths.to(torch.int64, copy=True)
        self.mask = torch.arange(T, device=lengths.device) < self.lengths[:, None]
        self.is_transformed = not all(map(is_plain, given))
        copies = [s.to(torch.promote_types(s.dtype, torch.float32), copy=True) for s in given[:4]]
        for scores in copies:
            scores.detach().clamp_min_(FORBIDDEN)  # the gradient of what is forbidden is 0 anyway
        self.emissions, self.transitions, self.start, self.end = copies
        self.scores = self.emissions, self.transitions, self.start, self.end

    def log_prob(self, tags: Tensor) -> Tensor:
        """``log p(y)`` ``(B,)`` of the paths ``tags (B, T)``, -inf where one is forbidden; tags
        beyond a length are ignored."""
        return self.as_result(self.log_likelihood(self.inside(tags)))

    @property
    def argmax(self) -> Tensor:
        """The best path ``(B, T)``, 0 beyond a length."""
        return best_path(*self.searched())

    def log_likelihood(self, tags: Tensor | None) -> Tensor:
        """``score(y) - log Z`` ``(B,)`` in float64 of the paths ``tags``, 0 beyond a length, or
        ``-log Z`` where these are None."""
        if self.is_transformed:
            minus = -LogSpace.of(*self.scores, self.lengths).log_partition
            return minus if tags is None else self.path_score(tags) + minus
        return _LogLikelihood.apply(self, tags, *self.scores)

    def path_score(self, tags: Tensor) -> Tensor:
        """``score(y)`` ``(…, B)`` in float64 of paths ``(…, B, T)``, 0 beyond a length."""
        K = len(self.start)
        unary = self.emissions.expand(*tags.shape, K).gather(-1, tags[..., None]).squeeze(-1)
        unary = torch.where(self.mask, unary.double(), 0.0).sum(-1)
        taken = tags[..., :-1] * K + tags[..., 1:]
        pairs = self.transitions.flatten().index_select(0, taken.flatten()).view(taken.shape)
        pairs = torch.where(self.mask[:, 1:], pairs.double(), 0.0).sum(-1)
        last = tags.gather(-1, (self.lengths - 1).expand(tags.shape[:-1])[..., None]).squeeze(-1)
        return self.start.double()[tags[..., 0]] + unary + pairs + self.end.double()[last]

    @cached_property
    @torch.no_grad()
    def messages(self) -> Scaled | LogSpace:
        """The recursions, done once: scaled on a CPU and where that is exact, else in log space."""
        arguments = *self.scores, self.lengths
        on_cpu = self.emissions.device.type == "cpu"
        scaled = recursions.scaled_messages(*arguments) if on_cpu else None
        return LogSpace.of(*arguments) if scaled is None else scaled

    def searched(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The scores and lengths in which a search for best paths looks."""
        arguments = *self.scores, self.lengths
        return without_derivatives(*arguments) if self.is_transformed else arguments

    def inside(self, tags: Tensor) -> Tensor:
        """A copy of the tags ``(…, B, T)`` with 0 beyond a length."""
        return torch.where(self.mask, tags, 0).long()

    def as_result(self, log_probability: Tensor) -> Tensor:
        """In the type of the emissions, -inf in place of what only says that it is forbidden."""
        possible = log_probability > IMPOSSIBLE
        return torch.where(possible, log_probability, -torch.inf).to(self.emissions.dtype)


class _LogLikelihood(torch.autograd.Function):
    """The gradient is in closed form: how often the path takes a tag or transition, less how often
    that is to be expected. To be differentiated again, it is put together in log space."""

    @staticmethod
    def forward(ctx: Any, chain: Chain, tags: Tensor | None, *scores: Tensor) -> Tensor:
        ctx.chain, ctx.tags = chain, tags
        log_partition = chain.messages.log_partition
        return -log_partition if tags is None else chain.path_score(tags) - log_partition

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        chain: Chain = ctx.chain
        tags: Tensor | None = ctx.tags
        again = torch.is_grad_enabled()
        messages = LogSpace.of(*chain.scores, chain.lengths) if again else chain.messages
        unary, pairs = messages.expected_counts(-grad, chain.emissions.dtype)
        if tags is not None:
            weights = torch.where(chain.mask, grad[:, None], 0.0)
            unary.scatter_add_(2, tags[..., None], weights.to(unary.dtype)[..., None])
            taken = tags[:, :-1] * len(pairs) + tags[:, 1:]
            pairs.view(-1).index_add_(0, taken.flatten(), weights[:, 1:].flatten())
        last = unary[torch.arange(len(unary), device=unary.device), chain.lengths - 1]
        grads = unary, pairs, unary[:, 0].sum(0), last.sum(0)
        return None, None, *(g.to(s.dtype) for g, s in zip(grads, chain.scores, strict=True))
