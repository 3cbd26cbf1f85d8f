"""Eight sentences, and their batches; checkpoints that are changed on purpose."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from nerlab.data.batch import Batcher
from nerlab.data.build import build_corpus
from nerlab.data.corpus import Corpus
from nerlab.data.sentence import Sentence
from nerlab.data.vocabulary import Vocabulary
from nerlab.files import sha256_of
from nerlab.models.characters import CharacterIndexer, Characters
from nerlab.models.tagger import Embedders
from nerlab.models.words import WordIndexer, Words
from nerlab.modules.crf import CRF
from nerlab.modules.softmax import Softmax
from nerlab.schemes import violations
from nerlab.tags import iobes_constraints


def one_in(number: int, cases: Iterable[Any]) -> list[Any]:
    """Cases to parametrise with: one in ``number`` is quick, the others are long."""
    return [
        case
        if index % number == 0
        else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.long)
        for index, case in enumerate(cases)
    ]


def check(tags: Sequence[str], scheme: str) -> None:
    """Raise the error of the first tag that a scheme does not know or forbids."""
    for violation in violations(tags, scheme):
        raise violation


def reseal(folder: Path) -> None:
    """Write the manifest of what is in a checkpoint folder now, as an attacker would."""
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


def fit_on(
    corpus: Corpus,
    *,
    lowercase: bool = True,
    fold_digits: bool = True,
    turkic_i: bool = False,
    min_count: int = 1,
    max_word_length: int = 64,
) -> Vocabulary:
    """The vocabulary of a corpus for a tagger with words and characters."""
    words = WordIndexer(lowercase, fold_digits, turkic_i, min_count, vectors=None)
    characters = CharacterIndexer(max_word_length)
    for indexer in (words, characters):
        indexer.fit(corpus.token_counts())
    labels = tuple(sorted(corpus.labels))
    return Vocabulary(labels, {"words": words, "characters": characters})


def make_embedders(vocabulary: Vocabulary, rare_word_dropout: float = 0.0) -> Embedders:
    """Words and characters, small."""
    words, characters = vocabulary.indexers["words"], vocabulary.indexers["characters"]
    assert isinstance(words, WordIndexer)
    assert isinstance(characters, CharacterIndexer)
    return Embedders(
        {
            "words": Words(words, 8, rare_word_dropout),
            "characters": Characters(characters, dim=4, filters=5, widths=[2, 3]),
        }
    )


def make_crf(tags: Sequence[str]) -> CRF:
    """A CRF under the constraints of IOBES."""
    return CRF(tags, *map(torch.from_numpy, iobes_constraints(tags)))


def make_softmax(
    tags: Sequence[str],
    label_smoothing: float = 0.0,
    class_weights: Mapping[str, float] | None = None,
) -> Softmax:
    """A softmax, by default with the loss of the CRF."""
    start, transitions, end = map(torch.from_numpy, iobes_constraints(tags))
    return Softmax(tags, start, transitions, end, label_smoothing, class_weights)


def make_batcher() -> tuple[Vocabulary, Batcher]:
    """The vocabulary of the eight sentences, and their batches with tags."""
    pairs = [[token.rsplit("/", 1) for token in line.split()] for line in TAGGED]
    sentences = [Sentence([w for w, _ in pair], [t for _, t in pair]) for pair in pairs]
    corpus = build_corpus(sentences, "iob2", False, "eight sentences")
    vocabulary = fit_on(corpus)
    return vocabulary, Batcher(corpus, vocabulary, with_tags=True)
