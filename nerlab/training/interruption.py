"""A run that is asked to stop ends its step and saves before it does."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
        """Within the block the first SIGINT or SIGTERM is noted; a second one ends the process.

        Only the main thread may set handlers; in any other the signals do what they always do.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.requested is not None:
            os._exit(128 + number)
        self.requested = number
