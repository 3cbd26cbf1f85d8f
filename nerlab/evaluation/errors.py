"""What kinds of errors there are: each gold span paired with the predicted one that stands for it.

Every gold span and every predicted span is in one pair, so that the gold spans are the correct ones
and those with an error of boundary, type, both, or missed, and the predicted spans likewise.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from nerlab.evaluation.predictions import Prediction, ScoredSpan
from nerlab.tags import Span

CORRECT = "correct"
ERRORS = {
    "boundary": "overlaps a gold entity and has its type, with other borders",
    "type": "has the borders of a gold entity and another type",
    "both": "overlaps a gold entity, with other borders and another type",
    "missed": "a gold entity of which nothing was found",
    "spurious": "overlaps no gold entity that is left",
}
"""The kinds of errors, and what a predicted span of each is."""


class Pair(NamedTuple):
    """A gold span and the predicted one that stands for it, or None, in a sentence.

    ``score`` is the probability of what was predicted: of the span, or that there is none; None
    where words of the gold span are in another predicted one.
    """

    kind: str
    sentence: int
    gold: Span | None
    predicted: ScoredSpan | None
    score: float | None = None

    @property
    def labels(self) -> tuple[str | None, str | None]:
        """The type of the gold and that of the predicted span."""
        return self.gold and self.gold.label, self.predicted and self.predicted.label


def pairs_of(prediction: Prediction) -> list[Pair]:
    """The pairs of a sentence, in the order of their tokens.

    Of the predicted spans that overlap a gold span the one of its type is taken, if there are
    several the one with most tokens in common, and of equal ones the first; likewise the other way
    round.
    """
    candidates = sorted(
        (g.label != p.label, -min(g.end, p.end) + max(g.start, p.start), g, p)
        for g in prediction.gold
        for p in prediction.predicted
        if g.start < p.end and p.start < g.end
    )
    of_gold: dict[Span, ScoredSpan] = {}
    taken = set[ScoredSpan]()
    for *_, gold, predicted in candidates:
        if gold not in of_gold and predicted not in taken:
            of_gold[gold] = predicted
            taken.add(predicted)
    number, scores = prediction.sentence, {s.span: s.score for s in prediction.outside}
    found = []
    for gold in prediction.gold:
        paired = of_gold.get(gold)
        score = scores.get(gold) if paired is None else paired.score
        found.append(Pair(_kind(gold, paired), number, gold, paired, score))
    spurious = (p for p in prediction.predicted if p not in taken)
    found += (Pair("spurious", number, None, p, p.score) for p in spurious)
    return sorted(found, key=lambda pair: (pair.gold or pair.predicted or (0,))[0])


def _kind(gold: Span, predicted: ScoredSpan | None) -> str:
    if predicted is None:
        return "missed"
    has_borders = predicted[:2] == gold[:2]
    if predicted.label == gold.label:
        return CORRECT if has_borders else "boundary"
    return "type" if has_borders else "both"


def count_errors(pairs: Iterable[Pair]) -> dict[str, Counter[str]]:
    """How many errors there are of each kind, by type: that of the gold span if there is one."""
    counts = {kind: Counter[str]() for kind in ERRORS}
    for pair in pairs:
        if pair.kind != CORRECT:
            gold, predicted = pair.labels
            counts[pair.kind][gold or predicted or ""] += 1
    return counts


def count_confusions(pairs: Iterable[Pair]) -> Counter[tuple[str | None, str | None]]:
    """How many gold spans of each type stand for how many predicted ones of each; None for the
    missed and the spurious. Spans with wrong borders are counted with the others."""
    return Counter(pair.labels for pair in pairs)


def confident_errors(pairs: Iterable[Pair], least: float) -> list[Pair]:
    """What contradicts the gold tags with a probability of at least ``least``, the most certain
    first: where a good model is that certain, the annotation is often wrong."""
    found = [(p.score or 0.0, p) for p in pairs if p.kind != CORRECT]
    certain = [item for item in found if item[0] >= least]
    return [pair for _, pair in sorted(certain, key=lambda item: -item[0])]
