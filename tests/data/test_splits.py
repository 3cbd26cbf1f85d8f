"""One file cut into splits: each sentence falls into one of them, always the same."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerlab.data.load import SPLITS
from nerlab.data.sentence import Sentence
from nerlab.data.splits import Selection, select

tokens = st.lists(st.text(max_size=3), min_size=1, max_size=4)


def sentences_of(texts: list[list[str]]) -> list[Sentence]:
    return [Sentence(words, ["O"] * len(words), line=i) for i, words in enumerate(texts)]


@given(st.lists(tokens, max_size=30))
def test_every_sentence_falls_into_one_split_and_equal_ones_into_the_same(
    texts: list[list[str]],
) -> None:
    sentences = sentences_of(texts + texts)
    parts = {
        name: list(select(iter(sentences), Selection("hash", 1, name, True))) for name in SPLITS
    }
    assert sorted(s.line for part in parts.values() for s in part) == list(range(len(sentences)))
    sides = [{tuple(s.tokens) for s in part} for part in parts.values()]
    assert sum(map(len, sides)) == len(set().union(*sides))


@given(st.lists(st.tuples(tokens, st.booleans()), max_size=30), st.integers(0, 9))
def test_a_document_stays_together_and_equal_ones_fall_into_the_same_split(
    texts: list[tuple[list[str], bool]], seed: int
) -> None:
    documents: list[list[list[str]]] = []
    for words, begins in texts:
        documents += [[]] if begins or not documents else []
        documents[-1].append(words)
    sentences = [
        Sentence(words, ["O"] * len(words), number, line)
        for number, document in enumerate(documents * 2)
        for line, words in enumerate(document)
    ]
    parts = {
        name: list(select(iter(sentences), Selection("hash", seed, name, True))) for name in SPLITS
    }
    sides: dict[str, set[str]] = {}
    for name, part in parts.items():
        for number, group in groupby(part, key=lambda sentence: sentence.document):
            assert number is not None
            found = [list(sentence.tokens) for sentence in group]
            assert found == (documents * 2)[number]
            sides.setdefault(repr([token for words in found for token in words]), set()).add(name)
    assert all(len(names) == 1 for names in sides.values())
    assert sum(map(len, parts.values())) == len(sentences)


def test_a_document_of_one_sentence_falls_where_the_sentence_does() -> None:
    sentences = sentences_of([[str(i)] for i in range(200)])
    documents = [s._replace(document=i) for i, s in enumerate(sentences)]
    for name in SPLITS:
        lines = [
            [s.line for s in select(iter(of), Selection("hash", 1, name, True))]
            for of in (sentences, documents)
        ]
        assert lines[0] == lines[1]


def test_one_document_is_in_memory_at_a_time() -> None:
    read = []

    def reader() -> Iterator[Sentence]:
        for i in range(100):
            read.append(i)
            yield Sentence([str(i // 2)], ["O"], i // 2, line=i)

    for sentence in select(reader(), Selection("hash", 1, "train", True)):
        assert len(read) <= 2 * (sentence.line // 2) + 3


def test_a_tenth_each_is_dev_and_test() -> None:
    sentences = sentences_of([[str(i)] for i in range(20_000)])
    sizes = Counter(
        {
            name: len(list(select(iter(sentences), Selection("hash", 1, name, True))))
            for name in SPLITS
        }
    )
    assert 1_850 < sizes["dev"] < 2_150
    assert 1_850 < sizes["test"] < 2_150


def test_the_split_of_a_sentence_never_changes() -> None:
    sentences = sentences_of([["Rome"], ["Paris", "."], ["a"], ["b"], ["c"], ["d"], ["e"], ["f"]])
    found = {
        name: [s.line for s in select(iter(sentences), Selection("hash", 1, name, True))]
        for name in SPLITS
    }
    assert found == {"train": [1, 2, 3, 4, 5, 6, 7], "dev": [], "test": [0]}


def test_what_would_be_test_is_train_where_test_has_a_file_of_its_own() -> None:
    sentences = sentences_of([[str(i)] for i in range(1_000)])
    with_test, without = (
        {
            name: [s.line for s in select(iter(sentences), Selection("hash", 1, name, cuts))]
            for name in SPLITS
        }
        for cuts in (True, False)
    )
    assert without["dev"] == with_test["dev"]
    assert without["train"] == sorted(with_test["train"] + with_test["test"])
    assert without["test"] == []


def test_another_seed_is_another_split() -> None:
    sentences = sentences_of([[str(i)] for i in range(1_000)])
    tests = [
        {s.line for s in select(iter(sentences), Selection("hash", seed, "test", True))}
        for seed in (1, 2)
    ]
    assert len(tests[0] & tests[1]) < 40  # ten by chance


@pytest.mark.parametrize("size", [0, 3, 47_960])
def test_the_split_of_blawok_is_that_of_one_corpus(size: int) -> None:
    with pytest.raises(ValueError, match=f"expected the 47959 sentences .* found {size};"):
        list(select(iter(sentences_of([["a"]] * size)), Selection("blawok", 1, "dev", True)))
