"""The CRF decoder: trainable transitions under constraints."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nerlab.modules.linear_chain import LinearChain


class CRF(nn.Module):
    """A linear-chain CRF over K tags (Lafferty, McCallum and Pereira 2001).

    What the constraints forbid has probability 0 in the loss as well as in decoding.
    All is computed in float32 or better, under autocast too: matrix products are float64, which
    autocast leaves alone.

    Args:
        tags: the names of the K tags.
        start: ``(K,)`` bool, the tags a sentence may begin with.
        transitions: ``(K, K)`` bool [from, to], the tags that may follow each other.
        end: ``(K,)`` bool, the tags a sentence may end with.
    """

    by_tag = True  # each axis of each parameter

    def __init__(
        self, tags: Sequence[str], start: Tensor, transitions: Tensor, end: Tensor
    ) -> None:
        super().__init__()
        K = len(tags)
        self.start_transitions = nn.Parameter(torch.empty(K).uniform_(-0.1, 0.1))
        self.transitions = nn.Parameter(torch.empty(K, K).uniform_(-0.1, 0.1))
        self.end_transitions = nn.Parameter(torch.empty(K).uniform_(-0.1, 0.1))
        self._forbidden_start = nn.Buffer(~start, persistent=False)
        self._forbidden_transitions = nn.Buffer(~transitions, persistent=False)
        self._forbidden_end = nn.Buffer(~end, persistent=False)

    def chain(self, emissions: Tensor, lengths: Tensor) -> LinearChain:
        """The distribution over the tags, with all that can be asked of it."""
        return LinearChain(
            emissions,
            self.transitions.masked_fill(self._forbidden_transitions, -torch.inf),
            self.start_transitions.masked_fill(self._forbidden_start, -torch.inf),
            self.end_transitions.masked_fill(self._forbidden_end, -torch.inf),
            lengths,
        )

    def loss(self, emissions: Tensor, lengths: Tensor, tags: Tensor) -> Tensor:
        """What training minimises: the negative log-likelihood of a batch, in nats a token."""
        return self.nll(emissions, lengths, tags).sum() / lengths.sum()

    def nll(self, emissions: Tensor, lengths: Tensor, tags: Tensor) -> Tensor:
        """``-log p(tags)`` of each sentence ``(B,)``; tags beyond a length are ignored."""
        return -self.chain(emissions, lengths).log_prob(tags)

    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The most probable tags ``(B, T)``, 0 beyond a length."""
        return self.chain(emissions, lengths).argmax

    def marginals(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The probability of each tag at each token ``(B, T, K)``, 0 beyond a length."""
        return self.chain(emissions, lengths).marginals

    def path_log_probabilities(
        self, emissions: Tensor, lengths: Tensor, tags: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``log p(y_t)`` and ``log p(y_t | y_{t-1})``, both ``(B, T)``, along the given tags."""
        return self.chain(emissions, lengths).path_log_probabilities(tags)

    def best_paths(self, emissions: Tensor, lengths: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k most probable tag sequences ``(k, B, T)``, best first, and ``log p`` of each
        ``(k, B)``; -inf where there are fewer."""
        chain = self.chain(emissions, lengths)
        paths, scores = chain.topk(k)
        return paths, scores - chain.log_partition
