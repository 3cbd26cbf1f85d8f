"""The tables of a report, as texts: those of ``report.txt`` and of ``report.html`` are the same."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nerlab.evaluation.analysis import Analysis
from nerlab.evaluation.errors import ERRORS
from nerlab.evaluation.report import Score

_MOST_LABELS = 30  # rows and columns of the confusions
_LONGEST_LABEL = 40
_GROUPS = {
    "entity_length": "length in tokens",
    "sentence_length": "sentence in tokens",
    "seen": "seen in training",
    "times_seen": "times in training",
    "types_seen": "types in training",
}


class Bar(NamedTuple):
    """A share of a whole, and the interval that it lies in."""

    share: float
    low: float | None = None
    high: float | None = None


class Table(NamedTuple):
    """A header, rows of texts, the first of each its name, and a bar for each row or none."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    bars: Sequence[Bar] = ()


def label_name(label: str) -> str:
    """A label, cut where it is very long."""
    return label if len(label) <= _LONGEST_LABEL else f"{label[:_LONGEST_LABEL]}…"


def percent(value: float) -> str:
    """A share in percent, two digits behind the point."""
    return f"{100 * value:.2f}"


def scores(analysis: Analysis) -> Table:
    """Precision, recall and F1 of each type and of all, each with its interval."""
    total, per_type = analysis.report.scores
    found = analysis.numbers["intervals"]
    rows, bars = [], []
    named = [(name, score, found["per_type"][name]) for name, score in per_type.items()]
    for name, score, intervals in [*named, ("all", total, found["total"])]:
        cells = [label_name(name)]
        for measure in ("precision", "recall", "f1"):
            low, high = intervals[measure]
            cells += [percent(getattr(score, measure)), f"{percent(low)} to {percent(high)}"]
        rows.append([*cells, f"{score.support:,}"])
        bars.append(Bar(score.f1, *intervals["f1"]))
    interval = f"{found['level']:.0%} interval".replace("%", " %")
    header = ["type"]
    for measure in ("precision", "recall", "F1"):
        header += [measure, interval]
    return Table([*header, "entities"], rows, bars)


def splits(analysis: Analysis) -> Table:
    """The scores of the splits, side by side, and the F1 of each type in them."""
    found: dict[str, dict[str, Any]] = analysis.numbers["splits"]
    rows = [["sentences", *(_scored(split) for split in found.values())]]
    for measure, name in (("precision", "precision"), ("recall", "recall"), ("f1", "F1")):
        rows.append([name, *(percent(split[measure]) for split in found.values())])
    for label in dict.fromkeys(label for split in found.values() for label in split["per_type"]):
        in_splits = (split["per_type"].get(label) for split in found.values())
        cells = (percent(score["f1"]) if score else "–" for score in in_splits)
        rows.append([f"F1 of {label_name(label)}", *cells])
    return Table(["", *found], rows)


def _scored(split: Mapping[str, Any]) -> str:
    scored, sentences = split["scored"], split["sentences"]
    return f"{scored:,}" if scored == sentences else f"{scored:,} of {sentences:,}"


def errors(analysis: Analysis) -> Table:
    """How many errors of each kind there are."""
    counts = {kind: found["count"] for kind, found in analysis.numbers["errors"].items()}
    total = max(1, sum(counts.values()))
    rows = [[kind, f"{n:,}", f"{100 * n / total:.1f}"] for kind, n in counts.items()]
    return Table(["error", "times", "percent"], rows, [Bar(n / total) for n in counts.values()])


def errors_by_type(analysis: Analysis) -> Table:
    """The same by type: that of the gold entity if there is one."""
    found = analysis.numbers["errors"]
    labels = sorted({label for kind in found.values() for label in kind["per_type"]})
    rows = [
        [label_name(label), *(f"{found[kind]['per_type'].get(label, 0):,}" for kind in ERRORS)]
        for label in labels
    ]
    return Table(["type", *ERRORS], rows)


def confusions(analysis: Analysis) -> tuple[Table, list[list[float]]]:
    """How many gold entities of each type (rows) were found as each type (columns), those with
    wrong borders too; and which share of its row each number is."""
    counts = {(c["gold"], c["predicted"]): c["count"] for c in analysis.numbers["confusions"]}
    per_type = analysis.report.scores.per_type
    labels = sorted(sorted(per_type, key=lambda label: -per_type[label].support)[:_MOST_LABELS])
    numbers = [[counts.get((g, p), 0) for p in (*labels, None)] for g in (*labels, None)]
    names = [label_name(label) for label in labels]
    rows = [
        [name, *(f"{n:,}" for n in row)]
        for name, row in zip([*names, "spurious"], numbers, strict=True)
    ]
    shares = [[n / max(1, sum(row)) for n in row] for row in numbers]
    rows[-1][-1] = ""  # nothing is both
    return Table(["", *names, "missed"], rows), shares


def groups(analysis: Analysis) -> list[Table]:
    """The scores by length and by what was seen of the form in training."""
    return [
        Table(
            [_GROUPS[name], "precision", "recall", "F1", "entities"],
            [_score_row(row["name"], row) for row in rows],
            [Bar(row["f1"]) for row in rows],
        )
        for name, rows in analysis.numbers["groups"].items()
    ]


def reliability(analysis: Analysis) -> Table:
    """How many predicted entities have a score in each tenth, and how many of them are right."""
    rows = [
        [
            f"{b['from']:.1f} to {b['to']:.1f}",
            f"{b['spans']:,}",
            *map(percent, (b["score"], b["right"])),
        ]
        for b in analysis.numbers["calibration"]["bins"]
        if b["spans"]
    ]
    return Table(["score", "predicted", "mean score", "right"], rows)


def thresholds(analysis: Analysis) -> Table:
    """The scores of the entities that have at least some score."""
    rows = analysis.numbers["calibration"]["thresholds"]
    chosen = (row for row in rows if row["threshold"] in (0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999))
    cells = [
        [*_score_row(f"{row['threshold']:g}", row)[:-1], f"{row['predicted']:,}"] for row in chosen
    ]
    return Table(["score at least", "precision", "recall", "F1", "predicted"], cells)


def tokens(analysis: Analysis) -> Table:
    """What other projects print."""
    found = analysis.numbers["tokens"]
    names = {
        "accuracy": "token accuracy",
        "weighted_f1": "weighted F1 of tags, with O",
        "weighted_f1_without_O": "weighted F1 of tags, without O",
    }
    return Table(
        ["measure", "percent"], [[names[key], percent(value)] for key, value in found.items()]
    )


def _score_row(name: str, row: Mapping[str, Any]) -> list[str]:
    cells: Iterable[str] = (percent(row[measure]) for measure in Score._fields[:3])
    return [name, *cells, f"{row['support']:,}"]
