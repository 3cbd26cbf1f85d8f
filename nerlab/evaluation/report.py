"""What is shown and written of a scored split."""

import json
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from nerlab.evaluation.spans import (
    Score,
    SpanCounts,
    count_confusions,
    count_spans,
    strict_spans_of,
)
from nerlab.files import new_file, write_file
from nerlab.messages import as_column, conll_sentence, counted, escape_controls
from nerlab.tags import spans_of, tags_of

_MOST_LABELS = 40  # in the picture of the confusions; one of hundreds shows nothing
_LONGEST_NAME = 24  # of a label there


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


def draw_confusions(confusions: Counter[tuple[str, str]], split: str, path: Path) -> None:
    """Draw how many tokens of each gold label (rows) were given each label (columns)."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    labels = _drawn_labels(confusions)
    counts = [[confusions[gold, predicted] for predicted in labels] for gold in labels]
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    size = 2.5 + 0.6 * len(labels)
    names = [_drawable(label) for label in labels]
    title = f"{_drawable(split)}: tokens"
    # A label may hold anything: $ begins no formula, and a script that the font lacks is boxes.
    with rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure = Figure(figsize=(size, size), layout="constrained")
        axes = figure.add_subplot(xlabel="predicted", ylabel="gold", title=title)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(labels)), names, rotation=90)
        axes.set_yticks(range(len(labels)), names)
        for row, values in enumerate(counts):
            for column, count in enumerate(values):
                shade = "white" if shares[row][column] > 0.5 else "black"
                text = axes.text(
                    column, row, str(count), ha="center", va="center", color=shade, fontsize=8
                )
                text.set_in_layout(False)  # the axes hold it anyway, and thousands take seconds
        with new_file(path) as part:
            figure.savefig(part, dpi=120, format="png")


def _drawn_labels(confusions: Counter[tuple[str, str]]) -> list[str]:
    """The commonest labels in their order, and O; a picture of hundreds shows nothing."""
    sizes: Counter[str] = Counter()
    for pair, count in confusions.items():
        for label in pair:
            sizes[label] += count
    del sizes["O"]
    return [*sorted(label for label, _ in sizes.most_common(_MOST_LABELS)), "O"]


def _drawable(name: str) -> str:
    """A name that fits into a picture, in characters that can be drawn."""
    shortened = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    return "".join(character if character.isprintable() else "�" for character in shortened)
