"""A connection, whose client may be slow, endless or no client at all."""

from asyncio import TimerHandle, Transport
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nerlab.messages import json_line

_HEAD_SECONDS = 15
_MOST_BESIDE = 65_536  # bytes of a request that are no body
_PER_BYTE = 7  # more that a byte of a body may need: a chunk of one has five


class Connection(HttpToolsProtocol):
    """uvicorn's, which would wait for the head of a request for ever, and keep one of any size."""

    _late: TimerHandle | None = None
    _beside = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Expect a request."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._cancel_late()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Go on with a request, unless it is too much."""
        if self.cycle is None or self.cycle.response_complete:
            self._expect_head()
        self._beside += len(data)
        super().data_received(data)
        if self._beside > _MOST_BESIDE and not self.transport.is_closing():
            self._refuse(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"expected a head of {_MOST_BESIDE:,} bytes at most; send a text in the body",
            )

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._cancel_late()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body is there."""
        self._beside -= len(body) * (1 + _PER_BYTE)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The whole request is there."""
        self._beside = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, "expected a request in HTTP/1.1; found something else")

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        body = json_line({"error": message}).encode()
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _expect_head(self) -> None:
        """Close the connection if no head comes in time."""
        if self._late is None:
            self._late = self.loop.call_later(_HEAD_SECONDS, self.transport.close)

    def _cancel_late(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
