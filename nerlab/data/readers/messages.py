"""What readers say of options, of values that they did not expect, and of what they passed over."""

from collections import Counter
from collections.abc import Sequence

_SHOWN_CHARACTERS = 60
_EXAMPLES = 5


def check_choice(option: str, value: object, choices: Sequence[str]) -> None:
    """Raise ``ValueError`` unless the value of ``data.reader.<option>`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(
            f"data.reader.{option}: expected {' or '.join(choices)}, found {shown(value)}"
        )


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
