"""The splits of a data set, as the configuration describes it."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

from omegaconf import DictConfig, OmegaConf

from nerlab.config import DataConfig, SplitRule
from nerlab.console import counted_on_terminal
from nerlab.data.build import build_corpus
from nerlab.data.cache import cache_folder, cache_key, cached
from nerlab.data.corpus import Corpus
from nerlab.data.missing import fetch_or_refuse
from nerlab.data.reader_options import check_options
from nerlab.data.reader_warnings import collected_warnings
from nerlab.data.sentence import Sentence
from nerlab.data.splits import Selection, select
from nerlab.instantiation import instantiate

SPLITS = ("train", "dev", "test")
# What the reader may be, beside what trusted packages define.
READERS = tuple(
    f"nerlab.data.readers.{name}.read"
    for name in ("conll", "jsonl", "parallel", "parquet", "spans", "table")
)


class Source(NamedTuple):
    """A file, and how its sentences are read.

    Attributes:
        path: the file.
        read: the reader with its options.
        selection: which sentences of the file belong to the split; None: all.
    """

    path: Path
    read: partial[Iterator[Sentence]]
    selection: Selection | None

    def files(self) -> list[Path]:
        """The files that the reader reads."""
        sources = getattr(sys.modules[self.read.func.__module__], "sources", None)
        if sources is None:
            return [self.path]
        check_options(self.read)
        return list(sources(self.path, **self.read.keywords))

    def sentences(self) -> Iterator[Sentence]:
        """The sentences, as the file has them; ``ValueError`` says what is wrong with it."""
        check_options(self.read)
        sentences = self.read(self.path)
        return sentences if self.selection is None else select(sentences, self.selection)


def file_source(data: DataConfig, path: Path, trusted: tuple[str, ...] = ()) -> Source:
    """Any file in the format of the data set; its reader is one of nerlab, or is trusted."""
    try:
        return Source(
            path, instantiate(cast(DictConfig, data.reader), READERS, trusted, True), None
        )
    except ValueError as error:
        raise ValueError(f"data.reader: {error}") from None


def split_source(data: DataConfig, split: str, trusted: tuple[str, ...] = ()) -> Source:
    """The file of a split, which is fetched where it may be; ``ValueError``: there is none."""
    has_own_file = data.split is SplitRule.hash and split == "test" and data.test is not None
    if data.split is None or has_own_file:
        return file_source(data, _path(data, split), trusted)
    with_test = data.split is not SplitRule.hash or data.test is None
    selection = Selection(data.split.name, data.split_seed, split, with_test)
    return file_source(data, _path(data, "train"), trusted)._replace(selection=selection)


def _path(data: DataConfig, split: str) -> Path:
    name = getattr(data, split)
    if name is not None:
        path = Path(data.dir) / name
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
    path, files = source.path, source.files()
    before = _states(files)

    def build(folder: Path | None) -> Corpus:
        sentences = counted_on_terminal(source.sentences(), f"indexing {path.name}", "sentences")
        try:
            with collected_warnings() as warnings:
                corpus = build_corpus(sentences, data.scheme.value, data.repair, str(path), folder)
        except MemoryError:
            raise ValueError(
                f"{path}: does not fit into memory; cut its longest lines, or free some memory"
            ) from None
        if _states(files) != before:
            raise ValueError(f"{path}: changed while it was read; run again when it is whole")
        return replace(corpus, warnings=warnings)

    if not data.cache:
        return build(None)
    options = {
        "reader": OmegaConf.to_container(OmegaConf.create(data.reader), resolve=True),
        "scheme": data.scheme.value,
        "repair": data.repair,
        "split": source.selection,
    }
    package = source.read.func.__module__.partition(".")[0]
    try:
        return cached(cache_key(files, options, package), build)
    except OSError as error:
        corpus = build(None)  # if it is the source that cannot be read, this says so
        warning = f"{cache_folder()}: {error.strerror or error}: the corpus is held in memory; set "
        warning += "NERLAB_CACHE to a folder that can be written, or data.cache=false"
        return replace(corpus, warnings=[*corpus.warnings, warning])


def _states(files: list[Path]) -> list[tuple[int, int]]:
    """What changes when a file is written."""
    return [(stat.st_size, stat.st_mtime_ns) for stat in (file.stat() for file in files)]
