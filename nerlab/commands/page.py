"""The statistics of a corpus as one HTML page that needs nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nerlab.commands import pictures
from nerlab.commands.characters import visible
from nerlab.commands.statistics import TOP_LABELS, Frequency, SplitStatistics, Statistics

Splits = Mapping[str, SplitStatistics]


def page(statistics: Statistics, title: str) -> str:
    """The page; every number on it is one of ``statistics``."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        # Words of the corpus: what cannot be seen or written is escaped. Markup is no plain str.
        finalize=lambda value: visible(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = "{:,}".format
    environment.filters["decimal"] = "{:.2f}".format
    environment.filters["percent"] = lambda share: f"{100 * share:.1f} %"
    environment.filters["basename"] = lambda path: Path(path).name
    splits = statistics.splits
    return environment.get_template("page.html").render(
        title=title,
        corpus=statistics,
        splits=splits,
        types=_rows([split.labels for split in splits.values()]),
        tags=_rows([split.tags for split in splits.values()]),
        coverage=_coverage_rows(splits),
        pictures=pictures,
        top_labels=TOP_LABELS,
    )


def _rows(lists: Sequence[list[Frequency]]) -> list[tuple[str, list[Frequency]]]:
    """Every name with its frequency in each of the lists."""
    by_name = [{frequency.name: frequency for frequency in found} for found in lists]
    names = dict.fromkeys(name for found in by_name for name in found)
    return [(n, [found.get(n, Frequency(n, 0, 0.0)) for found in by_name]) for n in names]


def _coverage_rows(splits: Splits) -> list[tuple[int, list[float | None]]]:
    """The shares that 1, 2, 5, 10, 20 ... words cover; None where a split has fewer words."""
    shares = [{rank.rank: rank.coverage for rank in split.ranks} for split in splits.values()]
    steps = {rank for ranks in shares for rank in ranks if str(rank).strip("0") in ("1", "2", "5")}
    return [(step, [ranks.get(step) for ranks in shares]) for step in sorted(steps)]
