"""What check has to say: findings with examples."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

EXAMPLES = 10
Severity = Literal["error", "warning"]


class Example(NamedTuple):
    """One place (``file:line``; None: no single place) and what is to be seen there."""

    where: str | None
    text: str


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or that a person should know.

    Attributes:
        severity: an error stops training; a warning does not.
        kind: its stable name, see :func:`nerlab.commands.check_report.as_json`.
        split: where; None: in all of them together.
        message: one line; a name for the cases where there are examples.
        count: how many cases there are.
        examples: some of them.
        more: how many examples have been left out.
        remedy: what to do about it; empty: nothing needs to be done.
    """

    severity: Severity
    kind: str
    split: str | None
    message: str
    count: int
    examples: tuple[Example, ...] = ()
    more: int = 0
    remedy: str = ""


class Cases:
    """Cases of one kind: how many there are, and the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[Example] = []

    def add(self, where: str, text: str) -> None:
        """Count a case."""
        self.count += 1
        if len(self._first) < EXAMPLES:
            self._first.append(Example(where, text))

    def finding(
        self, severity: Severity, kind: str, split: str, message: str, remedy: str = ""
    ) -> Finding:
        """The finding of these cases."""
        more = self.count - len(self._first)
        return Finding(severity, kind, split, message, self.count, tuple(self._first), more, remedy)


class Forms:
    """Cases of one kind that take the same form again and again: the most frequent are shown."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, where: str, form: str) -> None:
        """Count a case."""
        self._counts[form] += 1
        self._first.setdefault(form, where)

    @property
    def count(self) -> int:
        """How many cases there are."""
        return self._counts.total()

    def finding(self, severity: Severity, kind: str, split: str, message: str) -> Finding:
        """The finding of these cases, with the place where each form occurs first."""
        shown = tuple(
            Example(self._first[form], form if count == 1 else f"{form} ({count} times)")
            for form, count in self._counts.most_common(EXAMPLES)
        )
        more = len(self._counts) - len(shown)
        return Finding(severity, kind, split, message, self.count, shown, more)


def listing(kind: str, split: str | None, message: str, lines: Sequence[str]) -> Finding:
    """A warning whose cases are lines without a place."""
    shown = tuple(Example(None, line) for line in lines[:EXAMPLES])
    return Finding("warning", kind, split, message, len(lines), shown, more=len(lines) - len(shown))
