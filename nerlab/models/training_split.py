"""What a report says of the training split: its entities, and how well it is tagged itself."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nerlab.data.corpus import Corpus
from nerlab.evaluation.pages import TrainingSplit
from nerlab.evaluation.report import Report
from nerlab.tags import split_tag


def training_split(corpus: Corpus, most: int, score: Callable[[Corpus], Report]) -> TrainingSplit:
    """The entities of the training split, and about ``most`` sentences of it, scored: so many as
    are scored of another split cost no more than that one."""
    return TrainingSplit(labels_by_form(corpus), len(corpus), score(sample(corpus, most)))


def sample(corpus: Corpus, most: int) -> Corpus:
    """Every so many-th sentence of a corpus, or document where these are marked, so that ``most``
    sentences are left, about so many with documents of different lengths."""
    step = -(-len(corpus) // max(1, most))
    if step <= 1:
        return corpus
    units = corpus.documents if (corpus.documents >= 0).all() else np.arange(len(corpus))
    kept = np.isin(units, np.unique(units)[::step])  # (S,)
    tokens = np.repeat(kept, corpus.lengths)  # (N,)
    distinct, inverse = np.unique(corpus.tokens[tokens], return_inverse=True)
    return replace(
        corpus,
        lexicon=[corpus.lexicon[i] for i in distinct.tolist()],
        tokens=inverse.astype(corpus.tokens.dtype),
        tags=corpus.tags[tokens],
        offsets=np.concatenate([[0], np.cumsum(corpus.lengths[kept])]),
        documents=corpus.documents[kept],
    )


def labels_by_form(corpus: Corpus) -> dict[str, Counter[str]]:
    """How often each entity of a corpus, its tokens joined by spaces, has each label."""
    roles, labels = zip(*map(split_tag, corpus.tag_names), strict=True)
    starts = np.flatnonzero(np.isin(roles, ["B", "S"])[corpus.tags]).tolist()
    lasts = np.flatnonzero(np.isin(roles, ["E", "S"])[corpus.tags]).tolist()
    found: dict[str, Counter[str]] = {}
    for start, last in zip(starts, lasts, strict=True):
        form = " ".join(corpus.lexicon[i] for i in corpus.tokens[start : last + 1].tolist())
        found.setdefault(form, Counter())[labels[corpus.tags[start]]] += 1
    return found
