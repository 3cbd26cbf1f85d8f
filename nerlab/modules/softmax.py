"""The decoder without structure: every token is tagged by itself."""

import torch
from torch import Tensor, nn


class Softmax(nn.Module):
    """Independent tags, ``p(y) = Π_t softmax(emissions_t)[y_t]``.

    It takes the same arguments as :class:`nerlab.modules.crf.CRF` and ignores them: nothing keeps
    a token from a tag that its neighbours forbid. That is what it is compared with the CRF for.
    """

    def __init__(self, start: Tensor, transitions: Tensor, end: Tensor) -> None:
        super().__init__()

    def nll(self, emissions: Tensor, lengths: Tensor, tags: Tensor) -> Tensor:
        """``-log p(tags)`` of each sentence ``(B,)``; tags beyond a length are ignored."""
        log_p, _ = self.path_log_probabilities(emissions, lengths, tags)
        return -log_p.sum(1)

    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The most probable tag of each token ``(B, T)``, 0 beyond a length."""
        return torch.where(_mask(emissions, lengths), emissions.argmax(2), 0)

    def marginals(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The probability of each tag at each token ``(B, T, K)``, 0 beyond a length."""
        probabilities = _at_least_float32(emissions).softmax(2)
        return torch.where(_mask(emissions, lengths)[..., None], probabilities, 0.0)

    def path_log_probabilities(
        self, emissions: Tensor, lengths: Tensor, tags: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``log p(y_t)`` twice ``(B, T)``, 0 beyond a length: the tag before changes nothing."""
        mask = _mask(emissions, lengths)
        index = torch.where(mask, tags, 0).long()[..., None]
        log_p = _at_least_float32(emissions).log_softmax(2).gather(2, index).squeeze(2)
        log_p = torch.where(mask, log_p, 0.0)
        return log_p, log_p


def _at_least_float32(emissions: Tensor) -> Tensor:
    return emissions.to(torch.promote_types(emissions.dtype, torch.float32))


def _mask(emissions: Tensor, lengths: Tensor) -> Tensor:
    return torch.arange(emissions.shape[1], device=lengths.device) < lengths[:, None]
