"""What follows from scored spans: groups, calibration, scores of tokens, the whole of it."""

import json
from collections import Counter

import numpy as np
import pytest
import seqeval.metrics
from hypothesis import given
from made_up import LABELS, made_up_report, predictions, tags
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, f1_score

from nerlab.evaluation.analysis import analyse
from nerlab.evaluation.calibration import calibration
from nerlab.evaluation.groups import groups
from nerlab.evaluation.pages import TrainingSplit
from nerlab.evaluation.predictions import Prediction, predictions_of
from nerlab.evaluation.report import Score, score_spans
from nerlab.evaluation.token_scores import token_scores
from nerlab.tags import Span, tags_of

FORMS = {"a": Counter(LOC=3), "b": Counter(LOC=1, PER=1), "a b": Counter(ORG=30)}
NAMES = {
    "entity_length": ["1", "2", "3", "4", "5 to 9"],
    "sentence_length": ["1 to 5", "6 to 10"],
    "seen": ["never", "with other types alone", "with this type"],
    "times_seen": ["never", "2 to 4", "20 to 99"],
    "types_seen": ["never seen", "of one type", "of several types"],
}


def group_of(one: Prediction, span: Span) -> dict[str, str]:
    """The group of a span, in words."""
    length, form = span.end - span.start, " ".join(one.tokens[span.start : span.end])
    found = FORMS.get(form)
    seen = "never" if found is None else "with this type" if span.label in found else ""
    times = {"a": "2 to 4", "b": "2 to 4", "a b": "20 to 99"}
    types = {"a": "of one type", "b": "of several types", "a b": "of one type"}
    return {
        "entity_length": "5 to 9" if length > 4 else str(length),
        "sentence_length": "1 to 5" if len(one.tokens) < 6 else "6 to 10",
        "seen": seen or "with other types alone",
        "times_seen": times.get(form, "never"),
        "types_seen": types.get(form, "never seen"),
    }


@given(predictions())
def test_the_score_of_a_group_is_that_of_its_spans_alone(made: list[Prediction]) -> None:
    found = groups(made, FORMS)
    assert list(found) == list(NAMES)
    for key, names in NAMES.items():
        rows = {row["name"]: row for row in found[key]}
        assert [name for name in names if name in rows] == list(rows)
        for name in names:
            both = [
                [
                    tags_of((s for s in spans if group_of(one, s)[key] == name), len(one.tokens))
                    for spans in (one.gold, [s.span for s in one.predicted])
                ]
                for one in made
            ]
            expected = score_spans([gold for gold, _ in both], [found for _, found in both]).total
            row = rows.get(name, {**Score(0, 0, 0, 0)._asdict(), "predicted": 0})
            assert Score(*(row[field] for field in Score._fields)) == expected
            kept = sum(group_of(one, s.span)[key] == name for one in made for s in one.predicted)
            assert row["predicted"] == kept


def test_without_the_training_split_there_are_groups_by_length_alone() -> None:
    assert list(groups([], None)) == ["entity_length", "sentence_length"]


def scored(made: list[Prediction]) -> tuple[list[float], list[bool]]:
    pairs = [(s.score, s.span in one.gold) for one in made for s in one.predicted]
    return [score for score, _ in pairs], [right for _, right in pairs]


def test_the_diagram_is_that_of_scikit_learn() -> None:
    made = predictions_of(made_up_report(200))
    scores, right = scored(made)
    found = calibration(made)
    shares, means = calibration_curve(right, scores, n_bins=10)
    bins = [b for b in found["bins"] if b["spans"]]
    np.testing.assert_allclose([b["right"] for b in bins], shares)
    np.testing.assert_allclose([b["score"] for b in bins], means)
    assert sum(b["spans"] for b in bins) == len(scores)
    gaps = [b["spans"] / len(scores) * abs(b["right"] - b["score"]) for b in bins]
    assert found["ece"] == pytest.approx(sum(gaps))
    assert found["ece"] > 0.01


@given(predictions())
def test_the_scores_above_a_threshold_are_those_of_the_spans_that_are_left(
    made: list[Prediction],
) -> None:
    for row in calibration(made)["thresholds"]:
        kept = [
            one._replace(predicted=[s for s in one.predicted if s.score >= row["threshold"]])
            for one in made
        ]
        assert Score(*(row[field] for field in Score._fields)) == score_spans(*tags(kept)).total
        assert row["predicted"] == sum(len(one.predicted) for one in kept)


def test_certain_and_right_is_well_calibrated_and_the_edges_are_in_a_bin() -> None:
    (one,) = predictions_of(made_up_report(1, density=1.0))
    right = one._replace(predicted=[s._replace(score=1.0, label="X") for s in one.predicted])
    right = right._replace(gold=[s.span for s in right.predicted])
    found = calibration([right])
    assert found["ece"] == 0
    assert found["bins"][-1]["spans"] == len(right.gold) > 0
    wrong = right._replace(gold=[])
    assert calibration([wrong])["ece"] == 1


def test_nothing_predicted_has_no_calibration_error() -> None:
    found = calibration([Prediction(0, None, ["a"], [Span(0, 1, "A")], [])])
    assert found["ece"] is None
    assert found["thresholds"][0] == {
        **{"threshold": 0.0, "predicted": 0, "precision": 0, "recall": 0, "f1": 0, "support": 1}
    }


@given(predictions())
def test_scores_of_tokens_are_those_of_scikit_learn_and_seqeval(made: list[Prediction]) -> None:
    found = token_scores(made)
    gold, predicted = tags(made)
    flat = [[tag for sentence in side for tag in sentence] for side in (gold, predicted)]
    if not flat[0]:
        assert set(found.values()) == {0.0}
        return
    assert found["accuracy"] == pytest.approx(accuracy_score(*flat))
    assert found["accuracy"] == pytest.approx(seqeval.metrics.accuracy_score(gold, predicted))
    weighted = f1_score(*flat, average="weighted", zero_division=0)
    assert found["weighted_f1"] == pytest.approx(weighted)
    labels = sorted({*flat[0], *flat[1]} - {"O"})
    without = f1_score(*flat, labels=labels, average="weighted", zero_division=0) if labels else 0
    assert found["weighted_f1_without_O"] == pytest.approx(without)


def test_an_analysis_is_plain_data_and_agrees_with_the_report() -> None:
    report = made_up_report(60)
    training = TrainingSplit({"Anna": Counter(PER=2)}, 1000, made_up_report(40, split="train"))
    other = made_up_report(10, split="test")
    found = analyse(report, [report, other], training)
    numbers = found.numbers
    assert json.loads(json.dumps(numbers))["contradictions"] == numbers["contradictions"]
    assert list(numbers["splits"]) == ["train", "dev", "test"]
    assert numbers["splits"]["train"]["sentences"] == 1000
    assert numbers["splits"]["train"]["scored"] == 40
    assert numbers["splits"]["dev"]["f1"] == report.scores.total.f1
    assert numbers["splits"]["test"]["per_type"]["LOC"] == other.scores.per_type["LOC"]._asdict()
    assert numbers["without_training"] is None
    errors = sum(kind["count"] for kind in numbers["errors"].values())
    assert errors == sum(pair.kind != "correct" for pair in found.pairs)
    low, high = numbers["intervals"]["total"]["f1"]
    assert low < report.scores.total.f1 < high
    assert set(numbers["intervals"]["per_type"]) == set(LABELS)
    first = numbers["contradictions"]["spans"][0]
    scores = [s.score for one in found.predictions for s in one.predicted if s.span not in one.gold]
    assert first["predicted"]["score"] == max(scores) > 0.9
    assert numbers["contradictions"]["count"] >= len(numbers["contradictions"]["spans"])


def test_an_analysis_without_the_training_split_says_why() -> None:
    report = made_up_report(5)
    numbers = analyse(report, [report], "train.txt: no such file").numbers
    assert numbers["without_training"] == "train.txt: no such file"
    assert list(numbers["splits"]) == ["dev"]
    assert list(numbers["groups"]) == ["entity_length", "sentence_length"]
