"""Eight sentences, and their batches; checkpoints that are changed on purpose."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from nerlab.data.batch import Batcher
from nerlab.data.build import build_corpus
from nerlab.data.sentence import Sentence
from nerlab.data.vocabulary import Vocabulary, build_vocabulary
from nerlab.files import sha256_of


def one_in(number: int, cases: Iterable[Any]) -> list[Any]:
    """Cases to parametrise with: one in ``number`` is quick, the others are long."""
    return [
        case
        if index % number == 0
        else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.long)
        for index, case in enumerate(cases)
    ]


def reseal(folder: Path) -> None:
    """Write the manifest of what is in a checkpoint folder now: a stranger would do that too."""
    manifest = folder / "manifest.json"
    data = json.loads(manifest.read_text())
    data["sha256"] = {name: sha256_of(folder / name) for name in data["sha256"]}
    manifest.write_text(json.dumps(data))


TAGGED = (  # IOB2
    "Angela/B-PER Merkel/I-PER flew/O from/O Berlin/B-LOC to/O Paris/B-LOC ./O",
    "Siemens/B-ORG opened/O a/O plant/O in/O New/B-LOC York/I-LOC City/I-LOC ./O",
    "Nobody/O came/O",
    "Yesterday/O Ada/B-PER Lovelace/I-PER wrote/O to/O Charles/B-PER Babbage/I-PER",
    "Paris/B-LOC",
    "The/O United/B-ORG Nations/I-ORG met/O in/O Geneva/B-LOC ,/O Switzerland/B-LOC ./O",
    "It/O rained/O in/O Oslo/B-LOC and/O in/O Rome/B-LOC for/O 40/O days/O",
    "Bosch/B-ORG sued/O Siemens/B-ORG",
)


def make_batcher() -> tuple[Vocabulary, Batcher]:
    """The vocabulary of the eight sentences, and their batches with tags."""
    pairs = [[token.rsplit("/", 1) for token in line.split()] for line in TAGGED]
    sentences = [Sentence([w for w, _ in pair], [t for _, t in pair]) for pair in pairs]
    corpus = build_corpus(sentences, "iob2", False, "eight sentences")
    vocabulary = build_vocabulary(corpus.token_counts(), corpus.labels, True, True, False, 1, 64)
    return vocabulary, Batcher(corpus, vocabulary, with_tags=True)
