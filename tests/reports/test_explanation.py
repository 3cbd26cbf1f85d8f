"""An explanation in the terminal, as a page and as JSON, against its numbers."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import dom_of, overflow_of
from rich.console import Console

from nerlab.inference.attribution import IntegratedGradients, Lime
from nerlab.inference.explain import Explanation, Target
from nerlab.inference.masking import TaggedSpan
from nerlab.inference.predictor import Entity, TagSequence
from nerlab.reports.explanation import as_json, difference, page, rows_of, show, signed
from nerlab.text import Token

TEXT = "Dr. Aygün Əliyeva met محمد <b>&\x1b[2J\u202e\ud800 .\nRiga ."
WORDS = TEXT.split("\n")[0].split(" ")
TAGS = ["O", "B-PER", "E-PER", "O", "S-PER", "O", "O"]
VALUES = np.array([1.25, 2.5, 0.5, -1.0, 0.001, -0.25, 0.0])


@pytest.fixture
def explanation() -> Explanation:
    tokens, start = [], 0
    for word in WORDS:
        tokens.append(Token(word, start, start + len(word)))
        start += len(word) + 1
    first, last, name = tokens[1], tokens[2], tokens[4]
    riga = TEXT.index("Riga")
    return Explanation(
        text=TEXT,
        entities=[
            Entity("Aygün Əliyeva", "PER", first.start, last.end, 0.75),
            Entity("محمد", "PER", name.start, name.end, 0.5),
            Entity("Riga", "<i>", riga, riga + 4, 0.25),
        ],
        target=Target(tokens, TaggedSpan(1, 3, "PER", TAGS[1:3]), 0),
        log_probability=float(np.log(0.75)),
        masked=-6.5,
        lime=Lime(VALUES, -1.5, 0.875, 1200),
        occlusion=2 * VALUES,
        gradients=IntegratedGradients(-VALUES, 0.0625, 50),
        sequences=[TagSequence(TAGS, 0.625), TagSequence(["O"] * 7, 0.0125)],
    )


def shown(explanation: Explanation, **options: object) -> str:
    file = io.StringIO()
    show(explanation, Console(file=file, width=200, **options))  # type: ignore[arg-type]
    return file.getvalue()


def test_the_terminal_shows_every_value_and_sequence(explanation: Explanation) -> None:
    lines = shown(explanation).splitlines()
    assert lines[0].split() == ["*", "0", "PER", "0.750", "Aygün", "Əliyeva"]
    assert "log p -0.288; -6.5 with every word masked" in lines[4]
    found = [re.split(r"\s+(?=[+-])", line) for line in lines]
    for word, value in zip(WORDS[:4], VALUES, strict=False):
        assert [word, *(signed(v, 3) for v in (value, 2 * value, -value))] in found
    assert "LIME       R² 0.875 over 1,200 masked sentences" in lines
    assert "gradients  sum -3.001, completeness gap +6.2e-02, 50 steps" in lines
    assert lines[-2].startswith("0.6250  Dr. [Aygün Əliyeva PER] met [محمد PER]")
    assert lines[-1] == "0.0125  -[Aygün Əliyeva PER]  -[محمد PER]"


def test_colours_say_the_sign_and_the_size(explanation: Explanation) -> None:
    coloured = shown(explanation, force_terminal=True, color_system="truecolor")
    lime = next(line for line in coloured.splitlines() if line.startswith("LIME"))
    backgrounds = {
        word: tuple(map(int, rgb.split(";")))
        for rgb, word in re.findall(r"\x1b\[30;48;2;([\d;]+)m(\S+?)\x1b", lime)
    }
    assert list(backgrounds) == ["Dr.", "Aygün", "Əliyeva", "met", r"<b>&\x1b[2J\u202e\ud800"]
    distance = {word: sum(255 - c for c in rgb) for word, rgb in backgrounds.items()}
    assert distance["Aygün"] > distance["Dr."] > distance["Əliyeva"]
    blue, orange = backgrounds["Aygün"], backgrounds["met"]
    assert blue[2] > blue[0]
    assert orange[0] > orange[2]


def test_shares_are_of_the_largest_value_of_each_method(explanation: Explanation) -> None:
    for row in rows_of(explanation):
        assert max(map(abs, row.shares)) == 1.0
        assert row.shares == [pytest.approx(v / np.abs(row.values).max()) for v in row.values]
    nothing = replace(explanation, lime=None, gradients=None, occlusion=np.zeros(7))
    assert [row.shares for row in rows_of(nothing)] == [[0.0] * 7]


def test_json_holds_every_number(explanation: Explanation) -> None:
    text = as_json(explanation)
    assert text.isascii()
    found = json.loads(text)
    assert found["text"] == TEXT
    assert [token["text"] for token in found["tokens"]] == WORDS
    assert found["values"] == {
        "lime": VALUES.tolist(),
        "occlusion": (2 * VALUES).tolist(),
        "gradients": (-VALUES).tolist(),
    }
    assert found["lime"] == {"intercept": -1.5, "r_squared": 0.875, "samples": 1200}
    assert found["gradients"] == {"gap": 0.0625, "steps": 50}
    assert found["sequences"][0] == {"tags": TAGS, "probability": 0.625}
    explained = found["explained"]
    assert (explained["text"], explained["label"]) == ("Aygün Əliyeva", "PER")
    assert TEXT[explained["start"] : explained["end"]] == "Aygün Əliyeva"
    assert (explained["tokens"], explained["number"]) == ([1, 3], 0)
    assert explained["score"] == pytest.approx(0.75)
    assert explained["masked_log_probability"] == -6.5
    only = json.loads(as_json(replace(explanation, lime=None, gradients=None)))
    assert list(only["values"]) == ["occlusion"]
    assert only["lime"] is only["gradients"] is None


def test_the_page_shows_the_values_and_what_is_nasty_is_text(
    explanation: Explanation, tmp_path: Path
) -> None:
    html = page(explanation)
    (tmp_path / "page.html").write_text(html, encoding="utf-8")  # no surrogate is left
    assert "<b>" not in html.replace("&lt;b&gt;", "")
    assert "\x1b" not in html
    assert "\u202e" not in html
    values = re.findall(r"<span>(.*?)</span><small dir=\"ltr\">(.*?)</small>", html)
    expected = [signed(factor * v, 2) for factor in (1, 2, -1) for v in VALUES]
    assert [value for _, value in values] == expected
    assert [word for word, _ in values[:4]] == WORDS[:4]
    assert html.count("effect explained") == 3 * 2
    for number in ("0.750", "-0.288", "-6.5 with", "0.6250", "0.0125", "R² 0.875"):
        assert number in html
    assert "-[Aygün Əliyeva PER]" in html


def test_a_number_that_rounds_to_nothing_has_no_sign() -> None:
    assert [signed(v, 2) for v in (1.204, -0.006, 0.004, -0.004, 0.0)] == [
        *("+1.20", "-0.01", "0.00", "0.00", "0.00")
    ]


def test_tag_sequences_are_told_apart_by_their_entities() -> None:
    words, best = ["In", "New", "York", "."], ["O", "B-LOC", "E-LOC", "O"]
    assert difference(words, best, ["O", "O", "S-LOC", "O"]) == "+[York LOC]  -[New York LOC]"
    assert difference(words, best, ["S-X", *best[1:]]) == "+[In X]"
    assert (
        difference(words, best, ["O", "B-LOC", "I-LOC", "O"]) == "the same entities by other tags"
    )


def test_what_is_not_found_is_said(explanation: Explanation) -> None:
    target = explanation.target._replace(number=None)
    missed = replace(explanation, entities=[], target=target)
    assert shown(missed).splitlines()[0].split()[-2:] == ["not", "found"]
    assert "not found" in page(missed)


@pytest.mark.long
def test_a_browser_shows_the_page_at_both_widths(explanation: Explanation, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    tokens = explanation.target.tokens
    tokens[3] = tokens[3]._replace(text="x" * 300)
    path.write_text(page(explanation), encoding="utf-8")
    for width in (1280, 390):
        assert overflow_of(path, width) <= 0
    assert '<small dir="ltr">+2.50</small>' in dom_of(path)
