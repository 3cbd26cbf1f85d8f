"""What check has to say: findings with examples."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

EXAMPLES = 10
Severity = Literal["error", "warning"]


class Example(NamedTuple):
    """One place (``file:line``; None: no single place) and what is found there."""

    where: str | None
    text: str


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or that a person should know.

    Attributes:
        severity: an error stops training; a warning does not.
        kind: its stable name; ``python -m nerlab check --help`` lists them.
        split: where; None: in all of them together.
        message: one line; a name for the cases where there are examples.
        count, examples, more: how many cases there are, some of them, how many are left out.
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
    """Counts cases of one kind and keeps examples: the first cases, or, with ``merge``, the most
    frequent texts, each with its first place."""

    def __init__(self, merge: bool = False) -> None:
        self._count = 0
        self._merge = merge
        self._times: Counter[str] = Counter()
        self._first: dict[str, Example] = {}

    def add(self, where: str | None, text: str) -> None:
        """Count a case."""
        self._count += 1
        if self._merge or self._count <= EXAMPLES:
            key = text if self._merge else str(self._count)
            self._times[key] += 1
            self._first.setdefault(key, Example(where, text))

    def finding(
        self,
        kind: str,
        split: str | None,
        message: str,
        severity: Severity = "warning",
        remedy: str = "",
    ) -> list[Finding]:
        """The finding of these cases; none if there is no case."""
        examples = []
        for key, times in self._times.most_common(EXAMPLES):
            where, text = self._first[key]
            examples.append(Example(where, text if times == 1 else f"{text} ({times} times)"))
        more = (len(self._times) if self._merge else self._count) - len(examples)
        shown = tuple(examples)
        finding = Finding(severity, kind, split, message, self._count, shown, more, remedy)
        return [finding] if self._count else []


def listing(kind: str, split: str | None, message: str, lines: Iterable[str]) -> list[Finding]:
    """A warning whose cases are lines without a place; none if there is no line."""
    cases = Cases()
    for line in lines:
        cases.add(None, line)
    return cases.finding(kind, split, message)
