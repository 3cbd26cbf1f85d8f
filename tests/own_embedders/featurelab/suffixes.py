"""The last one, two, three ... characters of a word: the sum of a vector each."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from torch import Tensor, nn

from nerlab.data.vocabulary import FIRST_ID, UNKNOWN, Indexed
from nerlab.models.tagger import ParameterGroup


class SuffixIndexer:
    """Known are the suffixes of at least two words of train."""

    def __init__(self, longest: int) -> None:
        self.longest = longest
        self.known: list[str] = []

    def suffixes(self, token: str) -> list[str]:
        return [token[-length:] for length in range(1, self.longest + 1)]

    def fit(self, counts: Iterable[tuple[str, int]]) -> None:
        words = Counter(suffix for token, _ in counts for suffix in set(self.suffixes(token)))
        self.known = sorted(suffix for suffix, count in words.items() if count > 1)

    def index(self, tokens: Sequence[str]) -> Indexed:
        ids = {suffix: i for i, suffix in enumerate(self.known, start=FIRST_ID)}
        rows = [[ids.get(s, UNKNOWN) for s in self.suffixes(token)] for token in tokens]
        found = np.array(rows, dtype=np.int64).reshape(len(tokens), self.longest)
        return Indexed({"suffixes": found}, costs=np.full(len(tokens), self.longest))

    def files(self) -> dict[str, bytes]:
        return {"suffixes.json": json.dumps(self.known).encode()}

    def load(self, files: Mapping[str, bytes]) -> None:
        self.known = json.loads(files["suffixes.json"])


class Suffixes(nn.Module):
    def __init__(self, indexer: SuffixIndexer, dim: int) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(FIRST_ID + len(indexer.known), dim, mode="sum")
        self.output_dim = dim

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup([self.table.weight], weight_decay=False, learning_rate_factor=2.0)]

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """``suffixes (U, longest)`` to ``(U, dim)``."""
        vectors: Tensor = self.table(features["suffixes"])
        return vectors
