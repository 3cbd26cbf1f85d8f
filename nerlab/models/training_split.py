"""What a report says of the training split: its entities, and how well it is tagged itself."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nerlab.data.corpus import Corpus
from nerlab.evaluation.pages import TrainingSplit
from nerlab.evaluation.report import Report
from nerlab.tags import split_tag


def training_split(
    corpus: Corpus, most: int, by_document: bool, score: Callable[[Corpus], Report]
) -> TrainingSplit:
    """The entities of the training split, and at most so many sentences of it, scored: as many as
    are scored of another split cost no more than that one."""
    report = score(sample(corpus, most, by_document))
    return TrainingSplit(labels_by_form(corpus), len(corpus), report)


def sample(corpus: Corpus, most: int, by_document: bool) -> Corpus:
    """At most so many sentences of a corpus: every so many-th, or the first of every so many-th
    document, so that those of a document stay together."""
    step = -(-len(corpus) // most) if most else 1
    if step <= 1:
        return corpus
    chosen = np.arange(0, len(corpus), step)
    if by_document:
        numbers = np.unique(corpus.documents)
        chosen = np.flatnonzero(np.isin(corpus.documents, numbers[::step]))[:most]
    kept = np.zeros(len(corpus), dtype=bool)  # (S,)
    kept[chosen] = True
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
