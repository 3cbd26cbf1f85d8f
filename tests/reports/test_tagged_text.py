"""Tagged texts on a terminal and on a page."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from unicodedata import category

import pytest
from browser import dom_of, overflow_of
from hypothesis import example, given
from rich.style import Style
from tagged_texts import LABELS, sentence_of, tagged_texts

from nerlab.inference.output import Tagged, entities_of
from nerlab.inference.predictor import TaggedSentence
from nerlab.reports.look import COLORS, colors_of
from nerlab.reports.tagged_text import page, table
from nerlab.tags import Span
from nerlab.text import Token

TEXT = 'Anna  Smith "flew" .\nRome'
TAGGED = [
    sentence_of(TEXT, [Token("Anna", 0, 4), Token("Smith", 6, 11)], [Span(0, 2, "PER")]),
    sentence_of(TEXT, [Token("Rome", 21, 25)], [Span(0, 1, "LOC")]),
]


class Page(HTMLParser):
    """The texts of a page, and of each mark in them what it holds, its label and its colour."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts, self.marks, self.directions = list[str](), list[list[str]](), list[str]()
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self._open.append(tag)
        if tag == "span" and values.get("class") == "tagged":
            self.texts.append("")
            self.directions.append(str(values["dir"]))
        if tag == "mark" and self._within():
            self.marks.append(["", "", str(values["style"])])

    def handle_endtag(self, tag: str) -> None:
        while self._open.pop() != tag:  # such as <meta> are not closed
            pass

    def handle_data(self, data: str) -> None:
        if not self._within():
            return
        if "bdi" in self._open:
            self.marks[-1][1] += data
        else:
            self.texts[-1] += data
            if "mark" in self._open:
                self.marks[-1][0] += data

    def _within(self) -> bool:
        return "span" in self._open and "p" in self._open


def test_the_table_shows_each_entity_under_its_text() -> None:
    (shown,) = table([(TEXT, TAGGED)], ["LOC", "PER"])
    assert shown.plain.splitlines() == [
        *TEXT.splitlines(),
        "  PER      0.500       0-11  Anna Smith",
        "  LOC      0.500      21-25  Rome",
    ]
    colors = colors_of(["LOC", "PER"])
    found = []
    for span in shown.spans:
        assert isinstance(span.style, Style)
        assert span.style.bgcolor is not None
        found.append((shown.plain[span.start : span.end].strip(), span.style.bgcolor.name))
    for name, label in (("Anna  Smith", "PER"), ("Rome", "LOC")):
        assert (name, colors[label]) in found
        assert (label, colors[label]) in found


def luminance(rgb: tuple[int, int, int]) -> float:
    """Relative luminance of WCAG 2."""
    shares = [value / 255 for value in rgb]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_an_entity_of_every_color_can_be_read_on_any_terminal() -> None:
    labels = [f"L{number}" for number in range(len(COLORS))]
    texts = [("Eve", [sentence_of("Eve", [Token("Eve", 0, 3)], [Span(0, 1, n)])]) for n in labels]
    found = [span.style for text in table(texts, labels) for span in text.spans]
    backgrounds = {s.bgcolor.name for s in found if isinstance(s, Style) and s.bgcolor}
    assert backgrounds == set(COLORS)
    for style in found:
        assert isinstance(style, Style)
        assert style.color is not None
        assert style.bgcolor is not None
        colors = (style.bgcolor.get_truecolor(), style.color.get_truecolor())
        low, high = sorted(map(luminance, colors))
        assert (high + 0.05) / (low + 0.05) >= 4.5, style


@given(tagged_texts())
@example([(TEXT, TAGGED), ("", []), ("<mark>&amp;", [])])
def test_a_page_shows_every_text_and_marks_its_entities(texts: list[Tagged]) -> None:
    found = Page("".join(page(texts, ("LOC", *LABELS), "t")))
    entities = [entity for _, tagged in texts for entity in entities_of(tagged)]
    assert len(found.texts) == len(texts)
    assert set(found.directions) <= {"auto"}
    for mark, entity in zip(found.marks, entities, strict=True):
        assert mark[1] == f"{entity.label} {entity.score:.2f}"
        assert mark[2] == f"--color:{colors_of(('LOC', *LABELS))[entity.label]}"
        if is_plain(entity.text):
            assert mark[0] == entity.text
    for shown, (text, _) in zip(found.texts, texts, strict=True):
        if is_plain(text):
            assert shown == text


def is_plain(text: str) -> bool:
    """Whether there is nothing in it that cannot be seen or stands on another character."""
    return all((c.isprintable() or c in "\n\t") and category(c)[0] != "M" for c in text)


def test_texts_are_written_to_a_page_as_they_come() -> None:
    read = 0

    def many() -> Iterator[tuple[str, list[TaggedSentence]]]:
        nonlocal read
        for read in range(1000):  # noqa: B007 - how many were asked for
            yield TEXT, TAGGED

    parts = page(many(), ["LOC", "PER"], "Entities")
    written = 0
    while written < 100:
        written += next(parts).count("Rome")
    assert read < 110


@pytest.mark.long
def test_a_browser_shows_each_text_in_its_direction_and_a_phone_need_not_scroll(
    tmp_path: Path,
) -> None:
    """The direction that the browser gives each text stands in its class afterwards."""
    texts = ["Anna " + "Smith" * 60, "محمد met Anna", "שלום Anna", "Li Wei شكرا", "12 محمد", "北京"]
    tagged = []
    for text in texts:
        tokens = [Token(m[0], m.start(), m.end()) for m in re.finditer(r"\S+", text)]
        spans = [Span(0, 1, "PER"), Span(1, len(tokens), "A_LONG_NAME_OF_A_TYPE")]
        tagged.append((text, [sentence_of(text, tokens, spans[: len(tokens)])]))
    file = tmp_path / "page.html"
    script = """<script>for (const text of document.querySelectorAll(".tagged"))
        text.className += " " + getComputedStyle(text).direction;</script></body>"""
    html = "".join(page(tagged, ["PER", "A_LONG_NAME_OF_A_TYPE"], "Entities"))
    file.write_text(html.replace("</body>", script), encoding="utf-8")
    found = re.findall(r'class="tagged (\w+)"', dom_of(file))
    assert found == ["ltr", "rtl", "rtl", "ltr", "rtl", "ltr"]
    assert overflow_of(file, 390) <= 0
    assert overflow_of(file, 1280) <= 0
