"""The reader of Parquet: lists and strings that spell lists, and rows that are none."""

import ast
import json
import sys
import warnings
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from nerlab.data.readers.messages import collected_warnings
from nerlab.data.readers.parquet import read
from nerlab.data.sentence import Sentence
from nerlab.tags import spans_of

PRESET = yaml.safe_load((ROOT / "conf" / "data" / "localdoc.yaml").read_text(encoding="utf-8"))
LABELS: list[str] = PRESET["reader"]["labels"]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that every example writes anew."""
    return tmp_path_factory.mktemp("parquet") / "scratch.parquet"


def write(path: Path, tokens: Any, tags: Any, metadata: dict[str, str] | None = None) -> Path:
    """A file of two columns, arrays or what makes one."""
    table = pa.table({"index": pa.array(range(len(tokens))), "tokens": tokens, "ner_tags": tags})
    pq.write_table(table.replace_schema_metadata(metadata), path, row_group_size=7)
    return path


def read_rows(
    path: Path, labels: list[str] | None = None, bad_rows: Literal["error", "skip"] = "error"
) -> list[Sentence]:
    return list(read(path, "tokens", "ner_tags", bad_rows, labels))


strings = st.text(
    alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4
) | st.sampled_from(["'", '"', "\\", "]", "\0", "['a']"])
rows = st.lists(st.lists(strings, max_size=4), min_size=1, max_size=12).filter(any)


@settings(max_examples=60)
@given(rows=rows, large=st.booleans())
@pytest.mark.parametrize("layout", ["lists", "literals"])
def test_what_is_written_is_read(
    scratch: Path, layout: str, rows: list[list[str]], large: bool
) -> None:
    tags = [[f"B-{i}" for i in range(len(words))] for words in rows]
    text = pa.large_string() if large else pa.string()
    if layout == "lists":
        kind = pa.large_list(text) if large else pa.list_(text)
        write(scratch, pa.array(rows, kind), pa.array(tags, kind))
    else:
        columns = (pa.array([repr(row) for row in column], text) for column in (rows, tags))
        write(scratch, *columns)
    assert read_rows(scratch) == [
        Sentence(words, labels, line=number, lines_a_token=0)
        for number, (words, labels) in enumerate(zip(rows, tags, strict=True), start=1)
        if words
    ]


# The corpus of LocalDoc, in small: strings that hold lists, ids that are strings once more.


@st.composite
def localdoc_rows(draw: st.DrawFn) -> tuple[list[str], list[int]]:
    classes = draw(st.lists(st.integers(0, len(LABELS) - 1), min_size=1, max_size=8))
    return [draw(strings) for _ in classes], classes


@settings(max_examples=40)
@given(rows=st.lists(localdoc_rows(), min_size=1, max_size=5), quoted=st.booleans())
def test_runs_of_a_class_are_entities_of_its_name(
    scratch: Path, rows: list[tuple[list[str], list[int]]], quoted: bool
) -> None:
    spelled = [repr([str(c) for c in classes] if quoted else classes) for _, classes in rows]
    write(scratch, [repr(words) for words, _ in rows], spelled)
    found = read_rows(scratch, LABELS)
    assert [list(sentence.tokens) for sentence in found] == [words for words, _ in rows]
    for sentence, (_, classes) in zip(found, rows, strict=True):
        runs = [(number, len(list(run))) for number, run in groupby(classes)]
        expected = [(LABELS[number], length) for number, length in runs if number]
        assert [(s.label, s.end - s.start) for s in spans_of(sentence.tags)] == expected


def localdoc_table() -> tuple[list[str | None], list[str | None]]:
    """3,000 rows, 17 of them null, 5 of unequal lengths, one cut off, one of an unknown class."""
    tokens: list[str | None] = [repr(["Bakı", "gözəl", "şəhərdir", "."])] * 3_000
    tags: list[str | None] = ["['14', '0', '0', '0']"] * 3_000
    for row in range(17):
        tokens[100 * row] = None
        tags[100 * row] = None if row % 2 else "['0']"
    for row in range(5):
        tags[2_500 + row] = "['14', '0']"
    tags[2_998] = "['14', '0', '0"
    tags[2_999] = "['14', '25', '0', '0']"
    return tokens, tags


def test_bad_rows_are_left_out_and_counted_in_one_line(scratch: Path) -> None:
    write(scratch, *localdoc_table())
    with collected_warnings() as warned:
        found = read_rows(scratch, LABELS, bad_rows="skip")
    assert len(found) == 3_000 - 17 - 5 - 2
    good = [row + 1 for row in range(2_998) if row % 100 or row >= 1_700]
    assert [s.line for s in found] == [row for row in good if not 2_501 <= row <= 2_505]
    assert found[0].tags == ["B-GPE", "O", "O", "O"]
    (message,) = warned
    assert message == (
        f"{scratch}: data.reader.bad_rows=skip: of 3000 rows 17 that are null, 5 of unequal "
        "lengths, 1 that hold no list, 1 of an unknown class; row 1: null; row 101: null; "
        "row 201: null; row 301: null; row 401: null"
    )


def test_nothing_is_said_of_a_file_without_bad_rows(
    scratch: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read_rows(write(scratch, [["a"]], [["O"]]), bad_rows="skip")
    assert not caplog.records


def test_a_document_begins_where_the_value_of_its_column_changes(scratch: Path) -> None:
    pages = ["x", "x", None, "y", "x"]
    table = pa.table({"tokens": [["a"]] * 5, "tags": [["O"]] * 5, "page": pages})
    pq.write_table(table, scratch)
    found = list(read(scratch, "tokens", "tags", "error", document_column="page"))
    assert [sentence.document for sentence in found] == [0, 0, 1, 2, 3]
    assert {s.document for s in read(scratch, "tokens", "tags", "error")} == {None}
    with pytest.raises(ValueError, match=r"no column 'of': .*; set data\.reader\..*document_col"):
        list(read(scratch, "tokens", "tags", "error", document_column="of"))


@pytest.mark.parametrize(
    "text", [r"['\d']", r"['\\d']", r"['\'', '\x41\n', '\.', '\\']", "['a\\\nb']"]
)
def test_a_literal_is_read_as_python_does_and_without_its_warnings(
    scratch: Path, text: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = ast.literal_eval(text)
    write(scratch, [text], [repr(["O"] * len(expected))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (sentence,) = read_rows(scratch)
    assert sentence.tokens == expected


BAD = [
    (None, "['O']", "null"),
    ("['a']", None, "null"),
    ("['a', 'b']", "['O']", "2 tokens, but 1 tag"),
    ("['a'", "['O']", "expected a list, found \"\\['a'\""),
    ("('a',)", "['O']", "expected a list, found a tuple"),
    ("", "['O']", "expected a list, found ''"),
    ("['a\0']", "['O']", "expected a list, found "),
    ("[open('x')]", "['O']", "expected a list, found "),
    ("['a' 'b']\n'", "['O']", "expected a list, found "),
    ("[" * 90_000, "['O']", "expected a list, found "),
    ("[" * 45_000 + "]" * 45_000, "['O']", "expected a list, found "),
    ("-" * 90_000 + "1", "['O']", "expected a list, found "),
    ("1" + "+1" * 40_000, "['O']", "expected a list, found "),
    ("9" * 90_000, "['O']", "expected a list, found "),
    ("{" + "{1:" * 5_000, "['O']", "expected a list, found "),
    ("['" + "a" * 200_000 + "']", "['O']", "200004 characters, more than 100000"),
    ("[1]", "['O']", "token 1 is no text"),
    ("[b'a']", "['O']", "token a bytes is no text"),
    ("['']", "['O']", "token '' is no text"),
    ("['a']", "[1]", r"tag 1 is no name; set data\.reader\.labels"),
    ("['a']", "[None]", "tag null is no name"),
]


@pytest.mark.parametrize(("tokens", "tags", "message"), BAD)
def test_a_bad_row_raises_where_told_and_is_named(
    scratch: Path, tokens: str | None, tags: str | None, message: str
) -> None:
    kind = pa.string()
    write(scratch, pa.array(["['a']", tokens], kind), pa.array(["['O']", tags], kind))
    with pytest.raises(ValueError, match=message) as caught:
        read_rows(scratch)
    assert str(caught.value).startswith(f"{scratch}:2: ")
    assert str(caught.value).endswith("; fix the row, or set data.reader.bad_rows=skip")
    assert "\n" not in str(caught.value)
    assert len(read_rows(scratch, bad_rows="skip")) == 1


def test_an_escape_that_python_does_not_know_is_no_warning(scratch: Path) -> None:
    write(scratch, [r"['\d']"], ["['O']"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (sentence,) = read_rows(scratch)
    assert sentence.tokens == [r"\d"]


def test_a_text_that_is_not_utf_8_is_a_bad_row(scratch: Path) -> None:
    broken = pa.array([b"['a']", b"['\xff']"], pa.binary()).cast(pa.string(), safe=False)
    write(scratch, broken, ["['O']"] * 2)
    assert len(read_rows(scratch, bad_rows="skip")) == 1
    with pytest.raises(ValueError, match=r"scratch\.parquet:2: a text is not UTF-8"):
        read_rows(scratch)


# Names of the classes.


def feature(names: list[str]) -> dict[str, Any]:
    return {"feature": {"names": names, "_type": "ClassLabel"}, "_type": "Sequence"}


def test_names_that_stand_in_the_file_are_used_unless_others_are_given(scratch: Path) -> None:
    schema = {"info": {"features": {"ner_tags": feature(["O", "B-PER", "I-PER"])}}}
    write(scratch, [["a", "b", "c"]], [[1, 2, 0]], {"huggingface": json.dumps(schema)})
    assert [s.tags for s in read_rows(scratch)] == [["B-PER", "I-PER", "O"]]
    assert [s.tags for s in read_rows(scratch, ["X", "O", "Y"])] == [["O", "B-Y", "B-X"]]


@pytest.mark.parametrize(
    "stored", ["", "[", "[]", "{}", "null", '{"info": {"features": 3}}', "[" * 90_000]
)
def test_numbers_without_names_ask_for_them(scratch: Path, stored: str) -> None:
    write(scratch, [["a"]], [[1]], {"huggingface": stored})
    with pytest.raises(ValueError, match=r":1: tag 1 is no name; set data\.reader\.labels to the"):
        read_rows(scratch)
    with pytest.raises(ValueError, match=r"=skip: of 1 rows 1 with tags that are no names"):
        read_rows(scratch, bad_rows="skip")


# The file.


def test_a_missing_column_is_named_with_what_to_set(scratch: Path) -> None:
    write(scratch, [["a"]], [["O"]])
    found = "found 'index', 'tokens', 'ner_tags'; set data.reader.token_column"
    with pytest.raises(ValueError, match=rf"no column 'words': .*, {found}"):
        list(read(scratch, "words", "ner_tags", "skip"))
    with pytest.raises(ValueError, match=rf"no column 'words' and no column 'tags': .*, {found}"):
        list(read(scratch, "words", "tags", "skip"))


def test_columns_of_other_types_hold_no_lists(scratch: Path) -> None:
    with pytest.raises(ValueError, match=r"scratch\.parquet:1: expected a list, found 'a b'"):
        read_rows(write(scratch, ["a b"], [["O", "O"]]))
    with pytest.raises(ValueError, match=r"scratch\.parquet:1: expected a list, found 5"):
        read_rows(write(scratch, [["a"]], [5]))


def test_rows_are_read_as_they_are_asked_for(scratch: Path) -> None:
    write(scratch, pa.array([["a"], None]), [["O"]] * 2)
    found = read(scratch, "tokens", "ner_tags", "error")
    assert next(found).tokens == ["a"]
    with pytest.raises(ValueError, match=r":2: null"):
        next(found)


def test_a_file_without_rows_has_no_sentence(scratch: Path) -> None:
    write(scratch, pa.array([], pa.string()), pa.array([], pa.string()))
    assert read_rows(scratch) == []


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.99])
def test_a_file_cut_off_is_refused_in_one_line(tmp_path: Path, share: float) -> None:
    whole = write(tmp_path / "whole.parquet", [["a"] * 50] * 50, [["O"] * 50] * 50).read_bytes()
    path = tmp_path / "cut.parquet"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(
        ValueError, match=r"cut\.parquet: .*; expected a whole Parquet file"
    ) as caught:
        read_rows(path)
    assert "\n" not in str(caught.value)


def test_a_page_that_does_not_unpack_is_refused_in_one_line(tmp_path: Path) -> None:
    path = write(tmp_path / "damaged.parquet", [["a"] * 50] * 50, [["O"] * 50] * 50)
    content = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(0).column(1)
    content[column.data_page_offset : column.data_page_offset + 20] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged\.parquet: .*; expected a whole Parq") as caught:
        read_rows(path)
    assert "\n" not in str(caught.value)


def test_without_pyarrow_one_line_says_what_to_install(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r'needs pyarrow; pip install -e "\.\[parquet\]"$'):
        read_rows(scratch)
