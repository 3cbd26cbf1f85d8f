"""Batches, held against putting them together in plain Python."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nerlab.data.batch import Batch, Batcher
from nerlab.data.build import build_corpus
from nerlab.data.corpus import Corpus
from nerlab.data.sentence import Sentence
from nerlab.data.vocabulary import UNKNOWN, Vocabulary, build_vocabulary

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


def vocabulary_of(corpus: Corpus, max_word_length: int = 4) -> Vocabulary:
    counts = corpus.token_counts()
    return build_vocabulary(counts, ["X", "Y"], True, False, False, 1, max_word_length)


def half_known(text: Text) -> tuple[Corpus, Vocabulary]:
    """The corpus of a text and the vocabulary of its first half."""
    return corpus_of(text), vocabulary_of(corpus_of(text[: (len(text) + 1) // 2]))


def mixed_lengths() -> list[int]:
    return np.random.default_rng(0).geometric(0.07, 400).clip(max=60).tolist()


def assert_equal(left: Batch, right: Batch) -> None:
    for name in Batch.__dataclass_fields__:
        a, b = getattr(left, name), getattr(right, name)
        assert (a is b is None) or torch.equal(a, b), name


@settings(max_examples=40)
@given(texts, st.data())
def test_a_batch_is_what_plain_python_puts_together(text: Text, data: st.DataObject) -> None:
    corpus, vocabulary = half_known(text)
    some = st.lists(st.integers(0, len(text) - 1), min_size=1, max_size=6)
    chosen = data.draw(some)
    batch = Batcher(corpus, vocabulary, with_tags=True).collate(np.array(chosen))

    tokens = [corpus.sentence_tokens(i) for i in chosen]
    longest = max(map(len, tokens))
    padding = [[0] * (longest - len(part)) for part in tokens]
    words = [vocabulary.word_ids(part).tolist() for part in tokens]
    tags = [[vocabulary.tags.index(t) for t in corpus.sentence_tags(i)] for i in chosen]
    assert batch.words.tolist() == [a + b for a, b in zip(words, padding, strict=True)]
    assert batch.tags is not None
    assert batch.tags.tolist() == [a + b for a, b in zip(tags, padding, strict=True)]
    assert batch.lengths.tolist() == [len(part) for part in tokens]
    assert batch.sentence_ids.tolist() == chosen
    assert batch.document_ids.tolist() == [i // 2 for i in chosen]

    distinct = {token for part in tokens for token in part}
    known = {character: i for i, character in enumerate(vocabulary.characters, start=2)}
    spelled = {t: [known.get(c, UNKNOWN) for c in t[:4]] or [UNKNOWN] for t in distinct}
    width = max(map(len, spelled.values()))
    assert batch.characters.shape == (len(distinct), width)
    for row, part in enumerate(tokens):
        for column in range(longest):
            index = int(batch.character_index[row, column])
            if column >= len(part):
                assert index == 0
                continue
            ids = spelled[part[column]]
            assert batch.characters[index].tolist() == ids + [0] * (width - len(ids))
    assert all(getattr(batch, f).dtype == torch.int64 for f in Batch.__dataclass_fields__)


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
    found = [batch.sentence_ids.tolist() for batch in batcher.sorted_batches(9)]
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
            [
                batcher.training_batch(group, 0.5, generator)
                for group in batcher.shuffled_groups(300, generator)
            ]
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
def test_sorted_batches_go_from_the_shortest_to_the_longest(text: Text, batch_tokens: int) -> None:
    corpus, vocabulary = half_known(text)
    batches = list(Batcher(corpus, vocabulary, with_tags=True).sorted_batches(batch_tokens))
    order = [i for batch in batches for i in batch.sentence_ids.tolist()]
    assert order == sorted(range(len(text)), key=lambda i: len(text[i]))
    for batch in batches:
        assert batch.words.numel() <= batch_tokens or len(batch.lengths) == 1


def test_a_corpus_without_sentences_gives_no_batches() -> None:
    corpus = corpus_of([])
    batcher = Batcher(corpus, vocabulary_of(corpus), with_tags=True)
    assert list(batcher.sorted_batches(9)) == []
    assert batcher.shuffled_groups(9, np.random.default_rng(0)) == []


@settings(max_examples=40)
@given(texts, st.sampled_from([0.0, 1.0]))
def test_rare_word_dropout_of_all_or_nothing_touches_singletons_alone(
    text: Text, rate: float
) -> None:
    corpus = corpus_of(text)
    vocabulary = vocabulary_of(corpus)
    batcher = Batcher(corpus, vocabulary, with_tags=True)
    everything = np.arange(len(text))
    batch = batcher.training_batch(everything, rate, np.random.default_rng(0))
    lowered = [token.lower() for part in text for token, _ in part]
    for row, part in enumerate(text):
        ids = vocabulary.word_ids([token for token, _ in part]).tolist()
        dropped = [rate == 1.0 and lowered.count(token.lower()) == 1 for token, _ in part]
        expected = [UNKNOWN if drop else i for i, drop in zip(ids, dropped, strict=True)]
        assert batch.words[row, : len(part)].tolist() == expected
        assert not batch.words[row, len(part) :].any()
    plain = batcher.collate(everything)
    assert torch.equal(batch.characters, plain.characters)
    assert torch.equal(batch.character_index, plain.character_index)


def test_rare_word_dropout_drops_the_share_asked_for() -> None:
    corpus = corpus_of_lengths([100] * 100)
    batcher = Batcher(corpus, vocabulary_of(corpus), with_tags=False)
    batch = batcher.training_batch(np.arange(100), 0.3, np.random.default_rng(0))
    share = (batch.words == UNKNOWN).double().mean().item()
    assert share == pytest.approx(0.3, abs=0.03)  # more than six standard deviations


def test_tags_are_there_only_where_they_are_asked_for() -> None:
    corpus = corpus_of([[("a", "B-X")]])
    vocabulary = vocabulary_of(corpus)
    assert Batcher(corpus, vocabulary, with_tags=False).collate(np.array([0])).tags is None
    tags = Batcher(corpus, vocabulary, with_tags=True).collate(np.array([0])).tags
    assert tags is not None
    assert tags.tolist() == [[vocabulary.tags.index("S-X")]]


def test_a_label_that_the_vocabulary_lacks_is_named() -> None:
    corpus = corpus_of([[("a", "B-X")], [("a", "B-NEW")]])
    vocabulary = vocabulary_of(corpus)
    with pytest.raises(
        ValueError, match="label 'NEW' is unknown to the vocabulary, which knows X, Y"
    ):
        Batcher(corpus, vocabulary, with_tags=True)
    Batcher(corpus, vocabulary, with_tags=False)


def test_a_batch_on_the_cpu_stays_what_it_is() -> None:
    corpus = corpus_of([[("a", "B-X"), ("b", "O")], [("c", "O")]])
    batch = Batcher(corpus, vocabulary_of(corpus), with_tags=True).collate(np.array([0, 1]))
    moved = batch.to(torch.device("cpu"))
    assert_equal(moved, batch)
    assert moved.words.device.type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("with_tags", [True, False])
def test_a_batch_moves_to_a_gpu_as_a_whole(with_tags: bool) -> None:
    corpus = corpus_of([[("a", "B-X"), ("b", "O")], [("c", "O")]])
    batch = Batcher(corpus, vocabulary_of(corpus), with_tags=with_tags).collate(np.array([0, 1]))
    moved = batch.to(torch.device("cuda"))
    for name in Batch.__dataclass_fields__:
        a, b = getattr(moved, name), getattr(batch, name)
        assert (a is b is None) or (a.is_cuda and torch.equal(a.cpu(), b)), name
