"""What readers say of values that they did not expect, and of what they passed over."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

logger = logging.getLogger(__name__)
_SHOWN_CHARACTERS = 60
_EXAMPLES = 5
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


def check_columns(named: Sequence[str], header: Sequence[str], where: str, options: str) -> None:
    """Raise ``ValueError`` unless each of the columns ``named``, by ``data.reader.<options>``,
    stands once in the header of the file; ``where`` is its file and line."""
    wrong = [
        f"{'no' if name not in header else 'more than one'} column {name!r}"
        for name in dict.fromkeys(named)
        if header.count(name) != 1
    ]
    if wrong:
        expected = ", ".join(map(repr, named))
        found = ", ".join(map(shown, header)) or "nothing"
        raise ValueError(
            f"{where}: {' and '.join(wrong)}: expected {expected}, found {found}; set "
            f"data.reader.{options} to those of the file"
        )


def shown(value: object) -> str:
    """A value of a file for a message: short and on one line.

    What holds other values is named by its type alone: deep nesting has no ``repr``.
    """
    if value is None:
        return "null"
    if isinstance(value, str):
        return repr(value[:_SHOWN_CHARACTERS]) + "…" * (len(value) > _SHOWN_CHARACTERS)
    if isinstance(value, bool | int | float):
        return repr(value)[:_SHOWN_CHARACTERS]
    return f"a {type(value).__name__}"


class Tally:
    """What was passed over in a file: how often each kind, and the first examples.

    ``str`` of it is one line, as in ``2 empty, 1 out of the text; line 3: ...; line 8: ...``.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: list[str] = []

    def add(self, kind: str, example: str) -> None:
        """Count one more of a kind; ``example`` says where it stands and what it is."""
        self._counts[kind] += 1
        if len(self._examples) < _EXAMPLES:
            self._examples.append(example)

    def __len__(self) -> int:
        return self._counts.total()

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {kind}" for kind, count in self._counts.items())
        return "; ".join([counts, *self._examples])
