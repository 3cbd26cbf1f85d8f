"""Batches of whole documents."""

from collections.abc import Iterable

import numpy as np

from nerlab.data.batch import Batcher, cut, ranges
from nerlab.data.corpus import Corpus
from nerlab.data.vocabulary import Vocabulary


class DocumentBatcher(Batcher):
    """A :class:`Batcher` whose batches are of whole documents, for models that look at them.

    A document too large for a batch is cut between sentences, and no two pieces of it share one. A
    corpus in which some sentences are of no document raises ``ValueError``.
    """

    def __init__(self, corpus: Corpus, vocabulary: Vocabulary, with_tags: bool) -> None:
        super().__init__(corpus, vocabulary, with_tags)
        if (corpus.documents < 0).any():
            raise ValueError(
                "trainer.batch_by=document: the corpus marks no documents; set trainer.batch_by="
                "sentence, or the key of data.reader that says where a document begins (document, "
                "say)"
            )
        order = np.argsort(corpus.documents, kind="stable")
        documents = np.split(order, 1 + np.flatnonzero(np.diff(corpus.documents[order])))
        # In the order of their first sentences.
        self._documents = sorted(filter(len, documents), key=lambda sentences: int(sentences[0]))

    def shuffled_groups(
        self, batch_tokens: int, generator: np.random.Generator
    ) -> list[np.ndarray]:
        """The sentences of each batch of one epoch, documents in random order."""
        order = generator.permutation(len(self._documents))
        return self._groups((self._documents[i] for i in order), batch_tokens)

    def sorted_groups(self, batch_tokens: int) -> list[np.ndarray]:
        """The sentences of each batch, documents in their order."""
        return self._groups(self._documents, batch_tokens)

    def _groups(self, documents: Iterable[np.ndarray], batch_tokens: int) -> list[np.ndarray]:
        pieces = [piece for d in documents for piece in cut(d, self._sizes, batch_tokens)]
        widths = [int(self._sizes[piece].max()) for piece in pieces]
        groups = ranges(widths, map(len, pieces), batch_tokens)
        return [np.concatenate(pieces[first:last]) for first, last in groups]

    def halves(self, sentences: np.ndarray) -> list[np.ndarray]:
        """Two batches in place of one, cut between documents where it has several."""
        middle = len(sentences) // 2
        borders = 1 + np.flatnonzero(np.diff(self.corpus.documents[sentences]))
        if len(borders):
            middle = int(borders[np.argmin(np.abs(borders - middle))])
        return np.split(sentences, [middle])
