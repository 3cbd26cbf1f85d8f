"""The decoder without structure: every token is tagged by itself."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nerlab.modules.linear_chain import LinearChain


class Softmax(nn.Module):
    """Independent tags, ``p(y) = Π_t softmax(emissions_t)[y_t]``.

    The constraints of :class:`nerlab.modules.crf.CRF` are not for it: nothing keeps a token from a
    tag that its neighbours forbid. That is what it is compared with the CRF for.

    Args:
        tags: the names of the K tags.
        start, transitions, end: the constraints.
        label_smoothing: ε, the share of the loss that wants all tags alike (Szegedy et al. 2016).
        class_weights: the weight of a type, all its tags, or of O; of those that are not named 1.

    Raises:
        ValueError: a weight of what is no type, or one that is not above 0.
    """

    def __init__(
        self,
        tags: Sequence[str],
        start: Tensor,
        transitions: Tensor,
        end: Tensor,
        label_smoothing: float,
        class_weights: Mapping[str, float] | None,
    ) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self._weights = nn.Buffer(_weights(tags, class_weights or {}), persistent=False)

    def loss(self, emissions: Tensor, lengths: Tensor, tags: Tensor) -> Tensor:
        """What training minimises, the weighted mean over the tokens of the batch,

        ``Σ_t [(1 - ε) w(y_t) · -log p(y_t)  +  ε/K Σ_k w(k) · -log p(k)]  /  Σ_t w(y_t)``.

        Without weights and smoothing it is the negative log-likelihood, in nats a token.
        """
        target = torch.where(_mask(emissions, lengths), tags, -100).long()  # -100 is left out
        scores = _at_least_float32(emissions)
        return F.cross_entropy(
            scores.flatten(0, 1),
            target.flatten(),
            self._weights.to(scores.dtype),
            label_smoothing=self.label_smoothing,
        )

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

    def best_paths(self, emissions: Tensor, lengths: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k most probable tag sequences ``(k, B, T)``, best first, and ``log p`` of each
        ``(k, B)``; -inf where there are fewer. Independent tags are a chain all of whose
        transitions score 0."""
        scores = _at_least_float32(emissions).log_softmax(2)
        K = scores.shape[2]
        free = scores.new_zeros(K, K)
        return LinearChain(scores, free, free[0], free[0], lengths).topk(k)


def _weights(tags: Sequence[str], class_weights: Mapping[str, float]) -> Tensor:
    """The weight of each tag ``(K,)``: that of PER for B-PER, that of O for O, else 1."""
    labels = [tag.partition("-")[2] or tag for tag in tags]
    if not isinstance(class_weights, Mapping):
        raise ValueError(f"class_weights={class_weights}: expected weights by type, {{O: 0.5}}")
    for label, weight in class_weights.items():
        if label not in labels:
            known = ", ".join(dict.fromkeys(labels))
            raise ValueError(f"class_weights.{label}: no such type; expected some of {known}")
        if type(weight) not in (int, float) or not 0 < weight < math.inf:
            raise ValueError(f"class_weights.{label}={weight}: expected a number above 0")
    return torch.tensor([float(class_weights.get(label, 1.0)) for label in labels])


def _at_least_float32(emissions: Tensor) -> Tensor:
    return emissions.to(torch.promote_types(emissions.dtype, torch.float32))


def _mask(emissions: Tensor, lengths: Tensor) -> Tensor:
    return torch.arange(emissions.shape[1], device=lengths.device) < lengths[:, None]
