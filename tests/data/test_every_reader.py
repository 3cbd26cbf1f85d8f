"""What every reader must survive: any text comes back, no file ends in more than one line."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow.parquet import write_table

from nerlab.data.readers import conll, jsonl, parallel, parquet, spans, table
from nerlab.data.sentence import Sentence
from nerlab.tags import spans_of, tags_of

Text = list[list[tuple[str, str]]]


def write_columns(text: Text, path: Path) -> None:
    rows = ["".join(f"{token}\t{tag}\n" for token, tag in part) for part in text]
    path.write_bytes("\n".join(rows).encode("utf-8"))


def write_parallel(text: Text, path: Path) -> None:
    for name, column in ((path, 0), (path.with_name("tags"), 1)):
        lines = [" ".join(row[column] for row in part) + "\n" for part in text]
        name.write_bytes("".join(lines).encode("utf-8"))


def write_rows(text: Text, path: Path) -> None:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    rows.writerow(["n", "token", "tag"])
    for number, part in enumerate(text):
        rows.writerows([[number if i == 0 else "", *row] for i, row in enumerate(part)])
    path.write_bytes(out.getvalue().encode("utf-8"))


def write_json(text: Text, path: Path) -> None:
    records = [{"tokens": [t for t, _ in part], "tags": [t for _, t in part]} for part in text]
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
    path.write_bytes("".join(lines).encode("utf-8"))


def write_spans(text: Text, path: Path) -> None:
    lines = []
    for part in text:
        places, at = [], 0
        for token, _ in part:
            places.append({"start": at, "end": at + len(token)})
            at += len(token) + 1
        marks = [
            [places[span.start]["start"], places[span.end - 1]["end"], span.label]
            for span in spans_of([tag for _, tag in part])
        ]
        joined = " ".join(token for token, _ in part)
        record = {"text": joined, "tokens": places, "spans": marks}
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    path.write_bytes("".join(lines).encode("utf-8"))


def write_parquet(text: Text, path: Path) -> None:
    columns = [[[row[i] for row in part] for part in text] for i in (0, 1)]
    kind = pyarrow.list_(pyarrow.string())
    arrays = [pyarrow.array(column, type=kind) for column in columns]
    write_table(pyarrow.table(arrays, names=["tokens", "tags"]), path)


def read_spans(path: Path) -> Iterator[Sentence]:
    paths = ("text", "tokens", None, "spans", 0, 1, 2)
    return spans.read(path, "lines", "utf-8", *paths, "characters", "exclusive", "error", True)


class Format(NamedTuple):
    """How one format is written here and read by nerlab; ``banned`` is what no token may hold."""

    write: Callable[[Text, Path], None]
    read: Callable[[Path], Iterator[Sentence]]
    banned: str


FORMATS = {
    "columns": Format(write_columns, lambda path: conll.read(path, 0, -1, "utf-8"), " \t\r\n"),
    "parallel": Format(
        write_parallel, lambda path: parallel.read(path, "words", "tags", "utf-8"), " \t\r\n"
    ),
    "table": Format(
        write_rows, lambda path: table.read(path, "token", "tag", "n", ",", "utf-8"), "\0"
    ),
    "jsonl": Format(
        write_json, lambda path: jsonl.read(path, "lines", "utf-8", "tokens", "tags"), ""
    ),
    # White space alone is no token of a text.
    "spans": Format(write_spans, read_spans, " \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2028\u2029"),
    "parquet": Format(
        write_parquet, lambda path: parquet.read(path, "tokens", "tags", "error"), ""
    ),
}
TEXT_FORMATS = [name for name in FORMATS if name != "parquet"]
every_format = pytest.mark.parametrize("name", FORMATS)
every_text_format = pytest.mark.parametrize("name", TEXT_FORMATS)


def texts(banned: str) -> st.SearchStrategy[Text]:
    """Sentences of any Unicode tokens, with spans of two labels."""
    odd = ["\ufeff", "\x85", "\xa0", "\u2028", '"', "'", ",", "#", "None", "\x00", "😀", "İ", "-"]
    odd = [token for token in odd if not set(token) & set(banned)]
    letters = st.characters(exclude_categories=["Cs", "Zs"], exclude_characters=banned)
    token = st.sampled_from(odd) | st.text(letters, min_size=1, max_size=4)
    tag = st.sampled_from(["O", "O", "B-X", "I-X", "B-Y.Z"])
    part = st.lists(st.tuples(token, tag), min_size=1, max_size=6).map(_legal)
    return st.lists(part, min_size=1, max_size=5)


def _legal(part: list[tuple[str, str]]) -> list[tuple[str, str]]:
    tags = tags_of(spans_of([tag for _, tag in part]), len(part), "iob2")
    return [(token, tag) for (token, _), tag in zip(part, tags, strict=True)]


def contents(sentences: Iterator[Sentence]) -> Text:
    return [list(zip(s.tokens, s.tags, strict=True)) for s in sentences]


def read_or_refuse(name: str, path: Path) -> Text | str:
    """The sentences, or the one line that says what is wrong."""
    try:
        return contents(FORMATS[name].read(path))
    except ValueError as error:
        message = str(error)
        assert message.startswith(str(path)), message
        assert "\n" not in message
        assert len(message) < 1000
        return message


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that every example writes anew."""
    return tmp_path_factory.mktemp("readers") / "words"


SMALL: Text = [[("Ada", "B-X"), ("wrote", "O")], [("Aygün", "B-X"), ("to", "O"), ("İo", "B-Y")]]


@every_format
@settings(max_examples=60)
@given(data=st.data())
def test_what_is_written_is_read(name: str, path: Path, data: st.DataObject) -> None:
    text = data.draw(texts(FORMATS[name].banned))
    if text[0][0][0].startswith("\ufeff") and name in ("columns", "parallel"):
        text[0].insert(0, ("first", "O"))  # a mark that begins a file is none of its text
    FORMATS[name].write(text, path)
    assert contents(FORMATS[name].read(path)) == text


@every_format
@settings(max_examples=80)
@given(content=st.binary(max_size=200))
@example(content=b"")
@example(content=b"\n\n\n")
@example(content=b"\0")
@example(content=b"\xff\xfe")
@example(content=b"PAR1PAR1")
def test_any_bytes_are_sentences_or_one_line(name: str, path: Path, content: bytes) -> None:
    path.with_name("tags").write_bytes(content)
    path.write_bytes(content)
    read_or_refuse(name, path)


@every_format
@pytest.mark.parametrize("content", [b"", b"\n\n", b" \t\n"])
def test_a_file_without_a_sentence_is_refused(name: str, path: Path, content: bytes) -> None:
    path.with_name("tags").write_bytes(content)
    path.write_bytes(content)
    assert isinstance(read_or_refuse(name, path), str)


@every_format
def test_a_file_cut_off_anywhere_is_sentences_or_one_line(name: str, path: Path) -> None:
    FORMATS[name].write(SMALL, path)
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        found = read_or_refuse(name, path)
        if not isinstance(found, str):  # a column format cannot know; no sentence is made up
            assert [len(part) for part in found] <= [len(part) for part in SMALL]


@every_format
@settings(max_examples=80)
@given(place=st.floats(0, 0.999), bit=st.integers(0, 7))
def test_a_flipped_bit_is_sentences_or_one_line(
    name: str, path: Path, place: float, bit: int
) -> None:
    FORMATS[name].write(SMALL, path)
    spoiled = bytearray(path.read_bytes())
    spoiled[int(place * len(spoiled))] ^= 1 << bit
    path.write_bytes(bytes(spoiled))
    read_or_refuse(name, path)


@every_text_format
def test_a_byte_order_mark_and_carriage_returns_change_nothing(name: str, path: Path) -> None:
    FORMATS[name].write(SMALL, path)
    files = [path, path.with_name("tags")] if name == "parallel" else [path]
    plain = {file: file.read_bytes() for file in files}
    for before, end in ((b"\xef\xbb\xbf", b"\n"), (b"", b"\r\n"), (b"\xef\xbb\xbf", b"\r\n")):
        for file, content in plain.items():
            file.write_bytes(before + content.replace(b"\n", end))
        assert contents(FORMATS[name].read(path)) == SMALL


@every_text_format
def test_a_byte_of_another_encoding_is_named_with_its_line(name: str, path: Path) -> None:
    text = [[(f"w{i}", "O"), ("Ayg\u00fcn" if i == 700 else "x", "O")] for i in range(1000)]
    FORMATS[name].write(text, path)
    content = path.read_bytes()
    line = content[: content.index(b"\xc3")].count(b"\n") + 1
    path.write_bytes(content.replace(b"\xc3\xbc", b"\xfc"))
    message = read_or_refuse(name, path)
    assert isinstance(message, str)
    assert message.startswith(f"{path}:{line}: byte 0xfc is not utf-8; set data.reader.encoding")


@every_format
def test_a_token_of_a_hundred_thousand_characters_is_a_token(name: str, path: Path) -> None:
    text = [[("x" * 100_000, "B-X"), ("y", "O")]]
    FORMATS[name].write(text, path)
    assert contents(FORMATS[name].read(path)) == text


@every_format
def test_a_null_character_is_part_of_a_token_or_one_line(name: str, path: Path) -> None:
    text = [[("a\0b", "B-X"), ("y", "O")]]
    FORMATS[name].write(text, path)
    found = read_or_refuse(name, path)
    assert found == text or (name == "table" and isinstance(found, str))  # Python 3.10's csv
