"""One trained vector a known word."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from nerlab.data.vocabulary import FIRST_ID, PADDING, UNKNOWN, Indexed, from_json, to_json
from nerlab.models.tagger import ParameterGroup

_FILE = "words.json"
_DIGIT = re.compile(r"\d")


class WordIndexer:
    """Tokens to word ids: 0 is padding, 1 the unknown word, then the most frequent first.

    Args:
        lowercase: words are looked up in lower case.
        fold_digits: words are looked up with every digit turned into 0.
        turkic_i: lower case is that of Turkish and Azerbaijani: İ to i, I to ı.
        min_count: words seen less often in train are unknown.
        vectors: a text file of word vectors to begin with, in GloVe's format; None: at random.
    """

    def __init__(
        self,
        lowercase: bool,
        fold_digits: bool,
        turkic_i: bool,
        min_count: int,
        vectors: str | None,
    ) -> None:
        self.normalise = partial(
            normalise, lowercase=lowercase, fold_digits=fold_digits, turkic_i=turkic_i
        )
        self.min_count, self.vectors_file = min_count, vectors
        self.words: dict[str, int] = {}  # the id of each
        self.singletons = 0  # words at the end of ``words`` that occur once in train
        self.notes: list[str] = []
        self.vectors: tuple[np.ndarray, np.ndarray] | None = None  # (N,) ids and (N, dim)
        self._taken_over: list[str] = []

    @property
    def num_words(self) -> int:
        """How many word ids there are."""
        return FIRST_ID + len(self.words)

    def take_over(self, indexer: object) -> None:
        """Know the words of another one too, as far as they are spelt as here."""
        if isinstance(indexer, WordIndexer):
            self._taken_over = [word for word in indexer.words if self.normalise(word) == word]

    def fit(self, counts: Iterable[tuple[str, int]]) -> None:
        """Count the words of train, and read the vectors of those that are known."""
        found: Counter[str] = Counter()
        for token, count in counts:
            found[self.normalise(token)] += count
        known = {word for word in found if found[word] >= self.min_count}
        others = [word for word in self._taken_over if word not in known]
        self.words = _numbered([*others, *sorted(known, key=lambda word: (-found[word], word))])
        self.singletons = sum(found[word] == 1 for word in known)
        if self.vectors_file is not None:
            from nerlab.data.vectors import read_vectors  # which few runs need

            vectors = read_vectors(self.vectors_file, list(self.words), self.normalise)
            self.notes = [vectors.summary(len(self.words), self.vectors_file)]
            self.vectors = vectors.places + FIRST_ID, vectors.values

    def index(self, tokens: Sequence[str]) -> Indexed:
        """``words``, the word id of each token."""
        found = (self.words.get(self.normalise(token), UNKNOWN) for token in tokens)
        return Indexed({"words": np.fromiter(found, dtype=np.int64, count=len(tokens))})

    def files(self) -> dict[str, bytes]:
        """The known words."""
        return {_FILE: to_json({"words": list(self.words), "singletons": self.singletons})}

    def load(self, files: Mapping[str, bytes]) -> None:
        """Take the known words from a checkpoint."""
        data = from_json(files[_FILE])
        words, singletons = data["words"], data["singletons"]
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError("words: expected a list of strings")
        self.words = _numbered(words)
        if len(self.words) < len(words):
            raise ValueError("words: expected each word once")
        if type(singletons) is not int or not 0 <= singletons <= len(self.words):
            raise ValueError(f"singletons={singletons}: expected 0 to {len(self.words)}")
        self.singletons = singletons


def _numbered(words: list[str]) -> dict[str, int]:
    return {word: i for i, word in enumerate(words, start=FIRST_ID)}


def normalise(token: str, lowercase: bool, fold_digits: bool, turkic_i: bool) -> str:
    """The form under which a token is looked up; for the options see :class:`WordIndexer`.

    >>> normalise("IŞIQ-2024", lowercase=True, fold_digits=True, turkic_i=True)
    'ışıq-0000'
    """
    if lowercase and turkic_i:
        token = token.replace("I\u0307", "i").replace("İ", "i").replace("I", "ı")
    if lowercase:
        token = token.lower()
    return _DIGIT.sub("0", token) if fold_digits else token


class Words(nn.Module):
    """A table of word vectors.

    Args:
        indexer: gives the number of words.
        dim: width of the vectors.
        rare_word_dropout: in training, the probability that a word that occurs once in train
            becomes the unknown word: so the vector of that one is learned.
    """

    def __init__(self, indexer: WordIndexer, dim: int, rare_word_dropout: float) -> None:
        super().__init__()
        bound = math.sqrt(3.0 / dim)
        weight = torch.empty(indexer.num_words, dim).uniform_(-bound, bound)
        weight[PADDING] = 0.0
        if indexer.vectors is not None:
            ids, values = indexer.vectors
            indexer.vectors = None  # they are large
            if len(values) and values.shape[1] != dim:
                raise ValueError(
                    f"dim={dim}: the vectors in {indexer.vectors_file} have {values.shape[1]} "
                    f"numbers; set the dim of this embedder to that"
                )
            weight[torch.from_numpy(ids)] = torch.from_numpy(values)
        self.table = nn.Embedding.from_pretrained(weight, freeze=False, padding_idx=PADDING)
        self.rare_word_dropout = rare_word_dropout
        self.first_singleton = indexer.num_words - indexer.singletons
        self.output_dim = dim

    def parameter_groups(self) -> list[ParameterGroup]:
        """A batch uses few of the vectors, and decay would wear down the rare ones."""
        return [ParameterGroup([self.table.weight], sparse=True, weight_decay=False)]

    @staticmethod
    def named_rows(indexer: WordIndexer) -> dict[str, dict[str, int]]:
        """The row of each word."""
        return {"table.weight": indexer.words}

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """``words (U,)`` to ``(U, dim)``."""
        words = features["words"]
        if self.training and self.rare_word_dropout:
            dropped = torch.rand(words.shape, device=words.device) < self.rare_word_dropout
            words = words.masked_fill(dropped & (words >= self.first_singleton), UNKNOWN)
        vectors: Tensor = self.table(words)
        return vectors
