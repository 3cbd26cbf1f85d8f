"""Bootstrap intervals against sentences that are drawn one by one, and against the normal law."""

import random
from math import sqrt
from statistics import quantiles

import pytest
from made_up import made_up_report

from nerlab.evaluation.intervals import bootstrap, counts_of, intervals
from nerlab.evaluation.predictions import Prediction, predictions_of
from nerlab.evaluation.report import score_of
from nerlab.tags import Span


def slow_intervals(made: list[Prediction], label: str) -> list[tuple[float, float]]:
    """The 2.5 and 97.5 percentiles of precision, recall and F1 of 1,000 drawn splits."""
    rng = random.Random(3)
    rows = [counts_of(one).get(label, [0, 0, 0]) for one in made]
    samples = []
    for _ in range(1000):
        drawn = rng.choices(rows, k=len(rows))
        samples.append(score_of(*(sum(column) for column in zip(*drawn, strict=True)))[:3])
    cuts = [quantiles(values, n=40) for values in zip(*samples, strict=True)]
    return [(cut[0], cut[-1]) for cut in cuts]


def test_intervals_are_those_of_sentences_drawn_one_by_one() -> None:
    made = predictions_of(made_up_report(150))
    _, per_type = intervals(made)
    assert list(per_type) == ["LOC", "ORG", "PER"]
    for found, expected in zip(per_type["PER"].values(), slow_intervals(made, "PER"), strict=True):
        assert found == pytest.approx(expected, abs=0.012)
        assert 0.05 < found[1] - found[0] < 0.3


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_interval_of_independent_entities_is_that_of_a_binomial_share(share: float) -> None:
    size = 2000
    right = int(size * share)
    found = bootstrap([(1, 1, 1)] * right + [(1, 1, 0)] * (size - right), size)
    half = 1.96 * sqrt(share * (1 - share) / size)
    assert found["recall"] == pytest.approx((share - half, share + half), abs=0.1 * half)
    assert found["precision"] == found["recall"] == found["f1"]


def test_sentences_without_entities_of_a_type_are_drawn_too() -> None:
    narrow = bootstrap([(1, 1, 1), (1, 1, 0)] * 50, 100)["f1"]
    # Of many sentences with few entities the number of these varies as well.
    wide = bootstrap([(1, 1, 1), (1, 1, 0)] * 50, 10_000)["f1"]
    assert wide == pytest.approx(narrow, abs=0.03)
    assert wide != narrow


def test_intervals_of_all_add_up_the_types_of_a_sentence() -> None:
    made = predictions_of(made_up_report(80))
    merged = [
        one._replace(
            gold=[Span(*s[:2], "X") for s in one.gold],
            predicted=[s._replace(label="X") for s in one.predicted],
        )
        for one in made
        if [s.span for s in one.predicted] == list(one.gold)
    ]
    alone = [made[one.sentence] for one in merged]
    assert intervals(alone)[0] == intervals(merged)[1]["X"]


def test_intervals_are_the_same_each_time() -> None:
    made = predictions_of(made_up_report(50))
    assert intervals(made) == intervals(made)


def test_where_all_is_right_there_is_nothing_between_the_ends() -> None:
    assert bootstrap([(2, 2, 2)] * 9, 9) == dict.fromkeys(("precision", "recall", "f1"), (1, 1))


@pytest.mark.parametrize("size", [0, 4])
def test_intervals_of_nothing_are_zeros(size: int) -> None:
    made = [Prediction(i, None, ["a"], [], []) for i in range(size)]
    assert intervals(made) == (dict.fromkeys(("precision", "recall", "f1"), (0, 0)), {})
