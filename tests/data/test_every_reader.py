"""What every reader must survive: any text comes back, no file ends in more than one line."""

from pathlib import Path

import pytest
from formats import FORMATS, SMALL, TOOLS, Text
from hypothesis import example, given, settings
from hypothesis import strategies as st
from invariants import contents, read_or_refuse

from nerlab.tags import spans_of, tags_of

READERS = FORMATS | TOOLS
TEXT_FORMATS = [name for name in FORMATS if name != "parquet"]
every_reader = pytest.mark.parametrize("name", READERS)
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


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that every example writes anew."""
    return tmp_path_factory.mktemp("readers") / "words"


@every_format
@settings(max_examples=60)
@given(data=st.data())
def test_what_is_written_is_read(name: str, path: Path, data: st.DataObject) -> None:
    text = data.draw(texts(FORMATS[name].banned))
    if text[0][0][0].startswith("\ufeff") and name in ("columns", "parallel"):
        text[0].insert(0, ("first", "O"))  # a mark that begins a file is none of its text
    FORMATS[name].write(text, path)
    assert contents(FORMATS[name].read(path)) == text


@every_reader
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
    read_or_refuse(READERS[name].read, path)


@every_reader
@pytest.mark.parametrize("content", [b"", b"\n\n", b" \t\n"])
def test_a_file_without_a_sentence_yields_none(name: str, path: Path, content: bytes) -> None:
    path.with_name("tags").write_bytes(content)
    path.write_bytes(content)
    found = read_or_refuse(READERS[name].read, path)
    assert found == [] or isinstance(found, str)


@every_reader
def test_a_file_cut_off_anywhere_is_sentences_or_one_line(name: str, path: Path) -> None:
    READERS[name].write(SMALL, path)
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        found = read_or_refuse(READERS[name].read, path)
        if not isinstance(found, str):  # a column format cannot know; no sentence is made up
            assert [len(part) for part in found] <= [len(part) for part in SMALL]


@every_reader
@settings(max_examples=80)
@given(place=st.floats(0, 0.999), bit=st.integers(0, 7))
def test_a_flipped_bit_is_sentences_or_one_line(
    name: str, path: Path, place: float, bit: int
) -> None:
    READERS[name].write(SMALL, path)
    corrupted = bytearray(path.read_bytes())
    corrupted[int(place * len(corrupted))] ^= 1 << bit
    path.write_bytes(bytes(corrupted))
    read_or_refuse(READERS[name].read, path)


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
    message = read_or_refuse(READERS[name].read, path)
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
    found = read_or_refuse(READERS[name].read, path)
    assert found == text or (name == "table" and isinstance(found, str))  # Python 3.10's csv
