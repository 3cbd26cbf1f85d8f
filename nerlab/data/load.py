"""The splits of a data set, as the configuration describes it."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from nerlab.config import DataConfig, instantiate
from nerlab.data.corpus import Corpus, build_corpus
from nerlab.data.parts import cut
from nerlab.data.published import PUBLICATIONS
from nerlab.data.sentence import Sentence

SPLITS = ("train", "dev", "test")


def split_path(data: DataConfig, split: str) -> Path:
    """The file of a split, or that file packed as ``.gz``; where neither is there, it is fetched,
    if ``data.download`` names a published corpus that has such a file.

    Raises:
        ValueError: the data set names no file, or it is not there and may not be fetched.
        OSError: it could not be fetched.
    """
    name = getattr(data, split)
    if name is None:
        raise ValueError(f"data.{split}: this data set has no {split} file; set data.{split}=FILE")
    path = Path(data.dir) / name
    packed = path.with_name(path.name + ".gz")
    for there in (path, packed):
        if there.is_file():
            return there
    published = None if data.download is None else PUBLICATIONS[data.download]
    if published is not None and name in published.files:
        from nerlab.data.download import fetch  # ssl and rich, which few runs need

        fetch(*published.files[name], path)
        return path
    source = "" if published is None else f"put it there, from {published.home}, or "
    raise ValueError(
        f"{path}: no such file, expected the {split} split; {source}set data.dir to the folder of "
        f"the data set, or data.{split} to the name of the file in it"
    )


def read_split(data: DataConfig, split: str) -> tuple[Path, Iterator[Sentence]]:
    """The file that a split stands in, and the sentences of the split as that file has them."""
    if data.split is None:
        path = split_path(data, split)
        return path, _reader(data)(path)
    path = split_path(data, "train")
    return path, cut(_reader(data)(path), data.split.value, split)


def load_split(data: DataConfig, split: str) -> Corpus:
    """Read one split."""
    path, sentences = read_split(data, split)
    return _index(data, sentences, path)


def splits_of(data: DataConfig) -> list[str]:
    """The names of the splits that a data set has."""
    return [name for name in SPLITS if data.split is not None or getattr(data, name) is not None]


def load_file(data: DataConfig, path: Path) -> Corpus:
    """Read any file in the format of the data set."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    return _index(data, _reader(data)(path), path)


def _reader(data: DataConfig) -> Callable[[Path], Iterator[Sentence]]:
    read: Callable[[Path], Iterator[Sentence]] = instantiate(data.reader)  # type: ignore[arg-type]
    return read


def _index(data: DataConfig, sentences: Iterable[Sentence], path: Path) -> Corpus:
    return build_corpus(sentences, data.scheme.value, data.repair, str(path))
