"""Work goes on as long as somebody waits for it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from nerlab.serving.waiting import TimedOut, while_awaited


class Work:
    """Takes some seconds, or fails; notes what became of it."""

    became = "asked for"

    async def run(self, seconds: float, error: Exception | None = None) -> int:
        try:
            await asyncio.sleep(seconds)
            if error:
                raise error
        except asyncio.CancelledError:
            self.became = "cancelled"
            raise
        self.became = "done"
        return 42


class Client:
    """What a server hears of a client that goes after some seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.listeners = seconds, 0

    async def receive(self) -> dict[str, Any]:
        self.listeners += 1
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.listeners -= 1
        return {"type": "http.disconnect"}


@pytest.mark.parametrize(
    ("work_takes", "client_stays", "limit", "expected", "became"),
    [
        (0.0, 9.0, 9.0, 42, "done"),
        (9.0, 0.0, 9.0, ClientDisconnect, "cancelled"),
        (9.0, 9.0, 0.0, TimedOut, "cancelled"),
    ],
)
def test_it_ends_with_the_work_the_client_or_the_time(
    work_takes: float, client_stays: float, limit: float, expected: object, became: str
) -> None:
    work, client = Work(), Client(client_stays)

    async def ask() -> object:
        try:
            return await while_awaited(work.run(work_takes), client.receive, limit)
        except (ClientDisconnect, TimedOut) as error:
            return type(error)
        finally:
            await _settle(lambda: work.became == became and client.listeners == 0)

    assert asyncio.run(ask()) == expected


def test_the_error_of_the_work_comes_through() -> None:
    work = Work().run(0, ValueError("of the work"))
    with pytest.raises(ValueError, match="of the work"):
        asyncio.run(while_awaited(work, Client(9).receive, 9))


def test_whoever_is_cancelled_cancels_the_work() -> None:
    work, client = Work(), Client(9)

    async def ask() -> None:
        task = asyncio.ensure_future(while_awaited(work.run(9), client.receive, 9))
        await _settle(lambda: client.listeners == 1)
        task.cancel()
        await _settle(lambda: work.became == "cancelled" and client.listeners == 0)

    asyncio.run(ask())


def test_the_end_of_the_body_is_no_disconnection() -> None:
    messages = iter([{"type": "http.request"}, {"type": "http.request"}])

    async def receive() -> dict[str, Any]:
        return next(messages, None) or await Client(9).receive()

    assert asyncio.run(while_awaited(Work().run(0.01), receive, 9)) == 42


async def _settle(reached: Callable[[], bool]) -> None:
    """Until it is so; it must be so soon."""
    for _ in range(100):
        if reached():
            return
        await asyncio.sleep(0)
    raise AssertionError("it is not so")
