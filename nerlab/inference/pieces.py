"""Which sentences are tagged together."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Untagged(NamedTuple):
    """The tokens of a sentence, and the number of its document; None: it is of none."""

    tokens: list[str]
    document: int | None


Piece = list[Untagged]


def pieces_of(
    texts: Sequence[Sequence[list[str]]], document: str, most_tokens: int
) -> Iterator[Piece]:
    """The sentences of some texts in pieces that are tagged together: one text may be a whole
    library. ``document`` is one of :data:`nerlab.inference.predictor.DOCUMENTS`.

    Where a long text is cut depends on nothing but the text.
    """
    piece: Piece = []
    for index, sentences in enumerate(texts):
        number = {"line": index, "file": 0, "none": None}[document]
        tokens = 0
        for sentence in sentences:
            if tokens >= most_tokens:
                yield piece
                piece, tokens = [], 0
            piece.append(Untagged(sentence, number))
            tokens += len(sentence)
    if piece:
        yield piece
