"""Counting right and wrong spans."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nerlab.tags import Span, spans_of, tags_of


class Score(NamedTuple):
    """Precision, recall and F1 as fractions, and the number of gold spans."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass
class SpanCounts:
    """Gold, predicted and agreeing spans of each label.

    A predicted span is right if its borders and its label are, as in CoNLL-2003. Counts add up
    over sentences and batches in any order. Where nothing was counted the scores are 0.
    """

    gold: Counter[str] = field(default_factory=Counter)
    predicted: Counter[str] = field(default_factory=Counter)
    correct: Counter[str] = field(default_factory=Counter)

    def add(self, gold: Iterable[Span], predicted: Iterable[Span]) -> None:
        """Count the spans of one sentence."""
        gold, predicted = set(gold), set(predicted)
        self.gold.update(span.label for span in gold)
        self.predicted.update(span.label for span in predicted)
        self.correct.update(span.label for span in gold & predicted)

    @property
    def labels(self) -> list[str]:
        """The labels counted so far."""
        return sorted(self.gold.keys() | self.predicted.keys())

    def score(self, label: str | None = None) -> Score:
        """The score of one label, or of all together (micro average)."""
        labels = self.labels if label is None else [label]
        gold, predicted, correct = (
            sum(counts[name] for name in labels)
            for counts in (self.gold, self.predicted, self.correct)
        )
        precision = correct / predicted if predicted else 0.0
        recall = correct / gold if gold else 0.0
        f1 = 2 * correct / (gold + predicted) if gold + predicted else 0.0
        return Score(precision, recall, f1, gold)


def count_spans(
    gold: Iterable[Sequence[str]],
    predicted: Iterable[Sequence[str]],
    read: Callable[[Sequence[str]], list[Span]] = spans_of,
) -> SpanCounts:
    """Count spans as ``read`` finds them in tags: :func:`spans_of` as conlleval does for IOB1 and
    IOB2, legal or not, :func:`strict_spans_of` as seqeval's strict mode does for IOBES."""
    counts = SpanCounts()
    for gold_tags, predicted_tags in zip(gold, predicted, strict=True):
        counts.add(read(gold_tags), read(predicted_tags))
    return counts


def strict_spans_of(tags: Sequence[str]) -> list[Span]:
    """The spans whose tags are exactly those that IOBES prescribes."""
    prescribed = tags_of(spans := spans_of(tags), len(tags))
    return [s for s in spans if list(tags[s.start : s.end]) == prescribed[s.start : s.end]]


def count_confusions(
    gold: Iterable[Sequence[str]], predicted: Iterable[Sequence[str]]
) -> Counter[tuple[str, str]]:
    """How often a token of one label (``O`` outside) was given another: ``(gold, predicted)``."""
    return Counter(
        (g.partition("-")[2] or g, p.partition("-")[2] or p)
        for gold_tags, predicted_tags in zip(gold, predicted, strict=True)
        for g, p in zip(gold_tags, predicted_tags, strict=True)
    )
