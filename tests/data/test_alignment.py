"""Spans aligned with tokens, against a slow alignment of every character."""

from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from nerlab.data.readers.alignment import align
from nerlab.tags import Span


class Wrong(NamedTuple):
    number: int
    kind: str
    widened: bool


def align_slowly(
    marks: list[Span], offsets: list[tuple[int, int]], length: int, widen: bool
) -> tuple[list[Span], list[Wrong]]:
    owner: list[int | None] = [None] * length  # the token that each character belongs to
    for token, (start, end) in enumerate(offsets):
        owner[start:end] = [token] * (end - start)
    wrong: dict[int, tuple[str, bool]] = {}
    tokens_of: dict[int, list[int]] = {}
    for number, mark in enumerate(marks):
        if mark.end <= mark.start:
            wrong[number] = ("empty", False)
            continue
        characters = set(range(mark.start, mark.end))
        if not characters <= set(range(length)):
            wrong[number] = ("out of the text", False)
            continue
        touched = sorted({t for c in characters if (t := owner[c]) is not None})
        whole = {c for c in range(length) if owner[c] in touched}
        edges = {mark.start, mark.end - 1}
        if touched and whole <= characters and edges <= whole:
            tokens_of[number] = touched
        else:
            wrong[number] = ("off the token borders", widen and bool(touched))
            if widen and touched:
                tokens_of[number] = touched
    spans: list[Span] = []
    while tokens_of:
        most = max(map(len, tokens_of.values()))
        longest = {n: tokens for n, tokens in tokens_of.items() if len(tokens) == most}
        chosen = min(longest, key=lambda n: (longest[n][0], n))
        kept = tokens_of.pop(chosen)
        spans.append(Span(kept[0], kept[-1] + 1, marks[chosen].label))
        for number in [n for n, tokens in tokens_of.items() if set(tokens) & set(kept)]:
            del tokens_of[number]
            wrong[number] = ("overlapped by another", False)
    return sorted(spans), [Wrong(n, *wrong[n]) for n in sorted(wrong)]


@st.composite
def offsets(draw: st.DrawFn) -> tuple[list[tuple[int, int]], int]:
    """Where tokens stand in a text, and its length."""
    end = 0
    found = []
    for gap, width in draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)), max_size=6)):
        found.append((end + gap, end + gap + width))
        end += gap + width
    return found, end + draw(st.integers(0, 2))


@st.composite
def annotations(draw: st.DrawFn) -> tuple[list[tuple[int, int]], int, list[Span]]:
    """A text and spans of it, most of whose ends are those of tokens."""
    found, length = draw(offsets())
    borders = st.sampled_from([0, *(border for place in found for border in place)])
    positions = borders | borders | st.integers(-2, length + 2)
    marks = st.builds(Span, positions, positions, st.sampled_from("XY"))
    return found, length, draw(st.lists(marks, max_size=6))


@settings(max_examples=300)
@given(annotation=annotations(), widen=st.booleans())
@example(
    ([(i, i + 1) for i in range(4)], 4, [Span(0, 1, "X"), Span(1, 3, "X"), Span(3, 4, "X")]), True
)
def test_spans_are_aligned_with_tokens_as_character_by_character(
    annotation: tuple[list[tuple[int, int]], int, list[Span]], widen: bool
) -> None:
    offsets, length, marks = annotation
    found, problems = align(marks, offsets, length, widen)
    expected, wrong = align_slowly(marks, offsets, length, widen)
    assert found == expected
    assert [(m.mark, m.kind, m.widened) for m in problems] == [
        (marks[w.number], w.kind, w.widened) for w in wrong
    ]


def test_of_spans_that_overlap_the_longest_is_kept_then_the_first() -> None:
    offsets = [(i, i + 1) for i in range(6)]
    marks = [Span(2, 4, "late"), Span(1, 3, "early"), Span(4, 5, "short"), Span(1, 3, "again")]
    assert align(marks, offsets, 6, widen=False)[0] == [Span(1, 3, "early"), Span(4, 5, "short")]
    marks.append(Span(2, 5, "longest"))
    assert align(marks, offsets, 6, widen=False)[0] == [Span(2, 5, "longest")]
