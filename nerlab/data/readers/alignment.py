"""Annotated spans and tokens: which are aligned, and what becomes of those that are not.

A *mark* is a span as annotated. Its positions count whatever the annotation counts, characters or
tokens; all that is asked here is between which positions each token stands.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from nerlab.tags import Span


class Misaligned(NamedTuple):
    """A mark that is no span of tokens as it stands; ``widened`` to one, or else left out."""

    mark: Span
    kind: str
    widened: bool


def align(
    marks: Sequence[Span], offsets: Sequence[tuple[int, int]], length: int, widen: bool
) -> tuple[list[Span], list[Misaligned]]:
    """The spans of tokens that some marks are, and the marks that are none, in their order.

    ``offsets`` are start and end of each token, half open, in their order, in a text of ``length``
    positions. Of marks that overlap, the one over the most tokens is kept; of equals, that which
    begins first; then the first of the list. With ``widen``, a mark off the token borders becomes
    a span over every token that it touches, if it touches one. A mark that is empty or leaves the
    text is wrong, not imprecise, and is never widened.
    """
    first = {start: token for token, (start, _) in enumerate(offsets)}
    last = {end: token for token, (_, end) in enumerate(offsets, start=1)}
    candidates: list[tuple[Span, int]] = []
    problems: dict[int, Misaligned] = {}
    for number, mark in enumerate(marks):
        if mark.start >= mark.end:
            problems[number] = Misaligned(mark, "empty", False)
        elif mark.start < 0 or mark.end > length:
            problems[number] = Misaligned(mark, "out of the text", False)
        elif mark.start in first and mark.end in last:
            candidates.append((Span(first[mark.start], last[mark.end], mark.label), number))
        else:
            start, end = touched(mark, offsets)
            widened = widen and start < end
            problems[number] = Misaligned(mark, "off the token borders", widened)
            if widened:
                candidates.append((Span(start, end, mark.label), number))
    spans: list[Span] = []  # disjoint, in their order
    candidates.sort(key=lambda pair: (pair[0].start - pair[0].end, pair[0].start, pair[1]))
    for span, number in candidates:
        index = bisect_left(spans, span)
        is_free = (index == 0 or spans[index - 1].end <= span.start) and (
            index == len(spans) or span.end <= spans[index].start
        )
        if is_free:
            spans.insert(index, span)
        else:
            problems[number] = Misaligned(marks[number], "overlapped by another", False)
    return spans, [problems[number] for number in sorted(problems)]


def touched(mark: Span, offsets: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The tokens, half open, that share a position with a mark; none if the two are equal."""
    start = bisect_right(offsets, mark.start, key=lambda pair: pair[1])
    end = bisect_left(offsets, mark.end, key=lambda pair: pair[0])
    return start, max(start, end)
