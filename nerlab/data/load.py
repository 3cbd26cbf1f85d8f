"""The splits of a data set, as the configuration describes it."""

from pathlib import Path

from nerlab.config import DataConfig, instantiate
from nerlab.data.corpus import Corpus, build_corpus

SPLITS = ("train", "dev", "test")


def split_path(data: DataConfig, split: str) -> Path:
    """The file of a split; ``ValueError`` if the data set names none or it is not there."""
    name = getattr(data, split)
    if name is None:
        raise ValueError(f"data.{split}: this data set has no {split} file; set data.{split}=FILE")
    path = Path(data.dir) / name
    if not path.is_file():
        raise ValueError(
            f"{path}: no such file, expected the {split} split; set data.dir to the folder of the "
            f"data set, or data.{split} to the name of the file in it"
        )
    return path


def load_split(data: DataConfig, split: str) -> Corpus:
    """Read one split."""
    return load_file(data, split_path(data, split))


def load_file(data: DataConfig, path: Path) -> Corpus:
    """Read any file in the format of the data set."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    read = instantiate(data.reader)  # type: ignore[arg-type]
    return build_corpus(read(path), data.scheme.value, data.repair, str(path))
