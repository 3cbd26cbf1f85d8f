"""Batches of whole documents, held against putting them together sentence by sentence."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerlab.data.build import build_corpus
from nerlab.data.corpus import Corpus
from nerlab.data.documents import DocumentBatcher
from nerlab.data.sentence import Sentence
from nerlab.data.vocabulary import Vocabulary

# The lengths of the sentences of each document.
some_lengths = st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=6), min_size=1)
batch_tokens = st.integers(1, 60)


def corpus_of(documents: Iterable[tuple[int, list[int]]]) -> Corpus:
    """Documents by number, with the lengths of their sentences."""
    return build_corpus(
        (Sentence(["a"] * n, ["O"] * n, number) for number, of in documents for n in of),
        "iob2",
        False,
        "text",
    )


def batcher_of(corpus: Corpus) -> DocumentBatcher:
    return DocumentBatcher(corpus, Vocabulary((), {}), with_tags=False)


def cost(corpus: Corpus, sentences: list[int]) -> int:
    lengths = corpus.lengths[sentences].tolist()
    return max(lengths) * len(lengths)


def group_slowly(corpus: Corpus, order: Iterable[int], most: int) -> list[list[int]]:
    """Each sentence is put into the last piece of its document, each piece into the last batch."""
    batches: list[list[int]] = [[]]
    for document in order:
        members = np.flatnonzero(corpus.documents == document).tolist()
        pieces: list[list[int]] = [[]]
        for sentence in members:
            if pieces[-1] and cost(corpus, [*pieces[-1], sentence]) > most:
                pieces.append([])
            pieces[-1].append(sentence)
        for piece in pieces:
            if batches[-1] and cost(corpus, batches[-1] + piece) > most:
                batches.append([])
            batches[-1] += piece
    return [batch for batch in batches if batch]


@given(some_lengths, batch_tokens, st.integers(0, 99))
def test_batches_are_those_of_slow_grouping(lengths: list[list[int]], most: int, seed: int) -> None:
    corpus = corpus_of(enumerate(lengths))
    batcher = batcher_of(corpus)
    order = np.random.default_rng(seed).permutation(len(lengths))
    shuffled = batcher.shuffled_groups(most, np.random.default_rng(seed))
    assert [group.tolist() for group in shuffled] == group_slowly(corpus, order, most)
    in_order = [group.tolist() for group in batcher.sorted_groups(most)]
    assert in_order == group_slowly(corpus, range(len(lengths)), most)


@given(some_lengths, batch_tokens, st.integers(0, 99))
def test_a_document_is_in_one_batch_or_in_pieces_that_no_two_of_fit_together(
    lengths: list[list[int]], most: int, seed: int
) -> None:
    corpus = corpus_of(enumerate(lengths))
    groups = batcher_of(corpus).shuffled_groups(most, np.random.default_rng(seed))
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(corpus)))
    for number in range(len(lengths)):
        members = np.flatnonzero(corpus.documents == number)
        pieces = [kept for g in groups if len(kept := g[np.isin(g, members)])]
        assert np.concatenate(pieces).tolist() == members.tolist()
        assert (len(pieces) == 1) == (cost(corpus, members.tolist()) <= most or len(members) == 1)
    for group in groups:
        assert len(group) == 1 or cost(corpus, group.tolist()) <= most


@given(some_lengths, some_lengths, batch_tokens)
def test_how_a_document_is_cut_depends_on_nothing_but_the_document(
    lengths: list[list[int]], others: list[list[int]], most: int
) -> None:
    def pieces(before: list[list[int]]) -> list[list[int]]:
        corpus = corpus_of(enumerate([*before, lengths[0], *before]))
        own = np.flatnonzero(corpus.documents == len(before))
        groups = batcher_of(corpus).sorted_groups(most)
        kept = [(group[np.isin(group, own)] - own[0]).tolist() for group in groups]
        return [piece for piece in kept if piece]

    assert pieces(others) == pieces([])


def test_a_document_whose_sentences_stand_apart_is_one() -> None:
    corpus = corpus_of([(3, [1]), (0, [1]), (3, [1]), (0, [1, 1])])
    assert [g.tolist() for g in batcher_of(corpus).sorted_groups(3)] == [[0, 2], [1, 3, 4]]


def test_another_seed_is_another_order() -> None:
    batcher = batcher_of(corpus_of(enumerate([[3, 3]] * 50)))
    orders = [
        np.concatenate(batcher.shuffled_groups(12, np.random.default_rng(seed))).tolist()
        for seed in (1, 1, 2)
    ]
    assert orders[0] == orders[1] != orders[2]


def test_a_corpus_without_documents_has_no_batches_of_them() -> None:
    corpus = build_corpus([Sentence(["a"], ["O"])], "iob2", False, "text")
    with pytest.raises(ValueError, match=r"trainer\.batch_by=document: .* marks no documents"):
        batcher_of(corpus)


@given(some_lengths.filter(lambda lengths: sum(map(len, lengths)) > 1))
def test_a_batch_is_halved_between_documents_where_it_has_several(lengths: list[list[int]]) -> None:
    corpus = corpus_of(enumerate(lengths))
    sentences = np.arange(len(corpus))
    first, second = batcher_of(corpus).halves(sentences)
    assert [*first, *second] == sentences.tolist()
    if len(lengths) > 1:
        assert corpus.documents[first[-1]] != corpus.documents[second[0]]
        borders = np.flatnonzero(np.diff(corpus.documents)) + 1
        middle = len(corpus) // 2
        assert abs(len(first) - middle) == min(abs(borders - middle))
    else:
        assert len(first) == len(corpus) // 2
