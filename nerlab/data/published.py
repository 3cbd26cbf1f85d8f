"""Where published corpora are to be had.

What a licence lets anybody pass on is named file by file, pinned to a commit, with its SHA-256.
The list stands here and not in the presets because presets are copied into checkpoints: whoever
loads an untrusted checkpoint fetches from no other address, and nothing but these files.
"""

from collections.abc import Mapping
from typing import NamedTuple

from nerlab.config import Published


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
