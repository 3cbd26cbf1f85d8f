"""Requests that arrive together are tagged together."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from nerlab.inference.pieces import Piece
from nerlab.inference.predictor import SentenceTags, Wanted

Tag = Callable[[Sequence[Piece], Wanted], list[list[SentenceTags]]]


class Full(Exception):  # noqa: N818 - the state of the queue
    """More waits than may wait."""


class Limits(NamedTuple):
    """What is tagged together, and how much may wait.

    Attributes:
        window: seconds that a piece waits for others.
        batch_tokens: that are tagged together, unless one piece has more.
        queue_tokens: that may wait.
    """

    window: float
    batch_tokens: int
    queue_tokens: int


@dataclass(eq=False)
class _Request:
    """The pieces of a request that wait, and what was found in the others."""

    waiting: deque[Piece]
    wanted: Wanted
    answer: asyncio.Future[list[SentenceTags]]
    found: list[SentenceTags] = field(default_factory=list)


class Batching:
    """Collects pieces of texts and has them tagged by one thread, which alone calls ``tag``.

    An asynchronous context manager; :meth:`tag` is called within it.
    """

    def __init__(self, tag: Tag, limits: Limits) -> None:
        self._tag, self._limits = tag, limits
        self._requests: deque[_Request] = deque()
        self._arrived = asyncio.Event()

    async def __aenter__(self) -> "Batching":
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="tagger")
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._running.cancel()
        self._pool.shutdown()

    async def tag(self, pieces: Sequence[Piece], wanted: Wanted) -> list[SentenceTags]:
        """What is found in each sentence of the pieces.

        Raises:
            Full: too much waits already.
        """
        waiting = sum(_tokens(piece) for r in self._requests for piece in r.waiting)
        if waiting > self._limits.queue_tokens:
            raise Full
        request = _Request(deque(pieces), wanted, asyncio.get_running_loop().create_future())
        if not pieces:
            return []
        self._requests.append(request)
        self._arrived.set()
        return await request.answer

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            await asyncio.sleep(self._limits.window)
            batch = self._next_batch()
            if not self._requests:
                self._arrived.clear()
            if not batch:
                continue
            pieces = [piece for _, piece in batch]
            wanted = Wanted(
                any(r.wanted.marginals for r, _ in batch), max(r.wanted.sequences for r, _ in batch)
            )
            results = await loop.run_in_executor(self._pool, self._tag, pieces, wanted)
            for (request, _), found in zip(batch, results, strict=True):
                request.found += found
                if not request.waiting and not request.answer.done():
                    request.answer.set_result(request.found)

    def _next_batch(self) -> list[tuple[_Request, Piece]]:
        """A piece of each request in turn."""
        batch: list[tuple[_Request, Piece]] = []
        tokens = 0
        while self._requests and tokens < self._limits.batch_tokens:
            request = self._requests.popleft()
            if request.answer.done():
                continue
            piece = request.waiting.popleft()
            tokens += _tokens(piece)
            batch.append((request, piece))
            if request.waiting:
                self._requests.append(request)
        return batch


def _tokens(piece: Piece) -> int:
    return sum(len(sentence.tokens) for sentence in piece)
