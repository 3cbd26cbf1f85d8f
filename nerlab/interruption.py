"""What a signal does that asks a process to end: nothing is left half done."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):  # noqa: N818 - it is asked for, no error
    """A run was stopped by a signal and can go on; ``status`` is the exit status for it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}, saved")
        self.status = 128 + number


class Interruption:
    """Whether a signal asked the run to stop, and which."""

    def __init__(self) -> None:
        self.requested: int | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within the block the first of ``SIGNALS`` is noted; a second one ends the process."""
        with _handled(SIGNALS, self._note):
            yield

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.requested is not None:
            os._exit(128 + number)
        self.requested = number


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP raise ``SystemExit``, as SIGINT raises
    ``KeyboardInterrupt``: ``finally`` blocks are run, and temporary files removed."""
    with _handled((signal.SIGTERM, signal.SIGHUP), _exit):
        yield


def _exit(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


@contextmanager
def _handled(
    numbers: Sequence[signal.Signals], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    """Handle signals within the block; those that are ignored stay so, as ``nohup`` needs it.

    Only the main thread may set handlers; in any other the signals do what they always do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    found = {number: signal.getsignal(number) for number in numbers}
    before = {number: old for number, old in found.items() if old not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
