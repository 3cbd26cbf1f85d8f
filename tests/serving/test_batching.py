"""The queue, with a tagger that only notes what it is given."""

import asyncio
import selectors
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerlab.inference.pieces import Piece, Untagged
from nerlab.inference.predictor import SentenceTags, Wanted
from nerlab.serving.batching import Batching, Full, Limits

R = TypeVar("R")
LIMITS = Limits(window=0, batch_tokens=10, queue_tokens=1000, queue_requests=100)
PLAIN = Wanted()


class Tagger:
    """Notes the batches. Its work may be held, and what has the token "bad" cannot be tagged."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[Piece], Wanted]] = []
        self.threads: set[int] = set()
        self.free = threading.Event()
        self.free.set()

    def tag(self, pieces: Sequence[Piece], wanted: Wanted) -> list[list[SentenceTags]]:
        self.batches.append((list(pieces), wanted))
        self.threads.add(threading.get_ident())
        assert self.free.wait(10)
        if any("bad" in sentence.tokens for piece in pieces for sentence in piece):
            raise ValueError("a bad token")
        return [[tags_of(sentence.tokens) for sentence in piece] for piece in pieces]

    @property
    def tokens(self) -> list[list[str]]:
        """Those of each batch."""
        return [[t for piece in b for s in piece for t in s.tokens] for b, _ in self.batches]


class JumpingLoop(asyncio.SelectorEventLoop):
    """Its clock jumps when all that is left is to wait; the work of threads takes no time."""

    def __init__(self) -> None:
        self.now, self.jobs = 0.0, 0
        super().__init__(JumpingSelector(self))

    def time(self) -> float:
        return self.now

    def run_in_executor(  # type: ignore[override]
        self, *work: Any
    ) -> "asyncio.Future[Any]":
        self.jobs += 1
        future = super().run_in_executor(*work)
        future.add_done_callback(self._count)
        return future

    def _count(self, _: object) -> None:
        self.jobs -= 1


class JumpingSelector(selectors.DefaultSelector):
    """What such a loop waits with."""

    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self.loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout and not self.loop.jobs:
            self.loop.now += timeout
            timeout = 0
        return super().select(None if timeout else timeout)


def run(work: Coroutine[Any, Any, R]) -> R:
    """The result of ``work`` in such a loop."""
    loop = JumpingLoop()
    try:
        return loop.run_until_complete(asyncio.wait_for(work, 10_000))
    finally:
        loop.close()


def tags_of(tokens: Sequence[str]) -> SentenceTags:
    return SentenceTags([f"tag of {token}" for token in tokens], [])


def piece(*sentences: str) -> Piece:
    """Sentences of tokens with spaces between them."""
    return [Untagged(sentence.split(), None) for sentence in sentences]


def answer_to(pieces: Sequence[Piece]) -> list[SentenceTags]:
    return [tags_of(sentence.tokens) for piece in pieces for sentence in piece]


async def settle() -> None:
    """Whatever can be done now is done."""
    for _ in range(5):
        await asyncio.sleep(0)


async def until(tagger: Tagger, batches: int) -> None:
    """So many batches have begun."""
    while len(tagger.batches) < batches:
        await asyncio.sleep(0)


@st.composite
def _requests(draw: st.DrawFn) -> list[tuple[list[Piece], Wanted, float]]:
    """The pieces of some requests with distinct tokens, what they want, when they come."""
    numbers = iter(range(10_000))
    sentence = st.integers(1, 6).map(lambda n: " ".join(f"t{next(numbers)}" for _ in range(n)))
    pieces = st.lists(st.lists(sentence, max_size=3).map(lambda s: piece(*s)), max_size=5)
    wanted = st.sampled_from([PLAIN, Wanted(marginals=True), Wanted(sequences=2)])
    return draw(st.lists(st.tuples(pieces, wanted, st.sampled_from([0.0, 1.0, 2.5])), max_size=8))


@given(_requests(), st.integers(1, 20), st.sampled_from([0.0, 1.0]))
def test_each_request_is_answered_with_its_own_tags_and_every_piece_is_tagged_once(
    requests: list[tuple[list[Piece], Wanted, float]], batch_tokens: int, window: float
) -> None:
    tagger = Tagger()

    async def ask(batching: Batching, pieces: list[Piece], wanted: Wanted, when: float) -> object:
        await asyncio.sleep(when)
        return await batching.tag(pieces, wanted)

    async def work() -> Sequence[object]:
        limits = LIMITS._replace(window=window, batch_tokens=batch_tokens)
        async with Batching(tagger.tag, limits) as batching:
            answers = await asyncio.gather(*(ask(batching, *request) for request in requests))
            assert batching.waiting == (0, 0)
        return answers

    assert run(work()) == [answer_to(pieces) for pieces, _, _ in requests]
    given_tokens = sorted(t for pieces, _, _ in requests for p in pieces for s in p for t in s[0])
    assert sorted(token for batch in tagger.tokens for token in batch) == given_tokens
    wanted_of = {t: w for pieces, w, _ in requests for p in pieces for s in p for t in s[0]}
    for (pieces, wanted), tokens in zip(tagger.batches, tagger.tokens, strict=True):
        assert {wanted_of[token] for token in tokens} <= {wanted}
        most = max(sum(len(sentence.tokens) for sentence in piece) for piece in pieces)
        assert len(tokens) - most < batch_tokens
    assert len(tagger.threads) <= 1


def test_what_arrives_while_a_batch_is_tagged_is_one_batch() -> None:
    tagger = Tagger()

    async def work() -> None:
        async with Batching(tagger.tag, LIMITS) as batching:
            tagger.free.clear()
            first = asyncio.ensure_future(batching.tag([piece("a")], PLAIN))
            await until(tagger, 1)
            others = [asyncio.ensure_future(batching.tag([piece(t)], PLAIN)) for t in "bcd"]
            await settle()
            assert batching.waiting == (3, 3)
            tagger.free.set()
            await asyncio.gather(first, *others)

    run(work())
    assert tagger.tokens == [["a"], ["b", "c", "d"]]


def test_the_window_counts_from_the_arrival_of_the_oldest() -> None:
    tagger = Tagger()

    async def ask(batching: Batching, token: str, when: float) -> None:
        await asyncio.sleep(when)
        await batching.tag([piece(token)], PLAIN)

    async def work() -> None:
        async with Batching(tagger.tag, LIMITS._replace(window=2)) as batching:
            await asyncio.gather(*(ask(batching, str(when), when) for when in (0, 1.5, 3, 4.5, 6)))

    run(work())
    assert tagger.tokens == [["0", "1.5"], ["3", "4.5"], ["6"]]


def test_the_window_counts_from_what_came_while_a_batch_was_tagged() -> None:
    tagger = Tagger()

    async def work() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpingLoop)
        async with Batching(tagger.tag, LIMITS._replace(window=2)) as batching:
            tagger.free.clear()
            texts = ("a a a a a", "b b b b b")
            tasks = [asyncio.ensure_future(batching.tag([piece(t)], PLAIN)) for t in texts]
            await until(tagger, 1)
            tasks.append(asyncio.ensure_future(batching.tag([piece("at 0")], PLAIN)))
            await settle()
            loop.now = 1.5
            tasks.append(asyncio.ensure_future(batching.tag([piece("at 1.5")], PLAIN)))
            await settle()
            tagger.free.set()
            await asyncio.sleep(1)
            await batching.tag([piece("at 2.5")], PLAIN)
            await asyncio.gather(*tasks)

    run(work())
    assert tagger.tokens[1:] == [["at", "0", "at", "1.5"], ["at", "2.5"]]


@pytest.mark.parametrize("is_enough", [True, False])
def test_the_window_ends_when_a_batch_is_full(is_enough: bool) -> None:
    tagger = Tagger()

    async def work() -> float:
        async with Batching(tagger.tag, LIMITS._replace(window=100)) as batching:
            await batching.tag([piece("a b c d e f g h i" + " j" * is_enough)], PLAIN)
            return asyncio.get_running_loop().time()

    assert run(work()) == (0 if is_enough else 100)


def test_a_request_after_one_that_was_alone_does_not_wait_for_others() -> None:
    tagger = Tagger()

    async def work() -> list[float]:
        loop, times = asyncio.get_running_loop(), []
        async with Batching(tagger.tag, LIMITS._replace(window=100)) as batching:
            for together in (1, 1, 1, 2, 1, 1):
                asked = [batching.tag([piece("a")], PLAIN) for _ in range(together)]
                await asyncio.gather(*asked)
                times.append(loop.time())
        return times

    assert run(work()) == [100, 100, 100, 100, 200, 200]


def test_a_long_text_does_not_hold_up_short_ones() -> None:
    tagger = Tagger()
    texts = {"a": [piece("a a a a a")] * 40, "b": [piece("b b b b b")] * 20, "c": [piece("c")]}

    async def work() -> None:
        async with Batching(tagger.tag, LIMITS) as batching:
            await asyncio.gather(*(batching.tag(pieces, PLAIN) for pieces in texts.values()))

    run(work())
    ends = {name: max(i for i, b in enumerate(tagger.tokens, 1) if name in b) for name in texts}
    # 10 tokens a batch: two pieces of 5, or the short one with two of them.
    assert ends == {"a": 30, "b": 20, "c": 2}


def test_requests_that_want_something_else_take_turns() -> None:
    tagger, done = Tagger(), []

    async def ask(batching: Batching, wanted: Wanted, pieces: list[Piece]) -> None:
        await batching.tag(pieces, wanted)
        done.append(wanted)

    async def work() -> None:
        async with Batching(tagger.tag, LIMITS) as batching:
            many = [piece("a b c d e f g h i j")] * 5
            await asyncio.gather(
                ask(batching, PLAIN, many), ask(batching, Wanted(sequences=3), [piece("z")])
            )

    run(work())
    assert done == [Wanted(sequences=3), PLAIN]
    assert [wanted.sequences for _, wanted in tagger.batches] == [0, 3, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("limits", "texts", "taken"),
    [
        (LIMITS._replace(queue_tokens=5), ["a b c", "d e", "f"], 2),
        (LIMITS._replace(queue_requests=2), ["a", "b", "c"], 2),
        (LIMITS._replace(queue_tokens=1), ["a b c d e f g", "h"], 1),  # or it could never be tagged
    ],
)
def test_beyond_its_bounds_the_queue_is_full(limits: Limits, texts: list[str], taken: int) -> None:
    tagger = Tagger()

    async def work() -> Sequence[object]:
        async with Batching(tagger.tag, limits) as batching:
            tagger.free.clear()
            first = asyncio.ensure_future(batching.tag([piece("first")], PLAIN))
            await until(tagger, 1)
            tasks = [asyncio.ensure_future(batching.tag([piece(t)], PLAIN)) for t in texts]
            await settle()
            tagger.free.set()
            await first
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert await batching.tag([piece("again")], PLAIN) == [tags_of(["again"])]
            return answers

    answers = run(work())
    assert answers[:taken] == [answer_to([piece(text)]) for text in texts[:taken]]
    assert [type(answer) for answer in answers[taken:]] == [Full]


def test_retry_after_is_what_the_tokens_that_wait_will_take() -> None:
    tagger = Tagger()

    async def work() -> Full:
        async with Batching(tagger.tag, LIMITS._replace(queue_tokens=30)) as batching:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, JumpingLoop)
            tagger.free.clear()
            first = asyncio.ensure_future(batching.tag([piece("a b c d")], PLAIN))
            await until(tagger, 1)
            loop.now += 8  # 2 s a token
            tagger.free.set()
            await first
            tagger.free.clear()
            second = asyncio.ensure_future(batching.tag([piece("e")], PLAIN))
            await until(tagger, 2)
            third = asyncio.ensure_future(batching.tag([piece("f " * 30)], PLAIN))
            await settle()
            with pytest.raises(Full) as caught:
                await batching.tag([piece("g")], PLAIN)
            tagger.free.set()
            await asyncio.gather(second, third)
            return caught.value

    assert run(work()).retry_after == 60


def test_a_cancelled_request_is_not_tagged_and_takes_no_room() -> None:
    tagger = Tagger()

    async def work() -> None:
        async with Batching(tagger.tag, LIMITS._replace(queue_requests=2)) as batching:
            tagger.free.clear()
            long = asyncio.ensure_future(batching.tag([piece("a " * 10), piece("b")], PLAIN))
            await until(tagger, 1)
            waits = asyncio.ensure_future(batching.tag([piece("c")], PLAIN))
            await settle()
            assert batching.waiting == (2, 2)
            long.cancel()
            waits.cancel()
            await settle()
            assert batching.waiting == (0, 0)
            other = asyncio.ensure_future(batching.tag([piece("d")], PLAIN))
            await settle()
            tagger.free.set()
            assert await other == [tags_of("d")]
            for task in (long, waits):
                with pytest.raises(asyncio.CancelledError):
                    await task

    run(work())
    assert tagger.tokens == [["a"] * 10, ["d"]]


def test_when_all_are_cancelled_within_the_window_nothing_is_tagged() -> None:
    tagger = Tagger()

    async def work() -> None:
        async with Batching(tagger.tag, LIMITS._replace(window=5)) as batching:
            task = asyncio.ensure_future(batching.tag([piece("a")], PLAIN))
            await settle()
            task.cancel()
            await asyncio.sleep(10)
            assert tagger.batches == []
            assert await batching.tag([piece("b")], PLAIN) == [tags_of("b")]

    run(work())


def test_a_request_that_cannot_be_tagged_fails_alone() -> None:
    tagger = Tagger()

    async def work() -> Sequence[object]:
        async with Batching(tagger.tag, LIMITS._replace(window=1)) as batching:
            texts = (["a"], ["b", "bad", "later", *["more words here"] * 9], ["c"])
            asked = [batching.tag([piece(p) for p in pieces], PLAIN) for pieces in texts]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert batching.waiting == (0, 0)
            assert await batching.tag([piece("d")], PLAIN) == [tags_of("d")]
            assert batching.is_running
            return answers

    first, second, third = run(work())
    assert (first, third) == ([tags_of("a")], [tags_of("c")])
    assert isinstance(second, ValueError)
    # Of the failed request two were in the batch, and tried once more; the others are not tagged.
    assert sum(tokens.count("more") for tokens in tagger.tokens) == 4


def test_at_the_end_what_waits_is_tagged_without_a_window_and_nothing_is_taken_in() -> None:
    tagger = Tagger()

    async def work() -> float:
        async with Batching(tagger.tag, LIMITS._replace(window=1000)) as batching:
            task = asyncio.ensure_future(batching.tag([piece("a b")] * 20, PLAIN))
            await settle()
            short = asyncio.ensure_future(batching.tag([piece("c")], PLAIN))
            await settle()
        assert await task == [tags_of("ab")] * 20
        assert await short == [tags_of("c")]
        with pytest.raises(Full):
            await batching.tag([piece("d")], PLAIN)
        assert not batching.is_running
        return asyncio.get_running_loop().time()

    assert run(work()) == 0


def test_a_request_without_words_is_answered_at_once() -> None:
    tagger = Tagger()

    async def work() -> list[SentenceTags]:
        async with Batching(tagger.tag, LIMITS._replace(window=1000)) as batching:
            return await batching.tag([], PLAIN)

    assert run(work()) == []
    assert tagger.batches == []
