"""Right and wrong spans of a split: counted, shown and written."""

import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from rich.markup import escape
from rich.table import Table

from nerlab.files import new_file, write_file
from nerlab.messages import as_column, conll_sentence, counted, escape_controls
from nerlab.tags import Span, spans_of, tags_of

_MOST_LABELS = 40  # in the picture of the confusions; one of hundreds shows nothing
_LONGEST_NAME = 24  # of a label there


class Score(NamedTuple):
    """Precision, recall and F1 as fractions, and the number of gold spans."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass
class SpanCounts:
    """Gold, predicted and agreeing spans of each label.

    A predicted span is right if its borders and its label are, as in CoNLL-2003. Counts add up
    over sentences and batches in any order. Where nothing was counted the scores are 0.
    """

    gold: Counter[str] = field(default_factory=Counter)
    predicted: Counter[str] = field(default_factory=Counter)
    correct: Counter[str] = field(default_factory=Counter)

    def add(self, gold: Iterable[Span], predicted: Iterable[Span]) -> None:
        """Count the spans of one sentence."""
        gold, predicted = set(gold), set(predicted)
        self.gold.update(span.label for span in gold)
        self.predicted.update(span.label for span in predicted)
        self.correct.update(span.label for span in gold & predicted)

    @property
    def labels(self) -> list[str]:
        """The labels counted so far."""
        return sorted(self.gold.keys() | self.predicted.keys())

    def score(self, label: str | None = None) -> Score:
        """The score of one label, or of all together (micro average)."""
        labels = self.labels if label is None else [label]
        gold, predicted, correct = (
            sum(counts[name] for name in labels)
            for counts in (self.gold, self.predicted, self.correct)
        )
        precision = correct / predicted if predicted else 0.0
        recall = correct / gold if gold else 0.0
        f1 = 2 * correct / (gold + predicted) if gold + predicted else 0.0
        return Score(precision, recall, f1, gold)


def count_spans(
    gold: Iterable[Sequence[str]],
    predicted: Iterable[Sequence[str]],
    read: Callable[[Sequence[str]], list[Span]] = spans_of,
) -> SpanCounts:
    """Count spans as ``read`` finds them in tags: :func:`spans_of` as conlleval does for IOB1 and
    IOB2, legal or not, :func:`strict_spans_of` as seqeval's strict mode does for IOBES."""
    counts = SpanCounts()
    for gold_tags, predicted_tags in zip(gold, predicted, strict=True):
        counts.add(read(gold_tags), read(predicted_tags))
    return counts


def strict_spans_of(tags: Sequence[str]) -> list[Span]:
    """The spans whose tags are exactly those that IOBES prescribes."""
    prescribed = tags_of(spans := spans_of(tags), len(tags))
    return [s for s in spans if list(tags[s.start : s.end]) == prescribed[s.start : s.end]]


def count_confusions(
    gold: Iterable[Sequence[str]], predicted: Iterable[Sequence[str]]
) -> Counter[tuple[str, str]]:
    """How often a token of one label (``O`` outside) was given another: ``(gold, predicted)``."""
    return Counter(
        (g.partition("-")[2] or g, p.partition("-")[2] or p)
        for gold_tags, predicted_tags in zip(gold, predicted, strict=True)
        for g, p in zip(gold_tags, predicted_tags, strict=True)
    )


@dataclass(frozen=True)
class Report:
    """A scored split: its sentences, their tags in IOBES, the labels that the model knows."""

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
