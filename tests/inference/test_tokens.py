"""Sentences of tokens from Python: their entities and the probabilities of their tags."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nerlab
from nerlab.data.batch import Batcher
from nerlab.data.build import build_corpus
from nerlab.data.sentence import Sentence
from nerlab.inference.predictor import Predictor
from nerlab.models.loading import load_checkpoint
from nerlab.text import sentences

TEXTS = ["Anna Smith flew to Berlin .", "In Bakı Aygün Əliyeva met Eve.", "北京 Li Wei met Eve ."]
words = st.lists(st.one_of(st.text(min_size=1, max_size=5), st.sampled_from(TEXTS[0].split())))
slow = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def tagger(run: Path) -> Predictor:
    return nerlab.load(run)


def test_tokens_are_tagged_as_the_text_that_they_are_of(tagger: Predictor) -> None:
    for text, expected in zip(TEXTS, tagger.predict(TEXTS), strict=True):
        ((tokens, *others),) = [list(sentences(text))]
        assert not others
        (spans,) = tagger.predict_tokens([[token.text for token in tokens]])
        assert [(tokens[s.start].start, tokens[s.end - 1].end) for s in spans] == [
            (entity.start, entity.end) for entity in expected
        ]
        assert [(s.label, s.score) for s in spans] == [(e.label, e.score) for e in expected]


@slow
@given(st.lists(words, max_size=5))
def test_any_tokens_have_spans_and_marginals(
    tagger: Predictor, given_words: list[list[str]]
) -> None:
    spans, marginals = tagger.predict_tokens(given_words), tagger.marginals(given_words)
    assert len(spans) == len(marginals) == len(given_words)
    for tokens, found, rows in zip(given_words, spans, marginals, strict=True):
        assert rows.shape == (len(tokens), len(tagger.tags))
        np.testing.assert_allclose(rows.sum(axis=1), np.ones(len(tokens)), atol=1e-5)
        last = 0
        for start, end, label, score in found:
            assert last <= start < end <= len(tokens)
            assert label in tagger.labels
            names = [f"S-{label}"] if end == start + 1 else [f"B-{label}", f"E-{label}"]
            places = [(start, tagger.tags.index(names[0])), (end - 1, tagger.tags.index(names[-1]))]
            assert score <= min(rows[place] for place in places) + 1e-5
            last = end


def test_marginals_are_those_of_the_decoder(run: Path, tagger: Predictor) -> None:
    checkpoint = load_checkpoint(run, torch.device("cpu"))
    tokens = TEXTS[0].split()
    corpus = build_corpus([Sentence(tokens, ["O"] * len(tokens))], "iobes", False, "test")
    batch = Batcher(corpus, checkpoint.vocabulary, with_tags=False).collate(np.array([0]))
    with torch.inference_mode():
        emissions = checkpoint.tagger.emissions(batch)
        expected = checkpoint.tagger.decoder.marginals(emissions, batch.lengths)[0]
    others = [text.split() for text in TEXTS[1:]]
    (found, *_) = tagger.marginals([tokens, *others])
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    assert tagger.tags == checkpoint.vocabulary.tags


def test_nothing_has_nothing(tagger: Predictor) -> None:
    assert tagger.predict_tokens([]) == []
    assert tagger.predict_tokens([[], ["Eve"], []])[::2] == [[], []]
    assert [rows.shape for rows in tagger.marginals([[], ["Eve"]])] == [(0, 9), (1, 9)]


@pytest.mark.parametrize("method", ["predict_tokens", "marginals"])
@pytest.mark.parametrize(
    ("given_words", "place"),
    [
        ("Anna met Eve", "'Anna met Eve' at index 0"),
        (["Anna met Eve"], "'Anna met Eve' at index 0"),
        ([["Anna"], ["met", None]], r"\['met', None\] at index 1"),
        ([["Anna", ""]], r"\['Anna', ''\] at index 0"),
        ([["Anna"], 7], "7 at index 1"),
    ],
)
def test_what_is_no_list_of_tokens_is_named_with_its_place(
    tagger: Predictor, method: str, given_words: Any, place: str
) -> None:
    with pytest.raises(ValueError, match=f"^{method}: expected lists of tokens.*found {place}"):
        getattr(tagger, method)(given_words)


def test_a_tagger_says_what_it_is(run: Path, tagger: Predictor) -> None:
    assert tagger.labels == ("LOC", "PER")
    assert tagger.tags[0] == "O"
    checkpoint = load_checkpoint(run, torch.device("cpu"))
    size = sum(parameter.numel() for parameter in checkpoint.tagger.parameters())
    assert repr(tagger) == f"<Predictor {run}: LOC PER; {size:,} parameters, cpu>"


@pytest.mark.parametrize("min_score", [0.0, 0.9, 1.0])
def test_entities_below_the_least_score_are_left_out(tagger: Predictor, min_score: float) -> None:
    text = "Anna xyz Smith flew qq to Berlin and zz Omar Eve ."
    (everything,) = tagger.predict([text])
    scores = sorted(entity.score for entity in everything)
    least = min_score if min_score in (0.0, 1.0) else scores[len(scores) // 2]
    expected = [entity for entity in everything if entity.score >= least]
    ((_, tagged),) = tagger.stream([text], min_score=least)
    assert [entity for sentence in tagged for entity in sentence.entities] == expected
    assert tagger.predict([text], min_score=least) == [expected]
    for sentence in tagged:
        begun = sum(tag[0] in "BS" for tag in sentence.tags)
        assert begun == len(sentence.entities)
    (spans,) = tagger.predict_tokens([text.split()], min_score=least)
    assert all(span.score >= least for span in spans)
    assert math.isclose(len(spans), len(expected), abs_tol=1)
