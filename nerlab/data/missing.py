"""The file of a split that is not there: it is fetched if it may be, else said how to get it."""

import gzip
import zlib
from pathlib import Path

from nerlab.config import DataConfig
from nerlab.data.published import PUBLICATIONS, Publication
from nerlab.data.readers.lines import opener
from nerlab.files import sha256_of

_HASH = (
    "takes a tenth of data.train for dev, and another tenth for test unless data.test names a file"
)


class MissingFileError(ValueError):
    """A split has no file where the configuration says."""


def fetch_or_refuse(data: DataConfig, split: str) -> Path:
    """Fetch the file of a split, if ``data.download`` names a corpus that has such a file; else a
    ``ValueError`` says what to set, a :class:`MissingFileError` where to put the file."""
    name = getattr(data, split)
    if name is None:
        raise ValueError(
            f"data.{split}: this data set has no {split} file; set data.{split}=FILE, or "
            f"data.split=hash, which {_HASH}"
        )
    path = Path(data.dir) / name
    refusal = source = ""
    if data.download is not None:
        published = PUBLICATIONS[data.download]
        source = f"put it there, from {published.home}, or "
        if name in published.files:
            refusal = _why_not_fetched(data, published)
            if not refusal:
                from nerlab.data.download import fetch  # ssl and rich, which few runs need

                fetch(*published.files[name], path)
                return path
    raise MissingFileError(
        f"{path}: no such file, expected the {split} split; {refusal}{source}set data.dir to the "
        f"folder of the data set, or data.{split} to the name of the file in it"
        + (", or to null if there is none" if split == "test" else "")
        + (f", or data.split=hash, which {_HASH}" if split == "dev" else "")
    )


def _why_not_fetched(data: DataConfig, published: Publication) -> str:
    """What forbids to fetch files of a publication, for a message; empty: nothing does.

    They must be in the language of the data set, and are not put beside those of another corpus.
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
