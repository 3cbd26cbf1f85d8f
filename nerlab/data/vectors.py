"""Word vectors in the text format of GloVe: a word and its numbers a line."""

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from nerlab.data.readers.lines import opener


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Vectors ``values (N, dim)``, float32, of the words of a list at ``places (N,)``; ``exact`` of
    them stand in the file in the very form of the list."""

    places: np.ndarray
    values: np.ndarray
    exact: int

    def summary(self, wanted: int, path: str | Path) -> str:
        """What was found of ``wanted`` words, for the log of a run."""
        found = len(self.places)
        if not found:
            return (
                f"warning: vectors: none of the {wanted} words of train is found in {path}; name "
                "a file of words of this language, in UTF-8"
            )
        return (
            f"vectors: {found} of {wanted} words of train found ({found / wanted:.1%}), "
            f"{self.exact} in their exact form"
        )


def read_vectors(
    path: str | Path, words: Sequence[str], normalise: Callable[[str], str]
) -> WordVectors:
    """Read the vectors of some words; ``ValueError`` says where the file is wrong.

    A word of the file that is none of them is taken for the one that ``normalise`` makes of it
    (``The`` serves ``the`` where ``the`` itself is missing). Word and numbers stand apart by a
    space or a tab; a file named ``….gz`` is unpacked.
    """
    wanted = {word: i for i, word in enumerate(words)}
    found: dict[int, np.ndarray] = {}
    exact: set[int] = set()
    dim = 0
    with opener(path)(path, "rt", encoding="utf-8-sig") as file:
        for number, line in _lines(file, path):
            word, _, numbers = line.replace("\t", " ").rstrip("\n").rstrip(" ").partition(" ")
            if number == 1 and word.isdigit() and numbers.isdigit():
                continue  # word2vec's header: how many, how wide
            dim = dim or numbers.count(" ") + 1
            is_exact = word in wanted
            key = wanted.get(word if is_exact else normalise(word))
            if key is None or key in exact or (not is_exact and key in found):
                continue
            found[key] = _parse(numbers, dim, path, number)
            if is_exact:
                exact.add(key)
    places = np.array(sorted(found), dtype=np.int64)
    values = np.stack([found[i] for i in places]) if found else np.zeros((0, dim), np.float32)
    return WordVectors(places, values, len(exact))


def _lines(file: TextIO, path: str | Path) -> Iterator[tuple[int, str]]:
    try:
        yield from enumerate(file, start=1)
    except UnicodeDecodeError:
        raise ValueError(
            f"{path}: not UTF-8; expected a text file of vectors, as it is or packed as .gz"
        ) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: {error}; expected a whole gzip file") from None


def _parse(numbers: str, dim: int, path: str | Path, line: int) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):  # 1e99 is looked at below
            vector = np.array(numbers.split(" "), dtype=np.float32)
    except ValueError:
        raise ValueError(f"{path}:{line}: expected a word and {dim} numbers") from None
    if len(vector) != dim:
        raise ValueError(
            f"{path}:{line}: expected {dim} numbers as in the first line, found {len(vector)}; "
            "fix the line"
        )
    if not np.isfinite(vector).all():
        raise ValueError(f"{path}:{line}: expected numbers that float32 can hold; fix the line")
    return vector
