"""Right and wrong spans of a split: counted and shown."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from rich.table import Table

from nerlab.messages import counted, escape_controls
from nerlab.tags import Span, spans_of, tags_of


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
    per_type = {label: score_of(*(counter[label] for counter in counts)) for label in labels}
    return Scores(score_of(*(counter.total() for counter in counts)), per_type)


def score_of(gold: int, predicted: int, correct: int) -> Score:
    """The score of so many gold, predicted and correct spans."""
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
    """A scored split: its sentences, their tags in IOBES, the labels that the model knows.

    One that is written also has the probability of each predicted span, and of each gold span of
    whose words none is in a predicted one the probability of that, the document of each sentence
    (None: it is of none), and the SHA-256 of the data, its gold tags included. One of an
    epoch has the loss that training minimises, a mean over the tokens.
    """

    split: str
    tokens: Sequence[Sequence[str]]
    gold: Sequence[Sequence[str]]
    predicted: Sequence[Sequence[str]]
    known_labels: Sequence[str]
    span_scores: Sequence[Sequence[float]] | None = None
    documents: Sequence[int | None] | None = None
    sha256: str | None = None
    loss: float | None = None
    outside_scores: Sequence[Sequence[float]] | None = None

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
        "sha256": report.sha256,
    }


def flat_metrics(report: Report) -> dict[str, float]:
    """The same in all and a type, and the loss if there is one, by the names they are logged with:
    ``dev/PER/recall``."""
    scores = {report.split: report.scores.total}
    scores |= {f"{report.split}/{name}": score for name, score in report.scores.per_type.items()}
    loss = {} if report.loss is None else {f"{report.split}/loss": report.loss}
    return loss | {
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
