"""Connections whose clients are slow, endless, or speak no HTTP."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from nerlab.serving import connection
from nerlab.serving.connection import Connection

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


async def length(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the length of the body, in two digits."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    )
    await send({"type": "http.response.body", "body": b"%02d" % (size % 100)})


def talk(client: Client) -> bytes:
    """What ``client`` makes of a connection to a server."""
    config = uvicorn.Config(length, http=Connection, log_config=None, ws="none", lifespan="off")
    state = ServerState()

    async def work() -> bytes:
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(config, state, {}), "127.0.0.1", 0
        )
        streams = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            return await asyncio.wait_for(client(*streams), 20)
        finally:
            streams[1].close()
            server.close()

    return asyncio.run(work())


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_HEAD_SECONDS", 0.05)


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("sent", [b"", b"GET", GET, b"\r\n", POST + b"Content-Length: 5\r\n"])
@pytest.mark.parametrize("answered", [b"", GET + b"\r\n", POST + b"Content-Length: 1\r\n\r\nx"])
def test_a_connection_does_not_wait_for_a_head_for_ever(sent: bytes, answered: bytes) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        if answered:
            writer.write(answered)
            await reader.readexactly(len(OK) + 2)
            if not sent:
                return b""  # between requests it may be idle for longer
        for byte in sent:  # each byte is no excuse for another
            writer.write(bytes([byte]))
        return await reader.read()

    assert talk(client) == b""


@pytest.mark.usefixtures("_soon")
def test_a_body_may_take_longer_than_a_head() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(POST + b"Content-Length: 2\r\n\r\na")
        await asyncio.sleep(0.15)
        writer.write(b"b")
        return await reader.readexactly(len(OK) + 2)

    assert talk(client) == OK + b"02"


ENDLESS = {
    "name": (GET, b"x" * 1000),
    "value": (GET + b"X: ", b"x" * 1000),
    "headers": (GET, b"X: y\r\n" * 200),
    "path": (b"GET /", b"x" * 1000),
    "trailers": (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"X: y\r\n" * 200),
    "chunk extension": (POST + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 1000),
}


@pytest.mark.parametrize("begin", ENDLESS)
def test_what_is_endless_ends(begin: str) -> None:
    """httptools itself would keep it all."""
    first, again = ENDLESS[begin]

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(first)
        answer = asyncio.ensure_future(reader.read())
        with suppress(ConnectionError):
            while not answer.done():
                writer.write(again)
                await writer.drain()
                await asyncio.sleep(0)
        with suppress(ConnectionError):
            return await answer
        return b""

    answer = talk(client)
    assert answer == b"" or b" 431 " in answer.split(b"\r\n")[0]


@pytest.mark.parametrize("chunk", [b"x", b"x" * 10_000])
def test_a_long_body_comes_in_chunks_of_any_size(chunk: bytes) -> None:
    number = 20_000 // len(chunk)

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(number):
            writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            await asyncio.sleep(0)  # here the server reads
        writer.write(b"0\r\n\r\n" + POST + b"Content-Length: 3\r\n\r\nabc")
        return await reader.readexactly(2 * (len(OK) + 2))

    assert talk(client) == OK + b"00" + OK + b"03"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00",
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        POST + b"Content-Length: x\r\n\r\n",
        POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
def test_what_is_no_request_is_answered_with_400(sent: bytes) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(sent)
        return await reader.read()

    head, _, body = talk(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n")
    assert json.loads(body) == {"error": "expected a request in HTTP/1.1; found something else"}
