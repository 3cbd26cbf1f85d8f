"""Padded batches of a corpus, bucketed by length and sized by what they cost."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import repeat
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nerlab.data.corpus import Corpus
from nerlab.data.vocabulary import Indexed, Ragged, Vocabulary

Features = Mapping[str, Mapping[str, Tensor]]
"""The tensors ``(U, ...)`` that each embedder sees of U distinct tokens, by embedder and name."""
_TOKEN_WIDTH = 5  # of a common token, in characters


@dataclass(frozen=True, eq=False)
class Batch:
    """B sentences, right padded to T tokens, with U distinct tokens.

    Attributes:
        features: what the embedders see of the distinct tokens.
        tags: ``(B, T)`` tag ids, 0 on padding, -1 where the vocabulary lacks the label; None where
            they are not needed.
        lengths: ``(B,)`` tokens of each sentence, 1 to T.
        sentence_ids: ``(B,)`` into the corpus.
        document_ids: ``(B,)`` documents of the sentences; None where the corpus marks none.
        distinct: ``(U,)`` into the lexicon of the corpus.
        token_index: ``(B, T)`` into ``distinct``, 0 on padding.
        positions: ``(S,)`` 0 to S - 1, where S is the cost of the costliest sentence: a length that
            is known on the host, however the tokens are cut into pieces on the device.
        vectors: ``(B, T, D)``, of a batch that is embedded already; then it has no features.
    """

    features: Features
    tags: Tensor | None
    lengths: Tensor
    sentence_ids: Tensor
    document_ids: Tensor | None
    distinct: Tensor
    token_index: Tensor
    positions: Tensor
    vectors: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The batch on ``device``; on a GPU the copies overlap with what the host does next."""
        return Batch(**{f.name: to_device(getattr(self, f.name), device) for f in fields(self)})


class Batcher:
    """Makes the batches of a corpus as a vocabulary sees it, by numpy indexing alone.

    Args:
        corpus: the sentences.
        vocabulary: its indexers give the features.
        with_tags: batches carry tag ids.
    """

    def __init__(self, corpus: Corpus, vocabulary: Vocabulary, with_tags: bool) -> None:
        self.corpus = corpus
        self._indexed = {
            name: indexer.index(corpus.lexicon) for name, indexer in vocabulary.indexers.items()
        }
        self._tag_ids = None  # (K,) the vocabulary's id of each of the corpus's tags
        if with_tags:
            ids = {tag: index for index, tag in enumerate(vocabulary.tags)}
            self._tag_ids = np.array([ids.get(tag, -1) for tag in corpus.tag_names])
        self._has_documents = bool((corpus.documents >= 0).any())
        # What a sentence costs, in positions (S,): its tokens, or the pieces that these are cut in.
        self._sizes = corpus.lengths
        costs = [i.costs for i in self._indexed.values() if i.costs is not None]
        if costs and len(corpus):
            largest = np.maximum.reduce([np.ones_like(costs[0]), *costs])  # (L,)
            self._sizes = np.add.reduceat(largest[corpus.tokens], corpus.offsets[:-1])

    def shuffled_groups(
        self, batch_tokens: int, generator: np.random.Generator
    ) -> list[np.ndarray]:
        """The sentences of each batch of one epoch: similar sizes together, in random order. A
        batch has ``batch_tokens`` positions at most, padding counted; a longer sentence is one by
        itself."""
        # Sentences of one size are shuffled, and sizes blurred a little: other company in every
        # epoch, next to no padding.
        sizes = self._sizes
        order = np.argsort(sizes + generator.uniform(0.0, 1.5, len(sizes)), kind="stable")
        groups = cut(order, sizes, batch_tokens)
        return [groups[index] for index in generator.permutation(len(groups))]

    def sorted_groups(self, batch_tokens: int) -> list[np.ndarray]:
        """The sentences of each batch, from the shortest to the longest."""
        return cut(np.argsort(self._sizes, kind="stable"), self._sizes, batch_tokens)

    def halves(self, sentences: np.ndarray) -> list[np.ndarray]:
        """Two batches in place of one."""
        return np.split(sentences, [len(sentences) // 2])

    def collate(self, sentences: np.ndarray, with_features: bool = True) -> Batch:
        """The batch of some sentences ``(B,)``, in their order."""
        corpus = self.corpus
        positions, mask = self.positions(sentences)
        flat = positions[mask]
        distinct, inverse = np.unique(corpus.tokens[flat], return_inverse=True)
        documents = corpus.documents[sentences].astype(np.int64) if self._has_documents else None
        return Batch(
            features=self.features(distinct) if with_features else {},
            tags=None if self._tag_ids is None else _padded(self._tag_ids[corpus.tags[flat]], mask),
            lengths=torch.from_numpy(corpus.lengths[sentences]),
            sentence_ids=torch.from_numpy(sentences.astype(np.int64)),
            document_ids=None if documents is None else torch.from_numpy(documents),
            distinct=torch.from_numpy(distinct.astype(np.int64)),
            token_index=_padded(inverse, mask),
            positions=torch.arange(int(self._sizes[sentences].max(initial=1))),
        )

    def positions(self, sentences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the tokens of some sentences lie in the corpus, and which of these places are
        theirs, not padding: both ``(B, T)``."""
        return _positions(self.corpus.offsets[sentences], self.corpus.lengths[sentences])

    def features(self, distinct: np.ndarray) -> Features:
        """What the embedders see of some distinct tokens ``(U,)`` of the corpus."""
        return {name: collate(indexed, distinct) for name, indexed in self._indexed.items()}

    def lexicon_groups(self, batch_tokens: int) -> Iterator[np.ndarray]:
        """Every distinct token of the corpus once, the shortest first, in groups that take about
        the memory of ``batch_tokens`` common tokens, however long one of them is."""
        count = len(self.corpus.lexicon)
        widths = np.maximum.reduce([i.widths(count) for i in self._indexed.values()])
        yield from cut(np.argsort(widths, kind="stable"), widths, batch_tokens * _TOKEN_WIDTH)


def to_device(value: Any, device: torch.device) -> Any:
    """A tensor, or all those of a mapping, or None, on ``device``."""
    if device.type == "cpu":
        return value
    if isinstance(value, Mapping):
        return {name: to_device(part, device) for name, part in value.items()}
    return value if value is None else value.pin_memory().to(device, non_blocking=True)


def collate(indexed: Indexed, distinct: np.ndarray) -> dict[str, Tensor]:
    """The tensors ``(U, ...)`` of some distinct tokens ``(U,)``; ragged rows are padded with 0."""
    features = {}
    for name, array in indexed.arrays.items():
        if isinstance(array, Ragged):
            starts = array.offsets[distinct]
            lengths = array.offsets[distinct + 1] - starts
            positions, mask = _positions(starts, lengths)
            features[name] = _padded(_wide(array.values[positions[mask]]), mask)
        else:
            features[name] = torch.from_numpy(_wide(array[distinct]))
    return features


def _positions(starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the values of rows lie, one row after the other, and which are theirs, not padding."""
    steps = np.arange(lengths.max(initial=1))
    return starts[:, None] + steps, steps < lengths[:, None]


def _padded(values: np.ndarray, mask: np.ndarray) -> Tensor:
    padded = np.zeros(mask.shape, dtype=values.dtype)
    padded[mask] = values
    return torch.from_numpy(padded)


def _wide(values: np.ndarray) -> np.ndarray:
    """Whole numbers as torch indexes with them."""
    return values.astype(np.int64) if np.issubdtype(values.dtype, np.integer) else values


def cut(order: np.ndarray, sizes: np.ndarray, most: int) -> list[np.ndarray]:
    """Cut a sequence of items wherever one more would pad its group over ``most`` positions."""
    found = ranges(sizes[order].tolist(), repeat(1), most)
    return [order[first:last] for first, last in found]


def ranges(widths: list[int], heights: Iterable[int], most: int) -> Iterator[tuple[int, int]]:
    """Neighbours that are padded to ``most`` positions together, as half open ranges; one that is
    larger is by itself."""
    start, width, height = 0, 0, 0
    for index, (w, h) in enumerate(zip(widths, heights, strict=False)):
        width, height = max(width, w), height + h
        if index > start and width * height > most:
            yield start, index
            start, width, height = index, w, h
    if widths:
        yield start, len(widths)
