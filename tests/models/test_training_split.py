"""What a report says of the training split."""

from collections import Counter, defaultdict

import pytest
from helpers import make_batcher
from hypothesis import given
from hypothesis import strategies as st

from nerlab.data.build import build_corpus
from nerlab.data.corpus import Corpus
from nerlab.data.sentence import Sentence
from nerlab.models.training_split import labels_by_form, sample
from nerlab.tags import spans_of

_, BATCHER = make_batcher()


def corpus_of(lengths: list[int], documents: list[int] | None = None) -> Corpus:
    """Sentences of different tokens; those of the same document have its number."""
    numbers = [None] * len(lengths) if documents is None else documents
    sentences = [
        Sentence([f"{i}-{t}" for t in range(length)], ["O"] * length, number)
        for i, (length, number) in enumerate(zip(lengths, numbers, strict=True))
    ]
    return build_corpus(sentences, "iob2", False, "test")


def texts(corpus: Corpus) -> list[list[str]]:
    return [corpus.sentence_tokens(i) for i in range(len(corpus))]


def test_the_labels_of_each_form_are_those_of_the_spans() -> None:
    corpus = BATCHER.corpus
    expected = defaultdict[str, Counter[str]](Counter)
    for i in range(len(corpus)):
        tokens = corpus.sentence_tokens(i)
        for start, end, label in spans_of(corpus.sentence_tags(i)):
            expected[" ".join(tokens[start:end])][label] += 1
    assert labels_by_form(corpus) == expected
    assert expected["Siemens"] == {"ORG": 2}


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30), st.integers(1, 40))
def test_a_sample_is_of_sentences_at_even_distances(lengths: list[int], most: int) -> None:
    corpus = corpus_of(lengths)
    step = next(s for s in range(1, 31) if len(lengths[::s]) <= most)
    assert texts(sample(corpus, most, False)) == texts(corpus)[::step]


def test_a_sample_has_the_tags_and_the_distinct_tokens_of_its_sentences() -> None:
    corpus = BATCHER.corpus
    found = sample(corpus, 3, False)
    for i, j in enumerate(range(0, len(corpus), 3)):
        assert found.sentence_tokens(i) == corpus.sentence_tokens(j)
        assert found.sentence_tags(i) == corpus.sentence_tags(j)
    assert sorted(found.lexicon) == sorted({word for text in texts(found) for word in text})


def test_a_sample_for_a_model_that_looks_at_documents_is_of_these() -> None:
    found = sample(corpus_of([1] * 9, [0, 0, 1, 1, 1, 2, 3, 3, 4]), 5, True)
    assert found.documents.tolist() == [0, 0, 2, 4]
    assert [text[0] for text in texts(found)] == ["0-0", "1-0", "5-0", "8-0"]


def test_of_one_large_document_the_beginning_is_the_sample() -> None:
    corpus = corpus_of([1] * 9, [0] * 9)
    assert [text[0] for text in texts(sample(corpus, 2, True))] == ["0-0", "1-0"]
    assert [text[0] for text in texts(sample(corpus, 2, False))] == ["0-0", "5-0"]


@pytest.mark.parametrize("most", [8, 100])
def test_a_small_split_is_its_own_sample(most: int) -> None:
    assert sample(BATCHER.corpus, most, False) is BATCHER.corpus
