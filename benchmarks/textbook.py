"""A BiLSTM-CRF as tutorials write it: the baseline of benchmarks/throughput.py.

Same sizes and same mathematics as nerlab's, with the usual habits: sentences are Python lists,
batches are random and padded to their longest sentence, the LSTM runs over packed sequences, the
character convolution over every token, the CRF is pytorch-crf, dropout draws a number a feature
and Adam passes over every parameter.
"""

import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torchcrf import CRF

from nerlab.data.corpus import Corpus
from nerlab.data.vocabulary import PADDING, Ragged, Vocabulary
from nerlab.models.characters import CharacterIndexer
from nerlab.models.words import WordIndexer

Example = tuple[list[int], list[list[int]], list[int]]  # words, characters of each, tags
Batch = tuple[Tensor, Tensor, Tensor, Tensor]


class TextbookTagger(nn.Module):
    """Words 100, characters 30 to 50 filters of width 3, LSTM 200 in both directions together."""

    def __init__(self, vocabulary: Vocabulary, dropout: float) -> None:
        super().__init__()
        words, characters = vocabulary.indexers["words"], vocabulary.indexers["characters"]
        assert isinstance(words, WordIndexer)
        assert isinstance(characters, CharacterIndexer)
        self.words = nn.Embedding(words.num_words, 100, padding_idx=PADDING)
        self.characters = nn.Embedding(characters.num_characters, 30, padding_idx=PADDING)
        self.convolution = nn.Conv1d(30, 50, kernel_size=3, padding=1)
        self.lstm = nn.LSTM(150, 100, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(200, len(vocabulary.tags))
        self.crf = CRF(len(vocabulary.tags), batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def emissions(self, words: Tensor, characters: Tensor, lengths: Tensor) -> Tensor:
        """``words (B, T)``, ``characters (B, T, C)`` to ``(B, T, K)``."""
        B, T, C = characters.shape
        vectors = self.characters(characters.view(B * T, C)).transpose(1, 2)
        pooled = self.convolution(vectors).max(dim=2).values.view(B, T, -1)
        x = self.dropout(torch.cat([self.words(words), pooled], dim=2))
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return self.linear(self.dropout(hidden))

    def loss(self, words: Tensor, characters: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """The negative log-likelihood, in nats a token."""
        emissions = self.emissions(words, characters, lengths)
        return -self.crf(emissions, tags, mask=words != PADDING, reduction="token_mean")

    def decode(self, words: Tensor, characters: Tensor, lengths: Tensor) -> list[list[int]]:
        """The best path of each sentence."""
        emissions = self.emissions(words, characters, lengths)
        return self.crf.decode(emissions, mask=words != PADDING)


def examples_of(corpus: Corpus, vocabulary: Vocabulary) -> list[Example]:
    """The sentences of a corpus as lists of ids."""
    tag_ids = {tag: i for i, tag in enumerate(vocabulary.tags)}
    words = vocabulary.indexers["words"].index(corpus.lexicon).arrays["words"]
    spelled = vocabulary.indexers["characters"].index(corpus.lexicon).arrays["characters"]
    assert isinstance(words, np.ndarray)
    assert isinstance(spelled, Ragged)
    characters = np.split(spelled.values, spelled.offsets[1:-1])
    examples = []
    for index in range(len(corpus)):
        tokens = corpus.tokens[corpus.offsets[index] : corpus.offsets[index + 1]]
        tags = [tag_ids[tag] for tag in corpus.sentence_tags(index)]
        examples.append(
            (words[tokens].tolist(), [characters[token].tolist() for token in tokens], tags)
        )
    return examples


def batches(examples: list[Example], batch_size: int, shuffle: bool) -> Iterator[Batch]:
    """Padded words ``(B, T)``, characters ``(B, T, C)``, tags ``(B, T)`` and lengths ``(B,)``."""
    order = list(range(len(examples)))
    if shuffle:
        random.shuffle(order)
    for first in range(0, len(order), batch_size):
        chosen = [examples[i] for i in order[first : first + batch_size]]
        lengths = [len(words) for words, _, _ in chosen]
        T = max(lengths)
        C = max(len(ids) for _, characters, _ in chosen for ids in characters)
        words, tags, characters = [], [], []
        for sentence_words, sentence_characters, sentence_tags in chosen:
            missing = T - len(sentence_words)
            words.append(sentence_words + [PADDING] * missing)
            tags.append(sentence_tags + [0] * missing)
            rows = [ids + [PADDING] * (C - len(ids)) for ids in sentence_characters]
            characters.append(rows + [[PADDING] * C] * missing)
        yield (
            torch.tensor(words),
            torch.tensor(characters),
            torch.tensor(tags),
            torch.tensor(lengths),
        )
