"""What a tagger knows of its training split: the labels, and what its indexers have learned.

An indexer looks up what an embedder sees of a token, once for each distinct token of a corpus.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np

from nerlab.tags import iobes_tags

LABELS = "labels.json"
PADDING = 0
UNKNOWN = 1
FIRST_ID = 2  # of what an indexer knows


class Ragged(NamedTuple):
    """Rows of different lengths; row i is ``values[offsets[i]:offsets[i + 1]]``."""

    values: np.ndarray
    offsets: np.ndarray


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
        rows = [np.diff(a.offsets) for a in self.arrays.values() if isinstance(a, Ragged)]
        return np.maximum.reduce([np.ones(count, dtype=np.int64), *rows])


class Indexer(Protocol):
    """Turns tokens into what one embedder takes; its options come from the configuration.

    It may have ``notes``, lines for the log of a run about what :meth:`fit` found, and
    ``take_over(indexer)``, called before :meth:`fit` with that of the run whose weights training
    begins with.
    """

    def fit(self, counts: Iterable[tuple[str, int]]) -> None:
        """Learn from the distinct tokens of the training split and how often each occurs."""

    def index(self, tokens: Sequence[str]) -> Indexed:
        """The arrays of the distinct tokens of a corpus."""

    def files(self) -> dict[str, bytes]:
        """What :meth:`load` needs, as files of a checkpoint."""

    def load(self, files: Mapping[str, bytes]) -> None:
        """Become what was fitted; nothing else is read."""


@dataclass(frozen=True)
class Vocabulary:
    """The entity types, in order, and the indexer of each embedder by its name.

    Tags are those of IOBES over ``labels``, O first, numbered from 0.
    """

    labels: tuple[str, ...]
    indexers: Mapping[str, Indexer]

    @cached_property
    def tags(self) -> list[str]:
        """The tag of each tag id."""
        return iobes_tags(self.labels)

    def files(self) -> dict[str, bytes]:
        """What a checkpoint keeps of it, by file name."""
        files = {LABELS: to_json(list(self.labels))}
        for embedder, indexer in self.indexers.items():
            for name, content in indexer.files().items():
                if not name or "/" in name or "\0" in name:
                    raise ValueError(f"{embedder}: {name!r} is no name for a file of an indexer")
                files[f"{file_prefix(embedder)}{name}"] = content
        return files


def file_prefix(embedder: str) -> str:
    """What the names of the files of an embedder's indexer begin with in a checkpoint."""
    return f"indexer.{embedder}."


def to_json(value: object) -> bytes:
    """Plain data as a file; its strings may be any that Python has, lone surrogates too."""
    return json.dumps(value, ensure_ascii=False, indent=0).encode("utf-8", "surrogatepass")


def from_json(content: bytes) -> Any:
    """What :func:`to_json` was given."""
    return json.loads(content.decode("utf-8", "surrogatepass"))
