"""How the process of a command ends: on a signal, without a reader or a terminal, with a status.

It imports no library, so that the scripts can use it while the others are loaded.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from types import FrameType
from typing import TextIO, cast

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):  # noqa: N818 - it is asked for, no error
    """A run was stopped by a signal and can go on."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}, saved")
        self.status = 128 + number


class Interruption:
    """Whether a signal asked the run to stop, and which; a second one ends the process."""

    requested: int | None = None

    def note(self, number: int, _: FrameType | None) -> None:
        """Handle a signal."""
        if self.requested is not None:
            os._exit(128 + number)
        self.requested = number


def exit_on_signal(number: int, _: FrameType | None) -> None:
    """Raise, so that ``finally`` blocks are run and temporary files removed."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


@contextmanager
def on_signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle ``SIGNALS`` within the block, in the main thread, which alone may do so; those that
    are ignored stay so, as ``nohup`` needs it."""
    is_main = threading.current_thread() is threading.main_thread()
    found = {number: signal.getsignal(number) for number in SIGNALS if is_main}
    before = {number: old for number, old in found.items() if old not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def quiet_exit() -> Iterator[None]:
    """End the process with a word at Ctrl-C and after :class:`Interrupted`, and without one when
    nobody reads its output: ``head`` ends when it has seen enough."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
        return
    except (KeyboardInterrupt, Interrupted) as stop:
        status: str | int | None = getattr(stop, "status", 128 + signal.SIGINT)  # as a shell has it
        with suppress(OSError):  # the terminal may be gone
            print(str(stop) or "interrupted", file=sys.stderr)
    except BrokenPipeError as error:
        if not is_closed_pipe(error):
            raise
        status = 128 + signal.SIGPIPE
    except SystemExit as stop:
        status = stop.code
    # Else Python would try again to write what is left, and complain.
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with discarding_errors(stream):
            stream.flush()
    sys.exit(status)


def is_closed_pipe(error: BaseException) -> bool:
    """Whether an error says that nobody reads standard output any more."""
    return isinstance(error, BrokenPipeError) and error.filename is None


@contextmanager
def discarding_errors(stream: TextIO) -> Iterator[None]:
    """When a stream cannot be written to within the block, it goes nowhere from then on: what it
    still holds and what comes later."""
    try:
        yield
    except OSError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)


class _LastingStream:
    """A stream to write to, also when its reader, its terminal or the room on its disk is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with discarding_errors(self._stream):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with discarding_errors(self._stream):
            self._stream.flush()


@contextmanager
def lasting_output() -> Iterator[None]:
    """Within the block standard output and standard error may be anything, and nothing fails."""
    with open(os.devnull, "w", encoding="utf-8") as nothing:  # for one that was closed at the start
        out, err = (_LastingStream(stream or nothing) for stream in (sys.stdout, sys.stderr))
        with redirect_stdout(cast(TextIO, out)), redirect_stderr(cast(TextIO, err)):
            try:
                yield
            finally:
                out.flush()
                err.flush()
