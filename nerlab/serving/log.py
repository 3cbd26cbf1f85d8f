"""What the server writes: a line an answer, and a line an error that names code and no data.

A request holds what people wrote, and messages of exceptions and of libraries may repeat it, so
none is ever written.
"""

import logging
import sys
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from queue import Full, Queue
from threading import Thread
from traceback import walk_tb

_MOST_LINES = 10_000
_MOST_FRAMES = 12


class Log(logging.Handler):
    """Writes lines on standard output, in a thread of its own: a reader that is slow does not hold
    up the server; what it has no room for is lost.

    A context manager, within which warnings and errors of all libraries become lines too.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: Queue[str | None] = Queue(_MOST_LINES)
        self._writer = Thread(target=self._write, name="log", daemon=True)

    def __enter__(self) -> "Log":
        self._writer.start()
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *error: object) -> None:
        logging.getLogger().removeHandler(self)
        with suppress(Full):
            self._lines.put(None, timeout=1)
        self._writer.join(timeout=1)

    def answered(self, status: int, received: int, sent: int, seconds: float) -> None:
        """Write of an answer its status, the bytes of the request's body, its own, and its time."""
        self._put(f"{_now()} {status} in={received} out={sent} {seconds * 1e3:.1f} ms")

    def emit(self, record: logging.LogRecord) -> None:
        """Write of a message where it comes from, and of its exception where that was raised."""
        line = (
            f"{_now()} {record.levelname.lower()} {record.name} {record.filename}:{record.lineno}"
        )
        error = record.exc_info[1] if record.exc_info else None
        self._put(line if error is None else f"{line} {describe(error)}")

    def _put(self, line: str) -> None:
        with suppress(Full):
            self._lines.put_nowait(line)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            sys.stdout.write(line + "\n")
            if self._lines.empty():
                sys.stdout.flush()


def describe(error: BaseException) -> str:
    """The type of an error and the lines of code that it passed, and the same of its cause."""
    frames = [
        f"{Path(frame.f_code.co_filename).name}:{line}"
        for frame, line in walk_tb(error.__traceback__)
    ]
    told = " ".join([type(error).__name__, *frames[-_MOST_FRAMES:]])
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return told if cause is None else f"{told} after {describe(cause)}"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
