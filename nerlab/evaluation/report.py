"""Right and wrong spans of a split: counted, shown and written."""

import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from nerlab.files import new_file, write_file
from nerlab.messages import as_column, conll_sentence, counted, escape_controls
from nerlab.tags import Span, spans_of, tags_of

_MOST_LABELS = 40  # in the picture of the confusions; one of hundreds shows nothing
_LONGEST_NAME = 24  # of a label there


class Score(NamedTuple):
    """Precision, recall and F1 as fractions, 0 where nothing was counted; the gold spans."""

    precision: float
    recall: float
    f1: float
    support: int


class Scores(NamedTuple):
    """The score of all spans together (micro average), and that of each type."""

    total: Score
    per_type: dict[str, Score]


def score_spans(
    gold: Iterable[Sequence[str]],
    predicted: Iterable[Sequence[str]],
    read: Callable[[Sequence[str]], list[Span]] = spans_of,
) -> Scores:
    """Compare the spans that ``read`` finds in gold and predicted tags.

    A predicted span is right if its borders and its label are, as in CoNLL-2003. :func:`spans_of`
    reads tags as conlleval does for IOB1 and IOB2, legal or not, :func:`strict_spans_of` as
    seqeval's strict mode does for IOBES.
    """
    counts = Counter[str](), Counter[str](), Counter[str]()  # gold, predicted and correct spans
    for gold_tags, predicted_tags in zip(gold, predicted, strict=True):
        gold_spans, predicted_spans = set(read(gold_tags)), set(read(predicted_tags))
        spans = (gold_spans, predicted_spans, gold_spans & predicted_spans)
        for counter, counted_spans in zip(counts, spans, strict=True):
            counter.update(span.label for span in counted_spans)
    labels = sorted(counts[0].keys() | counts[1].keys())
    per_type = {label: _score(*(counter[label] for counter in counts)) for label in labels}
    return Scores(_score(*(counter.total() for counter in counts)), per_type)


def _score(gold: int, predicted: int, correct: int) -> Score:
    precision = correct / predicted if predicted else 0.0
    recall = correct / gold if gold else 0.0
    f1 = 2 * correct / (gold + predicted) if gold + predicted else 0.0
    return Score(precision, recall, f1, gold)


def strict_spans_of(tags: Sequence[str]) -> list[Span]:
    """The spans whose tags are exactly those that IOBES prescribes."""
    prescribed = tags_of(spans := spans_of(tags), len(tags))
    return [s for s in spans if list(tags[s.start : s.end]) == prescribed[s.start : s.end]]


@dataclass(frozen=True)
class Report:
    """A scored split: its sentences, their tags in IOBES, the labels that the model knows."""

    split: str
    tokens: Sequence[Sequence[str]]
    gold: Sequence[Sequence[str]]
    predicted: Sequence[Sequence[str]]
    known_labels: Sequence[str]

    @cached_property
    def scores(self) -> Scores:
        """Those by conlleval's rules."""
        return score_spans(self.gold, self.predicted)

    @property
    def strict(self) -> Score:
        """The score by seqeval's strict mode, scheme IOBES."""
        return score_spans(self.gold, self.predicted, strict_spans_of).total

    @property
    def confusions(self) -> Counter[tuple[str, str]]:
        """How many tokens of a label (``O`` outside) were given a label: ``(gold, predicted)``."""
        return Counter(
            (g.partition("-")[2] or g, p.partition("-")[2] or p)
            for gold_tags, predicted_tags in zip(self.gold, self.predicted, strict=True)
            for g, p in zip(gold_tags, predicted_tags, strict=True)
        )

    @property
    def unknown_labels(self) -> list[str]:
        """Gold labels that the model cannot predict; each such span is a miss."""
        scores = self.scores.per_type.items()
        return [name for name, score in scores if score.support and name not in self.known_labels]


def metrics(report: Report) -> dict[str, Any]:
    """The scores as fractions: what ``metrics.json`` holds."""
    return {
        **report.scores.total._asdict(),
        "strict": report.strict._asdict(),
        "per_type": {name: score._asdict() for name, score in report.scores.per_type.items()},
        "unknown_labels": report.unknown_labels,
        "sentences": len(report.tokens),
        "tokens": sum(map(len, report.tokens)),
    }


def flat_metrics(report: Report) -> dict[str, float]:
    """The same in all and a type, by the names they are logged with: ``dev/PER/recall``."""
    scores = {report.split: report.scores.total}
    scores |= {f"{report.split}/{name}": score for name, score in report.scores.per_type.items()}
    return {
        f"{prefix}/{name}": getattr(score, name)
        for prefix, score in scores.items()
        for name in ("precision", "recall", "f1")
    }


def table(report: Report) -> Table:
    """Precision, recall and F1 in percent, a row a type."""
    title = f"{escape_controls(report.split)}: {counted(len(report.tokens), 'sentence')}"
    result = Table(title=title, title_justify="left", box=None, pad_edge=False)
    result.add_column("type")
    for name in ("precision", "recall", "F1", "entities"):
        result.add_column(name, justify="right")
    total, per_type = report.scores
    for name, score in [*per_type.items(), ("all", total), ("all, strict", report.strict)]:
        numbers = [f"{100 * value:.2f}" for value in score[:3]]
        style = "bold" if score is total else None
        result.add_row(escape_controls(name), *numbers, str(score.support), style=style)
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
    draw_confusions(report, directory / "confusion.png")


def draw_confusions(report: Report, path: Path) -> None:
    """Draw how many tokens of each gold label (rows) were given each label (columns)."""
    from matplotlib.figure import Figure

    types, confusions = report.scores.per_type, report.confusions
    commonest = sorted(types, key=lambda label: -types[label].support)[:_MOST_LABELS]
    labels = [*sorted(commonest), "O"]
    counts = np.array([[confusions[gold, predicted] for predicted in labels] for gold in labels])
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    size = 2.5 + 0.6 * len(labels)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.add_subplot(xlabel="predicted", ylabel="gold")
    axes.set_title(f"{escape_controls(report.split)}: tokens", parse_math=False)
    names = [escape_controls(label)[:_LONGEST_NAME] for label in labels]
    axes.set_xticks(range(len(labels)), names, rotation=90, parse_math=False)
    axes.set_yticks(range(len(labels)), names, parse_math=False)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=2)  # light enough for black numbers
    for row, column in np.argwhere(counts):
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=8)
    with new_file(path) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # they become boxes
        figure.savefig(part, dpi=120, format="png")
