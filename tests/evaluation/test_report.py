"""What is shown and written of a scored split."""

import json
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nerlab.data.readers.conll import read
from nerlab.evaluation.report import Report, marked, metrics, score_spans, table, write_report

TOKENS = [["Anna", "Smith", "saw", "Rome"], ["Oslo", "\xa0x"], ["«", "\u200bé"]]
GOLD = [["B-PER", "E-PER", "O", "S-LOC"], ["S-LOC", "O"], ["S-NEW", "O"]]
# The last prediction is illegal, as a softmax may give it.
PREDICTED = [["B-PER", "E-PER", "O", "S-PER"], ["S-LOC", "O"], ["O", "I-LOC"]]
KNOWN = ["LOC", "ORG", "PER"]


def report(split: str = "dev") -> Report:
    return Report(split, TOKENS, GOLD, PREDICTED, KNOWN)


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
    assert (found["sentences"], found["tokens"]) == (3, 8)


def test_an_unknown_gold_label_is_a_miss_and_is_reported() -> None:
    assert report().unknown_labels == ["NEW"]
    assert report().scores.per_type["NEW"] == (0, 0, 0, 1)
    assert Report("dev", TOKENS, GOLD, PREDICTED, [*KNOWN, "NEW"]).unknown_labels == []


def test_the_written_predictions_score_as_the_report_does(tmp_path: Path) -> None:
    folder = tmp_path
    write_report(report(), folder)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["confusion.png", "metrics.json", "predictions.conll"]
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
    write_report(Report("dev", [], [], [], KNOWN), tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["support"] == 0
    assert (tmp_path / "predictions.conll").read_text() == ""


def test_the_confusions_are_drawn_as_a_picture(tmp_path: Path) -> None:
    write_report(report(), tmp_path)
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("tokens", [[], [["a", "b"]]])
def test_a_report_of_nothing_is_zeros(tokens: list[list[str]], tmp_path: Path) -> None:
    tags = [["O"] * len(sentence) for sentence in tokens]
    empty = Report("test", tokens, tags, tags, KNOWN)
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
def test_a_name_of_any_characters_is_written_and_drawn(tmp_path: Path, label: str) -> None:
    odd = Report(f"$\\q$ {label[:9]}", [["a"]], [[f"S-{label}"]], [["O"]], [])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_report(odd, tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["unknown_labels"] == [label]
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    shown(odd)


@pytest.mark.long
def test_of_hundreds_of_types_the_commonest_are_drawn(tmp_path: Path) -> None:
    labels = [f"S-{i}" for i in range(1_000)] + ["S-common"] * 5
    many = Report("dev", [["a"] * len(labels)], [labels], [["O"] * len(labels)], [])
    write_report(many, tmp_path)
    width = int.from_bytes((tmp_path / "confusion.png").read_bytes()[16:20], "big")
    assert 1_000 < width < 5_000


@given(st.lists(st.sampled_from(["O", "B-A", "I-A", "E-A", "S-A", "I-D"]), max_size=9))
def test_marks_stand_once_around_each_span(tags: list[str]) -> None:
    text = marked(["w"] * len(tags), tags)
    assert text.count("[") == text.count("]") == score_spans([tags], [tags]).total.support
    assert text.count("w") == len(tags)
