"""Work for a request, as long as somebody waits for the answer."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

R = TypeVar("R")


class TimedOut(Exception):  # noqa: N818 - a name as that of ClientDisconnect
    """The time for an answer is over."""


async def while_awaited(work: Coroutine[object, object, R], receive: Receive, seconds: float) -> R:
    """The result of ``work`` for a request whose body has been read; it is cancelled when it is not
    there in time, or its client has gone.

    Raises:
        TimedOut: it took longer than ``seconds``.
        ClientDisconnect: the client has gone.
        Exception: what ``work`` raised.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnection(receive))
    try:
        await asyncio.wait((task, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect if gone.done() else TimedOut(f"no answer within {seconds} s")
    finally:
        task.cancel()
        gone.cancel()


async def _disconnection(receive: Receive) -> None:
    """Until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
