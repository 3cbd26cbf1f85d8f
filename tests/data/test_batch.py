"""Batches, held against putting them together in plain Python."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import fit_on
from hypothesis import given, settings
from hypothesis import strategies as st

from nerlab.data.batch import Batch, Batcher, collate
from nerlab.data.build import build_corpus
from nerlab.data.corpus import Corpus
from nerlab.data.sentence import Sentence
from nerlab.data.vocabulary import Indexed, Ragged, Vocabulary

rows = st.tuples(
    st.text(alphabet="abAéİ中12", max_size=5), st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"])
)
texts = st.lists(st.lists(rows, min_size=1, max_size=9), min_size=1, max_size=12)
Text = list[list[tuple[str, str]]]


def corpus_of(text: Text) -> Corpus:
    sentences = [
        Sentence([t for t, _ in part], [t for _, t in part], document=i // 2)
        for i, part in enumerate(text)
    ]
    return build_corpus(sentences, "iob2", True, "text")


def corpus_of_lengths(lengths: Sequence[int]) -> Corpus:
    """Every token another one."""
    numbers = iter(range(sum(lengths)))
    return corpus_of([[(str(next(numbers)), "O") for _ in range(n)] for n in lengths])


def vocabulary_of(corpus: Corpus) -> Vocabulary:
    fitted = fit_on(corpus, fold_digits=False, max_word_length=4)
    return Vocabulary(("X", "Y"), fitted.indexers)


def half_known(text: Text) -> tuple[Corpus, Vocabulary]:
    """The corpus of a text and the vocabulary of its first half."""
    return corpus_of(text), vocabulary_of(corpus_of(text[: (len(text) + 1) // 2]))


def mixed_lengths() -> list[int]:
    return np.random.default_rng(0).geometric(0.07, 400).clip(max=60).tolist()


def tensors(value: Any) -> list[Any]:
    """The tensors of a batch, and None where it has none, in order."""
    if isinstance(value, Mapping):
        return [tensor for part in value.values() for tensor in tensors(part)]
    return [value]


def assert_equal(left: Batch, right: Batch) -> None:
    for a, b in zip(tensors(vars(left)), tensors(vars(right)), strict=True):
        assert (a is b is None) or torch.equal(a, b)


@settings(max_examples=40)
@given(texts, st.booleans(), st.data())
def test_a_batch_is_what_plain_python_puts_together(
    text: Text, documents: bool, data: st.DataObject
) -> None:
    corpus, vocabulary = half_known(text)
    if not documents:
        corpus = replace(corpus, documents=np.full_like(corpus.documents, -1))
    some = st.lists(st.integers(0, len(text) - 1), min_size=1, max_size=6)
    chosen = data.draw(some)
    batch = Batcher(corpus, vocabulary, with_tags=True).collate(np.array(chosen))

    tokens = [corpus.sentence_tokens(i) for i in chosen]
    longest = max(map(len, tokens))
    padding = [[0] * (longest - len(part)) for part in tokens]
    tags = [[vocabulary.tags.index(t) for t in corpus.sentence_tags(i)] for i in chosen]
    assert batch.tags is not None
    assert batch.tags.tolist() == [a + b for a, b in zip(tags, padding, strict=True)]
    assert batch.lengths.tolist() == [len(part) for part in tokens]
    assert batch.sentence_ids.tolist() == chosen
    if documents:
        assert batch.document_ids is not None
        assert batch.document_ids.tolist() == [i // 2 for i in chosen]
    else:
        assert batch.document_ids is None

    distinct = [corpus.lexicon[i] for i in batch.distinct.tolist()]
    assert len(distinct) == len(set(distinct))
    assert set(distinct) == {token for part in tokens for token in part}
    for row, part in enumerate(tokens):
        index = batch.token_index[row].tolist()
        assert [distinct[i] for i in index[: len(part)]] == part
        assert not any(index[len(part) :])
    words, spelled = (indexer.index(distinct) for indexer in vocabulary.indexers.values())
    assert batch.features["words"]["words"].tolist() == list(words.arrays["words"])
    rows = spelled.arrays["characters"]
    assert isinstance(rows, Ragged)
    width = np.diff(rows.offsets).max()
    assert batch.features["characters"]["characters"].tolist() == [
        ids.tolist() + [0] * (width - len(ids)) for ids in np.split(rows.values, rows.offsets[1:-1])
    ]
    assert all(t.dtype == torch.int64 for t in tensors(vars(batch)) if t is not None)


def test_arrays_become_tensors_of_any_shape_and_type() -> None:
    arrays: dict[str, np.ndarray | Ragged] = {
        "flags": np.array([True, False, True]),
        "rows": np.arange(6, dtype=np.uint8).reshape(3, 2),
        "weights": np.array([0.5, 1.0, 2.0], dtype=np.float32),
        "pieces": Ragged(np.array([7.0, 8.0, 9.0]), np.array([0, 0, 1, 3])),
    }
    found = collate(Indexed(arrays), np.array([2, 0]))
    assert {name: tensor.dtype for name, tensor in found.items()} == {
        **{"flags": torch.bool, "rows": torch.int64, "weights": torch.float32},
        "pieces": torch.float64,
    }
    assert found["flags"].tolist() == [True, True]
    assert found["rows"].tolist() == [[4, 5], [0, 1]]
    assert found["weights"].tolist() == [2.0, 0.5]
    assert found["pieces"].tolist() == [[8.0, 9.0], [0.0, 0.0]]
    assert collate(Indexed(arrays), np.array([0]))["pieces"].tolist() == [[0.0]]


@settings(max_examples=50)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(1, 300))
def test_an_epoch_holds_every_sentence_once_in_groups_of_the_size_asked_for(
    lengths: list[int], batch_tokens: int
) -> None:
    corpus = corpus_of_lengths(lengths)
    batcher = Batcher(corpus, vocabulary_of(corpus), with_tags=False)
    groups = batcher.shuffled_groups(batch_tokens, np.random.default_rng(0))
    assert sorted(i for group in groups for i in group.tolist()) == list(range(len(lengths)))
    for group in groups:
        padded = len(group) * max(lengths[i] for i in group)
        assert padded <= batch_tokens or len(group) == 1


def test_no_two_groups_in_a_row_would_fit_into_one_batch() -> None:
    corpus = corpus_of_lengths([3, 3, 3, 3, 3, 5, 2])
    batcher = Batcher(corpus, vocabulary_of(corpus), with_tags=False)
    found = [group.tolist() for group in batcher.sorted_groups(9)]
    assert found == [[6, 0, 1], [2, 3, 4], [5]]


def test_similar_lengths_come_together_in_a_random_order() -> None:
    lengths = np.array(mixed_lengths())
    corpus = corpus_of_lengths(lengths.tolist())
    batcher = Batcher(corpus, vocabulary_of(corpus), with_tags=False)
    groups = batcher.shuffled_groups(300, np.random.default_rng(1))
    longest = [int(lengths[group].max()) for group in groups]
    padded = sum(n * len(group) for n, group in zip(longest, groups, strict=True))
    assert padded < 1.15 * lengths.sum()
    assert all(n * len(group) <= 300 for n, group in zip(longest, groups, strict=True))
    assert longest != sorted(longest)
    assert longest != sorted(longest, reverse=True)


def test_epochs_differ_and_equal_seeds_give_equal_batches() -> None:
    corpus = corpus_of_lengths(mixed_lengths())
    batcher = Batcher(corpus, vocabulary_of(corpus), with_tags=True)
    generators = [np.random.default_rng(7) for _ in range(2)]
    epochs = [
        [
            [batcher.collate(group) for group in batcher.shuffled_groups(300, generator)]
            for generator in generators
        ]
        for _ in range(2)
    ]
    for left, right in epochs:
        assert len(left) == len(right)
        for a, b in zip(left, right, strict=True):
            assert_equal(a, b)
    companies = [{frozenset(b.sentence_ids.tolist()) for b in left} for left, _ in epochs]
    assert len(companies[0] & companies[1]) < len(companies[0]) / 2


@settings(max_examples=40)
@given(texts, st.integers(1, 40))
def test_sorted_groups_go_from_the_shortest_to_the_longest(text: Text, batch_tokens: int) -> None:
    corpus, vocabulary = half_known(text)
    batcher = Batcher(corpus, vocabulary, with_tags=True)
    groups = batcher.sorted_groups(batch_tokens)
    order = [i for group in groups for i in group.tolist()]
    assert order == sorted(range(len(text)), key=lambda i: len(text[i]))
    for batch in map(batcher.collate, groups):
        assert batch.token_index.numel() <= batch_tokens or len(batch.lengths) == 1


class Costly:
    """Every token costs as many positions as it says."""

    def fit(self, counts: Iterable[tuple[str, int]]) -> None: ...

    def files(self) -> dict[str, bytes]:
        return {}

    def load(self, files: Mapping[str, bytes]) -> None: ...

    def index(self, tokens: Sequence[str]) -> Indexed:
        return Indexed({}, np.array([int(token) for token in tokens]))


@settings(max_examples=50)
@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=6), min_size=1, max_size=12),
    st.integers(1, 40),
)
def test_batches_are_sized_by_what_their_tokens_cost(
    costs: list[list[int]], batch_tokens: int
) -> None:
    corpus = corpus_of([[(str(cost), "O") for cost in sentence] for sentence in costs])
    indexers = {**vocabulary_of(corpus).indexers, "costly": Costly()}
    batcher = Batcher(corpus, Vocabulary(("X",), indexers), with_tags=False)
    sizes = [sum(max(cost, 1) for cost in sentence) for sentence in costs]
    shuffled = batcher.shuffled_groups(batch_tokens, np.random.default_rng(0))
    for groups in (shuffled, batcher.sorted_groups(batch_tokens)):
        assert sorted(i for group in groups for i in group.tolist()) == list(range(len(costs)))
        for group in groups:
            padded = len(group) * max(sizes[i] for i in group)
            assert padded <= batch_tokens or len(group) == 1
    order = [i for group in batcher.sorted_groups(batch_tokens) for i in group.tolist()]
    assert order == sorted(range(len(costs)), key=lambda i: sizes[i])


def test_a_huge_token_is_embedded_by_itself() -> None:
    words = [*(f"w{i}" for i in range(300)), "x" * 5000]
    corpus = corpus_of([[(word, "O")] for word in words])
    vocabulary = Vocabulary(("X",), fit_on(corpus, max_word_length=10_000).indexers)
    batcher = Batcher(corpus, vocabulary, with_tags=False)
    groups = list(batcher.lexicon_groups(10))
    assert sorted(i for group in groups for i in group.tolist()) == list(range(301))
    assert [corpus.lexicon[i] for i in groups[-1]] == ["x" * 5000]
    sizes = [batcher.features(group)["characters"]["characters"].numel() for group in groups]
    assert max(sizes[:-1]) <= 50
    assert len(groups) < 30


def test_a_corpus_without_sentences_gives_no_batches() -> None:
    corpus = corpus_of([])
    batcher = Batcher(corpus, vocabulary_of(corpus), with_tags=True)
    assert batcher.sorted_groups(9) == []
    assert batcher.shuffled_groups(9, np.random.default_rng(0)) == []


def test_tags_are_there_only_where_they_are_asked_for() -> None:
    corpus = corpus_of([[("a", "B-X")]])
    vocabulary = vocabulary_of(corpus)
    assert Batcher(corpus, vocabulary, with_tags=False).collate(np.array([0])).tags is None
    tags = Batcher(corpus, vocabulary, with_tags=True).collate(np.array([0])).tags
    assert tags is not None
    assert tags.tolist() == [[vocabulary.tags.index("S-X")]]


def test_a_label_that_the_vocabulary_lacks_has_the_id_minus_one() -> None:
    corpus = corpus_of([[("a", "B-X"), ("b", "O")], [("a", "B-NEW")]])
    vocabulary = vocabulary_of(corpus_of([[("a", "B-X")]]))
    tags = Batcher(corpus, vocabulary, with_tags=True).collate(np.array([0, 1])).tags
    assert tags is not None
    assert tags.tolist() == [[vocabulary.tags.index("S-X"), 0], [-1, 0]]


def test_a_batch_on_the_cpu_stays_what_it_is() -> None:
    corpus = corpus_of([[("a", "B-X"), ("b", "O")], [("c", "O")]])
    batch = Batcher(corpus, vocabulary_of(corpus), with_tags=True).collate(np.array([0, 1]))
    moved = batch.to(torch.device("cpu"))
    assert_equal(moved, batch)
    assert moved.token_index.device.type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("with_tags", [True, False])
def test_a_batch_moves_to_a_gpu_as_a_whole(with_tags: bool) -> None:
    corpus = corpus_of([[("a", "B-X"), ("b", "O")], [("c", "O")]])
    batch = Batcher(corpus, vocabulary_of(corpus), with_tags=with_tags).collate(np.array([0, 1]))
    moved = batch.to(torch.device("cuda"))
    for a, b in zip(tensors(vars(moved)), tensors(vars(batch)), strict=True):
        assert (a is b is None) or (a.is_cuda and torch.equal(a.cpu(), b))
