"""The report of check, as text and as JSON."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from io import StringIO
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nerlab.commands.characters import visible
from nerlab.commands.counts import SplitCounts, by_frequency
from nerlab.commands.findings import Finding
from nerlab.messages import counted
from nerlab.models.words import normalise

_SHOWN_TYPES = 30
Facts = dict[str, Any]


@dataclass(frozen=True)
class CorpusCheck:
    """What check has found: figures of every split that could be read; findings, errors first."""

    facts: dict[str, Facts]
    findings: list[Finding]

    def count(self, severity: str) -> int:
        """How many findings have this severity."""
        return sum(finding.severity == severity for finding in self.findings)


def facts_of(counts: SplitCounts, train: SplitCounts | None, turkic_i: bool) -> Facts:
    """The figures of a split, as the JSON document holds them.

    ``unseen``: how often it has what ``train`` has not: entities, or entities with this label;
    words in lower case with digits folded, as the word indexer compares them by default. It is
    None for train itself and where train cannot be read.
    """
    unseen = None
    if train is not None and train is not counts:
        look_up = partial(normalise, lowercase=True, fold_digits=True, turkic_i=turkic_i)
        known = {look_up(word) for word in train.words}
        entities = sum(n for entity, n in counts.entities.items() if entity not in train.entities)
        words = sum(n for word, n in counts.words.items() if look_up(word) not in known)
        unseen = {"entities": entities, "words": words}
    longest = sorted(counts.longest, reverse=True)
    return counts.figures() | {
        "entities_per_type": by_frequency(counts.labels),
        "sentences_without_entity": counts.entities_per_sentence[0],
        "longest": [{"line": -line, "tokens": tokens} for tokens, line in longest],
        "unseen": unseen,
    }


def as_json(report: CorpusCheck) -> str:
    """The report as one JSON document; ``python -m nerlab check --help`` says what it holds."""
    document = {
        "splits": report.facts,
        "findings": [
            asdict(finding) | {"examples": [example._asdict() for example in finding.examples]}
            for finding in report.findings
        ],
        "errors": report.count("error"),
        "warnings": report.count("warning"),
    }
    return json.dumps(document, indent=2) + "\n"


def as_text(report: CorpusCheck, width: int) -> str:
    """The report for the eye: a table of ``width`` characters, and lines as long as they are."""
    file = StringIO()
    console = Console(file=file, width=width, emoji=False, highlight=False)
    if report.facts:
        console.print(_facts_table(report.facts))
        if any(facts["unseen"] for facts in report.facts.values()):
            console.print("unseen tokens: compared in lower case with digits folded")
        console.print()
    file.writelines(f"{line}\n" for line in _finding_lines(report))
    return file.getvalue()


def _finding_lines(report: CorpusCheck) -> Iterator[str]:
    for finding in report.findings:
        place = f"{finding.split}: " if finding.split else ""
        count = f": {finding.count}" if finding.examples else ""
        remedy = f"; {finding.remedy}" if finding.remedy else ""
        yield f"{finding.severity:<9}{place}{visible(finding.message)}{count}{remedy}"
        for example in finding.examples:
            yield "         " + (f"{example.where}: " if example.where else "") + example.text
        if finding.more:
            yield f"         and {finding.more} more"
    numbers = [(report.count(severity), severity) for severity in ("error", "warning")]
    yield ", ".join(counted(*number) for number in numbers if number[0]) or "nothing found"


def _rows(f: Facts) -> dict[str, str]:
    """What the table says of a split."""

    def share(count: int, of: str) -> str:
        return f"{count:,} ({100 * count / max(f[of], 1):.1f} %)"

    unseen, longest = f["unseen"], f["longest"][:3]
    return {
        "sentences": f"{f['sentences']:,}",
        "documents": "not marked" if f["documents"] is None else f"{f['documents']:,}",
        "tokens": f"{f['tokens']:,}",
        "distinct tokens": f"{f['distinct_tokens']:,}",
        "tokens unseen in train": share(unseen["words"], "tokens") if unseen else "",
        "longest sentences": ", ".join(str(found["tokens"]) for found in longest),
        "at lines": ", ".join(str(found["line"]) for found in longest),
        "sentences without entity": share(f["sentences_without_entity"], "sentences"),
        "entities unseen in train": share(unseen["entities"], "entities") if unseen else "",
        "entities": f"{f['entities']:,}",
    }


def _facts_table(facts: dict[str, Facts]) -> Table:
    table = Table("", box=None, pad_edge=False)
    for split in facts:
        table.add_column(split, justify="right")
    columns = [_rows(figures) for figures in facts.values()]
    for name in columns[0]:
        table.add_row(name, *(column[name] for column in columns))
    totals: Counter[str] = Counter()
    for figures in facts.values():
        totals.update(figures["entities_per_type"])
    for label, _ in totals.most_common(_SHOWN_TYPES):
        counts = [f"{figures['entities_per_type'].get(label, 0):,}" for figures in facts.values()]
        table.add_row("  " + escape(visible(label)), *counts)
    if len(totals) > _SHOWN_TYPES:
        table.add_row(f"  and {len(totals) - _SHOWN_TYPES} more")
    return table
