"""Errors by kind: every span in one pair, and the pair that it belongs to."""

from collections import Counter

import pytest
from hypothesis import given
from made_up import predictions, tags

from nerlab.evaluation.errors import (
    ERRORS,
    Pair,
    confident_errors,
    count_confusions,
    count_errors,
    pairs_of,
)
from nerlab.evaluation.predictions import Prediction, ScoredSpan
from nerlab.evaluation.report import score_of, score_spans
from nerlab.tags import Span

A, B = "A", "B"
CASES = [  # gold, predicted, kinds in the order of the tokens
    ([(0, 2, A)], [(0, 2, A)], ["correct"]),
    ([(0, 2, A)], [(0, 1, A)], ["boundary"]),
    ([(0, 2, A)], [(0, 2, B)], ["type"]),
    ([(0, 2, A)], [(1, 3, B)], ["both"]),
    ([(0, 2, A)], [], ["missed"]),
    ([], [(0, 2, A)], ["spurious"]),
    ([(0, 2, A)], [(2, 3, A)], ["missed", "spurious"]),  # they touch
    ([(0, 2, A), (2, 4, A)], [(0, 4, A)], ["boundary", "missed"]),  # joined
    ([(0, 4, A)], [(0, 1, A), (1, 4, A)], ["boundary", "spurious"]),  # cut in two
    ([(0, 3, A), (3, 4, B)], [(0, 4, B)], ["missed", "boundary"]),  # its type is worth more
    ([(0, 1, A), (1, 4, A)], [(0, 4, B)], ["missed", "both"]),  # then the common tokens
    ([(0, 1, A), (1, 2, A)], [(0, 2, B)], ["both", "missed"]),  # then the first
]


def prediction(gold: list[Span], predicted: list[ScoredSpan]) -> Prediction:
    return Prediction(0, None, ["w"] * 9, gold, predicted)


@pytest.mark.parametrize(("gold", "predicted", "kinds"), CASES)
def test_errors_have_the_kinds_that_are_said(
    gold: list[tuple[int, int, str]], predicted: list[tuple[int, int, str]], kinds: list[str]
) -> None:
    made = prediction([Span(*s) for s in gold], [ScoredSpan(*s, 0.5) for s in predicted])
    assert [pair.kind for pair in pairs_of(made)] == kinds


def slow_pairs(made: Prediction) -> set[tuple[Span | None, ScoredSpan | None]]:
    """The best of all pairs that are left, again and again."""
    gold, predicted = set(made.gold), set(made.predicted)
    found: set[tuple[Span | None, ScoredSpan | None]] = set()
    while True:
        possible = []
        for g in gold:
            for p in predicted:
                common = len({*range(g.start, g.end)} & {*range(p.start, p.end)})
                if common:
                    possible.append((g.label == p.label, common, -g.start, -p.start, g, p))
        if not possible:
            break
        *_, g, p = max(possible, key=lambda case: case[:4])
        gold.remove(g)
        predicted.remove(p)
        found.add((g, p))
    return found | {(g, None) for g in gold} | {(None, p) for p in predicted}


@given(predictions())
def test_every_span_is_in_one_pair_and_the_best_that_there_is(made: list[Prediction]) -> None:
    for one in made:
        pairs = pairs_of(one)
        assert {(pair.gold, pair.predicted) for pair in pairs} == slow_pairs(one)
        assert len(pairs) == len(slow_pairs(one))
        starts = [(pair.gold or pair.predicted or (99,))[0] for pair in pairs]
        assert starts == sorted(starts)
        for pair in pairs:
            assert pair.sentence == one.sentence
            if pair.gold and pair.predicted:
                same = pair.gold[:2] == pair.predicted[:2], pair.gold.label == pair.predicted.label
                kinds = {(True, True): "correct", (False, True): "boundary", (True, False): "type"}
                assert pair.kind == kinds.get(same, "both")
            else:
                assert pair.kind == ("missed" if pair.gold else "spurious")


@given(predictions())
def test_the_kinds_add_up_to_the_counts_of_the_score(made: list[Prediction]) -> None:
    pairs = [pair for one in made for pair in pairs_of(one)]
    errors = {kind: counts.total() for kind, counts in count_errors(pairs).items()}
    assert list(errors) == list(ERRORS)
    correct = sum(pair.kind == "correct" for pair in pairs)
    paired = correct + errors["boundary"] + errors["type"] + errors["both"]
    gold = sum(len(one.gold) for one in made)
    predicted = sum(len(one.predicted) for one in made)
    assert (paired + errors["missed"], paired + errors["spurious"]) == (gold, predicted)
    assert score_of(gold, predicted, correct) == score_spans(*tags(made)).total


@given(predictions())
def test_confusions_count_every_span_once(made: list[Prediction]) -> None:
    pairs = [pair for one in made for pair in pairs_of(one)]
    found = count_confusions(pairs)
    gold = Counter(span.label for one in made for span in one.gold)
    predicted = Counter(span.label for one in made for span in one.predicted)
    for label in ("LOC", "ORG", "PER"):
        assert sum(n for (g, _), n in found.items() if g == label) == gold[label]
        assert sum(n for (_, p), n in found.items() if p == label) == predicted[label]


def test_errors_are_counted_under_the_gold_type_if_there_is_one() -> None:
    gold, predicted = Span(0, 1, A), ScoredSpan(0, 1, B, 0.5)
    pairs = [Pair("type", 0, gold, predicted), Pair("spurious", 0, None, predicted)]
    counts = count_errors(pairs)
    assert (counts["type"], counts["spurious"]) == ({A: 1}, {B: 1})


@given(predictions())
def test_confident_errors_are_those_that_contradict_the_most_certain_first(
    made: list[Prediction],
) -> None:
    pairs = [pair for one in made for pair in pairs_of(one)]
    found = confident_errors(pairs, 0.9)
    scores = [pair.score for pair in found if pair.score is not None]
    assert scores == sorted(scores, reverse=True)
    wrong = [s.score for one in made for s in one.predicted if s.span not in one.gold]
    missed = [s.score for one in made for s in one.outside]
    assert len(found) == len(scores) == sum(score >= 0.9 for score in wrong + missed)
    for pair in found:
        (same,) = (one for one in made if one.sentence == pair.sentence)
        side = same.outside if pair.predicted is None else same.predicted
        assert (*(pair.predicted or pair.gold or ())[:3], pair.score) in side
