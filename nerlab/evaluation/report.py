"""What is shown and written of a scored split."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from nerlab.evaluation.confusions import draw_confusions
from nerlab.evaluation.spans import (
    Score,
    SpanCounts,
    count_confusions,
    count_spans,
    strict_spans_of,
)
from nerlab.files import write_file
from nerlab.messages import as_column, conll_sentence, counted, escape_controls
from nerlab.tags import spans_of, tags_of


@dataclass(frozen=True)
class Report:
    """One split, scored.

    Attributes:
        split: its name.
        tokens, gold, predicted: the sentences; tags in IOBES.
        known_labels: those that the model can predict.
    """

    split: str
    tokens: Sequence[Sequence[str]]
    gold: Sequence[Sequence[str]]
    predicted: Sequence[Sequence[str]]
    known_labels: Sequence[str]

    @cached_property
    def counts(self) -> SpanCounts:
        """Spans by conlleval's rules."""
        return count_spans(self.gold, self.predicted)

    @property
    def strict(self) -> Score:
        """The score by seqeval's strict mode, scheme IOBES."""
        return count_spans(self.gold, self.predicted, strict_spans_of).score()

    @property
    def confusions(self) -> Counter[tuple[str, str]]:
        """Tokens by (gold label, predicted label)."""
        return count_confusions(self.gold, self.predicted)

    @property
    def unknown_labels(self) -> list[str]:
        """Gold labels that the model cannot predict; each such span is a miss."""
        return sorted(set(self.counts.gold) - set(self.known_labels))


def metrics(report: Report) -> dict[str, Any]:
    """The scores as fractions: what ``metrics.json`` holds."""
    return {
        **report.counts.score()._asdict(),
        "strict": report.strict._asdict(),
        "per_type": {label: report.counts.score(label)._asdict() for label in report.counts.labels},
        "unknown_labels": report.unknown_labels,
        "sentences": len(report.tokens),
        "tokens": sum(map(len, report.tokens)),
    }


def flat_metrics(report: Report) -> dict[str, float]:
    """The same in all and a type, by the names they are logged with: ``dev/PER/recall``."""
    scores = {report.split: report.counts.score()}
    for label in report.counts.labels:
        scores[f"{report.split}/{label}"] = report.counts.score(label)
    return {
        f"{prefix}/{name}": getattr(score, name)
        for prefix, score in scores.items()
        for name in ("precision", "recall", "f1")
    }


def table(report: Report) -> Table:
    """Precision, recall and F1 in percent, a row a type."""
    title = f"{escape(escape_controls(report.split))}: {counted(len(report.tokens), 'sentence')}"
    result = Table(title=title, title_justify="left", box=None, pad_edge=False)
    result.add_column("type")
    for name in ("precision", "recall", "F1", "entities"):
        result.add_column(name, justify="right")
    rows = [(label, report.counts.score(label)) for label in report.counts.labels]
    rows += [("all", report.counts.score()), ("all, strict", report.strict)]
    for name, score in rows:
        numbers = [f"{100 * value:.2f}" for value in score[:3]]
        style = "bold" if name == "all" else None
        result.add_row(escape(escape_controls(name)), *numbers, str(score.support), style=style)
    return result


def examples(report: Report, number: int) -> list[str]:
    """Evenly spaced sentences of up to 30 tokens in which the model found something, marked."""
    found = [
        marked(tokens, tags)
        for tokens, tags in zip(report.tokens, report.predicted, strict=True)
        if any(tag != "O" for tag in tags) and len(tokens) <= 30
    ]
    return found[:: max(1, len(found) // number)][:number]


def marked(tokens: Sequence[str], tags: Sequence[str]) -> str:
    """A sentence with its spans marked: ``[Angela Merkel PER] flew``."""
    words = list(tokens)
    for span in spans_of(tags):
        words[span.start] = f"[{words[span.start]}"
        words[span.end - 1] = f"{words[span.end - 1]} {span.label}]"
    return " ".join(words)


def write_report(report: Report, directory: Path) -> None:
    """Write ``metrics.json``, ``predictions.conll`` and ``confusion.png`` into a folder."""
    write_file(directory / "metrics.json", json.dumps(metrics(report), indent=2) + "\n")
    sentences = []
    for tokens, *both in zip(report.tokens, report.gold, report.predicted, strict=True):
        columns = (tokens, *(tags_of(spans_of(tags), len(tags), "iob2") for tags in both))
        sentences.append(conll_sentence(*(map(as_column, column) for column in columns)))
    write_file(directory / "predictions.conll", "".join(sentences))
    draw_confusions(report.confusions, report.split, directory / "confusion.png")
