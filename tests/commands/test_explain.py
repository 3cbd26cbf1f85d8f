"""``python -m nerlab explain`` with a trained tagger."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Result, run_script

import nerlab
from nerlab.reports.explanation import signed

TEXT = "In Berlin Anna Smith met Eve .\nOmar flew to Rome ."


def explain(*arguments: str) -> Result:
    return run_script("nerlab/__main__", "explain", *arguments)


def explained(run: Path, *arguments: str, text: str = TEXT) -> Any:
    result = explain(f"checkpoint={run}", f"text={text}", "format=json", *arguments)
    assert (result.status, result.err) == (0, "")
    return json.loads(result.out)


def test_the_entities_are_those_of_predict_and_each_has_its_score(run: Path) -> None:
    (entities,) = nerlab.load(run).predict([TEXT])
    assert [entity.text for entity in entities] == ["Berlin", "Anna Smith", "Eve", "Omar", "Rome"]
    for number, entity in enumerate(entities):
        found = explained(run, f"entity={number}", "method=occlusion", "sequences=1")
        assert [e["text"] for e in found["entities"]] == [e.text for e in entities]
        what = found["explained"]
        assert (what["text"], what["label"], what["number"]) == (entity.text, entity.label, number)
        assert (what["start"], what["end"]) == (entity.start, entity.end)
        assert what["score"] == pytest.approx(entity.score, abs=1e-6)
        assert what["score"] == pytest.approx(math.exp(what["log_probability"]))


def test_a_person_rests_on_the_name_and_the_methods_agree(run: Path) -> None:
    found = explained(run, "entity=1")
    tokens = [token["text"] for token in found["tokens"]]
    assert tokens == ["In", "Berlin", "Anna", "Smith", "met", "Eve", "."]
    for values in found["values"].values():
        assert tokens[values.index(max(values))] in ("Anna", "Smith")
    assert found["lime"]["r_squared"] > 0.5
    assert abs(found["gradients"]["gap"]) < 1e-3
    what = found["explained"]
    difference = what["log_probability"] - what["masked_log_probability"]
    assert sum(found["values"]["gradients"]) == pytest.approx(difference, abs=1e-3)
    best = found["sequences"][0]
    assert best["tags"] == ["O", "S-LOC", "B-PER", "E-PER", "O", "S-PER", "O"]
    assert len(found["sequences"]) == 5


def test_the_same_seed_gives_the_same_answer_and_another_one_another(run: Path) -> None:
    first, again, other = (
        explained(run, "method=lime", "samples=50", f"seed={seed}")["values"] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    assert list(first) == ["lime"]


def test_what_is_not_found_can_be_explained_too(run: Path) -> None:
    missed = explained(run, "span=Anna Smith", "label=LOC", "method=[occlusion]")
    what = missed["explained"]
    assert (what["text"], what["label"], what["number"]) == ("Anna Smith", "LOC", None)
    assert what["tags"] == ["B-LOC", "E-LOC"]
    assert what["score"] < 0.5
    same, by_number = (
        explained(run, *which, "method=occlusion")
        for which in (("span= Rome ", "label=LOC"), ("entity=4",))
    )
    assert same == by_number


def test_the_page_the_terminal_and_the_document_have_the_same_numbers(
    run: Path, tmp_path: Path
) -> None:
    output = tmp_path / "a, page.html"
    arguments = (f"checkpoint={run}", f"text={TEXT}", "samples=100", "steps=5")
    written = explain(*arguments, f"output={output}")
    assert written == (0, f"written: {output}\n", "")
    html = output.read_text(encoding="utf-8")
    printed = explain(*arguments).out
    for values in explained(run, "samples=100", "steps=5")["values"].values():
        for value in values:
            assert f'<small dir="ltr">{signed(value, 2)}</small>' in html
            assert signed(value, 3) in printed
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("entity=5",), "entity=5: expected 0 to 4, one of the 5 that are found"),
        (("entity=-1",), "entity=-1: expected a whole number, 0 to 2147483647"),
        (("method=shap",), "method=shap: expected all, or some of lime, occlusion, gradients"),
        (("method=[lime,shap]",), "method=shap: expected all, or some of lime, occl"),
        (("format=pdf",), "format=pdf: expected one of terminal, json, html"),
        (("format=terminal", "output=x"), "format=terminal: expected json or html for an output"),
        (("span=Anna",), "label=None: expected the type of span=, one of LOC, PER"),
        (("span=Ann", "label=PER"), "span=Ann: expected whole words of one sentence of the text"),
        (("span=. Omar", "label=PER"), "span=. Omar: expected whole words of one sentence"),
        (("span=", "label=PER"), "span=: expected whole words of one sentence of the text"),
        (("samples=0",), "samples=0: expected a whole number, 1 to 100000"),
        (("steps=1.5",), "steps=1.5: expected a whole number, 1 to 1000"),
        (("kernel_width=0",), "kernel_width=0: expected a number, 0.01 to 100"),
        (("ridge=-1",), "ridge=-1: expected a number, at least 0"),
    ],
)
def test_what_cannot_be_is_one_line(run: Path, arguments: tuple[str, ...], message: str) -> None:
    result = explain(f"checkpoint={run}", f"text={TEXT}", *arguments)
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(f"error: {message}")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("text", ["", " ", "12 34"])
def test_a_text_without_entities_is_one_line(run: Path, text: str) -> None:
    result = explain(f"checkpoint={run}", f"text={text}")
    assert (result.status, result.out) == (1, "")
    assert result.err == (
        "error: text: the tagger finds no entity in it; span=WORDS label=TYPE explains one that it "
        "does not find\n"
    )


@pytest.mark.long
def test_the_demo_model_finds_a_person_by_the_title_or_the_name(tmp_path: Path) -> None:
    run = tmp_path / "run"
    keys = ("data=demo", f"data.dir={ROOT / 'data' / 'demo'}", "tracker=none", "seed=1")
    assert run_script("train", *keys, f"run.dir={run}").status == 0
    text = "Yesterday Dr. Angela Merkel flew from Berlin to Paris ."
    found = explained(run, "span=Angela Merkel", "label=PER", text=text)
    tokens = [token["text"] for token in found["tokens"]]
    for values in found["values"].values():
        assert tokens[values.index(max(values))] in ("Dr.", "Angela", "Merkel")
    assert found["lime"]["r_squared"] > 0.5
    assert abs(found["gradients"]["gap"]) < 0.01
