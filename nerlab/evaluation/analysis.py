"""All that a report says of a scored split, as numbers: ``analysis.json``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nerlab.evaluation.calibration import calibration
from nerlab.evaluation.errors import (
    Pair,
    confident_errors,
    count_confusions,
    count_errors,
    pairs_of,
)
from nerlab.evaluation.groups import groups
from nerlab.evaluation.intervals import LEVEL, SAMPLES, intervals
from nerlab.evaluation.pages import TrainingSplit
from nerlab.evaluation.predictions import Prediction, predictions_of
from nerlab.evaluation.report import Report
from nerlab.evaluation.token_scores import token_scores

_CONFIDENT = 0.9  # what is predicted with this score contradicts the gold tags confidently
_MOST_CONTRADICTIONS = 200  # that are listed


@dataclass(frozen=True)
class Analysis:
    """A scored split with what follows from it.

    Attributes:
        predictions: its sentences with their spans.
        pairs: the gold and predicted spans of all sentences, paired.
        contradictions: the confident errors, the most certain first.
        numbers: plain data, all of what ``analysis.json`` holds.
    """

    report: Report
    predictions: Sequence[Prediction]
    pairs: Sequence[Pair]
    contradictions: Sequence[Pair]
    numbers: dict[str, Any]


def analyse(report: Report, others: Sequence[Report], training: TrainingSplit | str) -> Analysis:
    """Analyse a split; ``others`` were scored with the same model, the training split may be no
    more than the reason why it cannot be read."""
    predictions = predictions_of(report)
    pairs = [pair for prediction in predictions for pair in pairs_of(prediction)]
    contradictions = confident_errors(pairs, _CONFIDENT)
    known = None if isinstance(training, str) else training
    total, per_type = intervals(predictions)
    numbers = {
        "split": report.split,
        "sha256": report.sha256,
        "intervals": {"level": LEVEL, "samples": SAMPLES, "total": total, "per_type": per_type},
        "splits": _splits([report, *others], known),
        "without_training": training if isinstance(training, str) else None,
        "errors": {
            kind: {"count": counts.total(), "per_type": dict(sorted(counts.items()))}
            for kind, counts in count_errors(pairs).items()
        },
        "confusions": [
            {"gold": gold, "predicted": predicted, "count": count}
            for (gold, predicted), count in count_confusions(pairs).most_common()
        ],
        "groups": groups(predictions, known and known.labels_by_form),
        "calibration": calibration(predictions),
        "contradictions": {
            "least_score": _CONFIDENT,
            "count": len(contradictions),
            "spans": [_plain(pair) for pair in contradictions[:_MOST_CONTRADICTIONS]],
        },
        "tokens": token_scores(predictions),
    }
    shown = contradictions[:_MOST_CONTRADICTIONS]
    return Analysis(report, predictions, pairs, shown, numbers)


def _splits(reports: Sequence[Report], training: TrainingSplit | None) -> dict[str, dict[str, Any]]:
    """The scores of each split, and of how many of its sentences they are."""
    found = {report.split: (report, len(report.tokens)) for report in reports}
    if training is not None:
        found.setdefault("train", (training.sample, training.sentences))
    order = sorted(found, key=lambda name: ("train", "dev", "test", name).index(name))
    return {
        name: {
            **report.scores.total._asdict(),
            "per_type": {label: s._asdict() for label, s in report.scores.per_type.items()},
            "scored": len(report.tokens),
            "sentences": sentences,
        }
        for name in order
        for report, sentences in [found[name]]
    }


def _plain(pair: Pair) -> dict[str, Any]:
    gold, predicted = (span and span._asdict() for span in (pair.gold, pair.predicted))
    return {**pair._asdict(), "gold": gold, "predicted": predicted}
