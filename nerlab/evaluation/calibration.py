"""Whether the scores of predicted spans are what they claim to be: probabilities of being right."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nerlab.evaluation.predictions import Prediction
from nerlab.evaluation.report import score_of

BINS = 10
_THRESHOLDS = (*(i / 20 for i in range(19)), 0.95, 0.98, 0.99, 0.995, 0.999)


def calibration(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """How often spans are right by their score, and the scores of those above each threshold.

    ``bins`` are of equal width, as in a reliability diagram: how many spans, their mean score, the
    share that is right. ``ece`` is the expected calibration error (Naeini et al. 2015),
    ``Σ_b n_b / n · |right_b - score_b|``; None where nothing was predicted. ``thresholds``:
    precision, recall and F1 of the spans with at least that score.
    """
    pairs = [
        (scored.score, scored.span in gold)
        for prediction in predictions
        for gold in [set(prediction.gold)]
        for scored in prediction.predicted
    ]
    scores = np.array([score for score, _ in pairs], dtype=np.float64)  # (P,)
    right = np.array([is_right for _, is_right in pairs], dtype=bool)
    gold = sum(len(prediction.gold) for prediction in predictions)
    places = np.minimum((scores * BINS).astype(int), BINS - 1)  # 1 is in the last one
    bins = []
    for number in range(BINS):
        chosen = places == number
        count = int(chosen.sum())
        bins.append(
            {
                "from": number / BINS,
                "to": (number + 1) / BINS,
                "spans": count,
                "score": float(scores[chosen].mean()) if count else None,
                "right": float(right[chosen].mean()) if count else None,
            }
        )
    gaps = [b["spans"] * abs(b["right"] - b["score"]) for b in bins if b["spans"]]  # type: ignore[operator]
    thresholds = [
        {"threshold": t, "predicted": int(kept.sum())}
        | score_of(gold, int(kept.sum()), int((kept & right).sum()))._asdict()
        for t in _THRESHOLDS
        for kept in [scores >= t]
    ]
    ece = sum(gaps) / len(pairs) if pairs else None
    return {"bins": bins, "ece": ece, "thresholds": thresholds}
