"""Commands that are cut short end without a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from nerlab.terminal import discard

_INTERRUPTED = 130  # as a shell has it: 128 + the number of the signal
_CLOSED_PIPE = 141


@contextmanager
def quiet_exit() -> Iterator[None]:
    """End the process with a word at Ctrl-C, and without one when nobody reads its output.

    The latter is what ``head`` does: it ends when it has seen enough.
    """
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        _flush_or_discard()
        sys.exit(_INTERRUPTED)
    except BrokenPipeError as error:
        if not is_closed_pipe(error):
            raise
        _flush_or_discard()
        sys.exit(_CLOSED_PIPE)
    except SystemExit:
        _flush_or_discard()
        raise


def is_closed_pipe(error: BaseException) -> bool:
    """Whether an error says that nobody reads standard output any more."""
    return isinstance(error, BrokenPipeError) and error.filename is None


def _flush_or_discard() -> None:
    """Write what standard output still holds, or drop it: Python would complain when it ends."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        discard(sys.stdout)
