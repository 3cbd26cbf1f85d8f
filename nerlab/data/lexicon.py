"""The distinct tokens of a corpus as two flat arrays."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np

_ENCODING = "utf-32-le"  # four bytes a character, so that characters can be counted and indexed


@dataclass(frozen=True, eq=False)
class Lexicon(Sequence[str]):
    """L strings of M characters in all; reads like a list of them.

    Attributes:
        characters: ``(M,)`` uint32, the code points of all strings, one string after the other.
        offsets: ``(L + 1,)`` int64; string i is ``characters[offsets[i]:offsets[i + 1]]``.
    """

    characters: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, strings: Sequence[str]) -> "Lexicon":
        """The lexicon of some strings, which may be any Python has, lone surrogates too."""
        lengths = np.fromiter(map(len, strings), dtype=np.int64, count=len(strings))
        encoded = "".join(strings).encode(_ENCODING, "surrogatepass")
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
        return cls(np.frombuffer(encoded, dtype=np.uint32), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"string {index} of {len(self)}")
        index %= len(self)
        return self._text[self.offsets[index] : self.offsets[index + 1]]

    def __iter__(self) -> Iterator[str]:
        borders = self.offsets.tolist()
        for start, end in zip(borders, borders[1:], strict=False):
            yield self._text[start:end]

    @property
    def lengths(self) -> np.ndarray:
        """``(L,)`` characters of each string."""
        return np.diff(self.offsets)

    @cached_property
    def _text(self) -> str:
        return self.characters.tobytes().decode(_ENCODING, "surrogatepass")
