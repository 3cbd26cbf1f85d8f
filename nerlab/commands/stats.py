"""``python -m nerlab stats``: the numbers of a corpus, as a page of tables and bars and as JSON."""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from nerlab.commands.check import as_line, check
from nerlab.commands.counts import SplitCounts, by_frequency, labels_by_form
from nerlab.commands.findings import Finding
from nerlab.config import check_values
from nerlab.files import new_file
from nerlab.instantiation import trusted_packages
from nerlab.reports.look import Span, colors_of, cut_tokens, environment

TOP_WORDS = 30
TOP_ENTITIES = 10
TOP_AMBIGUOUS = 40
TOP_LABELS = 30  # rows and columns of the table of types that occur together

Numbers = dict[str, Any]


def run(config: DictConfig) -> None:
    """Write ``index.html`` and ``statistics.json``, which holds every number of the page, to
    ``config.output``. ``ValueError``: a split cannot be read, or has an unknown or illegal tag.
    """
    check_values("data", config.data)
    checked = check(config.data, trusted_packages(config.trust))
    for finding in checked.findings:
        if finding.severity == "error":
            raise ValueError(f"{as_line(finding)}; see python -m nerlab check")
    statistics = statistics_of(checked.counts, checked.findings)
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    files = (folder / "index.html", folder / "statistics.json")
    with new_file(files[0]) as html, new_file(files[1]) as numbers:
        html.write_text(page(statistics, config.name), encoding="utf-8", newline="\n")
        numbers.write_text(json.dumps(statistics, indent=1) + "\n", encoding="utf-8")
    print(*(f"written: {file}" for file in files), sep="\n")


def statistics_of(splits: Mapping[str, SplitCounts], findings: Sequence[Finding] = ()) -> Numbers:
    """The numbers of each split, and of all together: the labels, the most frequent first; the
    most frequent surface forms with several labels and how often each label, how many there are,
    and of how many forms; what :mod:`nerlab.commands.check` has found."""
    order = list(by_frequency(sum((counts.labels for counts in splits.values()), Counter[str]())))
    forms = labels_by_form(splits.values())
    ambiguous = [
        {"name": form, "count": found.total(), "labels": dict(found.most_common())}
        for form, found in forms.items()
        if len(found) > 1
    ]
    return {
        "sentences": sum(counts.lengths.total() for counts in splits.values()),
        "tokens": sum(counts.words.total() for counts in splits.values()),
        "entities": sum(counts.labels.total() for counts in splits.values()),
        "labels": order,
        "findings": [asdict(finding) for finding in findings],
        "splits": {split: _split(counts, order) for split, counts in splits.items()},
        "ambiguous": ambiguous[:TOP_AMBIGUOUS],
        "ambiguous_forms": len(ambiguous),
        "forms": len(forms),
    }


def _split(counts: SplitCounts, order: list[str]) -> Numbers:
    """Those of a split; what goes by label is in the ``order`` of their frequency in all splits.

    Lengths are in tokens. The share of a frequent entity is that of its label. ``together`` counts
    the sentences in which two labels occur, of a label with itself those in which it occurs.
    """
    widths = {label: counts.widths[label] for label in order if label in counts.widths}
    top = order[:TOP_LABELS]
    return counts.figures() | {
        "words_seen_once": sum(count == 1 for count in counts.words.values()),
        "sentence_lengths": _distribution(counts.lengths),
        "entities_per_sentence": _distribution(counts.entities_per_sentence),
        "entity_lengths": _distribution(sum(widths.values(), Counter[int]())),
        "entity_lengths_by_label": {label: _distribution(w) for label, w in widths.items()},
        "labels": _frequencies({label: found.total() for label, found in widths.items()}),
        "tags": _frequencies(by_frequency(counts.tags)),
        "frequent_words": _frequencies(by_frequency(counts.words), TOP_WORDS),
        "frequent_entities": {
            label: _frequencies(by_frequency(counts.forms[label]), TOP_ENTITIES) for label in widths
        },
        "ranks": _ranks(counts.words),
        "examples": [
            {"tokens": tokens, "entities": [span._asdict() for span in spans]}
            for tokens, spans in counts.examples
        ],
        "together": {a: {b: counts.pairs[min(a, b), max(a, b)] for b in top} for a in top},
    }


def _distribution(counts: Counter[int]) -> Numbers | None:
    """How often each number occurs; the median is the smallest that half of the cases do not
    exceed, likewise the percentile. None where there is nothing to measure."""
    if not counts:
        return None
    numbers, total = sorted(counts), counts.total()
    reached = list(accumulate(counts[number] for number in numbers))
    return {
        "counts": {number: counts[number] for number in numbers},
        "mean": sum(number * times for number, times in counts.items()) / total,
        "median": numbers[bisect_left(reached, 0.5 * total)],
        "percentile_95": numbers[bisect_left(reached, 0.95 * total)],
        "maximum": numbers[-1],
    }


def _frequencies(counts: dict[str, int], most: int | None = None) -> dict[str, Numbers]:
    total = sum(counts.values())
    return {
        name: {"count": count, "share": count / total}
        for name, count in islice(counts.items(), most)
    }


def _ranks(words: Counter[str]) -> dict[int, Numbers]:
    """How often the words of the ranks 1, 2, 5, 10, 20, 50 ... occur, and which share of the
    tokens the words up to each make up."""
    counts = sorted(words.values(), reverse=True)
    covered = list(accumulate(counts))
    ranks = (digit * 10**power for power in range(12) for digit in (1, 2, 5))
    return {
        rank: {"count": counts[rank - 1], "share": covered[rank - 1] / covered[-1]}
        for rank in ranks
        if rank <= len(counts)
    }


def page(statistics: Numbers, title: str) -> str:
    """One HTML page that needs nothing else; every number on it is one of ``statistics``."""
    examples = {
        name: [
            cut_tokens(example["tokens"], (Span(**entity) for entity in example["entities"]))
            for example in split["examples"]
        ]
        for name, split in statistics["splits"].items()
    }
    return (
        environment()
        .get_template("stats.html")
        .render(
            title=title,
            corpus=statistics,
            splits=statistics["splits"],
            examples=examples,
            colors=colors_of(statistics["labels"]),
            top_labels=TOP_LABELS,
        )
    )
