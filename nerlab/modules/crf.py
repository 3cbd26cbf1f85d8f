"""The CRF decoder: trainable transitions under constraints."""

import torch
from torch import Tensor, nn

from nerlab.modules.linear_chain import LinearChain


class CRF(nn.Module):
    """A linear-chain CRF over K tags (Lafferty, McCallum and Pereira 2001).

    What the constraints forbid has probability 0 in the loss as well as in decoding.
    All is computed in float32 or better, whatever autocast says.

    Args:
        start: ``(K,)`` bool, the tags a sentence may begin with.
        transitions: ``(K, K)`` bool [from, to], the tags that may follow each other.
        end: ``(K,)`` bool, the tags a sentence may end with.
    """

    _forbidden_start: Tensor
    _forbidden_moves: Tensor
    _forbidden_end: Tensor

    def __init__(self, start: Tensor, transitions: Tensor, end: Tensor) -> None:
        super().__init__()
        num_tags = len(start)
        self.start_transitions = nn.Parameter(torch.empty(num_tags).uniform_(-0.1, 0.1))
        self.transitions = nn.Parameter(torch.empty(num_tags, num_tags).uniform_(-0.1, 0.1))
        self.end_transitions = nn.Parameter(torch.empty(num_tags).uniform_(-0.1, 0.1))
        for name, allowed in (("start", start), ("moves", transitions), ("end", end)):
            self.register_buffer(f"_forbidden_{name}", ~allowed, persistent=False)

    def chain(self, emissions: Tensor, lengths: Tensor) -> LinearChain:
        """The distribution over the tags, with all that can be asked of it."""
        return LinearChain(
            emissions,
            self.transitions.masked_fill(self._forbidden_moves, -torch.inf),
            self.start_transitions.masked_fill(self._forbidden_start, -torch.inf),
            self.end_transitions.masked_fill(self._forbidden_end, -torch.inf),
            lengths,
        )

    def nll(self, emissions: Tensor, lengths: Tensor, tags: Tensor) -> Tensor:
        """``-log p(tags)`` of each sentence ``(B,)``; tags beyond a length are ignored."""
        with torch.autocast(emissions.device.type, enabled=False):
            return -self.chain(emissions, lengths).log_prob(tags)

    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The most probable tags ``(B, T)``, 0 beyond a length."""
        with torch.autocast(emissions.device.type, enabled=False):
            return self.chain(emissions, lengths).argmax

    def marginals(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The probability of each tag at each token ``(B, T, K)``, 0 beyond a length."""
        with torch.autocast(emissions.device.type, enabled=False):
            return self.chain(emissions, lengths).marginals

    def path_log_probabilities(
        self, emissions: Tensor, lengths: Tensor, tags: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``log p(y_t)`` and ``log p(y_t | y_{t-1})``, both ``(B, T)``, along the given tags."""
        with torch.autocast(emissions.device.type, enabled=False):
            return self.chain(emissions, lengths).path_log_probabilities(tags)
