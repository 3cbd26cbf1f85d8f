"""Pictures of a corpus as SVG: numbers alone, no word of the corpus.

A font has no glyph for every script, so words stand in the tables of the page.
"""

import io
import re
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nerlab.commands.statistics import Distribution, SplitStatistics

# Colours that stay apart for the colour-blind (Okabe and Ito 2008), and lines for grey paper.
_STYLES = {"train": ("#0072b2", "-"), "dev": ("#d55e00", "--"), "test": ("#009e73", "-.")}
_SIZE = (6.4, 3.2)  # inches
_MOST_STEPS = 60


Splits = Mapping[str, SplitStatistics]


def distributions(splits: Splits, attribute: str, x: str, cases: str) -> str:
    """Shares of the cases by their number, in steps; the last step holds all that are larger."""
    figure, axes = _picture(x, f"% of the {cases}")
    found: dict[str, Distribution | None]
    found = {name: getattr(split, attribute) for name, split in splits.items()}
    shown = {name: distribution for name, distribution in found.items() if distribution}
    limit = 2 * max((distribution.percentile_95 for distribution in shown.values()), default=1)
    width = max(1, -(-limit // _MOST_STEPS))
    for split, distribution in shown.items():
        counts = [0] * (limit // width + 1)
        for number, count in distribution.counts.items():
            counts[min(number, limit) // width] += count
        shares = [100 * count / sum(counts) for count in counts]
        borders = [step * width - 0.5 for step in range(len(shares) + 1)]
        colour, line = _STYLES[split]
        axes.stairs(shares, borders, color=colour, linestyle=line, label=split)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    return _svg(figure, axes, x)


def zipf(splits: Splits) -> str:
    """Counts of words by rank, on logarithmic axes, where Zipf's law is a straight line."""
    counts = {name: [rank.count for rank in split.ranks] for name, split in splits.items()}
    figure, axes = _by_rank(splits, counts, "rank of the word", "occurrences")
    axes.set_yscale("log")
    axes.set_ylim(0.8, 2 * max((found[0] for found in counts.values() if found), default=1))
    return _svg(figure, axes, "zipf")


def coverage(splits: Splits) -> str:
    """Share of the tokens that the most frequent words make up."""
    shares = {name: [100 * rank.coverage for rank in split.ranks] for name, split in splits.items()}
    figure, axes = _by_rank(splits, shares, "most frequent words", "% of the tokens")
    axes.set_ylim(0, 102)
    return _svg(figure, axes, "coverage")


def _by_rank(
    splits: Splits, values: Mapping[str, Sequence[float]], x: str, y: str
) -> tuple[Figure, Axes]:
    figure, axes = _picture(x, y)
    for name, split in splits.items():
        colour, line = _STYLES[name]
        ranks = [rank.rank for rank in split.ranks]
        axes.plot(ranks, values[name], color=colour, linestyle=line, label=name)
    axes.set_xscale("log")
    axes.set_xlim(0.9, max(10, *(1.1 * split.words for split in splits.values())))
    return figure, axes


def _picture(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Figure, axes: Axes, name: str) -> str:
    """The figure as an SVG element; equal figures give equal text."""
    if len(axes.get_legend_handles_labels()[0]) > 1:
        axes.legend(frameon=False)
    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    element = file.getvalue().partition("<svg")[2]
    # The names of groups are the same in every picture, and nothing refers to them.
    return "<svg" + re.sub(r'<g id="[^"]*"', "<g", element)
