"""What readers remark on while they read: rows passed over, spans moved."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_READERS = "nerlab.data.readers"


@contextmanager
def collected_remarks() -> Iterator[list[str]]:
    """Within the block the warnings that readers log go into the list, and nowhere else.

    A reader says what it could not take as it is in one warning at the end of the file, by the
    logger of its module, because what it yields is sentences alone.
    """
    remarks: list[str] = []
    handler = _Collector(remarks)
    logger = logging.getLogger(_READERS)
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield remarks
    finally:
        logger.propagate = propagate
        logger.removeHandler(handler)


class _Collector(logging.Handler):
    def __init__(self, remarks: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._remarks = remarks

    def emit(self, record: logging.LogRecord) -> None:
        self._remarks.append(record.getMessage())
