"""Scores of the spans of a kind: short ones, those of long sentences, those never seen before."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nerlab.evaluation.predictions import Prediction
from nerlab.evaluation.report import score_of
from nerlab.tags import Span

Key = Callable[[Prediction, Span], int]
# Names of the groups by the least number in them.
_LENGTHS = {1: "1", 2: "2", 3: "3", 4: "4", 5: "5 to 9", 10: "10 or more"}
_SENTENCES = {1: "1 to 5", 6: "6 to 10", 11: "11 to 20", 21: "21 to 40", 41: "41 or more"}
_TIMES = {0: "never", 1: "once", 2: "2 to 4", 5: "5 to 19", 20: "20 to 99", 100: "100 or more"}
_TYPES = {0: "never seen", 1: "of one type", 2: "of several types"}
_SEEN = {0: "never", 1: "with other types alone", 2: "with this type"}


def groups(
    predictions: Sequence[Prediction], labels_by_form: Mapping[str, Counter[str]] | None
) -> dict[str, list[dict[str, Any]]]:
    """The scores by length of the entity and of the sentence, in tokens, and, where the entities of
    the training split are known, by what was seen there of the same form: whether it was, how often
    and with how many types."""

    def seen(prediction: Prediction, span: Span) -> Counter[str]:
        assert labels_by_form is not None
        return labels_by_form.get(" ".join(prediction.tokens[span.start : span.end]), Counter())

    keys: dict[str, tuple[dict[int, str], Key]] = {
        "entity_length": (_LENGTHS, lambda _, span: span.end - span.start),
        "sentence_length": (_SENTENCES, lambda prediction, _: len(prediction.tokens)),
    }
    if labels_by_form is not None:
        keys["seen"] = (_SEEN, lambda p, span: bool(f := seen(p, span)) + (span.label in f))
        keys["times_seen"] = (_TIMES, lambda p, span: seen(p, span).total())
        keys["types_seen"] = (_TYPES, lambda p, span: len(seen(p, span)))
    return {name: _scores(predictions, names, key) for name, (names, key) in keys.items()}


def _scores(
    predictions: Sequence[Prediction], names: dict[int, str], key: Key
) -> list[dict[str, Any]]:
    """Gold, predicted and correct spans of each group that has any, and their scores."""
    gold, predicted, correct = (Counter[int](), Counter[int](), Counter[int]())
    for prediction in predictions:
        expected = set(prediction.gold)
        gold.update(key(prediction, span) for span in prediction.gold)
        for scored in prediction.predicted:
            value = key(prediction, scored.span)
            predicted[value] += 1
            correct[value] += scored.span in expected
    borders = list(names)
    rows = []
    for least, end in zip(borders, [*borders[1:], math.inf], strict=True):
        counts = [
            sum(number for value, number in counter.items() if least <= value < end)
            for counter in (gold, predicted, correct)
        ]
        if any(counts):
            score = score_of(*counts)._asdict()
            rows.append({"name": names[least], **score, "predicted": counts[1]})
    return rows
