"""Whether a word stands in a list of names."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from nerlab.data.vocabulary import Indexed


class GazetteerIndexer:
    """The list, a name a line, is read when a run begins, and kept in its checkpoints."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.text = ""
        self.notes: list[str] = []

    def fit(self, counts: Iterable[tuple[str, int]]) -> None:
        self.text = Path(self.path).read_text(encoding="utf-8")
        names = set(self.text.split())
        found = sum(token in names for token, _ in counts)
        self.notes = [f"gazetteer: {found} words of train stand in {self.path}"]

    def index(self, tokens: Sequence[str]) -> Indexed:
        names = set(self.text.split())
        return Indexed({"listed": np.array([token in names for token in tokens], dtype=bool)})

    def files(self) -> dict[str, bytes]:
        return {"names.txt": self.text.encode()}

    def load(self, files: Mapping[str, bytes]) -> None:
        self.text = files["names.txt"].decode()


class Gazetteer(nn.Module):
    output_dim = 1

    def __init__(self, indexer: GazetteerIndexer) -> None:
        super().__init__()

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """``listed (U,)`` to ``(U, 1)``."""
        return features["listed"][:, None].float()
