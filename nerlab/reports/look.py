"""The look of every page: its templates, a colour for each label, text with its spans."""

import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from nerlab.messages import visible

TEMPLATES = Path(__file__).parent / "templates"
# Of Okabe and Ito (2008) and of Tol (2021), told apart by colour-blind eyes on white and on black.
COLORS = (
    *("#0072b2", "#009e73", "#e69f00", "#cc79a7", "#56b4e9", "#d55e00"),
    *("#999933", "#aa4499", "#44aa99", "#882255", "#8877cc", "#888888"),
)
_PROSE = "\n\t\xa0\u2009\u202f\u200c\u200d"
# Types that most corpora have, by the number of their colour.
_COMMON = {
    **dict.fromkeys(("PER", "PERSON"), 0),
    **dict.fromkeys(("LOC", "LOCATION", "GPE"), 1),
    **dict.fromkeys(("ORG", "ORGANISATION", "ORGANIZATION"), 2),
    **dict.fromkeys(("MISC", "NORP"), 3),
    **dict.fromkeys(("DATE", "TIME"), 4),
}


class Span(NamedTuple):
    """A stretch of a text: characters or tokens ``start`` to ``end``, half open."""

    start: int
    end: int
    label: str
    score: float | None = None


class Piece(NamedTuple):
    """A part of a text; ``label`` is None outside of all spans."""

    text: str
    label: str | None = None
    score: float | None = None


def colors_of(labels: Iterable[str]) -> dict[str, str]:
    """A colour, ``#rrggbb``, for each label; in the order of their names.

    A common type has the same one on every page, any other label nearly always; two labels share
    one only when there are more of them than colours.
    """
    names = sorted(set(labels))
    taken: dict[str, int] = {}
    for name in sorted(names, key=lambda name: (name.upper() not in _COMMON, name)):
        number = _COMMON.get(name.upper(), zlib.crc32(name.encode("utf-8", "replace")))
        free = [i % len(COLORS) for i in range(number, number + len(COLORS))]
        unused = (i for i in free if i not in taken.values())
        taken[name] = next(unused, free[0])
    return {name: COLORS[taken[name]] for name in names}


def cut_text(text: str, spans: Iterable[Span]) -> list[Piece]:
    """A text cut at its spans, which do not overlap; offsets are those of its characters."""
    pieces, done = [], 0
    for span in sorted(spans):
        pieces.append(Piece(text[done : span.start]))
        pieces.append(Piece(text[span.start : span.end], span.label, span.score))
        done = span.end
    pieces.append(Piece(text[done:]))
    return [piece for piece in pieces if piece.text]


def cut_tokens(tokens: Sequence[str], spans: Iterable[Span]) -> list[Piece]:
    """The same for a sentence of tokens, with spaces between them; offsets are those of tokens."""
    starts = [0]
    for token in tokens:
        starts.append(starts[-1] + len(token) + 1)
    in_characters = (s._replace(start=starts[s.start], end=starts[s.end] - 1) for s in spans)
    return cut_text(" ".join(tokens), in_characters)


def environment() -> Environment:
    """The templates of pages.

    Everything is escaped, and what cannot be seen or written is spelt out; the filter ``prose``
    keeps line ends and tabs.
    """
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        # Markup is no plain str.
        finalize=lambda value: visible(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["prose"] = prose
    return made


def prose(text: str) -> Markup:
    """Text of several lines, escaped; line ends, tabs, spaces of other widths and the joiners that
    some scripts are written with stay what they are."""
    return escape(visible(text, keep=_PROSE))
