"""The numbers of a corpus that the page of stats shows."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from nerlab.commands.counts import LabelledForm, SplitCounts, ambiguous_forms, by_frequency

TOP_WORDS = 30
TOP_ENTITIES = 10
TOP_AMBIGUOUS = 40
TOP_LABELS = 30  # rows and columns of the table of types that occur together


@dataclass(frozen=True)
class Distribution:
    """How often each whole number occurs.

    Attributes:
        counts: times by number, from the smallest number on.
        median, percentile_95: the smallest number that 50 or 95 % of the cases do not exceed.
    """

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

    Attributes:
        documents: None where the file marks none.
        words: how many different tokens there are, as they are written.
        words_seen_once: how many of them occur once.
        sentence_lengths, entity_lengths: in tokens; None where there is none.
        entities_per_sentence: None where there is no sentence.
        labels, tags: all of them, the most frequent first.
        frequent_entities: the most frequent entities of each label; shares are those of the label.
        ranks: of the words, ever farther apart, and the last one.
        together: in how many sentences two labels occur; a label with itself: in how many it does.
    """

    file: str
    sentences: int
    documents: int | None
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
    """The numbers of a corpus.

    Attributes:
        splits: those of each split.
        ambiguous: the most frequent forms with several labels, over all splits together.
        ambiguous_forms: how many such forms there are.
        forms: how many different surface forms of entities there are.
    """

    splits: dict[str, SplitStatistics]
    ambiguous: list[AmbiguousForm]
    ambiguous_forms: int
    forms: int


def statistics_of(splits: Mapping[str, tuple[str, SplitCounts]]) -> Statistics:
    """The numbers of what has been counted; ``splits`` maps names to files and counts."""
    entities: Counter[LabelledForm] = Counter()
    for _, counts in splits.values():
        entities.update(counts.entities)
    totals: Counter[str] = Counter()
    for (_, label), count in entities.items():
        totals[label] += count
    several = ambiguous_forms(entities)
    ambiguous = [
        AmbiguousForm(form, labels.total(), dict(labels.most_common()))
        for form, labels in several.items()
    ]
    order = list(by_frequency(totals))
    return Statistics(
        splits={split: _split(file, counts, order) for split, (file, counts) in splits.items()},
        ambiguous=ambiguous[:TOP_AMBIGUOUS],
        ambiguous_forms=len(several),
        forms=len({entity.form for entity in entities}),
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
    counts = sorted(words.values(), reverse=True)
    covered = list(accumulate(counts))
    return [
        Rank(rank, counts[rank - 1], covered[rank - 1] / covered[-1])
        for rank in _steps(len(counts))
    ]


def _steps(limit: int) -> Iterator[int]:
    """1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30 ..., and ``limit``."""
    step, number = 1, 1
    while number < limit:
        yield number
        if number == 10 * step:
            step = number
        number += step
    if limit:
        yield limit
