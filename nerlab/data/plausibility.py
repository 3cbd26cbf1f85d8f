"""Warnings about data that was read without an error, but hardly as it was meant."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from nerlab.data.corpus import Corpus

_NUMBER = re.compile(r"[-+]?\d[-.,:/\d]*")


class DataWarning(NamedTuple):
    """What is implausible about a split.

    Attributes:
        kind: its stable name.
        message: what was found, with counts.
        remedy: what to do about it.
        cases: how many there are.
    """

    kind: str
    message: str
    remedy: str
    cases: int


def warnings_of(
    sentence_lengths: Iterable[tuple[int, int]],
    token_counts: Iterable[tuple[str, int]],
    has_entities: bool,
) -> list[DataWarning]:
    """Whether the sentences of a split, its tokens or its tags come from the wrong place.

    Args:
        sentence_lengths: pairs of a number of tokens and how many sentences have it.
        token_counts: pairs of a token and how often it occurs.
        has_entities: whether any tag is other than O.
    """
    warnings = []
    lengths = dict(sentence_lengths)
    sentences, single = sum(lengths.values()), lengths.get(1, 0)
    if 2 * single >= sentences > 0:
        message = f"{single:,} of {sentences:,} sentences have one token"
        remedy = "set the key of data.reader that says where a sentence ends (sentence_column, say)"
        warnings.append(DataWarning("one-token-sentences", message, remedy, single))
    tokens = numbers = 0
    for token, count in token_counts:
        tokens += count
        numbers += count if _NUMBER.fullmatch(token) else 0
    if 2 * numbers >= tokens > 0:
        message = f"{numbers:,} of {tokens:,} tokens are numbers"
        remedy = "set the key of data.reader that says where the tokens stand (token_column, say)"
        warnings.append(DataWarning("number-tokens", message, remedy, numbers))
    if not has_entities:
        remedy = "set the key of data.reader that says where the tags stand (tag_column, say)"
        warnings.append(DataWarning("no-entity", "no entity at all", remedy, 1))
    return warnings


def warnings_of_corpus(corpus: Corpus) -> list[DataWarning]:
    """The same of an indexed split."""
    single = int((corpus.lengths == 1).sum())
    lengths = [(1, single), (2, len(corpus) - single)]  # longer ones are all the same here
    return warnings_of(lengths, corpus.token_counts(), bool(corpus.tags.any()))
