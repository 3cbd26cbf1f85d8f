"""Warnings about data that was read without an error, but hardly as it was meant."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from nerlab.data.corpus import Corpus
from nerlab.tags import MANY_LABELS, MAX_LABELS

_NUMBER = re.compile(r"[-+]?\d[-.,:/\d]*")


class DataWarning(NamedTuple):
    """What is implausible about a split: its stable name, what was found, what to do about it, and
    how many cases there are."""

    kind: str
    message: str
    remedy: str
    cases: int

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}"


def warnings_of(
    sentence_lengths: Iterable[tuple[int, int]],
    token_counts: Iterable[tuple[str, int]],
    has_entities: bool,
) -> list[DataWarning]:
    """Whether the sentences of a split, its tokens or its tags come from the wrong column: how many
    sentences have each length, how often each token occurs, and whether any tag is not O."""
    warnings = []

    def warn(kind: str, message: str, what: str, option: str, cases: int) -> None:
        remedy = f"set the key of data.reader that says where {what} ({option}, say)"
        warnings.append(DataWarning(kind, message, remedy, cases))

    lengths = dict(sentence_lengths)
    total, single = sum(lengths.values()), lengths.get(1, 0)
    if 2 * single >= total > 0:
        message = f"{single:,} of {total:,} sentences have one token"
        warn("one-token-sentences", message, "a sentence ends", "sentence_column", single)
    tokens = numbers = 0
    for token, count in token_counts:
        tokens += count
        numbers += count if _NUMBER.fullmatch(token) else 0
    if 2 * numbers >= tokens > 0:
        message = f"{numbers:,} of {tokens:,} tokens are numbers"
        warn("number-tokens", message, "the tokens stand", "token_column", numbers)
    if not has_entities:
        warn("no-entity", "no entity at all", "the tags stand", "tag_column", 1)
    return warnings


def warnings_of_corpus(corpus: Corpus) -> list[DataWarning]:
    """The same of an indexed split."""
    single = int((corpus.lengths == 1).sum())
    lengths = [(1, single), (2, len(corpus) - single)]  # longer ones are all the same here
    return warnings_of(lengths, corpus.token_counts(), bool(corpus.tags.any()))


def cost_of_labels(number: int) -> list[DataWarning]:
    """What it costs that train has so many labels, if that is much."""
    if not MANY_LABELS < number <= MAX_LABELS:
        return []
    tags = 4 * number + 1
    message = (
        f"{number:,} entity types make K = {tags:,} tags: a CRF has K^2 = {tags**2:,} transitions, "
        "and its time and memory for each token grow with K^2"
    )
    remedy = (
        "merge the rare ones, train model=bilstm, whose cost grows with K alone, or lower "
        "trainer.batch_tokens and trainer.decode_tokens"
    )
    return [DataWarning("many-types", message, remedy, number)]
