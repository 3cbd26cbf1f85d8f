"""The numbers of a corpus that the page of stats shows."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from nerlab.commands.counts import LabelledForm, SplitCounts, by_frequency, labels_by_form

TOP_WORDS = 30
TOP_ENTITIES = 10
TOP_AMBIGUOUS = 40
TOP_LABELS = 30  # rows and columns of the table of types that occur together


@dataclass(frozen=True)
class Distribution:
    """How often each whole number occurs. The median is the smallest number that half of the cases
    do not exceed; likewise the percentile."""

    counts: dict[int, int]
    mean: float
    median: int
    percentile_95: int
    maximum: int


@dataclass(frozen=True)
class Frequency:
    """How often a word, tag, label or entity occurs, and which share of all that is."""

    name: str
    count: int
    share: float


@dataclass(frozen=True)
class Rank:
    """How often the word of a rank occurs, from 1 on, and which share of the tokens the words up
    to this rank make up."""

    rank: int
    count: int
    coverage: float


@dataclass(frozen=True)
class SplitStatistics:
    """The numbers of a split; what goes by label is in the order of their frequency in all splits.

    ``words`` counts the different words as they are written; their ``ranks`` are ever farther
    apart. Lengths are in tokens, None where there is nothing to measure. The share of a frequent
    entity is that of its label. ``together`` counts the sentences in which two labels occur, of a
    label with itself those in which it occurs.
    """

    file: str
    sentences: int
    documents: int | None  # None: the file marks none
    tokens: int
    words: int
    words_seen_once: int
    entities: int
    sentence_lengths: Distribution | None
    entities_per_sentence: Distribution | None
    entity_lengths: Distribution | None
    entity_lengths_by_label: dict[str, Distribution | None]
    labels: list[Frequency]
    tags: list[Frequency]
    frequent_words: list[Frequency]
    frequent_entities: dict[str, list[Frequency]]
    ranks: list[Rank]
    together: dict[str, dict[str, int]]


@dataclass(frozen=True)
class AmbiguousForm:
    """A surface form that carries several labels, and how often each."""

    name: str
    count: int
    labels: dict[str, int]


@dataclass(frozen=True)
class Statistics:
    """The numbers of each split, and of all together: the most frequent ambiguous forms, how many
    there are, and of how many different forms."""

    splits: dict[str, SplitStatistics]
    ambiguous: list[AmbiguousForm]
    ambiguous_forms: int
    forms: int


def statistics_of(splits: Mapping[str, tuple[str, SplitCounts]]) -> Statistics:
    """The numbers of what has been counted; ``splits`` maps names to files and counts."""
    entities: Counter[LabelledForm] = Counter()
    labels: Counter[str] = Counter()
    for _, counts in splits.values():
        entities.update(counts.entities)
        labels.update(counts.labels)
    order = list(by_frequency(labels))
    forms = labels_by_form(entities)
    ambiguous = [
        AmbiguousForm(form, found.total(), dict(found.most_common()))
        for form, found in forms.items()
        if len(found) > 1
    ]
    return Statistics(
        splits={split: _split(file, counts, order) for split, (file, counts) in splits.items()},
        ambiguous=ambiguous[:TOP_AMBIGUOUS],
        ambiguous_forms=len(ambiguous),
        forms=len(forms),
    )


def _split(file: str, counts: SplitCounts, order: list[str]) -> SplitStatistics:
    labels = counts.labels
    widths = {label: Counter[int]() for label in order if label in labels}
    for (label, width), count in counts.widths.items():
        widths[label][width] = count
    forms = {label: Counter[str]() for label in widths}
    for (form, label), count in counts.entities.items():
        forms[label][form] = count
    top = order[:TOP_LABELS]
    return SplitStatistics(
        file=file,
        sentences=counts.sentences,
        documents=counts.documents,
        tokens=counts.words.total(),
        words=len(counts.words),
        words_seen_once=sum(count == 1 for count in counts.words.values()),
        entities=counts.entities.total(),
        sentence_lengths=_distribution(counts.lengths),
        entities_per_sentence=_distribution(counts.entities_per_sentence),
        entity_lengths=_distribution(sum(widths.values(), Counter[int]())),
        entity_lengths_by_label={label: _distribution(w) for label, w in widths.items()},
        labels=_frequencies(labels),
        tags=_frequencies(counts.tags),
        frequent_words=_frequencies(counts.words)[:TOP_WORDS],
        frequent_entities={label: _frequencies(f)[:TOP_ENTITIES] for label, f in forms.items()},
        ranks=_ranks(counts.words),
        together={a: {b: counts.pairs[min(a, b), max(a, b)] for b in top} for a in top},
    )


def _distribution(counts: Counter[int]) -> Distribution | None:
    if not counts:
        return None
    numbers = sorted(counts)
    reached = list(accumulate(counts[number] for number in numbers))
    total = reached[-1]

    def quantile(share: float) -> int:
        return next(n for n, cases in zip(numbers, reached, strict=True) if cases >= share * total)

    return Distribution(
        counts={number: counts[number] for number in numbers},
        mean=sum(number * counts[number] for number in numbers) / total,
        median=quantile(0.5),
        percentile_95=quantile(0.95),
        maximum=numbers[-1],
    )


def _frequencies(counts: Counter[str]) -> list[Frequency]:
    total = counts.total()
    return [Frequency(name, count, count / total) for name, count in by_frequency(counts).items()]


def _ranks(words: Counter[str]) -> list[Rank]:
    """Those of the words 1, 2, 3 ... 10, 20, 30 ... 100, 200 ..., and of the last one."""
    counts = sorted(words.values(), reverse=True)
    covered = list(accumulate(counts))
    steps = {digit * 10**power for power in range(12) for digit in range(1, 10)}
    ranks = [rank for rank in sorted(steps | {len(counts)}) if 0 < rank <= len(counts)]
    return [Rank(rank, counts[rank - 1], covered[rank - 1] / covered[-1]) for rank in ranks]
