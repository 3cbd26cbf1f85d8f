"""``python -m nerlab stats``: numbers and pictures of a corpus."""

import json
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from omegaconf import DictConfig

from nerlab.commands import pictures
from nerlab.commands.characters import visible
from nerlab.commands.counts import SplitCounts
from nerlab.commands.reading import present_splits, read_annotated
from nerlab.commands.statistics import TOP_LABELS, Numbers, statistics_of
from nerlab.config import DataConfig, check_numbers
from nerlab.data.load import Source
from nerlab.data.reader_warnings import collected_warnings
from nerlab.files import new_file
from nerlab.instantiation import trusted_packages


def run(config: DictConfig) -> None:
    """Write ``index.html`` and ``statistics.json``, which holds every number of the page, to
    ``config.output``. ``ValueError``: a split cannot be read, or has an unknown or illegal tag.
    """
    check_numbers("data", config.data)
    with collected_warnings() as warned:
        sources = present_splits(config.data, trusted_packages(config.trust))
        statistics = collect(config.data, sources)
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    files = (folder / "index.html", folder / "statistics.json")
    with new_file(files[0]) as html, new_file(files[1]) as numbers:
        html.write_text(page(statistics, config.data.dir), encoding="utf-8", newline="\n")
        numbers.write_text(json.dumps(statistics, indent=1) + "\n", encoding="utf-8")
    warnings = (f"warning: {text}" for text in dict.fromkeys(warned))
    print(*warnings, *(f"written: {file}" for file in files), sep="\n")


def collect(data: DataConfig, sources: Mapping[str, Source]) -> Numbers:
    """Read each of the splits once, sentence by sentence, and count."""
    counted: dict[str, SplitCounts] = {}
    for split, source in sources.items():
        counted[split] = SplitCounts(str(source.path))
        for sentence, spans in read_annotated(source, data):
            counted[split].add(sentence, spans)
    return statistics_of(counted)


def page(statistics: Numbers, title: str) -> str:
    """One HTML page that needs nothing else; every number on it is one of ``statistics``."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        # Words of the corpus: what cannot be seen or written is escaped. Markup is no plain str.
        finalize=lambda value: visible(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    splits = list(statistics["splits"].values())
    return environment.get_template("page.html").render(
        title=title,
        corpus=statistics,
        splits=statistics["splits"],
        types=_rows([split["labels"] for split in splits]),
        tags=_rows([split["tags"] for split in splits]),
        coverage=_coverage([split["ranks"] for split in splits]),
        pictures=pictures,
        top_labels=TOP_LABELS,
    )


def _rows(lists: list[list[Numbers]]) -> dict[str, list[Numbers]]:
    """Every name with its frequency in each of the lists."""
    by_name = [{frequency["name"]: frequency for frequency in found} for found in lists]
    nothing = {"count": 0, "share": 0.0}
    return {name: [f.get(name, nothing) for f in by_name] for found in by_name for name in found}


def _coverage(lists: list[list[Numbers]]) -> dict[int, list[float | None]]:
    """The shares that 1, 2, 5, 10, 20 ... words cover; None where a split has fewer words."""
    shares = [{rank["rank"]: rank["coverage"] for rank in ranks} for ranks in lists]
    steps = sorted({n for ranks in shares for n in ranks if str(n).strip("0") in ("1", "2", "5")})
    return {step: [ranks.get(step) for ranks in shares] for step in steps}
