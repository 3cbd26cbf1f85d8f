"""The decoder without structure: every token is tagged by itself."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Softmax(nn.Module):
    """Independent tags, ``p(y) = Π_t softmax(emissions_t)[y_t]``.

    It takes the same arguments as :class:`nerlab.modules.crf.CRF` and ignores them: nothing keeps
    a token from a tag that its neighbours forbid. That is what it is compared with the CRF for.
    """

    def __init__(self, start: Tensor, transitions: Tensor, end: Tensor) -> None:
        super().__init__()

    def nll(self, emissions: Tensor, lengths: Tensor, tags: Tensor) -> Tensor:
        """``-log p(tags)`` of each sentence ``(B,)``; tags beyond a length are ignored."""
        losses = F.cross_entropy(emissions.transpose(1, 2).float(), tags, reduction="none")
        return torch.where(_mask(tags, lengths), losses, 0.0).sum(1)

    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The most probable tag of each token ``(B, T)``, 0 beyond a length."""
        tags = emissions.argmax(2)
        return torch.where(_mask(tags, lengths), tags, 0)

    def marginals(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The probability of each tag at each token ``(B, T, K)``, 0 beyond a length."""
        probabilities = emissions.float().softmax(2)
        return torch.where(_mask(probabilities, lengths)[..., None], probabilities, 0.0)

    def path_log_probabilities(
        self, emissions: Tensor, lengths: Tensor, tags: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``log p(y_t)`` twice ``(B, T)``: the tag before changes nothing."""
        log_p = emissions.float().log_softmax(2).gather(2, tags[..., None]).squeeze(2)
        return log_p, log_p


def _mask(like: Tensor, lengths: Tensor) -> Tensor:
    return torch.arange(like.shape[1], device=lengths.device) < lengths[:, None]
