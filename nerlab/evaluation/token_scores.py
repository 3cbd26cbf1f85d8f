"""What other projects print: scores of tokens. They count every O that is right as a success, and
an entity of which half was found as half a success; they say little about entities."""

from collections import Counter
from collections.abc import Sequence

from nerlab.evaluation.predictions import Prediction
from nerlab.evaluation.report import score_of
from nerlab.tags import OUTSIDE, tags_of


def token_scores(predictions: Sequence[Prediction]) -> dict[str, float]:
    """Over the tags in IOB2, as ``predictions.conll`` has them: the share of tokens with the right
    tag, and the F1 of the tags, weighted by how many gold tokens each has, with and without O."""
    pairs = Counter[tuple[str, str]]()
    for prediction in predictions:
        size = len(prediction.tokens)
        gold = tags_of(prediction.gold, size, "iob2")
        predicted = tags_of((scored.span for scored in prediction.predicted), size, "iob2")
        pairs.update(zip(gold, predicted, strict=True))
    tokens, right = pairs.total(), sum(n for (g, p), n in pairs.items() if g == p)
    return {
        "accuracy": right / tokens if tokens else 0.0,
        "weighted_f1": _weighted_f1(pairs, with_outside=True),
        "weighted_f1_without_O": _weighted_f1(pairs, with_outside=False),
    }


def _weighted_f1(pairs: Counter[tuple[str, str]], with_outside: bool) -> float:
    gold, predicted = Counter[str](), Counter[str]()
    for (g, p), number in pairs.items():
        gold[g] += number
        predicted[p] += number
    tags = [tag for tag in gold if with_outside or tag != OUTSIDE]
    total = sum(gold[tag] for tag in tags)
    weighted = (gold[t] * score_of(gold[t], predicted[t], pairs[t, t]).f1 for t in tags)
    return sum(weighted) / total if total else 0.0
