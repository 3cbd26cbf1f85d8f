"""The numbers of the exploratory look, of every split and of all together."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from nerlab.commands.counts import Entity, SplitCounts, ambiguous

TOP_WORDS = 30
TOP_ENTITIES = 10
TOP_AMBIGUOUS = 40
TOP_LABELS = 30  # rows and columns of the table of types that occur together


@dataclass(frozen=True)
class Distribution:
    """How often each whole number occurs.

    Attributes:
        counts: times by number, from the smallest number on.
        mean: the mean.
        median: the smallest number that at least half of the cases do not exceed.
        percentile_95: the smallest number that at least 95 % of the cases do not exceed.
        maximum: the largest number.
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
class Coverage:
    """Which share of all tokens the most frequent words, ``words`` of them, make up."""

    words: int
    share: float


@dataclass(frozen=True)
class Rank:
    """How often the word of a rank occurs; the most frequent has rank 1."""

    rank: int
    count: int


@dataclass(frozen=True)
class Together:
    """In how many sentences two labels occur together; a label with itself: in how many it does.

    Attributes:
        labels: the most frequent of all splits, the most frequent first.
        sentences: a row and a column a label.
    """

    labels: list[str]
    sentences: list[list[int]]


@dataclass(frozen=True)
class SplitStatistics:
    """The numbers of a split; what goes by label is in the order of their frequency in all splits.

    Attributes:
        file: where it stands.
        documents: None where the file marks none.
        words: how many different tokens there are, as they are written.
        words_seen_once: how many of them occur once.
        sentence_lengths: in tokens; None where there is no sentence.
        entities_per_sentence: None where there is no sentence.
        entity_lengths: in tokens; None where there is no entity.
        entity_lengths_by_label: the same of each label.
        labels, tags: all of them, the most frequent first.
        frequent_words: the most frequent words.
        frequent_entities: the most frequent entities of each label; shares are those of the label.
        zipf: counts by rank, ranks ever farther apart.
        coverage: shares covered by the most frequent words, numbers ever farther apart.
        together: labels in the same sentence.
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
    zipf: list[Rank]
    coverage: list[Coverage]
    together: Together


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
    entities: Counter[Entity] = Counter()
    labels: Counter[str] = Counter()
    for _, counts in splits.values():
        entities.update(counts.entities)
        labels.update(counts.labels)
    forms = ambiguous(entities)
    order = [frequency.name for frequency in _frequencies(labels)]
    return Statistics(
        splits={split: _split(file, counts, order) for split, (file, counts) in splits.items()},
        ambiguous=[
            AmbiguousForm(text, labels.total(), dict(labels.most_common()))
            for text, labels in forms[:TOP_AMBIGUOUS]
        ],
        ambiguous_forms=len(forms),
        forms=len({entity.text for entity in entities}),
    )


def _split(file: str, counts: SplitCounts, order: list[str]) -> SplitStatistics:
    labels = counts.labels
    widths = {label: Counter[int]() for label in order if label in labels}
    for (label, width), count in counts.widths.items():
        widths[label][width] += count
    all_widths = sum(widths.values(), Counter[int]())
    ranked = sorted(counts.words.values(), reverse=True)
    return SplitStatistics(
        file=file,
        sentences=counts.sentences,
        documents=counts.documents,
        tokens=sum(ranked),
        words=len(ranked),
        words_seen_once=ranked.count(1),
        entities=counts.entities.total(),
        sentence_lengths=_distribution(counts.lengths),
        entities_per_sentence=_distribution(counts.entities_a_sentence),
        entity_lengths=_distribution(all_widths),
        entity_lengths_by_label={label: _distribution(w) for label, w in widths.items()},
        labels=_frequencies(labels),
        tags=_frequencies(counts.tags),
        frequent_words=_frequencies(counts.words)[:TOP_WORDS],
        frequent_entities=_frequent_entities(counts.entities, list(widths)),
        zipf=[Rank(rank, ranked[rank - 1]) for rank in _steps(len(ranked))],
        coverage=_coverage(ranked),
        together=_together(counts, order[:TOP_LABELS]),
    )


def _distribution(counts: Counter[int]) -> Distribution | None:
    if not counts:
        return None
    total = counts.total()
    ordered = dict(sorted(counts.items()))
    return Distribution(
        counts=ordered,
        mean=sum(number * count for number, count in ordered.items()) / total,
        median=_quantile(ordered, 0.5 * total),
        percentile_95=_quantile(ordered, 0.95 * total),
        maximum=max(ordered),
    )


def _quantile(ordered: Mapping[int, int], cases: float) -> int:
    """The smallest number that at least ``cases`` cases do not exceed."""
    reached = 0
    for number, count in ordered.items():
        reached += count
        if reached >= cases:
            return number
    raise AssertionError("there are as many cases as asked for")


def _frequencies(counts: Counter[str]) -> list[Frequency]:
    total = counts.total()
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Frequency(name, count, count / total) for name, count in ordered]


def _frequent_entities(entities: Counter[Entity], labels: list[str]) -> dict[str, list[Frequency]]:
    texts = {label: Counter[str]() for label in labels}
    for (text, label), count in entities.items():
        texts[label][text] = count
    return {label: _frequencies(of_label)[:TOP_ENTITIES] for label, of_label in texts.items()}


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


def _coverage(ranked: Iterable[int]) -> list[Coverage]:
    covered = [0]
    for count in ranked:
        covered.append(covered[-1] + count)
    steps = _steps(len(covered) - 1)
    return [Coverage(words, covered[words] / covered[-1]) for words in steps]


def _together(counts: SplitCounts, labels: list[str]) -> Together:
    sentences = [[counts.pairs[min(a, b), max(a, b)] for b in labels] for a in labels]
    return Together(labels, sentences)
