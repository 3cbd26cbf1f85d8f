"""Train, dev and test taken out of a corpus that comes as one file."""

import hashlib
from collections.abc import Iterator
from itertools import chain, groupby
from typing import NamedTuple

import numpy as np

from nerlab.data.sentence import Sentence

_BLAWOK_SENTENCES = 47_959


class Selection(NamedTuple):
    """Which sentences of a file belong to a ``split``.

    ``hash`` puts a document, or a sentence where no documents are marked, where the SHA-256 of
    seed and tokens says, 10 % each into dev and test (train, unless ``with_test``): equal ones
    always fall into the same split. ``blawok`` is the split of the Groningen Meaning Bank in the
    project blawok/named-entity-recognition: a seeded permutation of the sentences in the order of
    their names as strings, the first tenth being test; the next tenth is our dev.
    """

    rule: str
    seed: int
    split: str
    with_test: bool


def select(sentences: Iterator[Sentence], selection: Selection) -> Iterator[Sentence]:
    """The sentences of a split, out of those of the whole file in its order.

    Raises:
        ValueError: ``blawok`` of another corpus.
    """
    rule, seed, split, with_test = selection
    if rule == "hash":
        for document in _documents(sentences):
            owner = _by_hash(document, seed)
            if split == ("train" if owner == "test" and not with_test else owner):
                yield from document
        return
    taken = set(_blawok(split).tolist())
    found = 0
    for sentence in sentences:
        if found in taken:
            yield sentence
        found += 1
    if found != _BLAWOK_SENTENCES:
        raise ValueError(
            f"data.split=blawok: expected the {_BLAWOK_SENTENCES} sentences of the Groningen "
            f"Meaning Bank, found {found}; data.split=hash splits any corpus"
        )


def _documents(sentences: Iterator[Sentence]) -> Iterator[list[Sentence]]:
    """The sentences of each document; each sentence by itself where none are marked."""
    for document, group in groupby(sentences, key=lambda sentence: sentence.document):
        if document is None:
            yield from ([sentence] for sentence in group)
        else:
            yield list(group)


def _by_hash(document: list[Sentence], seed: int) -> str:
    text = "\0".join([str(seed), *chain.from_iterable(s.tokens for s in document)])
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    tenth = int.from_bytes(digest[:8], "big") % 10
    return {0: "test", 1: "dev"}.get(tenth, "train")


def _blawok(split: str) -> np.ndarray:
    """The sentences of a split, by their places in the file."""
    order = np.array(sorted(range(_BLAWOK_SENTENCES), key=lambda i: f"Sentence: {i + 1}"))
    shuffled = order[np.random.RandomState(666).permutation(_BLAWOK_SENTENCES)]
    tenth = 4_796
    test, dev, train = np.split(shuffled, [tenth, 2 * tenth])
    return {"test": test, "dev": dev, "train": train}[split]
