"""Flat arrays that grow, in memory or in a file: one code path for both."""

import io
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np


class GrowingArray:
    """A one-dimensional array that is written once, from its first number to its last.

    Args:
        dtype: type of the numbers.
        path: the file that is made to hold them; None: memory does.
    """

    def __init__(self, dtype: str, path: Path | None) -> None:
        self._dtype = np.dtype(dtype)
        self._path = path
        self._file: BinaryIO = io.BytesIO() if path is None else path.open("xb")

    def extend(self, values: np.ndarray) -> None:
        """Append some numbers."""
        self._file.write(np.ascontiguousarray(values, dtype=self._dtype).data)

    def finish(self) -> np.ndarray:
        """The whole array, which can be read only; a file is on the disk by then."""
        if self._path is None:
            assert isinstance(self._file, io.BytesIO)
            return np.frombuffer(self._file.getvalue(), dtype=self._dtype)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return map_array(self._path, self._dtype)


def map_array(path: Path, dtype: str | np.dtype) -> np.ndarray:
    """The numbers of a file as a memory map: what is not looked at takes no memory."""
    if path.stat().st_size == 0:
        return np.empty(0, dtype=dtype)  # nothing cannot be mapped
    return np.memmap(path, dtype=dtype, mode="r").view(np.ndarray)
