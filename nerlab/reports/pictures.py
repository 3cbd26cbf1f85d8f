"""Pictures of a report as PNG, for trackers."""

import io
import warnings

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nerlab.evaluation.analysis import Analysis
from nerlab.messages import escape_controls
from nerlab.reports import tables

_BLUE, _GREEN, _ORANGE, _GREY = "#0072b2", "#009e73", "#d55e00", "#888888"
_LONGEST_NAME = 24  # of a label; pictures are small
_MOST_TYPES = 30  # with a bar


def draw(analysis: Analysis) -> dict[str, bytes]:
    """F1 of the types, confusions, kinds of errors and calibration, by name."""
    return {
        "scores": _scores(analysis),
        "confusions": _confusions(analysis),
        "errors": _errors(analysis),
        "calibration": _calibration(analysis),
    }


def _scores(analysis: Analysis) -> bytes:
    found = tables.scores(analysis)
    rows = [*zip(found.rows, found.bars, strict=True)][-_MOST_TYPES:]
    names = [_name(row[0]) for row, _ in rows]
    shares = np.array([(b.low or 0.0, b.share, b.high or 0.0) for _, b in rows]) * 100  # (R, 3)
    figure, axes = _figure(
        6, 1.2 + 0.35 * len(rows), f"{analysis.report.split}: F1 and its interval"
    )
    around = np.abs(shares[:, [0, 2]] - shares[:, [1]]).T
    axes.barh(range(len(rows)), shares[:, 1], xerr=around, color=_BLUE, ecolor="black", capsize=3)
    axes.set_yticks(range(len(rows)), names, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    return _png(figure)


def _confusions(analysis: Analysis) -> bytes:
    found, shares = tables.confusions(analysis)
    columns, rows = (
        [_name(n) for n in names] for names in (found.header[1:], [r[0] for r in found.rows])
    )
    size = 2.5 + 0.6 * len(columns)
    figure, axes = _figure(size, size, f"{analysis.report.split}: entities")
    axes.set(xlabel="predicted", ylabel="gold")
    axes.set_xticks(range(len(columns)), columns, rotation=90, parse_math=False)
    axes.set_yticks(range(len(rows)), rows, parse_math=False)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=2)  # light enough for black numbers
    for y, row in enumerate(found.rows):
        for x, cell in enumerate(row[1:]):
            if cell not in ("", "0"):
                axes.text(x, y, cell, ha="center", va="center", fontsize=8)
    return _png(figure)


def _errors(analysis: Analysis) -> bytes:
    counts = {kind: found["count"] for kind, found in analysis.numbers["errors"].items()}
    figure, axes = _figure(6, 3, f"{analysis.report.split}: errors")
    axes.bar_label(axes.bar(list(counts), list(counts.values()), color=_ORANGE))
    return _png(figure)


def _calibration(analysis: Analysis) -> bytes:
    found = analysis.numbers["calibration"]
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.set(title="reliability", xlabel="score", ylabel="share that is right")
    left.plot([0, 1], [0, 1], "--", color=_GREY)
    bins = [b for b in found["bins"] if b["spans"]]
    left.plot([b["score"] for b in bins], [b["right"] for b in bins], "o-", color=_BLUE)
    right.set(title="entities above a score", xlabel="score at least")
    kept = [row for row in found["thresholds"] if row["predicted"]]
    for name, color in (("precision", _GREEN), ("recall", _ORANGE), ("f1", _BLUE)):
        right.plot([r["threshold"] for r in kept], [r[name] for r in kept], color=color, label=name)
    right.legend()
    for axes in (left, right):
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
    return _png(figure)


def _figure(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(escape_controls(title), parse_math=False)
    return figure, axes


def _name(label: str) -> str:
    return escape_controls(label)[:_LONGEST_NAME]


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # they become boxes
        figure.savefig(file, dpi=120, format="png")
    return file.getvalue()
