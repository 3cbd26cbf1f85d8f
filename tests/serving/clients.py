"""Clients of a server: good ones, slow ones, broken ones, many at once."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

HOST = "127.0.0.1"
GONE = (ConnectionError, asyncio.IncompleteReadError)
_CLOSE_TO = (
    2e-6  # scores are rounded to 6 digits; of sentences in another batch the last may differ
)
_LARGE = 10_000_000
_IN_TIME = 60.0
_SLICES = 8  # of a body that is sent slowly


class Request(NamedTuple):
    """What is sent, and the JSON that answers it."""

    body: bytes
    kind: str
    expected: Any

    def head(self, length: int | None = None) -> bytes:
        """The lines before the body, which may be said to be longer than it is."""
        size = len(self.body) if length is None else length
        return (
            f"POST /predict HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {self.kind}\r\n"
            f"Content-Length: {size}\r\n\r\n"
        ).encode()


def _sent(body: bytes, kind: str = "application/json") -> bytes:
    return Request(body, kind, None).head() + body


_GARBAGE = (
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is no HTTP\r\n\r\n", 400),
    (_sent(b"{]"), 400),
    (_sent(b'"\xff"'), 400),
    (_sent(b'{"words": 1}'), 422),
    (_sent(b"<text/>", "application/xml"), 415),
)


class Answer(NamedTuple):
    """What a server says."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One to a server, for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection(HOST, port))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Answer:
        """The answer to what was sent, which comes in time."""
        return await asyncio.wait_for(self._answer(), _IN_TIME)

    async def _answer(self) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        headers = {name.lower(): value for name, value in pairs}
        body = await self.reader.readexactly(int(headers["content-length"]))
        return Answer(int(head[0].split()[1]), headers, body)

    async def ask(self, request: Request) -> Answer:
        await self.send(request.head() + request.body)
        return await self.answer()

    def close(self) -> None:
        self.writer.close()


def is_right(found: Any, expected: Any) -> bool:
    """Whether two values of JSON are the same, but for the last digit of a score."""
    if isinstance(expected, float) and isinstance(found, float | int):
        return abs(found - expected) <= _CLOSE_TO
    if isinstance(expected, dict) and isinstance(found, dict):
        names = expected.keys()
        return found.keys() == names and all(is_right(found[n], expected[n]) for n in names)
    if isinstance(expected, list) and isinstance(found, list):
        return len(found) == len(expected) and all(map(is_right, found, expected))
    return bool(found == expected)


@dataclass
class Load:
    """Clients that go on with a server while ``goes_on`` says so, and what became of them.

    Attributes:
        port: of the server.
        requests: what good clients ask for.
        goes_on: asked by each client before each round.
        statuses: how often each kind of client was answered with each status; 0: not at all.
        wrong: what no client may see.
    """

    port: int
    requests: Sequence[Request]
    goes_on: Callable[[], bool]
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    async def run(self, clients: int) -> None:
        """So many clients at once, two of three of them good."""
        kinds = [self._good] * 12 + [self._slow, self._half, self._gone, self._large, self._chunked]
        kinds.append(self._garbage)
        await asyncio.gather(*(kinds[i % len(kinds)](Random(i)) for i in range(clients)))

    def _judge(self, kind: str, request: Request, answer: Answer) -> None:
        """An answer is right, or 503 with the time to wait."""
        self.statuses[kind, answer.status] += 1
        value = json.loads(answer.body)
        if answer.status == 503:
            if int(answer.headers["retry-after"]) < 1 or list(value) != ["error"]:
                self.wrong.append(f"{kind}: {answer}")
        elif answer.status != 200 or not is_right(value, request.expected):
            self.wrong.append(f"{kind}: {request.body[:200]!r} {answer.status} {value}"[:2000])

    def _expect(self, kind: str, status: int, *expected: int) -> None:
        self.statuses[kind, status] += 1
        if status not in expected:
            self.wrong.append(f"{kind}: {status}")

    async def _good(self, random: Random) -> None:
        connection = await Connection.to(self.port)
        while self.goes_on():
            request = random.choice(self.requests)
            answer = await connection.ask(request)
            self._judge("good", request, answer)
            if answer.status == 503:
                await asyncio.sleep(0.1)
            if answer.headers.get("connection") == "close":
                connection.close()
                connection = await Connection.to(self.port)
        connection.close()

    async def _slow(self, random: Random) -> None:
        """Sends the body a bit at a time."""
        while self.goes_on():
            connection, request = await Connection.to(self.port), random.choice(self.requests)
            await connection.send(request.head())
            size = len(request.body) // _SLICES + 1
            for start in range(0, len(request.body), size):
                await connection.send(request.body[start : start + size])
                await asyncio.sleep(random.choice([0, 0.02]))
            self._judge("slow", request, await connection.answer())
            connection.close()

    async def _half(self, random: Random) -> None:
        """Sends half of a request and goes."""
        while self.goes_on():
            connection, request = await Connection.to(self.port), random.choice(self.requests)
            data = request.head() + request.body
            await connection.send(data[: random.randrange(1, len(data))])
            await asyncio.sleep(random.choice([0, 0.02, 0.2]))
            connection.close()
            self.statuses["half", 0] += 1

    async def _gone(self, random: Random) -> None:
        """Sends a whole request and goes before it is answered."""
        while self.goes_on():
            connection, request = await Connection.to(self.port), random.choice(self.requests)
            await connection.send(request.head() + request.body)
            await asyncio.sleep(random.choice([0, 0.002, 0.02]))
            connection.writer.transport.abort()
            self.statuses["gone", 0] += 1

    async def _large(self, random: Random) -> None:
        """Sends more than the server takes. It may go when it has seen enough."""
        while self.goes_on():
            head = random.choice(self.requests).head(_LARGE)
            await self._send_all("large", head, b"x" * 100_000, _LARGE // 100_000)

    async def _chunked(self, random: Random) -> None:
        """The same, without saying so before."""
        while self.goes_on():
            head = (
                f"POST /predict HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
                "Transfer-Encoding: chunked\r\n\r\n"
            ).encode()
            chunk = b"186a0\r\n" + b"x" * 100_000 + b"\r\n"
            await self._send_all("chunked", head, chunk, _LARGE // 100_000)

    async def _send_all(self, kind: str, head: bytes, part: bytes, times: int) -> None:
        connection = await Connection.to(self.port)
        with suppress(ConnectionError):
            await connection.send(head)
            for _ in range(times):
                if connection.reader.at_eof():
                    break
                await connection.send(part)
                await asyncio.sleep(0)
        try:
            self._expect(kind, (await connection.answer()).status, 413)
        except GONE:
            self._expect(kind, 0, 0)
        connection.close()

    async def _garbage(self, random: Random) -> None:
        """Sends what is no request, or none of ours."""
        while self.goes_on():
            connection = await Connection.to(self.port)
            data, expected = random.choice(_GARBAGE)
            await connection.send(data)
            self._expect("garbage", (await connection.answer()).status, expected)
            connection.close()
