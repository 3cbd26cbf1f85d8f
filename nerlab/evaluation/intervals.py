"""Bootstrap intervals of precision, recall and F1: sentences are drawn anew, with replacement.

Efron and Tibshirani 1993; for taggers, Søgaard et al. 2014.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from nerlab.evaluation.predictions import Prediction

LEVEL = 0.95
SAMPLES = 1000
_SEED = 1
Intervals = dict[str, tuple[float, float]]


def counts_of(prediction: Prediction) -> dict[str, list[int]]:
    """Gold, predicted and correct spans of a sentence, by type."""
    counts = defaultdict[str, list[int]](lambda: [0, 0, 0])
    gold = set(prediction.gold)
    for span in prediction.gold:
        counts[span.label][0] += 1
    for scored in prediction.predicted:
        counts[scored.label][1] += 1
        counts[scored.label][2] += scored.span in gold
    return counts


def intervals(predictions: Sequence[Prediction]) -> tuple[Intervals, dict[str, Intervals]]:
    """Those of all spans together, and those of each type."""
    of_type = defaultdict[str, list[list[int]]](list)
    of_all = []
    for prediction in predictions:
        counts = counts_of(prediction)
        for label, row in counts.items():
            of_type[label].append(row)
        if counts:
            of_all.append([sum(column) for column in zip(*counts.values(), strict=True)])
    size = len(predictions)
    per_type = {label: bootstrap(of_type[label], size) for label in sorted(of_type)}
    return bootstrap(of_all, size), per_type


def bootstrap(rows: Iterable[Sequence[int]], size: int) -> Intervals:
    """The percentile intervals of a sample of ``size`` sentences.

    How often each distinct row of counts is drawn is multinomial, so sentences with equal counts
    are drawn together: exact, and fast for any number of sentences.

    Args:
        rows: ``(n, 3)`` gold, predicted and correct spans of the sentences that have any.
        size: how many sentences there are.
    """
    counts = np.array([*rows, *[(0, 0, 0)]], dtype=np.int64)
    distinct, times = np.unique(counts, axis=0, return_counts=True)  # (R, 3), (R,)
    times[0] += size - len(counts)  # zeros are the first row
    if size == 0:
        return dict.fromkeys(("precision", "recall", "f1"), (0.0, 0.0))
    generator = np.random.default_rng(_SEED)
    drawn = generator.multinomial(size, times / size, size=SAMPLES) @ distinct  # (SAMPLES, 3)
    gold, predicted, correct = drawn.T
    values = {
        "precision": correct / np.maximum(predicted, 1),
        "recall": correct / np.maximum(gold, 1),
        "f1": 2 * correct / np.maximum(gold + predicted, 1),
    }
    tail = (1 - LEVEL) / 2
    quantiles = {name: np.quantile(found, (tail, 1 - tail)) for name, found in values.items()}
    return {name: (float(low), float(high)) for name, (low, high) in quantiles.items()}
