"""Vectors of tokens of which many are the same."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from torch import Tensor
from torch.nn import functional as F


class DistinctVectors:
    """Vectors ``rows (U, D)`` of distinct tokens, which many batches look up.

    What a module makes of each row by itself is computed once, whichever thread asks first.
    """

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows
        self._tables: dict[object, Tensor] = {}
        self._lock = Lock()

    def table(self, owner: object, compute: Callable[[Tensor], Tensor]) -> Tensor:
        """``compute(rows)``, which belongs to ``owner``."""
        with self._lock:
            if owner not in self._tables:
                self._tables[owner] = compute(self.rows)
            return self._tables[owner]


@dataclass(frozen=True, eq=False)
class TokenVectors:
    """The vectors ``(B, T, D)`` of the tokens of a batch: ``index (B, T)`` into distinct rows."""

    distinct: DistinctVectors
    index: Tensor

    def dense(self) -> Tensor:
        """The vectors themselves ``(B, T, D)``."""
        return F.embedding(self.index, self.distinct.rows)
