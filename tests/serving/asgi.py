"""Asking an application without a network: what it receives, and when, is up to the test."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Scope

GONE: Message = {"type": "http.disconnect"}


class Answer(NamedTuple):
    """What was sent; status 0 if nothing was. ``left``: messages that were not received."""

    status: int
    headers: Headers
    body: bytes
    left: int


def part(body: bytes, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def parts(bodies: Iterable[bytes]) -> list[Message]:
    """A body that arrives in so many parts."""
    chunks = list(bodies) or [b""]
    return [part(chunk, number < len(chunks)) for number, chunk in enumerate(chunks, start=1)]


async def ask(
    app: ASGIApp,
    path: str = "/",
    messages: Iterable[Message] = ({"type": "http.request"},),
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    method: str = "POST",
    query: str = "",
) -> Answer:
    """What ``app`` answers to a request whose body are ``messages``; behind the last one the client
    waits."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "headers": [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in pairs],
    }
    waiting = list(messages)
    sent: list[Message] = []

    async def receive() -> Message:
        if waiting:
            return waiting.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = [m for m in sent if m["type"] == "http.response.start"]
    assert len(start) <= 1
    assert sent[:1] == start
    bodies = [m for m in sent if m["type"] == "http.response.body"]
    if not start:
        return Answer(0, Headers(), b"", len(waiting))
    assert [m.get("more_body", False) for m in bodies] == [True] * (len(bodies) - 1) + [False]
    return Answer(
        start[0]["status"],
        Headers(raw=start[0]["headers"]),
        b"".join(m.get("body", b"") for m in bodies),
        len(waiting),
    )
