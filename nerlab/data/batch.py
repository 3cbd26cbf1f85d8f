"""Padded batches of a corpus, bucketed by length and sized in tokens."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from nerlab.data.corpus import Corpus
from nerlab.data.vocabulary import PADDING, UNKNOWN, Vocabulary


@dataclass(frozen=True, eq=False)
class Batch:
    """B sentences, right padded to T tokens, with U distinct tokens of up to C characters.

    Attributes:
        words: ``(B, T)`` word ids.
        characters: ``(U, C)`` character ids of the distinct tokens.
        character_index: ``(B, T)`` into the rows of ``characters``; 0 on padding.
        tags: ``(B, T)`` tag ids, 0 on padding; None where they are not needed.
        lengths: ``(B,)`` tokens of each sentence, 1 to T.
        sentence_ids: ``(B,)`` into the corpus.
        document_ids: ``(B,)`` documents of the sentences.
    """

    words: Tensor
    characters: Tensor
    character_index: Tensor
    tags: Tensor | None
    lengths: Tensor
    sentence_ids: Tensor
    document_ids: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The batch on ``device``; on a GPU the copies overlap with what the host does next."""
        if device.type == "cpu":
            return self

        def move(tensor: Tensor | None) -> Tensor | None:
            return tensor if tensor is None else tensor.pin_memory().to(device, non_blocking=True)

        return Batch(*(move(getattr(self, f.name)) for f in fields(self)))  # type: ignore[arg-type]


class Batcher:
    """Makes the batches of a corpus as a vocabulary sees it.

    Everything that can be looked up once a distinct token (word id, characters) is looked up
    here; making a batch is numpy indexing alone.

    Args:
        corpus: the sentences.
        vocabulary: gives the ids.
        with_tags: batches carry tag ids; a label that the vocabulary lacks raises ``ValueError``.
    """

    def __init__(self, corpus: Corpus, vocabulary: Vocabulary, with_tags: bool) -> None:
        self.corpus = corpus
        self._first_singleton = vocabulary.first_singleton
        self._words = vocabulary.word_ids(corpus.lexicon)  # (L,)
        self._characters = vocabulary.character_ids(corpus.lexicon.characters)  # (M,)
        self._word_lengths = np.minimum(corpus.lexicon.lengths, vocabulary.max_word_length)
        self._tag_ids = _tag_ids(corpus, vocabulary) if with_tags else None

    def shuffled_groups(
        self, batch_tokens: int, generator: np.random.Generator
    ) -> list[np.ndarray]:
        """The sentences of each batch of one epoch: similar lengths together, random order.

        Args:
            batch_tokens: tokens of a batch, padding counted; a longer sentence is one by itself.
            generator: the source of chance.
        """
        # Sentences of one length are shuffled, and lengths blurred a little: other company in
        # every epoch, next to no padding.
        lengths = self.corpus.lengths
        order = np.argsort(lengths + generator.uniform(0.0, 1.5, len(lengths)), kind="stable")
        groups = _cut(order, lengths, batch_tokens)
        return [groups[index] for index in generator.permutation(len(groups))]

    def training_batch(
        self, sentences: np.ndarray, rare_word_dropout: float, generator: np.random.Generator
    ) -> Batch:
        """As :meth:`collate`, but each word that occurs once in training becomes the unknown
        word with probability ``rare_word_dropout``."""
        batch = self.collate(sentences)
        dropped = torch.from_numpy(generator.random(batch.words.shape) < rare_word_dropout)
        rare = batch.words >= self._first_singleton
        return replace(batch, words=batch.words.masked_fill(dropped & rare, UNKNOWN))

    def sorted_batches(self, batch_tokens: int) -> Iterator[Batch]:
        """Every sentence once, from the shortest to the longest."""
        for group in self.sorted_groups(batch_tokens):
            yield self.collate(group)

    def sorted_groups(self, batch_tokens: int) -> list[np.ndarray]:
        """The sentences of each of :meth:`sorted_batches`."""
        order = np.argsort(self.corpus.lengths, kind="stable")
        return _cut(order, self.corpus.lengths, batch_tokens)

    def distinct_batches(self, batch_tokens: int) -> Iterator[tuple[np.ndarray, Batch]]:
        """Every distinct token once, as a sentence by itself, from the shortest to the longest.

        Yields the tokens of a batch, ``(B,)`` into the lexicon, with it.
        """
        order = np.argsort(self._word_lengths, kind="stable")
        for first in range(0, len(order), batch_tokens):
            distinct = order[first : first + batch_tokens]
            ones = torch.ones(len(distinct), dtype=torch.long)
            yield (
                distinct,
                Batch(
                    words=torch.from_numpy(self._words[distinct])[:, None],
                    characters=torch.from_numpy(self._characters_of(distinct)),
                    character_index=torch.arange(len(distinct))[:, None],
                    tags=None,
                    lengths=ones,
                    sentence_ids=torch.arange(len(distinct)),
                    document_ids=torch.zeros_like(ones),
                ),
            )

    def positions(self, sentences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the tokens of some sentences lie in the corpus ``(B, T)``, and which of these
        places are tokens of theirs, not padding ``(B, T)``."""
        lengths = self.corpus.lengths[sentences]
        steps = np.arange(lengths.max())
        mask = steps < lengths[:, None]
        return self.corpus.offsets[sentences][:, None] + steps, mask

    def tokens(self, sentences: np.ndarray) -> Tensor:
        """The tokens of some sentences ``(B, T)``, into the lexicon; 0 on padding."""
        positions, mask = self.positions(sentences)
        return _padded(self.corpus.tokens[positions[mask]], mask)

    def collate(self, sentences: np.ndarray) -> Batch:
        """The batch of some sentences ``(B,)``, in their order."""
        corpus = self.corpus
        positions, mask = self.positions(sentences)
        flat = positions[mask]
        distinct, inverse = np.unique(corpus.tokens[flat], return_inverse=True)
        return Batch(
            words=_padded(self._words[distinct][inverse], mask),
            characters=torch.from_numpy(self._characters_of(distinct)),
            character_index=_padded(inverse, mask),
            tags=None if self._tag_ids is None else _padded(self._tag_ids[corpus.tags[flat]], mask),
            lengths=torch.from_numpy(corpus.lengths[sentences]),
            sentence_ids=torch.from_numpy(sentences.astype(np.int64)),
            document_ids=torch.from_numpy(corpus.documents[sentences].astype(np.int64)),
        )

    def _characters_of(self, distinct: np.ndarray) -> np.ndarray:
        lengths = self._word_lengths[distinct]
        positions = np.arange(max(lengths.max(), 1))
        mask = positions < lengths[:, None]  # (U, C)
        characters = np.full(mask.shape, PADDING, dtype=np.int64)
        flat = (self.corpus.lexicon.offsets[distinct][:, None] + positions)[mask]
        characters[mask] = self._characters[flat]
        characters[lengths == 0, 0] = UNKNOWN  # the empty token
        return characters


def _padded(values: np.ndarray, mask: np.ndarray) -> Tensor:
    padded = np.zeros(mask.shape, dtype=np.int64)
    padded[mask] = values
    return torch.from_numpy(padded)


def _cut(order: np.ndarray, lengths: np.ndarray, batch_tokens: int) -> list[np.ndarray]:
    """Cut a sequence of sentences wherever one more would pad the batch over ``batch_tokens``."""
    groups = []
    start, longest = 0, 0
    for position, length in enumerate(lengths[order].tolist()):
        longest = max(longest, length)
        if position > start and longest * (position - start + 1) > batch_tokens:
            groups.append(order[start:position])
            start, longest = position, length
    if len(order):
        groups.append(order[start:])
    return groups


def _tag_ids(corpus: Corpus, vocabulary: Vocabulary) -> np.ndarray:
    """``(K,)`` the vocabulary's id of each of the corpus's tags."""
    known = {tag: i for i, tag in enumerate(vocabulary.tags)}
    unknown = [label for label in corpus.labels if label not in vocabulary.labels]
    if unknown:
        labels = ", ".join(vocabulary.labels)
        raise ValueError(f"label {unknown[0]!r} is unknown to the vocabulary, which knows {labels}")
    return np.array([known[tag] for tag in corpus.tag_names], dtype=np.int64)
