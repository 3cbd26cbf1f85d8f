"""How a word is written: one vector a pattern of capitals and digits."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from torch import Tensor, nn

from nerlab.data.vocabulary import Indexed

PATTERNS = (str.islower, str.istitle, str.isupper, str.isdigit, str.isalnum)


class CasingIndexer:
    """A token's pattern is the first that holds; there is nothing to learn and to save."""

    def fit(self, counts: Iterable[tuple[str, int]]) -> None: ...

    def index(self, tokens: Sequence[str]) -> Indexed:
        rows = [[pattern(token) for pattern in PATTERNS] + [True] for token in tokens]
        return Indexed({"pattern": np.array(rows).argmax(1)})

    def files(self) -> dict[str, bytes]:
        return {}

    def load(self, files: Mapping[str, bytes]) -> None: ...


class Casing(nn.Module):
    def __init__(self, indexer: CasingIndexer, dim: int) -> None:
        super().__init__()
        self.table = nn.Embedding(len(PATTERNS) + 1, dim)
        self.output_dim = dim

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """``pattern (U,)`` to ``(U, dim)``."""
        vectors: Tensor = self.table(features["pattern"])
        return vectors
