"""What readers remark on while they read: rows passed over, spans moved."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_collected: ContextVar[list[str] | None] = ContextVar("collected_remarks", default=None)


def reader_logger(name: str) -> logging.Logger:
    """The logger of a module of readers, ``reader_logger(__name__)``.

    A reader yields sentences alone. What it could not take as it is, it says in one warning at
    the end of the file, by this logger.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_is_left_to_log)
    return logger


@contextmanager
def collected_remarks() -> Iterator[list[str]]:
    """Within the block the warnings that readers log in this thread go into the list, and nowhere
    else."""
    remarks: list[str] = []
    token = _collected.set(remarks)
    try:
        yield remarks
    finally:
        _collected.reset(token)


def _is_left_to_log(record: logging.LogRecord) -> bool:
    remarks = _collected.get()
    if remarks is None or record.levelno < logging.WARNING:
        return True
    remarks.append(record.getMessage())
    return False
