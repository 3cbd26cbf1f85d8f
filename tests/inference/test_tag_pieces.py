"""The pieces of several requests, decoded together: nothing that is found depends on the others."""

import itertools
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nerlab
from nerlab.data.batch import Batcher
from nerlab.data.build import build_corpus
from nerlab.data.sentence import Sentence
from nerlab.inference import predictor
from nerlab.inference.masking import MaskedSentence, TaggedSpan
from nerlab.inference.pieces import Piece, Untagged, numbered
from nerlab.inference.predictor import Predictor, SentenceTags, Wanted
from nerlab.tags import iobes_constraints

WORDS = ("Anna", "Smith", "Eve", "Berlin", "Bakı", "北京", "محمد", "In", "met", "\ud800", ".")
sentence = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9)
text = st.lists(sentence, max_size=4)
request_of_texts = st.tuples(st.lists(text, max_size=3), st.sampled_from(("line", "file", "none")))
slow = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
SENTENCES = [["Anna", "Smith", "met", "Eve"], ["Berlin"], ["In", "北京", "Eve"], ["met", "."]]


@pytest.fixture(scope="module")
def tagger(run: Path) -> Predictor:
    return nerlab.load(run)


def tag(tagger: Predictor, sentences: Sequence[list[str]], wanted: Wanted) -> list[SentenceTags]:
    (found,) = tagger.tag_pieces([[Untagged(tokens, None) for tokens in sentences]], wanted)
    return found


@slow
@given(st.lists(request_of_texts, max_size=5), st.integers(1, 40))
def test_a_sentence_is_tagged_the_same_alone_and_with_those_of_other_requests(
    tagger: Predictor, requests: list[tuple[list[list[list[str]]], str]], batch_tokens: int
) -> None:
    together = Predictor(tagger.checkpoints, batch_tokens=batch_tokens)
    pieces = [piece for texts, document in requests for piece in together.pieces(texts, document)]
    found = together.tag_pieces(pieces, Wanted(marginals=True))
    assert [len(piece) for piece in pieces] == list(map(len, found))
    results = itertools.chain.from_iterable(found)
    for texts, _ in requests:
        for tokens in itertools.chain.from_iterable(texts):
            result = next(results)
            (alone,) = tag(tagger, [tokens], Wanted(marginals=True))
            assert result.tags == alone.tags
            assert [span[:3] for span in result.spans] == [span[:3] for span in alone.spans]
            assert [s.score for s in result.spans] == pytest.approx([s.score for s in alone.spans])
            assert result.marginals is not None
            assert alone.marginals is not None
            np.testing.assert_allclose(result.marginals, alone.marginals, atol=1e-6)
            assert len(result.tags) == len(tokens)
            assert result.sequences == []
    assert next(results, None) is None


def test_what_is_found_is_what_predict_finds(tagger: Predictor) -> None:
    found = tag(tagger, SENTENCES, Wanted(marginals=True))
    assert [s.spans for s in found] == tagger.predict_tokens(SENTENCES)
    for result, rows in zip(found, tagger.marginals(SENTENCES), strict=True):
        np.testing.assert_array_equal(result.marginals, rows)


def test_many_requests_make_one_corpus(tagger: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def build(sentences: Sequence[Sentence], *arguments: object, **options: object) -> object:
        kept = list(sentences)
        made.append(len(kept))
        return build_corpus(kept, "iobes", repair=False, source="text")

    monkeypatch.setattr(predictor, "build_corpus", build)
    pieces = [p for s in SENTENCES for p in tagger.pieces([[s]], "line")]
    plain = tagger.tag_pieces(pieces, Wanted())
    assert made == [len(SENTENCES)] == [len(plain)]
    assert [found.marginals for (found,) in plain] == [None] * len(SENTENCES)


def test_no_piece_has_no_answer(tagger: Predictor) -> None:
    assert tagger.pieces([], "line") == tagger.pieces([[], []], "file") == []
    assert tagger.tag_pieces([], Wanted(marginals=True, sequences=2)) == []


def test_the_best_sequences_are_those_of_every_sentence_by_itself(tagger: Predictor) -> None:
    (checkpoint,) = tagger.checkpoints
    for tokens, found in zip(SENTENCES, tag(tagger, SENTENCES, Wanted(sequences=4)), strict=True):
        alone = MaskedSentence(checkpoint, tokens, TaggedSpan(0, 1, "PER", ["S-PER"]))
        expected = alone.best_sequences(4)
        assert [s.tags for s in found.sequences] == [s.tags for s in expected]
        given = [s.probability for s in found.sequences]
        assert given == pytest.approx([s.probability for s in expected], rel=1e-5)
        assert found.tags == found.sequences[0].tags


def test_with_as_many_sequences_as_there_are_all_probability_is_given_out(
    tagger: Predictor,
) -> None:
    """Against the enumeration of what IOBES allows, each scored by itself."""
    (checkpoint,) = tagger.checkpoints
    names, tokens = tagger.tags, SENTENCES[2]
    start, moves, end = iobes_constraints(names)
    allowed = [
        path
        for path in itertools.product(range(len(names)), repeat=len(tokens))
        if start[path[0]] and end[path[-1]] and all(moves[move] for move in pairwise(path))
    ]
    corpus = build_corpus([Sentence(tokens, ["O"] * len(tokens))], "iobes", False, "test")
    batch = Batcher(corpus, checkpoint.vocabulary, with_tags=False).collate(np.array([0]))
    paths = torch.tensor(allowed)
    with torch.inference_mode():
        emissions = checkpoint.tagger.emissions(batch).double().expand(len(paths), -1, -1)
        lengths = batch.lengths.expand(len(paths))
        p = torch.exp(-checkpoint.tagger.decoder.nll(emissions, lengths, paths)).tolist()
    by_tags = {tuple(names[i] for i in path): each for path, each in zip(allowed, p, strict=True)}
    found = tag(tagger, SENTENCES, Wanted(sequences=len(allowed) + 9))[2].sequences
    assert len(found) == len(allowed)
    assert sum(s.probability for s in found) == pytest.approx(1)
    for sequence in found:
        assert sequence.probability == pytest.approx(by_tags[tuple(sequence.tags)], rel=1e-5)
    given = [s.probability for s in found]
    assert given == sorted(given, reverse=True)


def test_a_marginal_is_the_sum_over_the_sequences_with_the_tag(tagger: Predictor) -> None:
    found = tag(tagger, SENTENCES, Wanted(marginals=True, sequences=1000))[1:]
    for sentence_tags in found:
        assert sentence_tags.marginals is not None
        for t, row in enumerate(sentence_tags.marginals):
            for name, p in zip(tagger.tags, row.tolist(), strict=True):
                with_tag = [s.probability for s in sentence_tags.sequences if s.tags[t] == name]
                assert p == pytest.approx(math.fsum(with_tag), abs=1e-6)


def test_an_ensemble_has_marginals_and_no_sequences(run: Path) -> None:
    twice = nerlab.load([run, run])
    for found, rows in zip(
        tag(twice, SENTENCES, Wanted(marginals=True)), twice.marginals(SENTENCES), strict=True
    ):
        np.testing.assert_array_equal(found.marginals, rows)
    with pytest.raises(ValueError, match=r"^sequences: expected one tagger, found an ensemble"):
        tag(twice, SENTENCES, Wanted(sequences=1))


@given(st.lists(text, max_size=6), st.sampled_from(("line", "file", "none")))
def test_pieces_hold_every_sentence_once_and_in_order(
    tagger: Predictor, texts: list[list[list[str]]], document: str
) -> None:
    pieces = tagger.pieces(texts, document)
    expected = [tokens for of_text in texts for tokens in of_text]
    assert [tokens for piece in pieces for tokens, _ in piece] == expected


def test_a_long_text_is_cut_into_small_pieces_where_no_sentence_needs_another(
    tagger: Predictor,
) -> None:
    texts = [[["a"] * 60] * 100, [["b"]]]
    sizes = [sum(len(s.tokens) for s in piece) for piece in tagger.pieces(texts, "file")]
    assert sum(sizes) == 6001
    assert max(sizes) <= 560


def test_what_a_document_is_has_three_values(tagger: Predictor) -> None:
    with pytest.raises(ValueError, match=r"^document=page: expected one of line, file, none$"):
        tagger.pieces([], "page")


def test_no_two_pieces_share_a_document_and_no_document_is_split() -> None:
    def piece(*documents: int | None) -> Piece:
        return [Untagged(["a"], document) for document in documents]

    found = [number for _, number in numbered([piece(0, 0, 1), piece(0), piece(None, None, 1, 1)])]
    assert found == [0, 0, 1, 2, 3, 4, 5, 5]
    assert [number for _, number in numbered([piece(None), piece(None)])] == [None, None]
