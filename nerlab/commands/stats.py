"""``python -m nerlab stats``: numbers and pictures of a corpus."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from omegaconf import DictConfig

from nerlab.commands.counts import SplitCounts
from nerlab.commands.page import page
from nerlab.commands.reading import present_splits, read_annotated
from nerlab.commands.statistics import Statistics, statistics_of
from nerlab.config import DataConfig, check_numbers
from nerlab.data.load import Source
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
        sources, warnings = present_splits(config.data, trusted_packages(config.trust))
        statistics = collect(config.data, sources)
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    files = (folder / "index.html", folder / "statistics.json")
    with new_file(files[0]) as html, new_file(files[1]) as numbers:
        html.write_text(page(statistics, config.data.dir), encoding="utf-8", newline="\n")
        numbers.write_text(json.dumps(asdict(statistics), indent=1) + "\n", encoding="utf-8")
    for warning in dict.fromkeys([*warnings, *warned]):
        print(f"warning: {warning}")
    for file in files:
        print(f"written: {file}")


def collect(data: DataConfig, sources: Mapping[str, Source]) -> Statistics:
    """Read each of the splits once, sentence by sentence, and count."""
    counted: dict[str, tuple[str, SplitCounts]] = {}
    for split, source in sources.items():
        counts = SplitCounts()
        for sentence, spans in read_annotated(source, data):
            counts.add(sentence, spans)
        counted[split] = (str(source.path), counts)
    return statistics_of(counted)
