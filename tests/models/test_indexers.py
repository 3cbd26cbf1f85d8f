"""Words and characters that indexers know, held against counting by hand, and their files."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerlab.data.build import build_corpus
from nerlab.data.sentence import Sentence
from nerlab.data.vocabulary import PADDING, UNKNOWN, Ragged, Vocabulary, from_json, to_json
from nerlab.models.characters import CharacterIndexer
from nerlab.models.words import WordIndexer, normalise

tokens = st.text(alphabet="aAbBİßé1٣²\u0301中 ", min_size=1, max_size=4) | st.text(
    min_size=1, max_size=4
)
texts = st.lists(tokens, max_size=30)


def words_of(text: list[str], **options: Any) -> WordIndexer:
    """The words of a text, counted as in a corpus of one token a sentence."""
    defaults: dict[str, Any] = {"lowercase": False, "fold_digits": False, "turkic_i": False}
    indexer = WordIndexer(**(defaults | {"min_count": 1, "vectors": None} | options))
    indexer.fit(counts_of(text))
    return indexer


def characters_of(text: list[str], max_word_length: int = 64) -> CharacterIndexer:
    indexer = CharacterIndexer(max_word_length)
    indexer.fit(counts_of(text))
    return indexer


def counts_of(text: list[str]) -> list[tuple[str, int]]:
    corpus = build_corpus([Sentence([t], ["O"]) for t in text], "iob2", False, "text")
    return list(corpus.token_counts())


def word_ids(indexer: WordIndexer, text: list[str]) -> list[int]:
    ids = indexer.index(text).arrays["words"]
    assert isinstance(ids, np.ndarray)
    return ids.tolist()


def character_ids(indexer: CharacterIndexer, text: list[str]) -> list[list[int]]:
    """The ids of the characters of each token."""
    rows = indexer.index(text).arrays["characters"]
    assert isinstance(rows, Ragged)
    assert len(rows.offsets) == len(text) + 1
    return [ids.tolist() for ids in np.split(rows.values, rows.offsets[1:-1])] if text else []


def form(token: str, lowercase: bool, fold_digits: bool) -> str:
    token = token.lower() if lowercase else token
    return "".join("0" if c.isdecimal() and fold_digits else c for c in token)


@given(texts, st.booleans(), st.booleans(), st.integers(1, 3))
def test_words_are_those_counted_by_hand(
    text: list[str], lowercase: bool, fold_digits: bool, min_count: int
) -> None:
    indexer = words_of(text, lowercase=lowercase, fold_digits=fold_digits, min_count=min_count)
    forms = [form(token, lowercase, fold_digits) for token in text]
    known = {word for word in forms if forms.count(word) >= min_count}
    assert sorted(indexer.words) == sorted(known)
    counts = [forms.count(word) for word in indexer.words]
    assert counts == sorted(counts, reverse=True)
    first_singleton = indexer.num_words - indexer.singletons
    ids = word_ids(indexer, text)
    for word, i in zip(forms, ids, strict=True):
        assert i == (list(indexer.words).index(word) + 2 if word in known else UNKNOWN)
        assert (i >= first_singleton) == (word in known and forms.count(word) == 1)
    assert all(i < indexer.num_words for i in ids)


@given(texts.map(lambda text: [*text, ""]), st.integers(1, 4))
def test_characters_are_those_in_two_distinct_tokens(text: list[str], longest: int) -> None:
    indexer = characters_of(text, longest)
    seen = [set(token[:longest]) for token in set(text)]
    for token, ids in zip(text, character_ids(indexer, text), strict=True):
        expected = [sum(c in s for s in seen) > 1 for c in token[:longest]]
        assert [i != UNKNOWN for i in ids] == (expected or [False])  # the empty token
        assert PADDING not in ids
        known = [c for c, is_known in zip(token, expected, strict=False) if is_known]
        assert [indexer.characters[i - 2] for i in ids if i != UNKNOWN] == known
        assert all(i < indexer.num_characters for i in ids)


def test_the_same_counts_give_the_same_ids_whatever_their_order() -> None:
    text = ["b", "a", "c", "a", "ab", "bc"]
    assert words_of(text).files() == words_of(text[::-1]).files()
    assert list(words_of(text).words) == ["a", "ab", "b", "bc", "c"]


def test_what_the_training_text_lacks_is_unknown() -> None:
    text = ["ab", "ba", "Bc"]
    assert word_ids(words_of(text), ["ab", "x", "AB", ""]) == [2 + 1, 1, 1, 1]
    found = character_ids(characters_of(text), ["ab", "axbcB"])
    assert found == [[2, 3], [2, UNKNOWN, 3, UNKNOWN, UNKNOWN]]


@pytest.mark.parametrize(
    ("token", "lowercase", "fold_digits", "turkic_i", "expected"),
    [
        ("The-1990S", True, True, False, "the-0000s"),
        ("The-1990S", True, False, False, "the-1990s"),
        ("The-1990S", False, True, False, "The-0000S"),
        ("The-1990S", False, False, False, "The-1990S"),
        ("\u0664\u0662५²", False, True, False, "000²"),
        ("İ", True, False, False, "i\u0307"),
        ("İRAN", True, False, True, "iran"),
        ("I\u0307RAN", True, False, True, "iran"),  # the dot written by itself
        ("QIZIL-2", True, True, True, "qızıl-0"),
        ("İI", False, False, True, "İI"),
    ],
)
def test_normal_forms(
    token: str, lowercase: bool, fold_digits: bool, turkic_i: bool, expected: str
) -> None:
    assert normalise(token, lowercase, fold_digits, turkic_i) == expected


@given(st.text(alphabet="abcıiəğşıçöü", max_size=8))
def test_turkic_capitals_come_back_in_lower_case(word: str) -> None:
    capitals = word.replace("i", "İ").upper()
    assert normalise(capitals, lowercase=True, fold_digits=False, turkic_i=True) == word


def test_a_turkic_vocabulary_finds_a_headline_word_where_the_usual_one_does_not() -> None:
    for turkic, known in ((True, True), (False, False)):
        indexer = words_of(["bakı", "istanbul"], lowercase=True, turkic_i=turkic)
        assert (UNKNOWN not in word_ids(indexer, ["BAKI", "İSTANBUL"])) == known


def test_characters_keep_their_case_and_digits() -> None:
    text = ["A1", "A2", "a1", "a2"]
    assert characters_of(text).characters == ("1", "2", "A", "a")
    assert list(words_of(text, lowercase=True, fold_digits=True).words) == ["a0"]


def test_tags_are_o_and_the_labels_in_iobes() -> None:
    vocabulary = Vocabulary(("X.Z", "Y"), {})
    assert vocabulary.tags == ["O", "B-X.Z", "I-X.Z", "E-X.Z", "S-X.Z", "B-Y", "I-Y", "E-Y", "S-Y"]


@given(texts, st.booleans(), st.integers(1, 9))
def test_what_was_fitted_comes_back_from_its_files(
    text: list[str], flag: bool, number: int
) -> None:
    odd = ["\u2028", "\x85", "\r", "\x00", '"', "\\", "\ufeff", "\U0001f600", "\ud800", *text]
    train = odd * 2 + [c + "x" for c in odd]
    words, characters = words_of(train, lowercase=flag), characters_of(train, number)
    loaded = words_of([], lowercase=flag), characters_of([], number)
    loaded[0].load(words.files())
    loaded[1].load(characters.files())
    assert loaded[0].files() == words.files()
    assert loaded[1].files() == characters.files()
    assert word_ids(loaded[0], odd) == word_ids(words, odd)
    assert loaded[0].singletons == words.singletons
    assert character_ids(loaded[1], odd) == character_ids(characters, odd)


@pytest.mark.parametrize(
    "value",
    [
        *({}, [], None, "words", 3, {"words": None, "singletons": 0}, {"words": ["a"]}),
        *({"words": [1], "singletons": 0}, {"words": ["a"], "singletons": 2}),
        *({"words": ["a"], "singletons": -1}, {"words": ["a"], "singletons": True}),
        *({"words": ["a"], "singletons": 10**30}, {"words": ["a", "a"], "singletons": 0}),
    ],
)
def test_a_file_of_other_than_words_is_refused(value: object) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        words_of([]).load({"words.json": to_json(value)})


@pytest.mark.parametrize("value", [{}, None, "ab", ["ab"], [1], [""], 3])
def test_a_file_of_other_than_characters_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected a list of characters"):
        characters_of([]).load({"characters.json": to_json(value)})


def test_the_files_of_a_vocabulary_have_the_names_of_their_embedders() -> None:
    class Named(WordIndexer):
        def files(self) -> dict[str, bytes]:
            return {name: b""}

    name = "list.txt"
    vocabulary = Vocabulary(("B", "A"), {"mine": Named(False, False, False, 1, None)})
    assert vocabulary.files() == {"labels.json": to_json(["B", "A"]), "indexer.mine.list.txt": b""}
    assert from_json(vocabulary.files()["labels.json"]) == ["B", "A"]
    for name in ("", "../x", "a/b", "a\0"):  # noqa: B007 - files() gives it
        with pytest.raises(ValueError, match="no name for a file"):
            vocabulary.files()
