"""Standard output and standard error of work that goes on whatever becomes of them."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TextIO


def discard(stream: TextIO) -> None:
    """Let what a stream still holds, and what is written to it from now on, go nowhere.

    Else Python would try again when it ends, and complain.
    """
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)


class LastingStream(io.TextIOBase):
    """A stream to write to, also when its reader, its terminal or the room on its disk is gone.

    Args:
        stream: what is written to; None where the process was started without it.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream."""
        return "utf-8" if self._stream is None else self._stream.encoding

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """The descriptor of the stream."""
        return super().fileno() if self._stream is None else self._stream.fileno()

    def write(self, text: str) -> int:
        """Write, or drop the text."""
        if self._stream is not None:
            try:
                self._stream.write(text)
            except OSError:
                discard(self._stream)
        return len(text)

    def flush(self) -> None:
        """Flush, or drop what is held."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except OSError:
                discard(self._stream)


@contextmanager
def lasting_output() -> Iterator[None]:
    """Within the block standard output and standard error may be anything, and nothing fails."""
    out, err = LastingStream(sys.stdout), LastingStream(sys.stderr)
    with redirect_stdout(out), redirect_stderr(err):
        try:
            yield
        finally:
            out.flush()
            err.flush()
