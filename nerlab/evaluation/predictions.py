"""Gold and predicted spans, sentence by sentence, with the model's probability of each."""

import math
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np

from nerlab.evaluation.report import Report
from nerlab.tags import OUTSIDE, Span, spans_of


class ScoredSpan(NamedTuple):
    """A predicted span, half open, and the model's probability of the whole of it, 0 to 1."""

    start: int
    end: int
    label: str
    score: float

    @property
    def span(self) -> Span:
        """Where it is and what it is."""
        return Span(self.start, self.end, self.label)


class Prediction(NamedTuple):
    """A sentence with its gold and its predicted spans, both in order, counted in tokens.

    ``sentence`` is its number in the split, from 0, ``document`` that of its document, which rises;
    None where the corpus marks no documents. ``outside`` are the gold spans of whose words none is
    in a predicted one, each with the probability of that.
    """

    sentence: int
    document: int | None
    tokens: Sequence[str]
    gold: Sequence[Span]
    predicted: Sequence[ScoredSpan]
    outside: Sequence[ScoredSpan] = ()


def span_probabilities(
    spans: Sequence[Span], marginals: np.ndarray, conditionals: np.ndarray
) -> list[float]:
    """The probability of the predicted tags of each span of a sentence,

    ``p(y_s) Π_{s<t<e} p(y_t | y_{t-1})``, which of a predicted span is that of the whole of it with
    its label: tags of IOBES say where a span ends.

    Args:
        spans: those of the predicted tags, or others.
        marginals: ``(T,)`` ``log p(y_t)``.
        conditionals: ``(T,)`` ``log p(y_t | y_{t-1})``.
    """
    return [
        min(1.0, math.exp(marginals[s.start] + conditionals[s.start + 1 : s.end].sum()))
        for s in spans
    ]


def spans_outside(gold: Sequence[str], predicted: Sequence[str]) -> list[Span]:
    """The gold spans of whose words none is in a predicted one."""
    return [s for s in spans_of(gold) if set(predicted[s.start : s.end]) == {OUTSIDE}]


def predictions_of(report: Report) -> list[Prediction]:
    """The sentences of a report that has the scores of spans, which are rounded to six digits."""
    assert report.span_scores is not None
    documents = report.documents or repeat(None, len(report.tokens))
    outside = report.outside_scores or repeat((), len(report.tokens))
    columns = (report.gold, report.predicted, report.span_scores, outside, documents)
    predictions: list[Prediction] = []
    for tokens, gold, predicted, scores, missing, document in zip(
        report.tokens, *columns, strict=True
    ):
        found = _scored(spans_of(predicted), scores)
        missed = _scored(spans_outside(gold, predicted) if missing else (), missing)
        number = len(predictions)
        predictions.append(Prediction(number, document, tokens, spans_of(gold), found, missed))
    return predictions


def _scored(spans: Iterable[Span], scores: Iterable[float]) -> list[ScoredSpan]:
    pairs = zip(spans, scores, strict=True)
    return [ScoredSpan(*span, round(score, 6)) for span, score in pairs]
