"""Word vectors in the text format of GloVe: a word and its numbers a line."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from nerlab.data.readers.lines import opener
from nerlab.data.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Vectors for some words of a vocabulary.

    Attributes:
        ids: ``(N,)`` the word ids found.
        values: ``(N, dim)`` float32, their vectors.
        exact: how many of them the file has in the very form of the vocabulary.
    """

    ids: np.ndarray
    values: np.ndarray
    exact: int


def read_vectors(path: str | Path, vocabulary: Vocabulary, dim: int) -> WordVectors:
    """Read the vectors of the words that the vocabulary knows.

    A word of the file is taken for the word that it becomes under the vocabulary's
    normalisation (``The`` serves ``the`` where ``the`` itself is missing). Word and numbers stand
    apart by a space or a tab; a file named ``….gz`` is unpacked.

    Raises:
        OSError: the file cannot be opened.
        ValueError: a line has other than ``dim`` finite numbers, or is not UTF-8, or the file is
            no whole gzip file.
    """
    wanted = {word: i for i, word in enumerate(vocabulary.words)}
    first_id = vocabulary.num_words - len(vocabulary.words)
    found: dict[int, np.ndarray] = {}
    exact: set[int] = set()
    with opener(path)(path, "rt", encoding="utf-8-sig") as file:
        for number, line in _lines(file, path):
            word, _, numbers = line.replace("\t", " ").rstrip("\n").rstrip(" ").partition(" ")
            if number == 1 and word.isdigit() and numbers.isdigit():
                continue  # word2vec's header: how many, how wide
            if word in wanted:
                key, is_exact = wanted[word], True
            else:
                form = vocabulary.normalise(word)
                key, is_exact = wanted.get(form, -1), False
            if key < 0 or key in exact or (not is_exact and key in found):
                continue
            found[key] = _parse(numbers, dim, path, number)
            if is_exact:
                exact.add(key)
    ids = np.array(sorted(found), dtype=np.int64)
    values = np.stack([found[i] for i in ids]) if found else np.zeros((0, dim), dtype=np.float32)
    return WordVectors(ids + first_id, values, len(exact))


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
            f"{path}:{line}: expected {dim} numbers, found {len(vector)}; set the width of the "
            f"word embedder to that of the vectors (model.embedder.parts.words.dim={len(vector)})"
        )
    if not np.isfinite(vector).all():
        raise ValueError(f"{path}:{line}: expected numbers that float32 can hold; mend the line")
    return vector
