"""Line breaks, spaces, escape sequences in tokens and labels: no line is split, no cursor moved."""

import json
from pathlib import Path

from conftest import SMALL_MODEL, run_script
from hypothesis import example, given
from hypothesis import strategies as st

from nerlab.evaluation.files import write_report
from nerlab.evaluation.report import Report
from nerlab.inference.annotation import brat, labelstudio, spacy
from nerlab.inference.output import conll, jsonl
from nerlab.inference.predictor import Entity, TaggedSentence
from nerlab.messages import as_column, escape_controls
from nerlab.reports.tagged_text import page, table
from nerlab.text import Token

CLEAR = "\x1b[2J"
ODD = ["a b", "a\nb", "\r", "\x85", "\u2028", CLEAR, "\x9b2J", "\ud800", "a\tb", "\0"]
ORDINARY = ["Bakı", "北京", "می\u200cخواهم", "👩\u200d👩", "a\xa0b", "e\u0301", r"C:\new", "'", "O"]


def holds_nothing_odd(text: str) -> bool:
    return not any(c in text for c in "\x1b\x9b\x85\u2028\r\0") and "\ud800" not in text


@given(st.text())
@example("".join(ODD))
def test_nothing_is_left_that_ends_a_line_or_steers_a_terminal(text: str) -> None:
    for found in (escape_controls(text), as_column(text)):
        assert len(f"x{found}".splitlines()) == 1
        found.encode("utf-8")
        assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in found)
    assert " " not in as_column(text)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])))
@example("".join(ORDINARY))
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert escape_controls(text) == text
    assert as_column(text) == text.replace(" ", r"\x20")


def test_predictions_have_a_line_a_token_and_three_columns(tmp_path: Path) -> None:
    tokens = [*ODD, *ORDINARY]
    gold = [f"S-{token}" for token in tokens]
    write_report(Report("dev", [tokens], [gold], [gold], ODD, [[1.0] * len(gold)]), tmp_path)
    text = (tmp_path / "predictions.conll").read_bytes().decode("utf-8")
    assert holds_nothing_odd(text)
    rows = [line.split(" ") for line in text.splitlines() if line]
    assert [len(row) for row in rows] == [3] * len(tokens)
    assert [row[0] for row in rows[len(ODD) :]] == ORDINARY
    assert rows[0] == [r"a\x20b", r"B-a\x20b", r"B-a\x20b"]


def tagged(token: str) -> list[tuple[str, list[TaggedSentence]]]:
    entity = Entity(token, token, 0, len(token), 0.5)
    return [(token, [TaggedSentence([Token(token, 0, len(token))], [f"S-{token}"], [entity])])]


def test_every_format_of_predict_keeps_its_lines() -> None:
    for token in [*ODD, *ORDINARY]:
        assert list(conll(tagged(token))) == [f"{as_column(token)} B-{as_column(token)}\n\n"]
        (line,) = jsonl(tagged(token))
        assert len(line.splitlines()) == 1
        assert holds_nothing_odd(line)
        assert json.loads(line)["text"] == token
        assert all(holds_nothing_odd(text.plain) for text in table(tagged(token), [token]))
        for lines in (spacy(tagged(token)), labelstudio(tagged(token))):
            assert holds_nothing_odd("".join(lines))


def test_a_page_and_the_annotations_of_brat_hold_no_control_character() -> None:
    for token in [*ODD, *ORDINARY]:
        assert holds_nothing_odd("".join(page(tagged(token), [token], token)))
    for token in set(ODD) - {"\ud800"}:  # which no file of texts holds
        ((_, annotations),) = brat(tagged(f"Anna{token}Smith"))
        assert holds_nothing_odd(annotations)
        assert annotations.count("\n") == 2


def test_no_escape_sequence_reaches_the_terminal(tmp_path: Path) -> None:
    rows = f"Ada{CLEAR} B-P{CLEAR}ER\nwrote O\n. O\n\n" * 4
    for split in ("train", "dev"):
        (tmp_path / f"{split}.conll").write_text(rows, encoding="utf-8")
    run = tmp_path / "run"
    keys = [*SMALL_MODEL, "data.test=null", "trainer.epochs=3"]
    results = [run_script("train", *keys, f"data.dir={tmp_path}", f"run.dir={run}")]
    results.append(run_script("evaluate", f"checkpoint={run}"))
    text = f"text=Ada{CLEAR} wrote ."
    results += [
        run_script("predict", f"checkpoint={run}", text, f"format={name}")
        for name in ("jsonl", "conll", "table", "html", "spacy", "labelstudio")
    ]
    for result in results:
        assert (result.status, result.err) == (0, "")
        assert "\x1b" not in result.out
    assert r"P\x1b[2JER" in results[0].out
    assert "\x1b" not in (run / "train.log").read_text()
    assert "\x1b" not in (run / "evaluation" / "dev" / "predictions.conll").read_text()
