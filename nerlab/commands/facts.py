"""The plain figures of a split."""

from collections.abc import Callable
from dataclasses import dataclass

from nerlab.commands.counts import SplitCounts


@dataclass(frozen=True)
class Unseen:
    """What a split has and train has not, each counted as often as it occurs.

    Attributes:
        entities: entities that train has not, or not with this label.
        words: tokens that train has not, in the form in which words are looked up.
    """

    entities: int
    words: int


@dataclass(frozen=True)
class Long:
    """A long sentence: its line and its number of tokens."""

    line: int
    tokens: int


@dataclass(frozen=True)
class Facts:
    """The plain figures of a split.

    Attributes:
        file: where it stands.
        sentences, tokens, entities: how many there are.
        documents: how many there are; None: the file marks none.
        distinct_tokens: how many different ones there are, as they are written.
        entities_per_type: the most frequent type first.
        sentences_without_entity: how many there are.
        longest: the longest sentences, the longest first.
        unseen: what train has not; None for train itself, or where train cannot be read.
    """

    file: str
    sentences: int
    documents: int | None
    tokens: int
    distinct_tokens: int
    entities: int
    entities_per_type: dict[str, int]
    sentences_without_entity: int
    longest: list[Long]
    unseen: Unseen | None


def facts_of(file: str, counts: SplitCounts, unseen: Unseen | None) -> Facts:
    """The figures of what has been counted."""
    return Facts(
        file=file,
        sentences=counts.sentences,
        documents=counts.documents,
        tokens=counts.words.total(),
        distinct_tokens=len(counts.words),
        entities=counts.entities.total(),
        entities_per_type=dict(sorted(counts.labels.items(), key=lambda item: (-item[1], item[0]))),
        sentences_without_entity=counts.entities_a_sentence[0],
        longest=[Long(-line, length) for length, line in sorted(counts.longest, reverse=True)],
        unseen=unseen,
    )


def unseen_in(train: SplitCounts, other: SplitCounts, look_up: Callable[[str], str]) -> Unseen:
    """What of another split is unseen in train; ``look_up`` gives the form of a word."""
    known = {look_up(word) for word in train.words}
    return Unseen(
        entities=sum(n for entity, n in other.entities.items() if entity not in train.entities),
        words=sum(n for word, n in other.words.items() if look_up(word) not in known),
    )
