"""An error in the sentence that it is in, cut to what is near it."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from nerlab.evaluation.errors import Pair
from nerlab.evaluation.predictions import Prediction
from nerlab.reports import look
from nerlab.reports.look import Piece
from nerlab.reports.tables import label_name

_CONTEXT = 60  # characters on either side
_TOKENS = 20  # on either side, and of the entity
_LONGEST_TOKEN = 40


class Tagged(NamedTuple):
    """The words around an error with the entities of one side; ``focus`` is the number of the one
    in question among these, from 0, or -1 if it is not among them."""

    pieces: Sequence[Piece]
    focus: int


class Excerpt(NamedTuple):
    """An error in context, as tagged in the gold file and as predicted."""

    pair: Pair
    document: int | None
    gold: Tagged
    predicted: Tagged


def excerpt(prediction: Prediction, pair: Pair) -> Excerpt:
    """The words around an error, with all entities that are among them."""
    spans = [span for span in (pair.gold, pair.predicted) if span is not None]
    start, end = min(span.start for span in spans), max(span.end for span in spans)
    end = min(end, start + _TOKENS)
    sizes = [min(len(token), _LONGEST_TOKEN) + 1 for token in prediction.tokens]
    first = start - _fitting(reversed(sizes[max(0, start - _TOKENS) : start]))
    last = end + _fitting(sizes[end : end + _TOKENS])

    def side(spans: Iterable[Sequence[Any]], focus: Sequence[Any] | None) -> Tagged:
        found = [look.Span(*span) for span in spans if span[0] < last and first < span[1]]
        before, after = ["…"] * (first > 0), ["…"] * (last < len(prediction.tokens))
        tokens = [*before, *map(_cut, prediction.tokens[first:last]), *after]
        shift = len(before) - first
        shown = [
            span._replace(
                start=max(span.start, first) + shift,
                end=min(span.end, last) + shift,
                label=label_name(span.label),
            )
            for span in found
        ]
        places = [number for number, s in enumerate(found) if focus and s.start == focus[0]]
        return Tagged(look.cut_tokens(tokens, shown), *(places or [-1]))

    both = side(prediction.gold, pair.gold), side(prediction.predicted, pair.predicted)
    return Excerpt(pair, prediction.document, *both)


def _fitting(sizes: Iterable[int]) -> int:
    """How many of some tokens fit into the context."""
    room, count = _CONTEXT, 0
    for size in sizes:
        room -= size
        if room < 0:
            break
        count += 1
    return count


def _cut(token: str) -> str:
    return token if len(token) <= _LONGEST_TOKEN else f"{token[:_LONGEST_TOKEN]}…"
