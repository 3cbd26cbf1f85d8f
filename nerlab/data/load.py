"""The splits of a data set, as the configuration describes it: indexed once, then opened."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

from omegaconf import DictConfig, OmegaConf
from platformdirs import user_cache_dir

from nerlab.config import CONF, DataConfig, SplitRule
from nerlab.data.corpus import ARRAYS, Corpus, open_corpus
from nerlab.data.published import fetch_or_refuse
from nerlab.data.reader_options import check_options
from nerlab.data.sentence import Sentence
from nerlab.data.splits import Selection
from nerlab.files import sha256_of
from nerlab.instantiation import instantiate

SPLITS = ("train", "dev", "test")
# What the reader may be, beside what trusted packages define.
READERS = tuple(
    f"nerlab.data.readers.{name}.read"
    for name in ("conll", "jsonl", "parallel", "parquet", "spans", "table")
)
SHIPPED = ("data/demo", "data/demo_az")
"""Folders that are beside conf/, in the repository and where nerlab is installed."""
_PACKAGE = Path(__file__).parents[1]
# With the readers, all code that turns files into corpora; a test follows their imports.
_CODE = (
    *("messages", "schemes", "tags", "text", "files"),
    *("data/build", "data/corpus", "data/index", "data/load", "data/plausibility"),
    *("data/sentence", "data/splits", "data/vocabulary"),
)


class Source(NamedTuple):
    """A file, its reader with the options, and which sentences belong to the split; None: all."""

    path: Path
    read: partial[Iterator[Sentence]]
    selection: Selection | None = None

    def files(self) -> list[Path]:
        """The files that the reader reads."""
        sources = getattr(sys.modules[self.read.func.__module__], "sources", None)
        if sources is None:
            return [self.path]
        check_options(self.read)
        return list(sources(self.path, **self.read.keywords))

    def digests(self) -> list[tuple[str, str]]:
        """The name of each file and the SHA-256 of its content."""
        return [(path.name, sha256_of(path)) for path in self.files()]


def file_source(data: DataConfig, path: Path, trusted: tuple[str, ...] = ()) -> Source:
    """Any file in the format of the data set; its reader is one of nerlab, or is trusted."""
    try:
        return Source(path, instantiate(cast(DictConfig, data.reader), READERS, trusted, True))
    except ValueError as error:
        raise ValueError(f"data.reader: {error}") from None


def split_source(data: DataConfig, split: str, trusted: tuple[str, ...] = ()) -> Source:
    """The file of a split, which is fetched where it may be; ``ValueError``: there is none."""
    name, selection = split, None
    has_test = data.split is SplitRule.hash and data.test is not None
    if data.split is not None and not (has_test and split == "test"):
        name, selection = "train", Selection(data.split.name, data.split_seed, split, not has_test)
    return file_source(data, _path(data, name), trusted)._replace(selection=selection)


def _path(data: DataConfig, split: str) -> Path:
    folder = Path(data.dir)
    if data.dir in SHIPPED and not folder.exists():
        folder = CONF.parent / folder
    if getattr(data, split) is not None:
        path = folder / getattr(data, split)
        for there in (path, path.with_name(path.name + ".gz")):
            if there.is_file():
                return there
    return fetch_or_refuse(data, split)


def splits_of(data: DataConfig) -> list[str]:
    """The names of the splits that a data set has."""
    return [name for name in SPLITS if data.split is not None or getattr(data, name) is not None]


def load_split(data: DataConfig, split: str, trusted: tuple[str, ...] = ()) -> Corpus:
    """Index one split, or open it where that was done before.

    Raises:
        ValueError: it cannot be read, or no sentence of a small file falls into it.
    """
    source = split_source(data, split, trusted)
    corpus = _load(data, source)
    if not len(corpus):
        raise ValueError(
            f"{source.path}: no sentence of it falls into {split}; set data.split_seed to another "
            "number, or data.split=null and give each split a file"
        )
    return corpus


def load_file(data: DataConfig, path: Path, trusted: tuple[str, ...] = ()) -> Corpus:
    """The same for any file in the format of the data set."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    return _load(data, file_source(data, path, trusted))


def _load(data: DataConfig, source: Source) -> Corpus:
    digests = source.digests()
    entry = cache_folder() / _key(data, source, digests) / "corpus" if data.cache else None
    corpus = open_corpus(entry) if entry else None
    if corpus is None:
        from nerlab.data.index import index  # which most runs do not need

        corpus = index(data, source, digests, entry)
    return corpus


def cache_folder() -> Path:
    """``$NERLAB_CACHE``, or ``nerlab`` among the user's caches (``~/.cache`` on Linux).

    An entry is a folder, named by everything that a corpus follows from. It is written atomically
    and verified whenever it is opened, so it is never stale or half written, any number of
    processes may share it, and it may be deleted at any time.
    """
    return Path(os.environ.get("NERLAB_CACHE") or user_cache_dir("nerlab", appauthor=False))


def _key(data: DataConfig, source: Source, digests: list[tuple[str, str]]) -> str:
    """The digest of the files, of how they are read, and of the code that reads them."""
    reader = OmegaConf.to_container(OmegaConf.create(data.reader), resolve=True)
    package = source.read.func.__module__.partition(".")[0]
    code = [(path.name, sha256_of(path)) for path in code_of(package)]
    facts = [reader, data.scheme.value, data.repair, source.selection, ARRAYS, digests, code]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def code_of(package: str) -> Iterator[Path]:
    """The code that makes arrays of files; a reader of an imported ``package`` is part of it."""
    yield from sorted((_PACKAGE / "data" / "readers").glob("*.py"))
    yield from (_PACKAGE / f"{name}.py" for name in _CODE)
    if package == _PACKAGE.name:
        return
    module = sys.modules[package]
    if file := getattr(module, "__file__", None):  # a package without __init__.py has none
        yield Path(file)
    for folder in getattr(module, "__path__", ()):  # and a single module is in no folder
        yield from sorted(Path(folder).rglob("*.py"))
