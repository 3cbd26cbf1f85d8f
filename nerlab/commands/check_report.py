"""The report of check, as text and as JSON."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from io import StringIO
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nerlab.commands.characters import visible
from nerlab.commands.facts import Facts
from nerlab.commands.findings import Finding

_SHOWN_TYPES = 30


@dataclass(frozen=True)
class Report:
    """What check has found: figures of every split that could be read; findings, errors first."""

    facts: dict[str, Facts]
    findings: list[Finding]

    def count(self, severity: str) -> int:
        """How many findings have this severity."""
        return sum(finding.severity == severity for finding in self.findings)


def as_json(report: Report) -> str:
    """The report as one JSON document.

    ``splits`` maps the name of each split that could be read to the fields of
    :class:`~nerlab.commands.facts.Facts`. ``findings`` is a list of objects with the fields of
    :class:`~nerlab.commands.findings.Finding`; ``examples`` are objects ``{"where", "text"}``,
    ``where`` being ``file:line`` or null. ``errors`` and ``warnings`` count the findings. The
    ``kind`` of a finding is one of

    =====================  ===================================================================
    unreadable             a split cannot be read
    tag-count              a sentence has more or fewer tags than tokens
    unknown-tag            a tag is a word that is none in any scheme
    illegal-tag            a tag that ``data.scheme`` does not know or forbids there
    reader                 what the reader remarked on
    too-many-types         more entity types than a model takes
    many-types             so many in train that a CRF is slow
    one-token-sentences    at least half of the sentences of a split have one token
    number-tokens          at least half of its tokens are numbers
    no-entity              it has no entity
    empty-sentence         without a token; training leaves it out
    empty-token            without a character
    long-sentence          longer than the sentences that prediction makes
    loose-end              an entity that begins or ends with a mark or white space
    <oddity>-characters    see :func:`~nerlab.commands.characters.oddities`
    rare-type              a type with few examples in train
    missing-type           a type that another split has
    ambiguous              a surface form with several labels
    partly-labelled        a word that is an entity here and outside of any there
    duplicate              a sentence that repeats an earlier one of its split, or of all splits
    shared                 a sentence that an earlier split has too
    =====================  ===================================================================
    """
    document: dict[str, Any] = {
        "splits": {split: asdict(facts) for split, facts in report.facts.items()},
        "findings": [
            asdict(finding) | {"examples": [example._asdict() for example in finding.examples]}
            for finding in report.findings
        ],
        "errors": report.count("error"),
        "warnings": report.count("warning"),
    }
    return json.dumps(document, indent=2) + "\n"


def as_text(report: Report, width: int) -> str:
    """The report for the eye: a table of ``width`` characters, and lines as long as they are."""
    file = StringIO()
    console = Console(file=file, width=width, emoji=False, highlight=False)
    if report.facts:
        console.print(_facts_table(report.facts))
        console.print()
    for line in _finding_lines(report):
        file.write(line + "\n")
    return file.getvalue()


def _finding_lines(report: Report) -> Iterator[str]:
    for finding in report.findings:
        place = f"{finding.split}: " if finding.split else ""
        count = f": {finding.count}" if finding.examples else ""
        remedy = f"; {finding.remedy}" if finding.remedy else ""
        yield f"{finding.severity:<9}{place}{visible(finding.message)}{count}{remedy}"
        for example in finding.examples:
            yield "         " + (f"{example.where}: " if example.where else "") + example.text
        if finding.more:
            yield f"         and {finding.more} more"
    numbers = [
        f"{n} {severity}{'s' * (n != 1)}"
        for severity in ("error", "warning")
        if (n := report.count(severity))
    ]
    yield ", ".join(numbers) or "nothing to remark on"


def _share(count: int, of: int) -> str:
    return f"{count:,} ({100 * count / max(of, 1):.1f} %)"


_ROWS: dict[str, Callable[[Facts], str]] = {
    "sentences": lambda f: f"{f.sentences:,}",
    "documents": lambda f: "not marked" if f.documents is None else f"{f.documents:,}",
    "tokens": lambda f: f"{f.tokens:,}",
    "distinct tokens": lambda f: f"{f.distinct_tokens:,}",
    "tokens unseen in train": lambda f: _share(f.unseen.words, f.tokens) if f.unseen else "",
    "longest sentences": lambda f: ", ".join(str(long.tokens) for long in f.longest[:3]),
    "at lines": lambda f: ", ".join(str(long.line) for long in f.longest[:3]),
    "sentences without entity": lambda f: _share(f.sentences_without_entity, f.sentences),
    "entities unseen in train": lambda f: _share(f.unseen.entities, f.entities) if f.unseen else "",
    "entities": lambda f: f"{f.entities:,}",
}


def _facts_table(facts: dict[str, Facts]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for split in facts:
        table.add_column(escape(split), justify="right")
    for name, cell in _ROWS.items():
        table.add_row(name, *map(cell, facts.values()))
    totals: Counter[str] = Counter()
    for figures in facts.values():
        totals.update(figures.entities_per_type)
    for label, _ in totals.most_common(_SHOWN_TYPES):
        counts = [f"{figures.entities_per_type.get(label, 0):,}" for figures in facts.values()]
        table.add_row("  " + escape(visible(label)), *counts)
    if len(totals) > _SHOWN_TYPES:
        table.add_row(f"  and {len(totals) - _SHOWN_TYPES} more")
    return table
