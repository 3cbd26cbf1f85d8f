"""``python -m nerlab stats``: the exploratory look at a corpus, as a page and as numbers."""

import json
from dataclasses import asdict
from pathlib import Path

from omegaconf import DictConfig

from nerlab.commands.counts import SplitCounts
from nerlab.commands.page import page
from nerlab.commands.reading import entities_of, present_splits
from nerlab.commands.statistics import Statistics, statistics_of
from nerlab.config import DataConfig, check_numbers
from nerlab.console import counted_on_terminal
from nerlab.data.load import split_source
from nerlab.data.reader_warnings import collected_warnings
from nerlab.files import new_file
from nerlab.instantiation import trusted_packages


def run(config: DictConfig) -> None:
    """Write ``index.html`` and ``statistics.json`` to ``config.output``.

    The JSON holds the fields of :class:`~nerlab.commands.statistics.Statistics`, and every
    number of the page.

    Raises:
        ValueError: a split cannot be read, or has a tag that is unknown or illegal.
        OSError: a file cannot be read or written.
    """
    check_numbers("data", config.data)
    with collected_warnings() as warned:
        splits, warnings = present_splits(config.data)
        statistics = collect(config.data, splits, trusted_packages(config.trust))
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    files = (folder / "index.html", folder / "statistics.json")
    with new_file(files[0]) as html, new_file(files[1]) as numbers:
        html.write_text(page(statistics, config.data.dir), encoding="utf-8", newline="\n")
        numbers.write_text(json.dumps(asdict(statistics), indent=1) + "\n", encoding="utf-8")
    for warning in dict.fromkeys([*warnings, *warned]):
        print(f"warning: {warning}")
    for name in ("index.html", "statistics.json"):
        print(f"written: {folder / name}")


def collect(data: DataConfig, splits: list[str], trusted: tuple[str, ...] = ()) -> Statistics:
    """Read each of the splits once, sentence by sentence, and count."""
    counted: dict[str, tuple[str, SplitCounts]] = {}
    for split in splits:
        source = split_source(data, split, trusted)
        counts = SplitCounts()
        for sentence in counted_on_terminal(
            source.sentences(), f"{split} {source.path}", "sentences"
        ):
            spans = entities_of(sentence, data.scheme.value, data.repair, str(source.path))
            counts.add(sentence, spans)
        counted[split] = (str(source.path), counts)
    return statistics_of(counted)
