"""Vocabularies, held against counting by hand, and their file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerlab.data.build import build_corpus
from nerlab.data.sentence import Sentence
from nerlab.data.vocabulary import PADDING, UNKNOWN, Vocabulary, build_vocabulary, normalise

tokens = st.text(alphabet="aAbBİßé1٣²\u0301中 ", min_size=1, max_size=4) | st.text(
    min_size=1, max_size=4
)
texts = st.lists(tokens, max_size=30)


def vocabulary_of(text: list[str], **options: Any) -> Vocabulary:
    """The vocabulary of a text, counted as in a corpus of one token a sentence."""
    corpus = build_corpus([Sentence([t], ["O"]) for t in text], "iob2", False, "text")
    defaults: dict[str, Any] = {
        "labels": ["PER"],
        "lowercase": False,
        "fold_digits": False,
        "turkic_i": False,
        "min_count": 1,
        "max_word_length": 64,
    }
    return build_vocabulary(corpus.token_counts(), **(defaults | options))


def character_ids(vocabulary: Vocabulary, text: str) -> list[int]:
    return vocabulary.character_ids(np.array([ord(c) for c in text], dtype=np.uint32)).tolist()


def form(token: str, lowercase: bool, fold_digits: bool) -> str:
    token = token.lower() if lowercase else token
    return "".join("0" if c.isdecimal() and fold_digits else c for c in token)


@given(texts, st.booleans(), st.booleans(), st.integers(1, 3))
def test_words_are_those_counted_by_hand(
    text: list[str], lowercase: bool, fold_digits: bool, min_count: int
) -> None:
    vocabulary = vocabulary_of(
        text, lowercase=lowercase, fold_digits=fold_digits, min_count=min_count
    )
    forms = [form(token, lowercase, fold_digits) for token in text]
    known = {word for word in forms if forms.count(word) >= min_count}
    assert sorted(vocabulary.words) == sorted(known)
    counts = [forms.count(word) for word in vocabulary.words]
    assert counts == sorted(counts, reverse=True)
    first = vocabulary.first_singleton
    ids = vocabulary.word_ids(text).tolist()
    for word, i in zip(forms, ids, strict=True):
        assert i == (vocabulary.words.index(word) + 2 if word in known else UNKNOWN)
        assert (i >= first) == (word in known and forms.count(word) == 1)
    assert all(i < vocabulary.num_words for i in ids)


@given(texts, st.integers(1, 4))
def test_characters_are_those_in_two_distinct_tokens(text: list[str], longest: int) -> None:
    vocabulary = vocabulary_of(text, lowercase=True, max_word_length=longest)
    seen = [set(token[:longest]) for token in set(text)]
    for token in text:
        expected = [sum(c in s for s in seen) > 1 for c in token[:longest]]
        ids = character_ids(vocabulary, token[:longest])
        assert [i != UNKNOWN for i in ids] == expected
        assert PADDING not in ids
        known = [c for c, is_known in zip(token, expected, strict=False) if is_known]
        assert [vocabulary.characters[i - 2] for i in ids if i != UNKNOWN] == known
        assert all(i < vocabulary.num_characters for i in ids)


def test_the_same_counts_give_the_same_ids_whatever_their_order() -> None:
    text = ["b", "a", "c", "a", "ab", "bc"]
    assert vocabulary_of(text) == vocabulary_of(text[::-1])
    assert vocabulary_of(text).words == ("a", "ab", "b", "bc", "c")


def test_what_the_training_text_lacks_is_unknown() -> None:
    vocabulary = vocabulary_of(["ab", "ba", "Bc"])
    assert vocabulary.word_ids(["ab", "x", "AB", ""]).tolist() == [2 + 1, 1, 1, 1]
    a, b = character_ids(vocabulary, "ab")
    assert character_ids(vocabulary, "axbcB") == [a, UNKNOWN, b, UNKNOWN, UNKNOWN]
    assert {a, b} == {2, 3}


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
        vocabulary = vocabulary_of(["bakı", "istanbul"], lowercase=True, turkic_i=turkic)
        assert (UNKNOWN not in vocabulary.word_ids(["BAKI", "İSTANBUL"]).tolist()) == known


def test_characters_keep_their_case_and_digits() -> None:
    vocabulary = vocabulary_of(["A1", "A2", "a1", "a2"], lowercase=True, fold_digits=True)
    assert vocabulary.characters == ("1", "2", "A", "a")
    assert vocabulary.words == ("a0",)


def test_tags_are_o_and_the_sorted_labels_in_iobes() -> None:
    vocabulary = vocabulary_of(["a"], labels={"Y", "X.Z"})
    assert vocabulary.labels == ("X.Z", "Y")
    assert vocabulary.tags == ["O", "B-X.Z", "I-X.Z", "E-X.Z", "S-X.Z", "B-Y", "I-Y", "E-Y", "S-Y"]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that every example writes anew."""
    return tmp_path_factory.mktemp("vocabulary") / "vocab.json"


@given(texts, st.booleans(), st.integers(1, 9))
def test_a_vocabulary_comes_back_from_its_file(
    scratch: Path, text: list[str], flag: bool, number: int
) -> None:
    odd = [*text, "\u2028", "\x85", "\r", "\x00", '"', "\\", "\ufeff", "\U0001f600"]
    vocabulary = vocabulary_of(
        odd * 2 + [c + "x" for c in odd], lowercase=flag, max_word_length=number, labels=odd
    )
    for ascii_only in (False, True):
        written = json.dumps(vocabulary.to_json(), ensure_ascii=ascii_only)
        scratch.write_text(written, encoding="utf-8")
        again = Vocabulary.from_json(scratch)
        assert again == vocabulary
        assert again.word_ids(odd).tolist() == vocabulary.word_ids(odd).tolist()
        assert character_ids(again, "ax") == character_ids(vocabulary, "ax")


def test_a_file_of_before_the_turkic_i_is_read_without_it(scratch: Path) -> None:
    vocabulary = vocabulary_of(["a", "b"])
    data = vocabulary.to_json()
    del data["turkic_i"]
    scratch.write_text(json.dumps(data), encoding="utf-8")
    assert Vocabulary.from_json(scratch) == vocabulary


def test_a_lone_surrogate_comes_back_from_the_file_of_a_checkpoint(scratch: Path) -> None:
    vocabulary = vocabulary_of(["\ud800", "a\ud800"])
    written = json.dumps(vocabulary.to_json(), ensure_ascii=False, indent=0)
    scratch.write_text(written, encoding="utf-8", errors="surrogatepass")  # as save_checkpoint
    assert Vocabulary.from_json(scratch) == vocabulary


@pytest.mark.parametrize(
    "key",
    ["words", "characters", "labels", "singletons", "lowercase", "fold_digits", "max_word_length"],
)
def test_a_file_that_lacks_a_key_is_refused_and_the_key_named(tmp_path: Path, key: str) -> None:
    data = vocabulary_of(["a", "b"]).to_json()
    del data[key]
    path = tmp_path / "vocab.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=rf"vocab\.json: no vocabulary of nerlab: lacks '{key}'"):
        Vocabulary.from_json(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'"words"', b"\xff\xfe{}", b'{"words": null}', b'{"words": 3}'],
)
def test_a_broken_file_is_refused_and_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vocab.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"vocab\.json: no vocabulary of nerlab"):
        Vocabulary.from_json(path)
