"""What a request must pass before it is looked at, and what every answer carries."""

import asyncio
import hashlib
import hmac
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from anyio import fail_after, move_on_after
from fastapi import FastAPI, Response
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nerlab.serving.failures import RETRY, failure
from nerlab.serving.log import Log
from nerlab.serving.metrics import Metrics
from nerlab.serving.watch import Watch

_LINGER_SECONDS = 2
_ORIGIN = re.compile(r"\*|https?://[^\s/?#@]+")
_logger = logging.getLogger(__name__)


class Protection(NamedTuple):
    """What is asked of a request.

    Attributes:
        token: that it must bring, if there is one.
        open_paths: that need none.
        cors: origins whose pages may ask; ``*``: all.
        max_body: bytes of its body.
        max_bodies: bytes of the bodies of all requests at once.
        body_timeout: seconds in which its body must arrive.
    """

    token: str | None
    open_paths: frozenset[str]
    cors: Sequence[str]
    max_body: int
    max_bodies: int
    body_timeout: float

    def check(self) -> None:
        """``ValueError``: a token that no header can carry, or an origin that is none."""
        if self.token is not None and not re.fullmatch(r"[!-~]+", self.token):
            raise ValueError(
                "token: expected letters, digits and signs of ASCII without a space, "
                "as openssl rand -hex 32 makes them"
            )
        for origin in self.cors:
            if not _ORIGIN.fullmatch(str(origin)):
                expected = "expected * or an origin, as https://example.org, without a path"
                raise ValueError(f"cors={origin}: {expected}")


def guard(app: FastAPI, protection: Protection, log: Log) -> None:
    """Let only requests through to ``app`` that are as ``protection`` says, and note all in the log
    and the metrics of ``app``."""
    metrics: Metrics = app.state.metrics
    metrics.paths = frozenset(route.path for route in app.routes if isinstance(route, Route))
    app.add_middleware(Guard, protection=protection)
    if protection.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=protection.cors,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After"],
        )
    app.add_middleware(Watch, log=log, metrics=metrics)  # the last is the outermost


class Guard:
    """Answers in place of ``app`` what lacks the token, is too large or too slow; the others reach
    it with their whole body. What it raises is answered with 500, and logged without its message.
    """

    def __init__(self, app: ASGIApp, protection: Protection) -> None:
        self._app, self._protection = app, protection
        self._digest = None if protection.token is None else _digest(protection.token)
        self._held = 0  # bytes of bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def noted_send(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._answer(scope, receive, noted_send)
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:  # the time that requests have when the server ends is over
            if not has_begun:
                await failure(503, "the server ends; try again", RETRY)(scope, receive, send)
            raise
        except Exception as error:
            _logger.error("", exc_info=error)  # nerlab.serving.log leaves its message out
            if not has_begun:
                message = "the server failed at this request; its log says where"
                await failure(500, message)(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        headers = Headers(scope=scope)
        has_body = "content-length" in headers or "transfer-encoding" in headers
        if not self._is_admitted(scope["path"], headers):
            message = "Authorization: expected Bearer and the token of this server"
            refusal = failure(401, message, {"WWW-Authenticate": "Bearer"})
            await _refuse(refusal, receive, send, has_body)
        elif has_body:
            await self._with_body(headers, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_admitted(self, path: str, headers: Headers) -> bool:
        if self._digest is None or path in self._protection.open_paths:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # Digests are of one length, so the time tells nothing of the token.
        is_token = hmac.compare_digest(_digest(given.strip()), self._digest)
        return is_token and scheme.lower() == "bearer"

    async def _with_body(
        self, headers: Headers, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Take the body in, and let the request through with it."""
        body = _Body()
        try:
            refusal = await self._read(headers, receive, body)
            if refusal is None:
                await self._app(scope, _replay(bytes(body.content), receive), send)
        finally:
            self._held -= len(body.content)
        if refusal is not None:
            await _refuse(refusal, receive, send, not body.is_complete)

    async def _read(self, headers: Headers, receive: Receive, body: "_Body") -> Response | None:
        """Fill ``body``. The answer if it is more than is taken, or comes too slowly."""
        most, seconds = self._protection.max_body, self._protection.body_timeout
        too_large = f"body: expected {most:,} bytes at most; send it in parts"
        if int(headers.get("content-length", 0)) > most:
            return failure(413, too_large)
        try:
            with fail_after(seconds):
                while not body.is_complete:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    body.content += message.get("body", b"")
                    body.is_complete = not message.get("more_body", False)
                    self._held += len(message.get("body", b""))
                    if len(body.content) > most:
                        return failure(413, too_large)
                    if self._held > self._protection.max_bodies:
                        return failure(503, "too many long requests; try again later", RETRY)
        except TimeoutError:
            expected = f"body: expected all of it within {seconds:g} s"
            found = f"found {len(body.content):,} bytes"
            return failure(408, f"{expected}, {found}; send it again")
        return None


@dataclass
class _Body:
    """What has arrived of a body."""

    content: bytearray = field(default_factory=bytearray)
    is_complete: bool = False


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _replay(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that begins with a whole body."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return first.pop() if first else await receive()

    return replayed


async def _refuse(refusal: Response, receive: Receive, send: Send, unread: bool) -> None:
    """Send an answer. If there is ``unread`` body the connection ends, after a while in which the
    rest is thrown away: a client that first sends all would else see no answer but a reset."""
    if unread:
        refusal.headers["Connection"] = "close"
    start = {"type": "http.response.start", "status": refusal.status_code}
    await send({**start, "headers": refusal.raw_headers})
    await send({"type": "http.response.body", "body": refusal.body, "more_body": unread})
    if unread:
        with move_on_after(_LINGER_SECONDS):
            while (await receive()).get("more_body"):
                pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})
