"""The splits of a data set, as the configuration describes it."""

import gzip
import inspect
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Union, cast, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf

from nerlab.config import DataConfig, SplitRule
from nerlab.console import counted_on_terminal
from nerlab.data.cache import cache_folder, cache_key, cached
from nerlab.data.corpus import Corpus, build_corpus
from nerlab.data.published import PUBLICATIONS, Publication
from nerlab.data.reader_warnings import collected_warnings
from nerlab.data.readers.lines import opener
from nerlab.data.readers.messages import shown
from nerlab.data.sentence import Sentence
from nerlab.data.splits import cut
from nerlab.files import sha256_of
from nerlab.instantiation import instantiate

SPLITS = ("train", "dev", "test")
_HASH = (
    "takes a tenth of the sentences of data.train for dev, and another tenth for test unless "
    "data.test names a file"
)
# What the reader may be, beside what trusted packages define.
READERS = tuple(
    f"nerlab.data.readers.{name}.read"
    for name in ("conll", "jsonl", "parallel", "parquet", "spans", "table")
)
# The types that an option of a reader may ask for, by the names of their YAML.
_KINDS: dict[object, str] = {
    str: "a string",
    int: "a whole number",
    bool: "true or false",
    NoneType: "null",
    Sequence: "a list",
    Mapping: "a section",
}


class MissingFileError(ValueError):
    """A split has no file where the configuration says."""


def split_path(data: DataConfig, split: str) -> Path:
    """The file of a split, or that file packed as ``.gz``; where neither is there, it is fetched,
    if ``data.download`` names a published corpus that has such a file.

    Raises:
        ValueError: the data set names no file.
        MissingFileError: it is not there and may not be fetched.
        OSError: it could not be fetched.
    """
    name = getattr(data, split)
    if name is None:
        raise ValueError(
            f"data.{split}: this data set has no {split} file; set data.{split}=FILE, or "
            f"data.split=hash, which {_HASH}"
        )
    path = Path(data.dir) / name
    packed = path.with_name(path.name + ".gz")
    for there in (path, packed):
        if there.is_file():
            return there
    published = None if data.download is None else PUBLICATIONS[data.download]
    refusal = ""
    if published is not None and name in published.files:
        refusal = _why_not_fetched(data, published)
        if not refusal:
            from nerlab.data.download import fetch  # ssl and rich, which few runs need

            fetch(*published.files[name], path)
            return path
    source = "" if published is None else f"put it there, from {published.home}, or "
    raise MissingFileError(
        f"{path}: no such file, expected the {split} split; {refusal}{source}set data.dir to the "
        f"folder of the data set, or data.{split} to the name of the file in it"
        + (", or to null if there is none" if split == "test" else "")
        + (f", or data.split=hash, which {_HASH}" if split == "dev" else "")
    )


def _why_not_fetched(data: DataConfig, published: Publication) -> str:
    """What forbids to fetch files of a publication, for a message; empty: nothing does.

    They must be in the language of the data set, and must not come to lie beside files of
    another corpus.
    """
    if published.language and data.language not in (None, published.language):
        return f"it is fetched for data.language={published.language} alone; "
    named = [name for name in (data.train, data.dev, data.test) if name is not None]
    for name in dict.fromkeys([*published.files, *named]):
        path = Path(data.dir) / name
        for there in (path, path.with_name(path.name + ".gz")):
            pinned = published.files.get(name)
            if there.is_file() and (pinned is None or _sha256_unpacked(there) != pinned.sha256):
                return f"it is not fetched, as {there} is of another corpus; "
    return ""


def _sha256_unpacked(path: Path) -> str | None:
    """The SHA-256 of what a file holds, unpacked if it is ``.gz``; None: it is no gzip file."""
    try:
        with opener(path)(path, "rb") as file:
            return sha256_of(file)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return None


def read_split(
    data: DataConfig, split: str, trusted: tuple[str, ...] = ()
) -> tuple[Path, Iterator[Sentence]]:
    """The file that a split stands in, and the sentences of the split as that file has them.

    The reader is one of nerlab, or of the packages that are trusted.
    """
    rule = _rule(data, split)
    path = split_path(data, split if rule is None else "train")
    sentences = _reader(data, trusted)(path)
    return path, sentences if rule is None else cut(sentences, *rule)


def _rule(data: DataConfig, split: str) -> tuple[str, int, str, bool] | None:
    """How a split is cut out of the file of train, see :func:`nerlab.data.splits.cut`; None: it is
    not."""
    if data.split is None:
        return None
    with_test = data.split is not SplitRule.hash or data.test is None
    return (
        None
        if split == "test" and not with_test
        else (data.split.name, data.split_seed, split, with_test)
    )


def load_split(data: DataConfig, split: str, trusted: tuple[str, ...] = ()) -> Corpus:
    """Index one split, or open it where that was done before.

    Raises:
        ValueError: it cannot be read, or no sentence of a small file falls into it.
    """
    path, _ = read_split(data, split, trusted)
    corpus = _load(data, path, lambda: read_split(data, split, trusted)[1], split, trusted)
    if not len(corpus):
        raise ValueError(
            f"{path}: no sentence of it falls into {split}; set data.split_seed to another number, "
            "or data.split=null and give each split a file"
        )
    return corpus


def splits_of(data: DataConfig) -> list[str]:
    """The names of the splits that a data set has."""
    return [name for name in SPLITS if data.split is not None or getattr(data, name) is not None]


def present_splits(data: DataConfig) -> tuple[list[str], list[str]]:
    """The same, but without a test split whose file is not there, which training can do without
    too; and what to warn of then."""
    names = splits_of(data)
    if "test" in names and _rule(data, "test") is None:
        try:
            split_path(data, "test")
        except MissingFileError as error:
            return [name for name in names if name != "test"], [f"test is left out: {error}"]
    return names, []


def load_file(data: DataConfig, path: Path, trusted: tuple[str, ...] = ()) -> Corpus:
    """The same for any file in the format of the data set."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    return _load(data, path, lambda: _reader(data, trusted)(path), None, trusted)


def _reader(data: DataConfig, trusted: tuple[str, ...]) -> partial[Iterator[Sentence]]:
    try:
        node = cast(DictConfig, data.reader)
        read = instantiate(node, READERS, trusted, functions=True)
        inspect.signature(read.func).bind(Path(), *read.args, **read.keywords)
    except (ValueError, TypeError) as error:
        raise ValueError(f"data.reader: {error}") from None
    _check_options(read)
    return read


def _check_options(read: partial[Iterator[Sentence]]) -> None:
    """Raise ``ValueError`` at the first option of a reader that is not of the type it asks for."""
    try:
        hints = get_type_hints(read.func)
    except NameError:  # a reader of one's own, with types for the type checker alone
        return
    for option, value in read.keywords.items():
        hint = hints.get(option, object)
        choices = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        kinds = [get_origin(kind) or kind for kind in choices]
        if not all(kind in _KINDS for kind in kinds):
            continue  # a reader of one's own: it knows what it takes
        # To Python, true is a number.
        is_truth_for_number = isinstance(value, bool) and bool not in kinds
        if is_truth_for_number or not any(isinstance(value, kind) for kind in kinds):
            expected = " or ".join(_KINDS[kind] for kind in kinds)
            raise ValueError(f"data.reader.{option}: expected {expected}, found {shown(value)}")


def _load(
    data: DataConfig,
    path: Path,
    read: Callable[[], Iterator[Sentence]],
    split: str | None,
    trusted: tuple[str, ...],
) -> Corpus:
    sources = source_files(data, path, trusted)
    before = _states(sources)

    def build(folder: Path | None) -> Corpus:
        sentences = counted_on_terminal(read(), f"indexing {path.name}", "sentences")
        try:
            with collected_warnings() as warnings:
                corpus = build_corpus(sentences, data.scheme.value, data.repair, str(path), folder)
        except MemoryError:
            raise ValueError(
                f"{path}: does not fit into memory; cut its longest lines, or free some memory"
            ) from None
        if _states(sources) != before:
            raise ValueError(f"{path}: changed while it was read; run again when it is whole")
        return replace(corpus, warnings=warnings)

    if not data.cache:
        return build(None)
    options = {
        "reader": OmegaConf.to_container(OmegaConf.create(data.reader), resolve=True),
        "scheme": data.scheme.value,
        "repair": data.repair,
        "split": None if split is None else _rule(data, split),
    }
    package = _reader(data, trusted).func.__module__.partition(".")[0]
    try:
        return cached(cache_key(sources, options, package), build)
    except OSError as error:
        corpus = build(None)  # if it is the source that cannot be read, this says so
        warning = f"{cache_folder()}: {error.strerror or error}: the corpus is held in memory; set "
        warning += "NERLAB_CACHE to a folder that can be written, or data.cache=false"
        return replace(corpus, warnings=[*corpus.warnings, warning])


def _states(files: list[Path]) -> list[tuple[int, int]]:
    """What changes when a file is written."""
    return [(stat.st_size, stat.st_mtime_ns) for stat in (file.stat() for file in files)]


def source_files(data: DataConfig, path: Path, trusted: tuple[str, ...] = ()) -> list[Path]:
    """The files that the reader of the data set reads for a path."""
    read = _reader(data, trusted)
    sources = getattr(sys.modules[read.func.__module__], "sources", None)
    return [path] if sources is None else sources(path, **read.keywords)
