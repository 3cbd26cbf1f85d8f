"""What every answer carries, and how it is noted."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nerlab.serving.log import Log
from nerlab.serving.metrics import Metrics

HEADERS = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        b"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
"""Of every answer that does not say otherwise."""
_GONE = 499  # as nginx counts requests whose client did not wait


class Watch:
    """Adds :data:`HEADERS`, and notes each answer in the log and the metrics."""

    def __init__(self, app: ASGIApp, log: Log, metrics: Metrics) -> None:
        self._app, self._log, self._metrics = app, log, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status, received, sent = _GONE, 0, 0

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def counted_send(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                names = {name.lower() for name, _ in message["headers"]}
                more = [pair for pair in HEADERS.items() if pair[0] not in names]
                message = {**message, "headers": [*message["headers"], *more]}
            else:
                sent += len(message.get("body", b""))
            await send(message)

        with self._metrics.in_progress.track_inprogress():
            try:
                await self._app(scope, counted_receive, counted_send)
            finally:
                seconds = time.perf_counter() - start
                self._log.answered(status, received, sent, seconds)
                self._metrics.answered(scope["path"], status, received, sent, seconds)
