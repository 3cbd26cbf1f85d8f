"""Word vectors from text files, held against a reading of the file word by word."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerlab.data.vectors import WordVectors, read_vectors
from nerlab.models.words import normalise

WORDS = ("the", "The", "THE", "1990", "0000", "1991", "a", "A", "\x85", "\xa0", "中")


def read(path: Path, *words: str) -> WordVectors:
    """The vectors of words that are looked up as they stand."""
    return read_vectors(path, words, str)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that every example writes anew."""
    return tmp_path_factory.mktemp("vectors") / "vectors.txt"


@given(
    st.lists(st.sampled_from(WORDS), unique=True),
    st.lists(st.sampled_from(WORDS)),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_the_exact_form_serves_a_word_else_the_first_that_becomes_it(
    scratch: Path, known: list[str], listed: list[str], lowercase: bool, fold: bool, header: bool
) -> None:
    known = list(dict.fromkeys(normalise(word, lowercase, fold, False) for word in known))
    text = f"{len(listed)} 3\n" * header
    text += "".join(f"{word} {i} -{i}.5 1e-1\n" for i, word in enumerate(listed))
    scratch.write_text(text, encoding="utf-8")
    vectors = read_vectors(scratch, known, lambda word: normalise(word, lowercase, fold, False))

    forms = [normalise(word, lowercase, fold, False) for word in listed]
    lines = {}
    for i, word in enumerate(known):
        if word in listed:
            lines[i] = listed.index(word)
        elif word in forms:
            lines[i] = forms.index(word)
    assert (
        dict(zip(vectors.places.tolist(), vectors.values[:, :1].ravel().tolist(), strict=True))
        == lines
    )
    assert vectors.exact == sum(word in listed for word in known)
    expected = [[n, -n - 0.5, 0.1] for n in lines.values()]
    if lines:
        np.testing.assert_array_equal(vectors.values, np.array(expected, np.float32))


def test_a_file_that_has_no_known_word_gives_no_vectors(scratch: Path) -> None:
    scratch.write_text("a 1 2\n")
    vectors = read(scratch, "b")
    assert (vectors.places.shape, vectors.values.shape, vectors.exact) == ((0,), (0, 2), 0)
    assert vectors.values.dtype == np.float32


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfa 1 2\nb 3 4\n",
        b"a\t1\t2\nb\t3\t4\n",
        b"\xef\xbb\xbf2\t2\na\t1 2\t\r\nb\t3 4\n",
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_byte_order_mark_tabs_and_gzip_are_taken_as_they_come(
    tmp_path: Path, content: bytes, packed: bool
) -> None:
    path = tmp_path / ("vectors.txt.gz" if packed else "vectors.txt")
    path.write_bytes(gzip.compress(content) if packed else content)
    vectors = read(path, "a", "b")
    assert vectors.values.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("damage", [lambda c: c[:-9], lambda c: b"a 1 2", lambda c: c + b"x"])
def test_a_broken_gzip_file_of_vectors_is_named(tmp_path: Path, damage: Any) -> None:
    path = tmp_path / "vectors.gz"
    path.write_bytes(damage(gzip.compress(b"a 1 2\n" * 1000)))
    with pytest.raises(ValueError, match=r"vectors\.gz: .*; expected a whole gzip file"):
        read(path, "a")


def test_spaces_and_carriage_returns_at_the_end_of_a_line_are_no_numbers(scratch: Path) -> None:
    scratch.write_bytes(b"a 1 2 \r\nb 3 4")
    vectors = read(scratch, "a", "b")
    assert vectors.values.tolist() == [[1, 2], [3, 4]]


def test_a_number_in_the_first_line_is_a_word_where_its_vector_follows(scratch: Path) -> None:
    scratch.write_text("7 1 2\n8 3 4\n")
    vectors = read(scratch, "7", "8")
    assert vectors.values.tolist() == [[1, 2], [3, 4]]


def test_only_the_first_line_can_be_a_header(scratch: Path) -> None:
    scratch.write_text("2 1\n7 5\n")
    vectors = read(scratch, "2", "7")
    assert (vectors.places.tolist(), vectors.values.tolist()) == ([1], [[5]])


@pytest.mark.parametrize("numbers", ["1 2", "1 2 3 4"])
def test_vectors_of_two_widths_are_refused(scratch: Path, numbers: str) -> None:
    scratch.write_text(f"x 1 2 3\na {numbers}\n")
    message = (
        rf"vectors\.txt:2: expected 3 numbers as in the first line, found {len(numbers.split())}"
    )
    with pytest.raises(ValueError, match=message):
        read(scratch, "a")


@pytest.mark.parametrize("numbers", ["", " x 2", " 1  2", " 1,5 2"])
def test_a_line_of_other_than_numbers_is_refused(scratch: Path, numbers: str) -> None:
    scratch.write_text(f"x 1 2\na{numbers}\n")
    with pytest.raises(ValueError, match=r"vectors\.txt:2: expected a word and 2 numbers"):
        read(scratch, "a")


@pytest.mark.parametrize("number", ["nan", "-inf", "1e99", "7" * 400])
def test_a_number_that_float32_cannot_hold_is_refused(scratch: Path, number: str) -> None:
    scratch.write_text(f"a 1 2\nb {number} 2\n")
    with pytest.raises(ValueError, match=r"vectors\.txt:2: expected numbers that float32 can hold"):
        read(scratch, "a", "b")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing.txt"
    with pytest.raises((OSError, ValueError)) as caught:
        read(path, "a")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"PK\x03\x04\xff\xfe", b"a 1 2\ncaf\xe9 1 2\n"])
def test_a_file_that_is_not_utf_8_is_named(scratch: Path, content: bytes) -> None:
    scratch.write_bytes(content)
    with pytest.raises(ValueError, match=r"vectors\.txt"):
        read(scratch, "a")
