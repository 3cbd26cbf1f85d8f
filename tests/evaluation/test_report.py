"""What is shown and written of a scored split."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nerlab.data.readers.conll import read
from nerlab.evaluation.files import read_predictions, write_report
from nerlab.evaluation.predictions import Prediction, ScoredSpan, predictions_of, spans_outside
from nerlab.evaluation.report import Report, marked, metrics, score_spans, table
from nerlab.tags import Span

TOKENS = [["Anna", "Smith", "saw", "Rome"], ["Oslo", "\xa0x"], ["«", "\u200bé"]]
GOLD = [["B-PER", "E-PER", "O", "S-LOC"], ["S-LOC", "O"], ["S-NEW", "O"]]
# The last prediction is illegal, as a softmax may give it.
PREDICTED = [["B-PER", "E-PER", "O", "S-PER"], ["S-LOC", "O"], ["O", "I-LOC"]]
KNOWN = ["LOC", "ORG", "PER"]
SCORES = [[0.9, 0.4], [1.0], [0.1234567]]


def report(split: str = "dev") -> Report:
    outside = [[], [], [0.75]]
    of_data = [0, 0, None], "ab12", None
    return Report(split, TOKENS, GOLD, PREDICTED, KNOWN, SCORES, *of_data, outside)


def test_metrics_have_the_keys_of_the_contract_as_fractions() -> None:
    found = metrics(report())
    score = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 4}
    strict = {"precision": 2 / 3, "recall": 0.5, "f1": 4 / 7, "support": 4}
    assert {key: found[key] for key in score} == score
    assert found["strict"] == pytest.approx(strict)
    assert found["per_type"] == {
        "LOC": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2},
        "NEW": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1},
        "PER": {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "support": 1},
    }
    assert (found["sentences"], found["tokens"], found["sha256"]) == (3, 8, "ab12")


def test_an_unknown_gold_label_is_a_miss_and_is_reported() -> None:
    assert report().unknown_labels == ["NEW"]
    assert report().scores.per_type["NEW"] == (0, 0, 0, 1)
    assert Report("dev", TOKENS, GOLD, PREDICTED, [*KNOWN, "NEW"]).unknown_labels == []


def test_the_written_predictions_score_as_the_report_does(tmp_path: Path) -> None:
    folder = tmp_path
    write_report(report(), folder)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["metrics.json", "predictions.conll", "predictions.jsonl"]
    assert json.loads((folder / "metrics.json").read_text()) == metrics(report())
    path = folder / "predictions.conll"
    gold, predicted = (list(read(path, 0, column, "utf-8")) for column in (1, 2))
    assert [sentence.tokens for sentence in gold] == TOKENS
    scores = score_spans([s.tags for s in gold], [s.tags for s in predicted])
    assert scores == report().scores
    assert path.read_text(encoding="utf-8").splitlines()[:5] == [
        "Anna B-PER B-PER",
        "Smith I-PER I-PER",
        "saw O O",
        "Rome B-LOC B-PER",
        "",
    ]


def test_a_report_is_written_over_an_older_one(tmp_path: Path) -> None:
    write_report(report(), tmp_path)
    write_report(Report("dev", [], [], [], KNOWN, []), tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["support"] == 0
    assert (tmp_path / "predictions.conll").read_text() == ""


def test_a_gold_span_is_outside_only_if_none_of_its_words_is_in_a_predicted_one() -> None:
    gold = ["B-PER", "E-PER", "S-LOC", "B-PER", "E-PER"]
    predicted = ["O", "S-LOC", "O", "O", "O"]
    assert spans_outside(gold, predicted) == [Span(2, 3, "LOC"), Span(3, 5, "PER")]


def test_written_predictions_are_read_again(tmp_path: Path) -> None:
    write_report(report(), tmp_path)
    found = read_predictions(tmp_path / "predictions.jsonl")
    assert found == predictions_of(report())
    predicted = [ScoredSpan(0, 2, "PER", 0.9), ScoredSpan(3, 4, "PER", 0.4)]
    assert found[0] == Prediction(
        0, 0, TOKENS[0], [Span(0, 2, "PER"), Span(3, 4, "LOC")], predicted, []
    )
    new = Span(0, 1, "NEW")
    scored = [ScoredSpan(1, 2, "LOC", 0.123457)], [ScoredSpan(*new, 0.75)]
    assert found[2] == Prediction(2, None, TOKENS[2], [new], *scored)
    first, *_ = (tmp_path / "predictions.jsonl").read_text().splitlines()
    assert first == (
        '{"sentence": 0, "document": 0, "tokens": ["Anna", "Smith", "saw", "Rome"], '
        '"gold": [{"start": 0, "end": 2, "label": "PER"}, {"start": 3, "end": 4, "label": "LOC"}], '
        '"predicted": [{"start": 0, "end": 2, "label": "PER", "score": 0.9}, '
        '{"start": 3, "end": 4, "label": "PER", "score": 0.4}], "outside": []}'
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"start": 3', '"start": 1'),
        ('"end": 4', '"end": 5'),
        ('"end": 4', '"end": 3'),
        ('"end": 4', '"end": "4"'),
        ('"label": "LOC"', '"label": 7'),
        ('"score": 0.9', '"score": 1.1'),
        ('"score": 0.9', '"score": NaN'),
        ('"saw"', "7"),
        ('"sentence": 0', '"sentence": 1'),
        ('"gold"', '"silver"'),
        ("{", "["),
        ("Anna", "\udcff"),
    ],
)
def test_broken_predictions_are_refused_in_one_line(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "predictions.jsonl"
    write_report(report(), tmp_path)
    text = path.read_text("utf-8").replace(old, new, 1)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(
        ValueError, match=r"^.*, line 1: not as evaluate.py writes it .*; run it again$"
    ):
        read_predictions(path)


def test_predictions_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"No such file.*; evaluate\.py writes it"):
        read_predictions(tmp_path / "predictions.jsonl")


@pytest.mark.parametrize("tokens", [[], [["a", "b"]]])
def test_a_report_of_nothing_is_zeros(tokens: list[list[str]], tmp_path: Path) -> None:
    tags = [["O"] * len(sentence) for sentence in tokens]
    empty = Report("test", tokens, tags, tags, KNOWN, [[] for _ in tokens])
    write_report(empty, tmp_path)
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert [found[key] for key in ("precision", "recall", "f1", "support")] == [0, 0, 0, 0]
    assert found["per_type"] == {}
    assert "0.00" in shown(empty)


def shown(of: Report) -> str:
    console = Console(width=100, color_system=None, markup=False)
    with console.capture() as capture:
        console.print(table(of))
    return capture.get()


def test_the_table_has_a_row_a_type_in_percent_and_the_totals() -> None:
    rows = [line.split() for line in shown(report("valid")).splitlines()]
    assert rows[0] == ["valid:", "3", "sentences"]
    assert rows[2:] == [
        ["LOC", "50.00", "50.00", "50.00", "2"],
        ["NEW", "0.00", "0.00", "0.00", "1"],
        ["PER", "50.00", "100.00", "66.67", "1"],
        ["all", "50.00", "50.00", "50.00", "4"],
        ["all,", "strict", "66.67", "50.00", "57.14", "4"],
    ]


def test_a_label_with_brackets_is_shown_as_it_is() -> None:
    tags = [["S-[bold]"]]
    assert "[bold]" in shown(Report("dev", [["x"]], tags, tags, []))


def test_spans_are_marked_in_a_sentence() -> None:
    assert marked(TOKENS[0], GOLD[0]) == "[Anna Smith PER] saw [Rome LOC]"
    assert marked(TOKENS[0], ["O"] * 4) == "Anna Smith saw Rome"


@pytest.mark.parametrize(
    "label",
    ["$\\frac$", "人名", "\ud800", "a\nb\0", "[/red]", pytest.param("x" * 9_999, id="long")],
)
def test_a_name_of_any_characters_is_written(tmp_path: Path, label: str) -> None:
    odd = Report(f"$\\q$ {label[:9]}", [[label]], [[f"S-{label}"]], [["O"]], [], [[]])
    write_report(odd, tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["unknown_labels"] == [label]
    assert read_predictions(tmp_path / "predictions.jsonl") == predictions_of(odd)
    shown(odd)


@given(st.lists(st.sampled_from(["O", "B-A", "I-A", "E-A", "S-A", "I-D"]), max_size=9))
def test_marks_stand_once_around_each_span(tags: list[str]) -> None:
    text = marked(["w"] * len(tags), tags)
    assert text.count("[") == text.count("]") == score_spans([tags], [tags]).total.support
    assert text.count("w") == len(tags)
