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
        self.asked = 0  # how often
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/file"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        answer = server.answers[min(server.asked, len(server.answers) - 1)]
        server.asked += 1
        body = answer.content
        self.send_response(answer.status)
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
