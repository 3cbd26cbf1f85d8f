"""Colours of labels and text cut at its spans."""

from html.parser import HTMLParser
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerlab.reports.look import COLORS, Piece, Span, colors_of, cut_text, cut_tokens, environment

LABELS = st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=len(COLORS))
TEXTS = st.text(st.characters(), max_size=40)


@st.composite
def spans_in(draw: st.DrawFn, text: str) -> list[Span]:
    """Spans of a text that do not overlap."""
    borders = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pairs = zip(borders[::2], borders[1::2], strict=False)
    return [Span(start, end, draw(st.sampled_from(["PER", "LOC"])), 0.5) for start, end in pairs]


class Content(HTMLParser):
    """The text of a page, what its marks hold beside their labels, and the tags that it has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.marked, self.names = "", list[str](), list[str]()
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self._open.append(tag)
        if tag == "mark":
            self.marked.append("")

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if "bdi" in self._open:
            return
        self.text += data
        if "mark" in self._open:
            self.marked[-1] += data


@given(LABELS)
def test_each_label_has_a_colour_of_its_own_whatever_the_order(labels: list[str]) -> None:
    colors = colors_of(labels)
    assert list(colors) == sorted(labels)
    assert len(set(colors.values())) == len(labels)
    assert colors == colors_of(reversed(labels))


@given(LABELS)
def test_a_common_type_has_the_same_colour_beside_any_other(labels: list[str]) -> None:
    colors = colors_of({*labels[:-1], "PER"})
    assert colors["PER"] == COLORS[0] == colors_of(["PERSON"])["PERSON"]


def test_more_labels_than_colours_share_them() -> None:
    colors = colors_of(f"L{number}" for number in range(50))
    assert set(colors.values()) <= set(COLORS)


def luminance(color: str) -> float:
    """Relative luminance of WCAG 2."""
    channels = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("text", "page"), [("#1a1a1a", "#ffffff"), ("#e8e8e8", "#15171a")])
def test_text_on_every_colour_is_readable_in_light_and_dark(text: str, page: str) -> None:
    for color in COLORS:
        mixed = "#"
        for i in (1, 3, 5):
            both = 0.26 * int(color[i : i + 2], 16) + 0.74 * int(page[i : i + 2], 16)
            mixed += f"{round(both):02x}"
        low, high = sorted((luminance(mixed), luminance(text)))
        assert (high + 0.05) / (low + 0.05) >= 7, color


def test_no_two_colours_are_the_same() -> None:
    for one, other in combinations(COLORS, 2):
        apart = sum(abs(int(one[i : i + 2], 16) - int(other[i : i + 2], 16)) for i in (1, 3, 5))
        assert apart >= 60, (one, other)


@given(TEXTS.flatmap(lambda text: st.tuples(st.just(text), spans_in(text))))
def test_the_pieces_of_a_text_are_the_text_and_its_spans(case: tuple[str, list[Span]]) -> None:
    text, spans = case
    pieces = cut_text(text, spans)
    assert "".join(piece.text for piece in pieces) == text
    marked = [piece for piece in pieces if piece.label is not None]
    assert marked == [Piece(text[s.start : s.end], s.label, s.score) for s in spans]


def test_tokens_are_cut_with_spaces_between_them() -> None:
    tokens = ["Angela", "Merkel", "met", "Macron"]
    spans = [Span(3, 4, "PER", 0.5), Span(0, 2, "PER")]
    expected = [Piece("Angela Merkel", "PER"), Piece(" met "), Piece("Macron", "PER", 0.5)]
    assert cut_tokens(tokens, spans) == expected


@given(TEXTS.flatmap(lambda text: st.tuples(st.just(text), spans_in(text))))
def test_a_tagged_text_on_a_page_is_the_text_whatever_it_holds(
    case: tuple[str, list[Span]],
) -> None:
    text, spans = case
    template = environment().from_string(
        '{% from "macros.html" import tagged %}{{ tagged(pieces, colors) }}'
    )
    html = template.render(pieces=cut_text(text, spans), colors=colors_of(["PER", "LOC"]))
    content = Content(html.replace("\r", "\n"))
    assert set(content.names) <= {"span", "mark", "bdi"}
    if text.isascii() and text.isprintable():
        assert content.text.strip("\n") == text
        assert content.marked == [text[span.start : span.end] for span in spans]
    html.encode("utf-8")


def test_what_cannot_be_seen_is_spelt_and_what_scripts_need_is_kept() -> None:
    render = environment().from_string("{{ text|prose }}").render
    assert render(text="می\u200cخواهم\n\t👨\u200d👩") == "می\u200cخواهم\n\t👨\u200d👩"
    assert render(text="\u202e<b>\x1b\ud800") == r"\u202e&lt;b&gt;\x1b\ud800"
