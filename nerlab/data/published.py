"""A file that is not there: it is fetched if it may be, else said where to get it.

What a licence lets anybody pass on is named file by file, pinned to a commit, with its SHA-256.
The list stands here and not in the presets because presets are copied into checkpoints: whoever
loads an untrusted checkpoint fetches from no other address, and nothing but these files.
"""

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from nerlab.config import DataConfig, Published
from nerlab.data.readers.lines import opener
from nerlab.files import sha256_of


class PinnedFile(NamedTuple):
    """A file that never changes."""

    url: str
    sha256: str


class Publication(NamedTuple):
    """A corpus: its home on the web, the files that may be fetched, by name, and their language,
    where the corpus comes in several."""

    home: str
    files: Mapping[str, PinnedFile] = {}
    language: str | None = None


_HASH = (
    "takes a tenth of data.train for dev, and another tenth for test unless data.test names a file"
)
_GITHUB = "https://raw.githubusercontent.com"
_EMERGING = f"{_GITHUB}/leondz/emerging_entities_17/e52a2d2a71ac1a051ca2d532eef28653c5c02603"
_NER_DATASETS = f"{_GITHUB}/davidsbatista/NER-datasets"

PUBLICATIONS: Mapping[Published, Publication] = {
    Published.wnut17: Publication(
        "https://github.com/leondz/emerging_entities_17",
        {
            "wnut17train.conll": PinnedFile(
                f"{_EMERGING}/wnut17train.conll",
                "731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5",
            ),
            "emerging.dev.conll": PinnedFile(
                f"{_EMERGING}/emerging.dev.conll",
                "e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8",
            ),
            "emerging.test.annotated": PinnedFile(
                f"{_EMERGING}/emerging.test.annotated",
                "2aa79b764e56ec9264a1b30fdd9b70195bd00ff400b62edd8f399d5f13c178f0",
            ),
        },
    ),
    Published.wikiann_en: Publication(
        "https://github.com/davidsbatista/NER-datasets",
        {
            "train": PinnedFile(
                f"{_NER_DATASETS}/a040cd6ce657f3abf7bbbab7fd1b6b4af4da275a/WikiANN/en/train",
                "ca569a937f536cfc7e94291fbf631d394ce0c171af4523d96f366a50bd18b388",
            ),
            "dev": PinnedFile(
                f"{_NER_DATASETS}/e278bd36d7ca3704b322b316ea9a337ee062cdab/WikiANN/en/dev",
                "e9e42f79be5eba498ac86b7b81612da5ec5ad3d194df25c2e474514434957cf4",
            ),
        },
        language="en",
    ),
    # Annotations alone are free: the text is Reuters', whom NIST asks everybody to sign for.
    Published.conll2003: Publication("https://www.clips.uantwerpen.be/conll2003/ner/"),
    # Kaggle wants an account.
    Published.gmb: Publication("https://www.kaggle.com/abhinavwalia95/entity-annotated-corpus"),
}


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
