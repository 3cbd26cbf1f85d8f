"""The reader of CSV and TSV: what is written is read, what is broken is named with its line."""

import csv
import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerlab.data.readers.table import read
from nerlab.data.sentence import Sentence


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that every example writes anew."""
    return tmp_path_factory.mktemp("table") / "scratch.csv"


def read_bytes(
    path: Path, content: bytes, encoding: str = "utf-8", sentence_column: str | None = "Sentence #"
) -> list[Sentence]:
    path.write_bytes(content)
    return list(read(path, "Word", "Tag", sentence_column, ",", encoding))


# A carriage return or newline inside a field is quoted and kept; NUL is refused by Python 3.10.
tokens = st.text(
    alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    min_size=1,
    max_size=6,
) | st.sampled_from(['"', ",", "None", "\x85", "\xa0", "NaN", "#", " "])
sentences = st.lists(st.lists(tokens, min_size=1, max_size=4), min_size=1, max_size=5)


@given(
    sentences=sentences,
    line_end=st.sampled_from(["\n", "\r\n"]),
    last_end=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    blank_rows=st.booleans(),
    every_row=st.booleans(),
)
def test_what_is_written_is_read(
    scratch: Path,
    sentences: list[list[str]],
    line_end: str,
    last_end: bool,
    encoding: str,
    blank_rows: bool,
    every_row: bool,
) -> None:
    with open(scratch, "w", encoding=encoding, newline="") as file:
        # Python's writer leaves a lone carriage return unquoted where lines end with a newline.
        bare = not any("\r" in word for words in sentences for word in words)
        if bare:
            writer = csv.writer(file, lineterminator=line_end)
        else:
            writer = csv.writer(file, lineterminator=line_end, quoting=csv.QUOTE_ALL)
        writer.writerow(["Sentence #", "Word", "POS", "Tag"])
        for number, words in enumerate(sentences, start=1):
            for i, word in enumerate(words):
                filled = not blank_rows and (i == 0 or every_row)
                name = f"Sentence: {number}" if filled else ""
                writer.writerow([name, word, "NN", f"B-{i}"])
            if blank_rows:
                file.write(line_end)
    content = scratch.read_bytes()
    if not last_end and not blank_rows:
        content = content.removesuffix(line_end.encode(encoding.removesuffix("-sig")))
    found = read_bytes(scratch, content, encoding, None if blank_rows else "Sentence #")
    expected = [(words, [f"B-{i}" for i in range(len(words))]) for words in sentences]
    assert [(s.tokens, s.tags) for s in found] == expected


def test_lines_are_those_of_the_file(scratch: Path) -> None:
    content = b"Sentence #,Word,Tag\r\nSentence: 1,a,O\r\n,b,O\r\nSentence: 2,c,O\r\n"
    assert [s.line for s in read_bytes(scratch, content)] == [2, 4]


@pytest.mark.parametrize(
    ("column", "lengths"),
    [
        (["1", "", "", "2", ""], [3, 2]),  # on the first row of each sentence
        (["1", "1", "1", "2", "2"], [3, 2]),  # on every row
        (["1", "1", "2", "2", "1"], [2, 2, 1]),  # a value that comes back
        (["x", "", "x", "", ""], [2, 3]),  # the same mark on every first row
        (["", "", "2", "2", "2"], [2, 3]),  # before the first mark
    ],
)
def test_a_sentence_begins_where_the_value_of_its_column_changes(
    scratch: Path, column: list[str], lengths: list[int]
) -> None:
    rows = "".join(f"{value},a,O\n" for value in column)
    found = read_bytes(scratch, f"Sentence #,Word,Tag\n{rows}".encode())
    assert [len(sentence.tokens) for sentence in found] == lengths


@pytest.mark.parametrize(
    ("column", "documents"),
    [
        (["x", "", "", "y", ""], [0, 0, 1]),  # on the first row of each document
        (["x", "x", "x", "x", "x"], [0, 0, 0]),  # on every row
        (["", "x", "x", "y", "x"], [0, 1, 1, 2, 3]),  # within sentences, and one that comes back
        (["", "", "", "", ""], [0, 0, 0]),
    ],
)
def test_a_document_begins_where_the_value_of_its_column_changes(
    scratch: Path, column: list[str], documents: list[int]
) -> None:
    rows = zip(column, ["1", "", "2", "3", ""], strict=True)
    scratch.write_text("D,S,Word,Tag\n" + "".join(f"{d},{s},a,O\n" for d, s in rows))
    found = list(read(scratch, "Word", "Tag", "S", ",", "utf-8", "D"))
    assert [sentence.document for sentence in found] == documents
    assert {s.document for s in read(scratch, "Word", "Tag", "S", ",", "utf-8")} == {None}


def test_an_empty_row_ends_a_sentence_whose_value_goes_on(scratch: Path) -> None:
    found = read_bytes(scratch, b"Sentence #,Word,Tag\n1,a,O\n\n1,b,O\n1,c,O\n")
    assert [sentence.tokens for sentence in found] == [["a"], ["b", "c"]]


def test_a_zipped_table_is_read_as_if_it_were_not(tmp_path: Path) -> None:
    content = b"Sentence #,Word,Tag\nSentence: 1,caf\xe9,O\n"
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(content))
    (sentence,) = read(path, "Word", "Tag", "Sentence #", ",", "cp1252")
    assert sentence.tokens == ["café"]
    packed = gzip.compress(content)
    for broken in (packed[:-9], packed[:12] + b"\xff\xff" + packed[14:], content):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"table\.csv\.gz: .*; expected a whole gzip file"):
            list(read(path, "Word", "Tag", "Sentence #", ",", "cp1252"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"",
            r"scratch\.csv:1: no column 'Word' and no column 'Tag' and no column 'Sentence #': "
            r"expected 'Word', 'Tag', 'Sentence #', found nothing; set data\.reader",
        ),
        (
            b"Sentence #\tWord\tTag\n",
            r":1: no column 'Word' and .*, found 'Sentence #\\tWord\\tTag'; set data\.reader",
        ),
        (
            b"Sentence #,Word\n",
            r":1: no column 'Tag': expected .*, found 'Sentence #', 'Word'; set",
        ),
        (b"Sentence #,Word,Tag,Tag\n1,a,O,B-X\n", r":1: more than one column 'Tag': expected"),
        (
            b"Sentence #,Word,Tag\n1,a,O\n,b\n",
            r":3: expected 3 fields, found 2: ',b'; fix the row",
        ),
        (b"Sentence #,Word,Tag\n1,a,O\n,,O\n", r":3: no token in the column 'Word'"),
        (b"Sentence #,Word,Tag\n1,a\xff,O\n", r":2: byte 0xff is not utf-8; set data\.reader\.enc"),
        (
            b"Sentence #,Word,Tag\n1," + b"a" * 200_000 + b",O\n",
            r":2: field larger than field limit",
        ),
    ],
)
def test_what_is_broken_is_named_with_its_line(scratch: Path, content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_bytes(scratch, content)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_one_line(scratch: Path, content: bytes) -> None:
    message = None
    try:
        read_bytes(scratch, b"Sentence #,Word,Tag\n" + content)
    except ValueError as error:
        message = str(error)
    assert message is None or (message.startswith(f"{scratch}:") and "\n" not in message)
