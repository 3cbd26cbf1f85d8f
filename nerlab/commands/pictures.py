"""Pictures of the exploratory look as SVG: numbers alone, no word of the corpus.

A font has no glyph for every script, so words stand in the tables of the page.
"""

import io
import re
from collections.abc import Mapping

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nerlab.commands.statistics import Distribution, SplitStatistics

# Colours that stay apart for the colour-blind (Okabe and Ito 2008), and lines for grey paper.
_STYLES = {"train": ("#0072b2", "-"), "dev": ("#d55e00", "--"), "test": ("#009e73", "-.")}
_SIZE = (6.4, 3.2)  # inches
_MOST_STEPS = 60
_MOST_BARS = 10

Splits = Mapping[str, SplitStatistics]


def sentence_lengths(splits: Splits) -> str:
    """Shares of the sentences by length, in steps; the last step holds all that are longer."""
    figure, axes = _picture("tokens of a sentence", "% of the sentences")
    lengths = {name: split.sentence_lengths for name, split in splits.items()}
    found = {name: distribution for name, distribution in lengths.items() if distribution}
    limit = max((distribution.percentile_95 for distribution in found.values()), default=1)
    width = max(1, -(-2 * limit // _MOST_STEPS))
    for name, distribution in found.items():
        shares = _shares(distribution, width, 2 * limit)
        colour, line = _STYLES[name]
        borders = [step * width for step in range(len(shares) + 1)]
        axes.stairs(shares, borders, color=colour, linestyle=line, label=name)
    axes.set_ylim(bottom=0)
    return _svg(figure, axes, "sentence-lengths")


def entities_per_sentence(splits: Splits) -> str:
    """Shares of the sentences by their number of entities."""
    figure, axes = _picture("entities of a sentence", "% of the sentences")
    _bars(axes, {name: split.entities_per_sentence for name, split in splits.items()}, first=0)
    return _svg(figure, axes, "entities-per-sentence")


def entity_lengths(splits: Splits) -> str:
    """Shares of the entities by length."""
    figure, axes = _picture("tokens of an entity", "% of the entities")
    _bars(axes, {name: split.entity_lengths for name, split in splits.items()}, first=1)
    return _svg(figure, axes, "entity-lengths")


def zipf(splits: Splits) -> str:
    """Counts of words by rank, on logarithmic axes, where Zipf's law is a straight line."""
    figure, axes = _picture("rank of the word", "occurrences")
    for name, split in splits.items():
        colour, line = _STYLES[name]
        ranks, counts = [r.rank for r in split.zipf], [r.count for r in split.zipf]
        axes.plot(ranks, counts, color=colour, linestyle=line, label=name)
    most = max((rank.count for split in splits.values() for rank in split.zipf), default=1)
    _logarithmic_ranks(axes, splits)
    axes.set_yscale("log")
    axes.set_ylim(0.8, 2 * most)
    return _svg(figure, axes, "zipf")


def coverage(splits: Splits) -> str:
    """Share of the tokens that the most frequent words make up."""
    figure, axes = _picture("most frequent words", "% of the tokens")
    for name, split in splits.items():
        colour, line = _STYLES[name]
        words = [c.words for c in split.coverage]
        shares = [100 * c.share for c in split.coverage]
        axes.plot(words, shares, color=colour, linestyle=line, label=name)
    _logarithmic_ranks(axes, splits)
    axes.set_ylim(0, 102)
    return _svg(figure, axes, "coverage")


def _logarithmic_ranks(axes: Axes, splits: Splits) -> None:
    axes.set_xscale("log")
    axes.set_xlim(0.9, max(10, *(1.1 * split.words for split in splits.values())))


def _picture(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _shares(distribution: Distribution, width: int, limit: int) -> list[float]:
    """Percents of steps of ``width`` numbers, from 0 on; from ``limit`` on there is one step."""
    counts = [0] * (limit // width + 1)
    for number, count in distribution.counts.items():
        counts[min(number, limit) // width] += count
    total = sum(counts)
    return [100 * count / total for count in counts]


def _bars(axes: Axes, distributions: Mapping[str, Distribution | None], first: int) -> None:
    found = {name: distribution for name, distribution in distributions.items() if distribution}
    maximum = max((distribution.maximum for distribution in found.values()), default=first)
    last = min(maximum, _MOST_BARS)
    width = 0.8 / max(len(found), 1)
    for place, (name, distribution) in enumerate(found.items()):
        shares = _shares(distribution, 1, last)[first:]
        middle = place - (len(found) - 1) / 2
        positions = [number + middle * width for number in range(first, last + 1)]
        axes.bar(positions, shares, width * 0.9, color=_STYLES[name][0], label=name)
    labels = [str(number) for number in range(first, last + 1)]
    if maximum > last:
        labels[-1] += " +"
    axes.set_xticks(range(first, last + 1), labels)
    axes.grid(visible=False, axis="x")


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
