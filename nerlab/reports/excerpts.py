"""An error in the sentence that it is in, cut to what is near it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nerlab.evaluation.errors import Pair
from nerlab.evaluation.predictions import Prediction
from nerlab.reports.look import Piece, Span, cut_tokens
from nerlab.reports.tables import label_name

_CONTEXT = 60  # characters on either side
_TOKENS = 20  # on either side, and of the entity
_LONGEST_TOKEN = 40


class Excerpt(NamedTuple):
    """An error in context, as tagged in the gold file and as predicted."""

    sentence: int
    document: int | None
    gold: Sequence[Piece]
    predicted: Sequence[Piece]


def excerpt(prediction: Prediction, pair: Pair) -> Excerpt:
    """The words around an error, with all entities that are among them."""
    spans = [span for span in (pair.gold, pair.predicted) if span is not None]
    start, end = min(span.start for span in spans), max(span.end for span in spans)
    end = min(end, start + _TOKENS)
    sizes = [min(len(token), _LONGEST_TOKEN) + 1 for token in prediction.tokens]
    first = start - _fitting(reversed(sizes[max(0, start - _TOKENS) : start]))
    last = end + _fitting(sizes[end : end + _TOKENS])
    tokens = [_cut(token) for token in prediction.tokens[first:last]]
    before, after = ["…"] * (first > 0), ["…"] * (last < len(prediction.tokens))
    shift = len(before) - first
    gold, predicted = (
        cut_tokens(
            [*before, *tokens, *after],
            [
                Span(
                    max(s.start, first) + shift,
                    min(s.end, last) + shift,
                    label_name(s.label),
                    score,
                )
                for s, score in scored
                if s.start < last and first < s.end
            ],
        )
        for scored in (
            [(span, None) for span in prediction.gold],
            [(span.span, span.score) for span in prediction.predicted],
        )
    )
    return Excerpt(prediction.sentence, prediction.document, gold, predicted)


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
