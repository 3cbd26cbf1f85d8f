"""Raw text to entities, from Python."""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import check
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import nerlab
from nerlab.data.batch import Batcher
from nerlab.data.build import build_corpus
from nerlab.data.corpus import Corpus
from nerlab.data.sentence import Sentence
from nerlab.inference.pieces import pieces_of
from nerlab.inference.predictor import Entity, Predictor
from nerlab.models import ensemble
from nerlab.models.loading import Checkpoint, load_checkpoint
from nerlab.tags import spans_of
from nerlab.text import sentences

TEXTS = [
    "Anna Smith flew to Berlin .",
    "In Bakı Aygün Əliyeva met Eve.",
    "北京 Li Wei met Eve .",
    "In القاهرة محمد met Eve .",
    "👩‍👩‍👧‍👦 Tom flew to Rome 🇦🇿!\nIn Oslo Omar met Eve .",
    "",
    " \t\n\u200b ",
]
WORDS = ("Anna", "Smith", "Eve", "Berlin", "Bakı", "北京", "محمد", "In", "met", "to", "flew")
some_text = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from([*WORDS, ".", " ", "  ", "\n", "👩🏽‍🚀", "\ud800"])).map(" ".join),
)
slow = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def checkpoint(run: Path) -> Checkpoint:
    return load_checkpoint(run, torch.device("cpu"))


@pytest.fixture(scope="module")
def tagger(run: Path) -> Predictor:
    return nerlab.load(run)


def hold(text: str, entities: list[Entity]) -> None:
    """What is true of the entities of any text."""
    for entity in entities:
        assert text[entity.start : entity.end] == entity.text != ""
        assert entity.text == entity.text.strip()
        assert entity.label in ("LOC", "PER")
        assert 0 < entity.score <= 1
    for first, second in itertools.pairwise(entities):
        assert first.end <= second.start


@slow
@given(some_text)
@example("Eve\u0301 met Eve")
@example("\ufeffAnna")
@example("In Paris\r\n\r\nTom met Eve")
def test_entities_are_parts_of_the_text(tagger: Predictor, text: str) -> None:
    (entities,) = tagger.predict([text])
    hold(text, entities)


def test_entities_are_found_in_every_script(tagger: Predictor) -> None:
    found = tagger.predict(TEXTS)
    for text, entities in zip(TEXTS, found, strict=True):
        hold(text, entities)
        assert bool(entities) == bool(text.strip("\u200b \t\n"))
    assert Entity("Anna Smith", "PER", 0, 10, found[0][0].score) == found[0][0]


def test_nothing_in_nothing_out(tagger: Predictor) -> None:
    assert tagger.predict([]) == []
    assert tagger.predict(["", "  "]) == [[], []]
    assert list(tagger.stream(iter(()))) == []


def test_one_string_in_place_of_a_list_is_refused(tagger: Predictor) -> None:
    with pytest.raises(ValueError, match="list of texts"):
        tagger.predict("Anna Smith")


@slow
@given(st.lists(some_text, max_size=6), st.integers(1, 40))
def test_a_text_is_tagged_the_same_alone_and_among_others(
    checkpoint: Checkpoint, tagger: Predictor, texts: list[str], chunk: int
) -> None:
    in_chunks = Predictor([checkpoint], chunk_tokens=chunk)
    streamed = list(in_chunks.stream(iter(texts)))
    assert [text for text, _ in streamed] == texts
    for text, tagged in streamed:
        ((_, alone),) = tagger.stream([text])
        assert [s.tokens for s in tagged] == [s.tokens for s in alone] == list(sentences(text))
        assert [s.tags for s in tagged] == [s.tags for s in alone]
        scores = [[e.score for s in of for e in s.entities] for of in (tagged, alone)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_tags_are_legal_and_agree_with_the_entities(tagger: Predictor) -> None:
    for text, tagged in tagger.stream(TEXTS):
        for sentence in tagged:
            check(sentence.tags, "iobes")
            entities = [
                (text[sentence.tokens[s].start : sentence.tokens[e - 1].end], label)
                for s, e, label in spans_of(sentence.tags)
            ]
            assert [(entity.text, entity.label) for entity in sentence.entities] == entities


@pytest.mark.parametrize(
    ("document", "documents"),
    [("line", [0, 0, 1, 2, 2]), ("file", [0] * 5), ("none", [-1] * 5)],
)
def test_texts_are_given_their_documents(
    tagger: Predictor, monkeypatch: pytest.MonkeyPatch, document: str, documents: list[int]
) -> None:
    found: list[list[int]] = []

    class Watching(Batcher):
        def __init__(self, corpus: Corpus, *arguments: Any, **options: Any) -> None:
            found.append(corpus.documents.tolist())
            super().__init__(corpus, *arguments, **options)

    monkeypatch.setattr(ensemble, "Batcher", Watching)
    texts = ["In Oslo Omar met Eve. Tom flew.", "Anna", "", "Eve. \nTom met Eve."]
    tagger.predict(texts, document)
    assert found == [documents]


def test_what_a_document_is_has_three_values(tagger: Predictor) -> None:
    with pytest.raises(ValueError, match=r"^document=page: expected one of line, file, none$"):
        tagger.predict(["Eve"], document="page")


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(0, 3))
def test_where_a_long_text_is_cut_depends_on_nothing_but_the_text(
    lengths: list[int], before: int
) -> None:
    text = [["a"] * length for length in lengths]
    others = [[["a"] * 7, ["a"] * 9]] * before
    alone = [len(piece) for piece in pieces_of([text], "line", 40)]
    pieces = list(pieces_of([*others, text], "line", 40))
    assert [sum(s.document == before for s in piece) for piece in pieces] == alone


def test_texts_are_read_only_as_far_as_they_are_needed(checkpoint: Checkpoint) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "Anna Smith flew to Berlin ."

    stream = Predictor([checkpoint], chunk_tokens=50).stream(endless())
    for _ in range(100):
        next(stream)
    assert read < 120


def test_a_very_long_text_is_tagged_to_its_end(tagger: Predictor) -> None:
    text = "Anna Smith flew to Berlin " * 400 + "."
    (entities,) = tagger.predict([text])
    hold(text, entities)
    assert entities[-1].start > len(text) - 30


def test_the_score_is_the_probability_of_the_whole_span(
    checkpoint: Checkpoint, tagger: Predictor
) -> None:
    """Held against the sum over every tag sequence that has the span."""
    tokens = ["Anna", "Smith", "met", "Eve"]
    ((entity, *_),) = tagger.predict([" ".join(tokens)])
    assert entity.text == "Anna Smith"
    names = checkpoint.vocabulary.tags
    corpus = build_corpus([Sentence(tokens, ["O"] * 4)], "iobes", False, "test")
    batch = Batcher(corpus, checkpoint.vocabulary, with_tags=False).collate(np.array([0]))
    model = checkpoint.tagger
    paths = torch.tensor(list(itertools.product(range(len(names)), repeat=4)))
    with torch.inference_mode():
        emissions = model.emissions(batch).expand(len(paths), -1, -1)
        nll = model.decoder.nll(emissions, batch.lengths.expand(len(paths)), paths)
    chances = torch.exp(-nll.double())
    assert chances.sum().item() == pytest.approx(1, abs=1e-4)
    wanted = torch.tensor([names.index("B-PER"), names.index("E-PER")])
    has_span = (paths[:, :2] == wanted).all(dim=1)
    assert entity.score == pytest.approx(chances[has_span].sum().item(), abs=1e-4)
    assert math.isfinite(entity.score)


def test_a_tagger_is_loaded_from_a_run_or_from_a_checkpoint_folder(run: Path) -> None:
    texts = TEXTS[:2]
    found = nerlab.load(str(run)).predict(texts)
    assert nerlab.load(run / "checkpoints" / "best", device="cpu").predict(texts) == found


def test_a_checkpoint_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder"):
        nerlab.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([None], "expected texts, found None at index 0"),
        (["Eve", "Tom", math.nan], "expected texts, found nan at index 2"),
        (["Eve", b"Tom"], "expected texts, found b'Tom' at index 1"),
        ([["Eve"]], "expected texts, found \\['Eve'\\] at index 0"),
        ("Eve", "expected a list of texts, found one string"),
    ],
)
def test_what_is_no_text_is_named_with_its_place(run: Path, texts: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^predict: {message}"):
        nerlab.load(run).predict(texts)
