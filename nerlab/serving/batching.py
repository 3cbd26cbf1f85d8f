"""Requests that arrive together are tagged together."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from nerlab.inference.pieces import Piece
from nerlab.inference.predictor import SentenceTags, Wanted

Tag = Callable[[Sequence[Piece], Wanted], list[list[SentenceTags]]]


class Full(Exception):  # noqa: N818 - the state of the queue
    """More waits than may wait. ``retry_after``: seconds until what waits now is tagged, as far as
    can be told."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the queue is full for about {retry_after} s")
        self.retry_after = retry_after


class Limits(NamedTuple):
    """What is tagged together, and how much may wait.

    Attributes:
        window: seconds that the oldest request waits for others, unless ``batch_tokens`` wait, or
            the batch before was of one request alone.
        batch_tokens: that are tagged together; the last piece of a batch may go beyond.
        queue_tokens: that may wait. A request that finds nothing waiting may have more.
        queue_requests: that may wait.
    """

    window: float
    batch_tokens: int
    queue_tokens: int
    queue_requests: int


@dataclass(eq=False)
class _Request:
    """The pieces of a request that wait, and what was found in the others."""

    waiting: deque[Piece]
    wanted: Wanted
    arrival: float
    answer: asyncio.Future[list[SentenceTags]]
    found: list[SentenceTags] = field(default_factory=list)


_Batch = dict[_Request, list[Piece]]


class Batching:
    """Collects pieces of texts and has them tagged by one thread, which alone calls ``tag``.

    While a batch is tagged, what arrives waits. The next one takes a piece of each request in turn,
    of those that want the same, so that a long text does not hold up short ones. A request whose
    task is cancelled gives up what it has waiting.

    An asynchronous context manager; :meth:`tag` is called within it. At the end of the block what
    waits is still tagged, and nothing more is taken in.
    """

    def __init__(self, tag: Tag, limits: Limits) -> None:
        self._tag, self._limits = tag, limits
        self._requests: deque[_Request] = deque()  # those with pieces that wait
        self._tokens = 0  # of the pieces that wait
        self._seconds_per_token = 0.0  # of the latest batch
        self._is_alone = False  # whether that was of one request
        self._is_closing = False

    async def __aenter__(self) -> "Batching":
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="tagger")
        self._changed = self._loop.create_future()
        self._running = self._loop.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_closing = True
        self._notify()
        await self._running
        self._pool.shutdown()

    @property
    def is_running(self) -> bool:
        """Whether what waits will be tagged."""
        return not self._running.done()

    @property
    def waiting(self) -> tuple[int, int]:
        """How many requests and tokens wait, besides those that are being tagged."""
        return len(self._requests), self._tokens

    async def tag(self, pieces: Sequence[Piece], wanted: Wanted) -> list[SentenceTags]:
        """What is found in each sentence of the pieces.

        Raises:
            Full: too much waits already, or the block is at its end.
            Exception: what tagging these pieces raised.
        """
        if not pieces:
            return []
        tokens = sum(map(_tokens, pieces))
        too_much = self._tokens + tokens > self._limits.queue_tokens
        too_many = len(self._requests) >= self._limits.queue_requests
        if self._is_closing or (self._requests and (too_much or too_many)):
            raise Full(max(1, math.ceil(self._tokens * self._seconds_per_token)))
        answer: asyncio.Future[list[SentenceTags]] = self._loop.create_future()
        request = _Request(deque(pieces), wanted, self._loop.time(), answer)
        self._requests.append(request)
        self._tokens += tokens
        self._notify()
        try:
            return await answer
        finally:
            self._drop(request)

    def _drop(self, request: _Request) -> None:
        """Forget what a request still has waiting."""
        if request.waiting:
            self._tokens -= sum(map(_tokens, request.waiting))
            self._requests.remove(request)
            request.waiting.clear()

    async def _run(self) -> None:
        """Tag batch after batch, until the block is at its end and nothing waits."""
        while self._requests or not self._is_closing:
            if not self._requests:
                await self._change()
                continue
            if not self._is_alone:
                await self._window()
            if batch := self._next_batch():
                self._is_alone = len(batch) == 1
                await self._compute(batch)

    async def _window(self) -> None:
        """Until the oldest request has waited long enough, or enough has arrived."""
        end = min(request.arrival for request in self._requests) + self._limits.window
        while self._requests and self._tokens < self._limits.batch_tokens and not self._is_closing:
            left = end - self._loop.time()
            if left <= 0:
                return
            await self._change(left)

    def _next_batch(self) -> _Batch:
        """A piece of each request in turn, of all that want what the first one wants."""
        wanted = self._requests[0].wanted if self._requests else None
        turns = deque(request for request in self._requests if request.wanted == wanted)
        batch: _Batch = {}
        tokens = 0
        while turns and tokens < self._limits.batch_tokens:
            request = turns.popleft()
            piece = request.waiting.popleft()
            tokens += _tokens(piece)
            batch.setdefault(request, []).append(piece)
            if request.waiting:
                turns.append(request)
        self._tokens -= tokens
        behind = [request for request in batch if request.waiting]
        self._requests = deque([r for r in self._requests if r not in batch] + behind)
        return batch

    async def _compute(self, batch: _Batch) -> None:
        """Tag a batch. If that fails, each request is tagged alone, so that one that cannot be
        tagged fails alone."""
        pieces = list(chain.from_iterable(batch.values()))
        wanted = next(iter(batch)).wanted
        start = self._loop.time()
        try:
            found = await self._loop.run_in_executor(self._pool, self._tag, pieces, wanted)
        except Exception as error:
            if len(batch) > 1:
                for request, own in batch.items():
                    if not request.answer.done():
                        await self._compute({request: own})
                return
            (request,) = batch
            self._drop(request)
            if not request.answer.done():
                request.answer.set_exception(error)
            return
        tokens = sum(map(_tokens, pieces))
        self._seconds_per_token = (self._loop.time() - start) / max(1, tokens)
        results = iter(found)
        for request, own in batch.items():
            for _ in own:
                request.found += next(results)
            if not request.waiting and not request.answer.done():
                request.answer.set_result(request.found)

    async def _change(self, seconds: float | None = None) -> None:
        """Until something arrives or the block ends, ``seconds`` at most."""
        self._changed = self._loop.create_future()
        await asyncio.wait([self._changed], timeout=seconds)

    def _notify(self) -> None:
        if not self._changed.done():
            self._changed.set_result(None)


def _tokens(piece: Piece) -> int:
    return sum(len(sentence.tokens) for sentence in piece)
