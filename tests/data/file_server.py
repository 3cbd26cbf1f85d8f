"""A server on this machine that serves one file, as badly as it is told to."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CONTENT = bytes(i * i % 251 for i in range(400_000))
WAIT_S = 20  # for what happens at once unless it never does


@dataclass(frozen=True)
class Answer:
    """How the server meets one request."""

    content: bytes = CONTENT
    status: int = 200
    ranges: bool = True
    shift: int = 0  # bytes that a range begins too late
    etag: str | None = None
    stop: int | None = None  # bytes of the body that are sent before it stops ...
    goes_on: bool = False  # ... for good, or until the server is released
    location: str = ""


class Server(ThreadingHTTPServer):
    """One file on this machine; the last of ``answers`` is given again and again."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.asked: list[tuple[str | None, str | None]] = []
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/file"

    @property
    def ranges(self) -> list[str | None]:
        return [first for first, _ in self.asked]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        answer = server.answers[min(len(server.asked), len(server.answers) - 1)]
        wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
        server.asked.append((wanted, condition))
        content, begin, status = answer.content, 0, answer.status
        if wanted and answer.ranges and status == 200 and condition in (None, answer.etag):
            begin = int(wanted.removeprefix("bytes=").removesuffix("-")) + answer.shift
            status = 206 if begin < len(content) else 416
        body = content[begin:]
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        if answer.etag:
            self.send_header("ETag", answer.etag)
        if answer.location:
            self.send_header("Location", answer.location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        stop = len(body) if answer.stop is None else answer.stop
        self.wfile.write(body[:stop])
        self.wfile.flush()
        if answer.goes_on:
            server.released.wait(WAIT_S)
            self.wfile.write(body[stop:])

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(*answers: Answer) -> Iterator[Server]:
    server = Server(*answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files(folder: Path) -> list[str]:
    """The names of what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())
