"""What a tagger knows of its training split: the labels, and what its indexers have learned."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nerlab.data.features import Indexer
from nerlab.tags import iobes_tags

LABELS = "labels.json"


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
