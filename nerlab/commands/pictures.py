"""Pictures of a corpus as SVG: numbers alone, no word of the corpus.

A font has no glyph for every script, so words stand in the tables of the page.
"""

import io
import re
from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nerlab.commands.statistics import Numbers

# Colours that stay apart for the colour-blind (Okabe and Ito 2008), and lines for grey paper.
_STYLES: dict[str, dict[str, Any]] = {
    "train": {"color": "#0072b2", "linestyle": "-"},
    "dev": {"color": "#d55e00", "linestyle": "--"},
    "test": {"color": "#009e73", "linestyle": "-."},
}
_SIZE = (6.4, 3.2)  # inches
_MOST_STEPS = 60

Splits = Mapping[str, Numbers]


def distributions(splits: Splits, key: str, x: str, cases: str) -> str:
    """Shares of the cases by their number, in steps; the last step holds all that are larger."""
    figure = _picture(x, f"% of the {cases}")
    (axes,) = figure.axes
    shown = {name: split[key] for name, split in splits.items() if split[key]}
    limit = 2 * max((distribution["percentile_95"] for distribution in shown.values()), default=1)
    width = max(1, -(-limit // _MOST_STEPS))
    for split, distribution in shown.items():
        counts = [0] * (limit // width + 1)
        for number, count in distribution["counts"].items():
            counts[min(number, limit) // width] += count
        shares = [100 * count / sum(counts) for count in counts]
        borders = [step * width - 0.5 for step in range(len(shares) + 1)]
        axes.stairs(shares, borders, label=split, **_STYLES[split])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    return _svg(figure, x)


def zipf(splits: Splits) -> str:
    """Counts of words by rank, on logarithmic axes, where Zipf's law is a straight line."""
    figure = _by_rank(splits, "count", 1, "rank of the word", "occurrences")
    most = max((rank["count"] for split in splits.values() for rank in split["ranks"]), default=1)
    figure.axes[0].set(yscale="log", ylim=(0.8, 2 * most))
    return _svg(figure, "zipf")


def coverage(splits: Splits) -> str:
    """Share of the tokens that the most frequent words make up."""
    figure = _by_rank(splits, "coverage", 100, "most frequent words", "% of the tokens")
    figure.axes[0].set_ylim(0, 102)
    return _svg(figure, "coverage")


def _by_rank(splits: Splits, key: str, factor: int, x: str, y: str) -> Figure:
    figure = _picture(x, y)
    (axes,) = figure.axes
    for name, split in splits.items():
        ranks = [rank["rank"] for rank in split["ranks"]]
        values = [factor * rank[key] for rank in split["ranks"]]
        axes.plot(ranks, values, label=name, **_STYLES[name])
    most = max(10, *(1.1 * split["distinct_tokens"] for split in splits.values()))
    axes.set(xscale="log", xlim=(0.9, most))
    return figure


def _picture(x: str, y: str) -> Figure:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure


def _svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element; equal figures give equal text."""
    if len(figure.axes[0].get_legend_handles_labels()[0]) > 1:
        figure.axes[0].legend(frameon=False)
    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    element = file.getvalue().partition("<svg")[2]
    # The names of groups are the same in every picture, and nothing refers to them.
    return "<svg" + re.sub(r'<g id="[^"]*"', "<g", element)
