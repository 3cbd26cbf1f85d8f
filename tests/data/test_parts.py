"""One file cut into splits: each sentence falls into one of them, always the same."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerlab.data.load import SPLITS
from nerlab.data.parts import cut
from nerlab.data.sentence import Sentence

tokens = st.lists(st.text(max_size=3), min_size=1, max_size=4)


def sentences_of(texts: list[list[str]]) -> list[Sentence]:
    return [Sentence(words, ["O"] * len(words), line=i) for i, words in enumerate(texts)]


@given(st.lists(tokens, max_size=30))
def test_every_sentence_falls_into_one_split_and_equal_ones_into_the_same(
    texts: list[list[str]],
) -> None:
    sentences = sentences_of(texts + texts)
    parts = {name: list(cut(iter(sentences), "hash", 1, name, True)) for name in SPLITS}
    assert sorted(s.line for part in parts.values() for s in part) == list(range(len(sentences)))
    sides = [{tuple(s.tokens) for s in part} for part in parts.values()]
    assert sum(map(len, sides)) == len(set().union(*sides))


def test_a_tenth_each_is_dev_and_test() -> None:
    sentences = sentences_of([[str(i)] for i in range(20_000)])
    sizes = Counter(
        {name: len(list(cut(iter(sentences), "hash", 1, name, True))) for name in SPLITS}
    )
    assert 1_850 < sizes["dev"] < 2_150
    assert 1_850 < sizes["test"] < 2_150


def test_the_split_of_a_sentence_never_changes() -> None:
    sentences = sentences_of([["Rome"], ["Paris", "."], ["a"], ["b"], ["c"], ["d"], ["e"], ["f"]])
    found = {name: [s.line for s in cut(iter(sentences), "hash", 1, name, True)] for name in SPLITS}
    assert found == {"train": [1, 2, 3, 4, 5, 6, 7], "dev": [], "test": [0]}


def test_what_would_be_test_is_train_where_test_has_a_file_of_its_own() -> None:
    sentences = sentences_of([[str(i)] for i in range(1_000)])
    with_test, without = (
        {name: [s.line for s in cut(iter(sentences), "hash", 1, name, cuts)] for name in SPLITS}
        for cuts in (True, False)
    )
    assert without["dev"] == with_test["dev"]
    assert without["train"] == sorted(with_test["train"] + with_test["test"])
    assert without["test"] == []


def test_another_seed_is_another_split() -> None:
    sentences = sentences_of([[str(i)] for i in range(1_000)])
    tests = [{s.line for s in cut(iter(sentences), "hash", seed, "test", True)} for seed in (1, 2)]
    assert len(tests[0] & tests[1]) < 40  # ten by chance


@pytest.mark.parametrize("size", [0, 3, 47_960])
def test_the_split_of_blawok_is_that_of_one_corpus(size: int) -> None:
    with pytest.raises(ValueError, match=f"expected the 47959 sentences .* found {size};"):
        list(cut(iter(sentences_of([["a"]] * size)), "blawok", 1, "dev", True))
