"""The way of a request from its body to the JSON of its answer."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from nerlab.inference.pieces import Piece
from nerlab.inference.predictor import Predictor
from nerlab.serving.answers import Cut, answer, cut, wanted
from nerlab.serving.batching import Batching
from nerlab.serving.requests import Asked, Refused, Sent, parse

R = TypeVar("R")

_LONG = 4_000  # bytes of a request that is cut into tokens, and answered, in a thread
_MOST_TAGS = 1_000_000  # of the sequences of an answer


async def found_in(sent: Sent, predictor: Predictor, batching: Batching) -> bytes:
    """What is found in the texts of a request, as JSON.

    Raises:
        Refused: it cannot be read, or asks for what is not there.
        Full: too much waits to be tagged.
    """
    size = len(sent.body)
    asked, texts, pieces = await _beside(size, lambda: _prepared(sent, predictor))
    found = await batching.tag(pieces, wanted(asked))
    return await _beside(size, lambda: answer(asked, texts, found, predictor.tags))


def _prepared(sent: Sent, predictor: Predictor) -> tuple[Asked, list[Cut], list[Piece]]:
    """What a request asks for, its texts, and the pieces to be tagged."""
    asked = parse(sent)
    k = wanted(asked).sequences
    if k and len(predictor.checkpoints) > 1:
        raise Refused(422, "k: expected 0, the model is an ensemble, which has no best sequences")
    texts = cut(asked)
    words = [[[token.text for token in tokens] for tokens in text.sentences] for text in texts]
    tags = k * sum(len(tokens) for split in words for tokens in split)
    if tags > _MOST_TAGS:
        found = f"found {tags:,}; lower k, or cut the text"
        raise Refused(422, f"k: expected {_MOST_TAGS:,} tags at most in all sequences, {found}")
    return asked, texts, predictor.pieces(words, asked.document)


async def _beside(size: int, function: Callable[[], R]) -> R:
    """The result of a function, which is called in a thread if the request is a long one."""
    return await asyncio.to_thread(function) if size > _LONG else function()
