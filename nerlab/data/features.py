"""Features: what an embedder sees of a token, looked up once a distinct token of a corpus."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from nerlab.data.corpus import Lexicon

PADDING = 0
UNKNOWN = 1
FIRST_ID = 2
"""Ids of what an indexer knows begin here: 0 is padding, 1 the unknown."""


class Ragged(NamedTuple):
    """Rows of different lengths; row i is ``values[offsets[i]:offsets[i + 1]]``."""

    values: np.ndarray
    offsets: np.ndarray

    @property
    def widths(self) -> np.ndarray:
        """The length of each row."""
        return np.diff(self.offsets)


class Indexed(NamedTuple):
    """What an indexer makes of the L distinct tokens of a corpus.

    Attributes:
        arrays: by name; the first axis is the distinct tokens.
        costs: ``(L,)`` positions that the model pays for each token, at least 1; None: 1 each.
    """

    arrays: Mapping[str, np.ndarray | Ragged]
    costs: np.ndarray | None = None

    def widths(self, count: int) -> np.ndarray:
        """``(L,)`` the longest row that each of ``count`` tokens has in any array."""
        rows = [array.widths for array in self.arrays.values() if isinstance(array, Ragged)]
        return np.maximum.reduce([np.ones(count, dtype=np.int64), *rows])


class Indexer(Protocol):
    """Turns tokens into what one embedder takes; its options come from the configuration.

    It may have ``notes``, lines for the log of a run about what :meth:`fit` found.
    """

    def fit(self, counts: Iterable[tuple[str, int]]) -> None:
        """Learn from the distinct tokens of the training split and how often each occurs."""
        ...

    def index(self, lexicon: Lexicon) -> Indexed:
        """The arrays of the distinct tokens of a corpus."""
        ...

    def files(self) -> dict[str, bytes]:
        """What :meth:`load` needs, as files of a checkpoint."""
        ...

    def load(self, files: Mapping[str, bytes]) -> None:
        """Become what was fitted; nothing else is read."""
        ...


def collate(indexed: Indexed, distinct: np.ndarray) -> dict[str, Tensor]:
    """The tensors ``(U, ...)`` of some distinct tokens ``(U,)``; ragged rows are padded with 0."""
    return {
        name: torch.from_numpy(
            _padded(array, distinct) if isinstance(array, Ragged) else _wide(array[distinct])
        )
        for name, array in indexed.arrays.items()
    }


def _padded(rows: Ragged, distinct: np.ndarray) -> np.ndarray:
    starts = rows.offsets[distinct]
    lengths = rows.offsets[distinct + 1] - starts
    steps = np.arange(lengths.max(initial=1))
    mask = steps < lengths[:, None]
    values = _wide(rows.values[(starts[:, None] + steps)[mask]])
    padded = np.zeros(mask.shape, dtype=values.dtype)
    padded[mask] = values
    return padded


def _wide(values: np.ndarray) -> np.ndarray:
    """Whole numbers as torch indexes with them."""
    return values.astype(np.int64) if np.issubdtype(values.dtype, np.integer) else values
