"""What a decoder finds in a corpus of N tokens."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor

from nerlab.evaluation.predictions import span_probabilities
from nerlab.tags import Span


class ScoredTags(NamedTuple):
    """Predicted tag ids ``y``, ``log p(y_t)`` and ``log p(y_t | y_{t-1})``, each ``(N,)``."""

    tags: np.ndarray
    marginals: np.ndarray
    conditionals: np.ndarray

    def probabilities(self, tokens: slice, spans: Sequence[Span]) -> list[float]:
        """Those of the predicted tags of spans of a sentence, whose ``tokens`` these are of the
        corpus."""
        return span_probabilities(spans, self.marginals[tokens], self.conditionals[tokens])


class TagsWithProbabilities(Protocol):
    """What :class:`ScoredTags` is, of one tagger or of several."""

    @property
    def tags(self) -> np.ndarray:
        """Predicted tag ids ``(N,)``."""

    def probabilities(self, tokens: slice, spans: Sequence[Span]) -> list[float]:
        """Those of the predicted tags of spans of a sentence."""


class BestSequences(NamedTuple):
    """The k most probable tag sequences of a sentence, ids ``(k, T)``, the best first, and their
    probabilities ``(k,)``; fewer where there are no more."""

    tags: np.ndarray
    probabilities: np.ndarray


class Details(NamedTuple):
    """What a decoder finds in a corpus; ``marginals (N, K)``, ``p(y_t = k)``, and the
    ``sequences`` of each sentence where they were asked for."""

    scored: TagsWithProbabilities
    marginals: np.ndarray | None
    sequences: list[BestSequences] | None


class Decoder(Protocol):
    """What decodes a corpus: a :class:`CorpusDecoder`, or an ensemble."""

    def tags(self) -> np.ndarray:
        """The predicted tag id ``(N,)`` of every token of the corpus."""

    def scored_tags(self) -> TagsWithProbabilities:
        """The same with their probabilities."""

    def marginals(self) -> np.ndarray:
        """``p(y_t = k)`` ``(N, K)`` of every token and tag."""

    def details(self, with_marginals: bool, sequences: int) -> Details:
        """The tags with their probabilities, and what else is wanted, of the same emissions:
        marginals, so many of the best tag sequences. ``ValueError``: it knows no sequences."""


def best_sequences(paths: Tensor, log_p: Tensor, lengths: np.ndarray) -> Iterator[BestSequences]:
    """Those of each sentence of a batch, of tags ``(k, B, T)`` and log p ``(k, B)``."""
    tags, probabilities = paths.cpu().numpy(), log_p.exp().cpu().numpy()
    for index, length in enumerate(lengths.tolist()):
        possible = probabilities[:, index] > 0.0
        yield BestSequences(tags[possible, index, :length], probabilities[possible, index])
