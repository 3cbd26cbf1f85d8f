"""The numbers of a corpus that the page of stats shows, as ``statistics.json`` holds them."""

from collections import Counter
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from nerlab.commands.counts import SplitCounts, by_frequency, labels_by_form

TOP_WORDS = 30
TOP_ENTITIES = 10
TOP_AMBIGUOUS = 40
TOP_LABELS = 30  # rows and columns of the table of types that occur together

Numbers = dict[str, Any]


def statistics_of(splits: Mapping[str, SplitCounts]) -> Numbers:
    """The numbers of each split, and of all together: the most frequent surface forms with
    several labels and how often each label, how many there are, and of how many forms."""
    labels: Counter[str] = Counter()
    for counts in splits.values():
        labels.update(counts.labels)
    order = list(by_frequency(labels))
    forms = labels_by_form(splits.values())
    ambiguous = [
        {"name": form, "count": found.total(), "labels": dict(found.most_common())}
        for form, found in forms.items()
        if len(found) > 1
    ]
    return {
        "splits": {split: _split(counts, order) for split, counts in splits.items()},
        "ambiguous": ambiguous[:TOP_AMBIGUOUS],
        "ambiguous_forms": len(ambiguous),
        "forms": len(forms),
    }


def _split(counts: SplitCounts, order: list[str]) -> Numbers:
    """Those of a split; what goes by label is in the order of their frequency in all splits.

    Lengths are in tokens. The share of a frequent entity is that of its label. ``together`` counts
    the sentences in which two labels occur, of a label with itself those in which it occurs.
    """
    labels = counts.labels
    widths = {label: Counter[int]() for label in order if label in labels}
    for (label, width), count in counts.widths.items():
        widths[label][width] = count
    forms = {label: Counter[str]() for label in widths}
    for (form, label), count in counts.entities.items():
        forms[label][form] = count
    top = order[:TOP_LABELS]
    return counts.figures() | {
        "words_seen_once": sum(count == 1 for count in counts.words.values()),
        "sentence_lengths": _distribution(counts.lengths),
        "entities_per_sentence": _distribution(counts.entities_per_sentence),
        "entity_lengths": _distribution(sum(widths.values(), Counter[int]())),
        "entity_lengths_by_label": {label: _distribution(w) for label, w in widths.items()},
        "labels": _frequencies(labels),
        "tags": _frequencies(counts.tags),
        "frequent_words": _frequencies(counts.words)[:TOP_WORDS],
        "frequent_entities": {label: _frequencies(f)[:TOP_ENTITIES] for label, f in forms.items()},
        "ranks": _ranks(counts.words),
        "together": {a: {b: counts.pairs[min(a, b), max(a, b)] for b in top} for a in top},
    }


def _distribution(counts: Counter[int]) -> Numbers | None:
    """How often each number occurs; the median is the smallest that half of the cases do not
    exceed, likewise the percentile. None where there is nothing to measure."""
    if not counts:
        return None
    numbers = sorted(counts)
    reached = list(accumulate(counts[number] for number in numbers))
    total = reached[-1]

    def quantile(share: float) -> int:
        return next(n for n, cases in zip(numbers, reached, strict=True) if cases >= share * total)

    return {
        "counts": {number: counts[number] for number in numbers},
        "mean": sum(number * counts[number] for number in numbers) / total,
        "median": quantile(0.5),
        "percentile_95": quantile(0.95),
        "maximum": numbers[-1],
    }


def _frequencies(counts: Counter[str]) -> list[Numbers]:
    total = counts.total()
    return [
        {"name": name, "count": count, "share": count / total}
        for name, count in by_frequency(counts).items()
    ]


def _ranks(words: Counter[str]) -> list[Numbers]:
    """How often the words of the ranks 1, 2, 3 ... 10, 20, 30 ... 100, 200 ... and the last one
    occur, and which share of the tokens the words up to each make up."""
    counts = sorted(words.values(), reverse=True)
    covered = list(accumulate(counts))
    steps = {digit * 10**power for power in range(12) for digit in range(1, 10)}
    return [
        {"rank": n, "count": counts[n - 1], "coverage": covered[n - 1] / covered[-1]}
        for n in sorted(steps | {len(counts)})
        if 0 < n <= len(counts)
    ]
