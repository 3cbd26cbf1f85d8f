"""The reader of CoNLL columns: what it accepts, what it keeps, what it says of broken files."""

from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nerlab.data.readers import conll
from nerlab.data.readers.conll import read
from nerlab.data.readers.lines import open_text
from nerlab.data.sentence import Sentence
from nerlab.text import wide_encoding


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that every example writes anew."""
    return tmp_path_factory.mktemp("conll") / "scratch.conll"


def read_bytes(
    path: Path, content: bytes, encoding: str = "utf-8", token_column: int = 0, tag_column: int = -1
) -> list[Sentence]:
    path.write_bytes(content)
    return list(read(path, token_column, tag_column, encoding))


# A byte order mark at the beginning of a file is none of its first token.
tokens = st.text(
    alphabet=st.characters(exclude_categories=["Cs"], exclude_characters=" \t\r\n\ufeff"),
    min_size=1,
    max_size=6,
) | st.sampled_from(["#", '"', "'", "\x85", "\xa0", "\u200b", "\u2028", "\x1c", "a\x0bb", "O"])
blanks = st.text(alphabet=" \t", max_size=3)
gaps = st.text(alphabet=" \t", min_size=1, max_size=3)


class Line(NamedTuple):
    """A line of a file: columns (none: a blank line) and the spaces around them."""

    columns: list[str]
    before: str
    between: str
    after: str

    def __str__(self) -> str:
        return self.before + self.between.join(self.columns) + self.after


columns = st.lists(tokens, min_size=2, max_size=4)
marks = st.sampled_from([["-DOCSTART-"], ["-DOCSTART-", "-X-", "O"]])
no_columns: st.SearchStrategy[list[str]] = st.just([])
any_columns = columns | columns | no_columns | marks
lines = st.lists(st.builds(Line, any_columns, blanks, gaps, blanks), max_size=20)


def parse_slowly(lines: list[Line]) -> list[Sentence]:
    """The sentences of lines whose columns are known."""
    expected: list[Sentence] = []
    document = 0 if any(line.columns[:1] == ["-DOCSTART-"] for line in lines) else None
    numbered = list(enumerate((line.columns for line in lines), start=1))
    for kind, run in groupby(numbered, key=lambda pair: (pair[1] or [""])[0] in ("", "-DOCSTART-")):
        rows = list(run)
        if kind:
            number = sum(bool(columns) for _, columns in rows)
            document = None if document is None else document + number
        else:
            first, last = [r[0] for _, r in rows], [r[-1] for _, r in rows]
            expected.append(Sentence(first, last, document, rows[0][0]))
    return expected


@given(
    lines=lines,
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    last_end=st.booleans(),
    encoding=st.sampled_from(["utf-8", "UTF8", "utf_8", "utf-8-sig", "utf-16", "utf-16-le"]),
    mark=st.booleans(),
)
@example([Line(["a", "O"], "", " ", "")], "\n", False, "utf-8", True)
def test_what_is_written_is_read(
    scratch: Path, lines: list[Line], line_end: str, last_end: bool, encoding: str, mark: bool
) -> None:
    text = line_end.join(map(str, lines)) + line_end * last_end
    if mark and encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        text = "\ufeff" + text
    assert read_bytes(scratch, text.encode(encoding), encoding) == parse_slowly(lines)


def test_columns_are_counted_from_either_end(scratch: Path) -> None:
    content = b"1\tJohn NNP B-PER\n2\tran VBD O\n"
    assert read_bytes(scratch, content, token_column=1, tag_column=3) == [
        Sentence(["John", "ran"], ["B-PER", "O"], line=1)
    ]
    assert read_bytes(scratch, content, token_column=-3, tag_column=-2) == [
        Sentence(["John", "ran"], ["NNP", "VBD"], line=1)
    ]


def test_lines_of_white_space_alone_end_a_sentence(scratch: Path) -> None:
    found = read_bytes(scratch, b"\n\t\na O\n\t\nb O\n \t \n\n\nc O")
    assert found == [Sentence([t], ["O"], line=line) for t, line in (("a", 3), ("b", 5), ("c", 9))]


def test_document_marks_are_no_sentences_wherever_they_stand(scratch: Path) -> None:
    content = b"x O\n-DOCSTART- -X- O O\n\ny O\n\n-DOCSTART- O\nz O\nz O\n\n-DOCSTART- -X- O O"
    assert [(s.tokens, s.document, s.line) for s in read_bytes(scratch, content)] == [
        (["x"], 0, 1),
        (["y"], 1, 4),
        (["z", "z"], 2, 7),
    ]


@pytest.mark.parametrize("size", [1, 7, 9, 10, 11, 64])
def test_a_mark_is_found_wherever_the_file_is_cut_into_blocks(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(conll, "_BLOCK", size)
    found = read_bytes(scratch, "é O\n\n-DOCSTART- O\n\nb O\n".encode())
    assert [sentence.document for sentence in found] == [0, 1]
    unmarked = read_bytes(scratch, b"a O\n\n-DOCSTART O\n\nb O\n")
    assert [sentence.document for sentence in unmarked] == [None] * 3


def test_signs_that_other_formats_treat_apart_are_tokens(scratch: Path) -> None:
    odd = ["#", "#tag", '"', '""', "a\x85b", "\xa0", "\u200b", "\u2028", "\x0c", "a\ufeff"]
    content = "".join(f"{token}\tO\n" for token in odd).encode()
    assert read_bytes(scratch, content) == [Sentence(odd, ["O"] * len(odd), line=1)]


def test_a_file_is_decoded_as_it_is_told(scratch: Path) -> None:
    found = read_bytes(scratch, b"M\xfcller\x92s B-PER\n\x80\xa0\x85 O\n", "cp1252")
    assert found == [Sentence(["Müller’s", "€\xa0…"], ["B-PER", "O"], line=1)]


def test_the_byte_85_of_latin_1_is_part_of_its_token(scratch: Path) -> None:
    assert read_bytes(scratch, b"a\x85b\xa0 O\n", "latin-1") == [
        Sentence(["a\x85b\xa0"], ["O"], line=1)
    ]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("bad_line", [1, 2, 3, 1500, 4999, 5000])
def test_a_byte_that_does_not_decode_is_named_with_its_line(
    scratch: Path, bad_line: int, line_end: bytes
) -> None:
    rows = ["é O".encode()] * 5000
    rows[bad_line - 1] = rows[-1] = b"\xe9 O"
    with pytest.raises(ValueError, match=rf"scratch\.conll:{bad_line}: byte 0xe9 is not utf-8"):
        read_bytes(scratch, line_end.join(rows))


@pytest.mark.parametrize(
    ("content", "encoding", "line"),
    [
        (b"a O\n\xc3\xa9 O\n\xc3", "utf-8", 3),
        (b"\xef\xbb\xbfa O\n\xff O\n", "utf-8", 2),
        (b"a O\n\nb\x81 O\n", "cp1252", 3),
        (b"a O\n\x80 O\n", "ascii", 2),
        ("a O\n\u010a O\nb O\n".encode("utf-16")[:-1], "utf-16", 3),
    ],
)
def test_the_line_is_found_in_every_encoding(
    scratch: Path, content: bytes, encoding: str, line: int
) -> None:
    with pytest.raises(
        ValueError, match=rf"scratch\.conll:{line}: byte 0x.*data\.reader\.encoding"
    ):
        read_bytes(scratch, content, encoding)


def test_utf_16_without_its_mark_is_an_error_that_names_the_file(scratch: Path) -> None:
    with pytest.raises(ValueError, match=r"scratch\.conll"):
        read_bytes(scratch, b"a O\nb O\n", "utf-16")


def test_an_encoding_that_does_not_exist_is_an_error_of_the_user(scratch: Path) -> None:
    with pytest.raises(ValueError, match=r"utf-99"):
        read_bytes(scratch, b"a O\n", "utf-99")


@pytest.mark.parametrize(
    ("token_column", "tag_column", "needed"), [(0, -1, 2), (0, 1, 2), (0, 3, 4), (-4, 0, 4)]
)
def test_a_line_of_too_few_columns_is_named(
    scratch: Path, token_column: int, tag_column: int, needed: int
) -> None:
    content = b"a b c O\n\na b c O\nlonely\n"
    message = rf"scratch\.conll:4: expected {needed} columns or more, found 1: 'lonely'"
    with pytest.raises(ValueError, match=message):
        read_bytes(scratch, content, "utf-8", token_column, tag_column)


@pytest.mark.parametrize("content", [b"", b"\n \n\t\n", b"-DOCSTART- -X- O O\n\n", b"\xef\xbb\xbf"])
def test_a_file_without_sentences_yields_none(scratch: Path, content: bytes) -> None:
    assert read_bytes(scratch, content) == []


def test_sentences_are_read_as_they_are_asked_for(scratch: Path) -> None:
    scratch.write_bytes(b"a O\n\nbroken\n")
    found = read(scratch, 0, -1, "utf-8")
    assert next(found).tokens == ["a"]
    with pytest.raises(ValueError, match=":3:"):
        next(found)


def test_columns_are_found_by_the_names_in_the_header(tmp_path: Path) -> None:
    path = tmp_path / "named.tsv"
    path.write_text("\nid ner word\n1 O a\n2 B-X b\n\n3 O c\n")
    found = [(s.tokens, s.tags, s.line) for s in read(path, "word", "ner", "utf-8")]
    assert found == [(["a", "b"], ["O", "B-X"], 3), (["c"], ["O"], 6)]
    for tag_column, wrong in (("ner", ""), ("tag", " and no column 'tag'"), (1, "")):
        message = rf"named\.tsv:1: no column 'token'{wrong}: expected .*, found 'id', 'ner', 'word'"
        with pytest.raises(ValueError, match=message):
            list(read(path, "token", tag_column, "utf-8"))


LATIN = "Ada B-PER\nmet O\n\nEve B-PER\nwho O\nleft O\n"


@pytest.mark.parametrize("text", [LATIN, "中 B-PER\n一 O\n文 O\n\n" * 8])
@pytest.mark.parametrize("expected", ["utf-8", "cp1252", "latin-1"])
@pytest.mark.parametrize(
    ("written", "advice"),
    [("utf-16", "utf-16"), ("utf-32", "utf-32"), ("utf-16-le", "utf-16-le"), ("utf-16-be",) * 2],
)
def test_a_file_in_utf_16_is_refused_with_its_name(
    tmp_path: Path, text: str, expected: str, written: str, advice: str
) -> None:
    path = tmp_path / "words.conll"
    path.write_bytes(text.encode(written))
    message = rf"words\.conll: expected .*, found what is {advice} by .*; set .*encoding={advice}$"
    with pytest.raises(ValueError, match=message):
        list(read(path, 0, -1, expected))
    assert next(read(path, 0, -1, advice)).tokens[0] == text[: text.index(" ")]


@pytest.mark.parametrize("text", ["", LATIN, "\0" * 100, "a\0 B-X\n" * 100, "\0a\0b", "ÿþ O\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_text_in_other_encodings_is_not_taken_for_utf_16(text: str, encoding: str) -> None:
    assert wide_encoding(text.encode(encoding)) is None


def test_a_line_that_does_not_fit_into_memory_is_named_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "words"
    path.touch()
    message = r"words: a line of it does not fit into memory; expected a sentence or a record on"
    with pytest.raises(ValueError, match=message), open_text(path, "utf-8", None):
        raise MemoryError


def test_comments_that_nobody_announced_are_pointed_out(tmp_path: Path) -> None:
    path = tmp_path / "comments.conll"
    path.write_text("#newdoc\na O\n")
    with pytest.raises(
        ValueError, match=r":1: .*set .*token_column and \.tag_column, or \.comment"
    ):
        list(read(path, 0, -1, "utf-8"))


def test_comments_are_passed_over_where_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "comments.conll"
    path.write_text("# a comment\na O\n#b O\nc O\n")
    (asked,) = read(path, 0, -1, "utf-8", comment="#")
    assert asked.tokens == ["a", "c"]
    (unasked,) = read(path, 0, -1, "utf-8")
    assert unasked.tokens == ["#", "a", "#b", "c"]


def test_the_token_is_the_first_group_of_its_pattern(tmp_path: Path) -> None:
    path = tmp_path / "wikiann"
    path.write_text("en:Paris B-LOC\nen:: O\nen:en:x O\n")
    (sentence,) = read(path, 0, -1, "utf-8", token_pattern="[a-z]+:(.+)")
    assert sentence.tokens == ["Paris", ":", "en:x"]
    for pattern, message in (
        ("fr:(.+)", r"wikiann:1: 'en:Paris' does not match data\.reader\.token_pattern, 'fr:"),
        ("en:.+", r"token_pattern: expected one group, the token, found 0 in 'en:\.\+'"),
        ("en:(", r"token_pattern: 'en:\(': missing \)"),
    ):
        with pytest.raises(ValueError, match=message):
            list(read(path, 0, -1, "utf-8", token_pattern=pattern))
