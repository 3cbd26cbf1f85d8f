"""Work that has to come to an end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_hang(limit: int) -> Iterator[None]:
    """Fail if the block takes more than ``limit`` seconds of this process's processor time.

    This measures no speed: at sizes of which the work takes a few hundredths of the limit, only
    time that grows with the square of the size can reach it.
    """

    def stop(*_: object) -> None:
        raise AssertionError(f"it did not end within {limit} seconds of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
