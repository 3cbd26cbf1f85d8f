"""What readers warn of while they read: rows left out, spans moved."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

logger = logging.getLogger(__name__)
_collected: ContextVar[list[str] | None] = ContextVar("reader_warnings", default=None)


def warn(message: str) -> None:
    """Say, at the end of a file, what of it a reader could not take as it is.

    The message goes to whoever collects the warnings of this thread, else to the log.
    """
    collected = _collected.get()
    if collected is None:
        logger.warning(message)
    else:
        collected.append(message)


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """The warnings of the readers that run within the block, in this thread."""
    collected: list[str] = []
    token = _collected.set(collected)
    try:
        yield collected
    finally:
        _collected.reset(token)
