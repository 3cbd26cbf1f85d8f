"""The reader of JSON records of tokens and tags: what is written is read, what is broken named."""

import gzip
import json
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerlab.data.build import build_corpus
from nerlab.data.readers.jsonl import read
from nerlab.data.readers.records import Layout
from nerlab.data.sentence import Sentence
from nerlab.tags import spans_of


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that every example writes anew."""
    return tmp_path_factory.mktemp("jsonl") / "scratch.jsonl"


def read_bytes(
    path: Path,
    content: bytes,
    layout: Layout = "lines",
    encoding: str = "utf-8",
    labels: list[str] | None = None,
) -> list[Sentence]:
    path.write_bytes(content)
    return list(read(path, layout, encoding, "tokens", "tags", labels))


# JSON can spell what UTF-8 cannot: half a surrogate pair.
tokens = st.text(min_size=1, max_size=5) | st.sampled_from(
    ["\ud800", "\0", "\n", "\u2028", "\ufeff"]
)
rows = st.lists(st.lists(tokens, max_size=4), min_size=1, max_size=6).filter(any)


@settings(max_examples=60)
@given(
    rows=rows,
    layout=st.sampled_from(["lines", "array"]),
    line_end=st.sampled_from(["\n", "\r\n", "\n\n", "\n \t\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    escape=st.booleans(),
)
def test_what_is_written_is_read(
    scratch: Path, rows: list[list[str]], layout: Layout, line_end: str, encoding: str, escape: bool
) -> None:
    escape = escape or any("\ud800" in words for words in rows)
    tags = [[f"B-{i}" for i in range(len(words))] for words in rows]
    records = [
        json.dumps({"id": 1, "tokens": words, "tags": labels}, ensure_ascii=escape)
        for words, labels in zip(rows, tags, strict=True)
    ]
    text = (("," if layout == "array" else "") + line_end).join(records)
    if layout == "array":
        text = f"[{text}]\n"
    step = line_end.count("\n")
    expected = [
        Sentence(words, labels, line=1 + step * number, lines_a_token=0)
        for number, (words, labels) in enumerate(zip(rows, tags, strict=True))
        if words
    ]
    assert read_bytes(scratch, text.encode(encoding), layout, encoding) == expected


def test_an_array_over_many_lines_is_read_with_the_lines_of_its_records(scratch: Path) -> None:
    records = [{"tokens": [word], "tags": ["O"]} for word in "abc"]
    content = json.dumps(records, indent=2).encode()
    found = read_bytes(scratch, content, "array")
    assert [sentence.tokens for sentence in found] == [["a"], ["b"], ["c"]]
    lines = content.decode().split("\n")
    assert [lines[sentence.line - 1] for sentence in found] == ["  {"] * 3
    broken = content.replace(b'"b"', b"'b'")
    bad_line = 1 + next(i for i, line in enumerate(broken.split(b"\n")) if b"'b'" in line)
    with pytest.raises(ValueError, match=rf"scratch\.jsonl:{bad_line}: no JSON: Expecting value"):
        read_bytes(scratch, broken, "array")


def test_records_are_read_as_they_are_asked_for(scratch: Path) -> None:
    scratch.write_bytes(b'{"tokens": ["a"], "tags": ["O"]}\nbroken\n')
    found = read(scratch, "lines", "utf-8", "tokens", "tags")
    assert next(found).tokens == ["a"]
    with pytest.raises(ValueError, match=":2:"):
        next(found)


def test_paths_are_dotted_and_a_packed_file_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl.gz"
    record = {"data": {"words": ["a"]}, "annotations": [{"ner": ["B-X"]}]}
    path.write_bytes(gzip.compress(json.dumps(record).encode()))
    (sentence,) = read(path, "lines", "utf-8", "data.words", "annotations.0.ner")
    assert (sentence.tokens, sentence.tags) == (["a"], ["B-X"])


@settings(max_examples=60)
@given(classes=st.lists(st.integers(0, 3), min_size=1, max_size=8), strings=st.booleans())
def test_a_run_of_one_class_is_one_entity(scratch: Path, classes: list[int], strings: bool) -> None:
    names = ["O", "PER", "B", "E-MAIL"]
    record = {"tokens": ["x"] * len(classes), "tags": [str(c) if strings else c for c in classes]}
    (sentence,) = read_bytes(scratch, json.dumps(record).encode(), labels=names)
    runs = [(number, len(list(run))) for number, run in groupby(classes)]
    expected = [(names[number], length) for number, length in runs if number]
    spans = spans_of(build_corpus([sentence], "iob2", False, "file").sentence_tags(0))
    assert [(span.label, span.end - span.start) for span in spans] == expected


def test_classes_whose_names_carry_prefixes_are_tags_as_they_stand(scratch: Path) -> None:
    content = b'{"tokens": ["a", "b", "c", "d"], "tags": [1, 1, 2, 0]}'
    (sentence,) = read_bytes(scratch, content, labels=["O", "B-X", "I-X"])
    assert sentence.tags == ["B-X", "B-X", "I-X", "O"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["O", False], r"labels: expected names, found False; put it in quotes"),
        (["O", ""], r"labels: expected names, found ''"),
        ([], r"labels: expected a list of names"),
        (["O"], r"scratch\.jsonl:1: tag 1 is none of the classes 0 to 0 of data\.reader\.labels"),
        (None, r":1: tag 1 is no name; set data\.reader\.labels to the names of the classes"),
    ],
)
def test_names_that_do_not_do_are_refused(
    scratch: Path, labels: list[Any] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_bytes(scratch, b'{"tokens": ["a"], "tags": [1]}', labels=labels)


@pytest.mark.parametrize("number", [-1, 2, True, None, "x", "٣", 1.0, [], "1" * 5000])
def test_what_is_no_class_is_refused(scratch: Path, number: object) -> None:
    content = json.dumps({"tokens": ["a"], "tags": [number]}).encode()
    with pytest.raises(ValueError, match=r"scratch\.jsonl:1: tag .* is none of the classes 0 to 1"):
        read_bytes(scratch, content, labels=["O", "X"])


GOOD = b'{"tokens": ["a"], "tags": ["O"]}\n'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            b"hello",
            r"no JSON: Expecting value at column 1, 'hello'; fix it, or set data\.reader\.",
        ),
        (b"[", r"no JSON: "),
        (b"\0", r"no JSON: "),
        (b'{"tokens": ["a\0"]}', r"no JSON: Invalid control character"),
        (b"\xef\xbb\xbf{}", r"no JSON: "),  # a mark in the middle of a file
        (b"[" * 100_000, r"no JSON: nested too deep"),
        (b'{"a":' * 100_000, r"no JSON: nested too deep"),
        (b"1" * 10_000, r"no JSON: Exceeds the limit"),
        (b"{} {}", r"expected one JSON object, found ' \{\}' after it"),
        (b"[]", r"expected a JSON object, found a list; fix it, or set data\.reader\.layout"),
        (b"NaN", r"expected a JSON object, found nan"),
        (b"{}", r"expected a list under 'tokens', found nothing; .* set data\.reader\.tokens to"),
        (b'{"tokens": null}', r"expected a list under 'tokens', found null"),
        (b'{"tokens": "a b"}', r"expected a list under 'tokens', found 'a b'"),
        (b'{"tokens": ["a"]}', r"expected a list under 'tags', found nothing"),
        (b'{"tokens": ["a"], "tags": []}', r"1 token, but 0 tags; fix the record"),
        (b'{"tokens": [""], "tags": ["O"]}', r"token '' is no text"),
        (b'{"tokens": [NaN], "tags": ["O"]}', r"token nan is no text"),
        (b'{"tokens": [[[]]], "tags": ["O"]}', r"token a list is no text"),
        (b'{"tokens": ["a"], "tags": [null]}', r"tag null is no name"),
        (b'{"tokens": ["\xff"]}', r"byte 0xff is not utf-8; set data\.reader\.encoding"),
    ],
)
def test_what_is_broken_is_named_with_its_line(scratch: Path, line: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_bytes(scratch, GOOD + b"\n" + line + b"\n")
    assert str(caught.value).startswith(f"{scratch}:3: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("depth", range(100, 1100, 100))
def test_nesting_is_read_or_refused_in_one_line_whatever_its_depth(
    scratch: Path, depth: int
) -> None:
    deep = b"[" * depth + b"]" * depth
    with pytest.raises(ValueError, match=r"scratch\.jsonl:1: ") as caught:
        read_bytes(scratch, b'{"tokens": [' + deep + b'], "tags": ["O"]}')
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"", 1), (b"\n{}", 2), (GOOD, 1), (b"[" + GOOD, 2), (b"[{}{}]", 1), (b"[]\n[]", 2)],
)
def test_what_is_no_array_is_refused(scratch: Path, content: bytes, line: int) -> None:
    with pytest.raises(ValueError, match=rf"scratch\.jsonl:{line}: "):
        read_bytes(scratch, content.replace(b"{}", GOOD.strip()), "array")


def test_an_array_has_no_comma_after_its_last_record(scratch: Path) -> None:
    with pytest.raises(ValueError, match=r":1: no JSON: Expecting value"):
        read_bytes(scratch, b"[" + GOOD.strip() + b", ]", "array")


@pytest.mark.parametrize(
    ("content", "layout"),
    [
        (b"", "lines"),
        (b"\r\n \n", "lines"),
        (b'{"tokens":[],"tags":[]}', "lines"),
        (b"[ ]", "array"),
    ],
)
def test_a_file_without_sentences_yields_none(
    scratch: Path, content: bytes, layout: Layout
) -> None:
    assert read_bytes(scratch, content, layout) == []


def test_the_last_of_two_equal_keys_counts_and_other_keys_do_not(scratch: Path) -> None:
    content = b'{"tags": ["B-X"], "tokens": ["a"], "score": NaN, "tags": ["O"], "z": 1e999}'
    assert read_bytes(scratch, content) == [Sentence(["a"], ["O"], lines_a_token=0)]


def test_a_line_of_ten_megabytes_is_read(scratch: Path) -> None:
    words = ["word"] * 1_000_000
    record = json.dumps({"tokens": words, "tags": ["O"] * len(words)}).encode()
    (sentence,) = read_bytes(scratch, record)
    assert len(sentence.tokens) == len(words)


def test_an_illegal_tag_is_found_on_the_line_of_its_record(scratch: Path) -> None:
    sentences = read_bytes(scratch, GOOD + b'{"tokens": ["a", "b"], "tags": ["O", "I-X"]}')
    with pytest.raises(ValueError, match=r"^file:2: tag 'I-X' follows 'O'"):
        build_corpus(sentences, "iob2", False, "file")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)
any_lists = st.lists(json_values, max_size=3) | json_values


@settings(max_examples=150)
@given(
    content=st.binary(max_size=100)
    | st.builds(lambda a, b: json.dumps({"tokens": a, "tags": b}).encode(), any_lists, any_lists),
    layout=st.sampled_from(["lines", "array"]),
    labels=st.sampled_from([None, ["O", "X"]]),
)
def test_anything_is_read_or_refused_in_one_line(
    scratch: Path, content: bytes, layout: Layout, labels: list[str] | None
) -> None:
    message = None
    try:
        read_bytes(scratch, b"[" * (layout == "array") + content, layout, "utf-8", labels)
    except ValueError as error:
        message = str(error)
    assert message is None or (message.startswith(f"{scratch}:") and "\n" not in message)


@settings(max_examples=40)
@given(st.lists(st.integers() | st.just(10**40) | st.text(max_size=2), min_size=1, max_size=6))
def test_a_mark_that_changes_begins_a_document(scratch: Path, marks: list[int | str]) -> None:
    lines = [json.dumps({"tokens": ["a"], "tags": ["O"], "at": {"page": m}}) for m in marks]
    scratch.write_text("\n".join(lines))
    found = list(read(scratch, "lines", "utf-8", "tokens", "tags", document="at.page"))
    runs = [number for number, (_, run) in enumerate(groupby(marks)) for _ in run]
    assert [sentence.document for sentence in found] == runs
    assert {s.document for s in read(scratch, "lines", "utf-8", "tokens", "tags")} == {None}


@pytest.mark.parametrize(
    "record", ['{"tokens": ["a"], "tags": ["O"]}', '{"tokens": [], "tags": [], "page": 1.5}']
)
def test_a_document_that_is_no_number_or_string_is_named_by_line(
    scratch: Path, record: str
) -> None:
    scratch.write_text(record)
    with pytest.raises(ValueError, match=r"^\S+scratch\.jsonl:1: .*data\.reader\.document"):
        list(read(scratch, "lines", "utf-8", "tokens", "tags", document="page"))
