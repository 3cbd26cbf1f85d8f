"""What is shown and written of a scored split."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from nerlab.evaluation.spans import (
    Score,
    SpanCounts,
    count_confusions,
    count_spans,
    count_strict_spans,
)
from nerlab.files import write_file
from nerlab.tags import spans_of, tags_of


@dataclass(frozen=True)
class Report:
    """One split, scored.

    Attributes:
        split: its name.
        tokens, gold, predicted: the sentences; tags in IOBES.
        counts: spans by conlleval's rules.
        strict: the score by seqeval's strict mode, scheme IOBES.
        confusions: tokens by (gold label, predicted label).
        unknown_labels: gold labels that the model cannot predict; each such span is a miss.
    """

    split: str
    tokens: Sequence[Sequence[str]]
    gold: Sequence[Sequence[str]]
    predicted: Sequence[Sequence[str]]
    counts: SpanCounts
    strict: Score
    confusions: Counter[tuple[str, str]]
    unknown_labels: list[str]


def make_report(
    split: str,
    tokens: Sequence[Sequence[str]],
    gold: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
    known_labels: Iterable[str],
) -> Report:
    """Score a split; all tags in IOBES."""
    counts = count_spans(gold, predicted)
    return Report(
        split,
        tokens,
        gold,
        predicted,
        counts,
        count_strict_spans(gold, predicted).score(),
        count_confusions(gold, predicted),
        sorted(set(counts.gold) - set(known_labels)),
    )


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


def table(report: Report) -> Table:
    """Precision, recall and F1 in percent, a row a type."""
    title = f"{escape(report.split)}: {len(report.tokens)} sentences"
    result = Table(title=title, title_justify="left", box=None, pad_edge=False)
    result.add_column("type")
    for name in ("precision", "recall", "F1", "entities"):
        result.add_column(name, justify="right")
    rows = [(label, report.counts.score(label)) for label in report.counts.labels]
    rows += [("all", report.counts.score()), ("all, strict", report.strict)]
    for name, score in rows:
        numbers = [f"{100 * value:.2f}" for value in score[:3]]
        result.add_row(
            escape(name), *numbers, str(score.support), style="bold" if name == "all" else None
        )
    return result


def write_report(report: Report, directory: Path) -> None:
    """Write ``metrics.json``, ``predictions.conll`` and ``confusion.png``."""
    directory.mkdir(parents=True, exist_ok=True)
    write_file(directory / "metrics.json", json.dumps(metrics(report), indent=2) + "\n")
    lines = []
    for tokens, gold, predicted in zip(report.tokens, report.gold, report.predicted, strict=True):
        columns = (tokens, _iob2(gold), _iob2(predicted))
        lines += [f"{' '.join(row)}\n" for row in zip(*columns, strict=True)] + ["\n"]
    write_file(directory / "predictions.conll", "".join(lines))
    _draw_confusions(report, directory / "confusion.png")


def marked(tokens: Sequence[str], tags: Sequence[str]) -> str:
    """A sentence with its spans marked: ``[Angela Merkel PER] flew``."""
    words = list(tokens)
    for span in spans_of(tags):
        words[span.start] = f"[{words[span.start]}"
        words[span.end - 1] = f"{words[span.end - 1]} {span.label}]"
    return " ".join(words)


def _iob2(tags: Sequence[str]) -> list[str]:
    return tags_of(spans_of(tags), len(tags), "iob2")


def _draw_confusions(report: Report, path: Path) -> None:
    from matplotlib.figure import Figure

    labels = [*sorted({label for pair in report.confusions for label in pair} - {"O"}), "O"]
    counts = [[report.confusions[gold, predicted] for predicted in labels] for gold in labels]
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    size = 2.5 + 0.6 * len(labels)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.add_subplot(xlabel="predicted", ylabel="gold", title=f"{report.split}: tokens")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=90)
    axes.set_yticks(range(len(labels)), labels)
    for row, values in enumerate(counts):
        for column, count in enumerate(values):
            shade = "white" if shares[row][column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=shade, fontsize=8)
    figure.savefig(path, dpi=120)
