"""The reader of parallel files: what is written is read, what does not match is named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerlab.data.build import build_corpus
from nerlab.data.readers.parallel import read
from nerlab.data.sentence import Sentence


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose files every example writes anew."""
    return tmp_path_factory.mktemp("parallel")


def read_texts(folder: Path, words: str, tags: str) -> list[Sentence]:
    for name, text in (("train_words", words), ("train_tags", tags)):
        (folder / name).write_bytes(text.encode())
    return list(read(folder / "train_words", "words", "tags", "utf-8"))


tokens = st.text(
    alphabet=st.characters(exclude_categories=["Cs"], exclude_characters=" \t\r\n\ufeff"),
    min_size=1,
    max_size=5,
)
lines = st.lists(st.lists(tokens, max_size=4), min_size=1, max_size=6).filter(any)


@given(
    sentences=lines,
    gap=st.sampled_from([" ", "\t", "  "]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    last_end=st.booleans(),
)
def test_what_is_written_is_read(
    folder: Path, sentences: list[list[str]], gap: str, line_end: str, last_end: bool
) -> None:
    tags = [[f"B-{i}" for i in range(len(words))] for words in sentences]
    end = line_end if last_end else ""
    found = read_texts(
        folder,
        line_end.join(gap.join(words) for words in sentences) + end,
        line_end.join(gap.join(words) for words in tags) + line_end,
    )
    expected = [
        Sentence(words, labels, line=number, lines_a_token=0)
        for number, (words, labels) in enumerate(zip(sentences, tags, strict=True), start=1)
        if words
    ]
    assert found == expected


@pytest.mark.parametrize(
    ("words", "tags", "message"),
    [
        ("a b\nc\n", "O O\nO O\n", r"train_words:2: 1 token, but 2 tags in train_tags"),
        ("a\nb\n", "O\n", r"train_words:2: 1 token, but 0 tags"),
        ("a\n", "O\nO\n", r"train_words:2: 0 tokens, but 1 tag"),
    ],
)
def test_what_does_not_match_is_named_with_its_line(
    folder: Path, words: str, tags: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_texts(folder, words, tags)


def test_a_file_without_its_tags_is_named_with_what_to_set(tmp_path: Path) -> None:
    path = tmp_path / "dev.words.txt"
    path.write_text("a\n")
    with pytest.raises(
        ValueError, match=r"expected the tags beside it in dev\.tags\.txt, found no"
    ):
        list(read(path, "words", "tags", "utf-8"))
    with pytest.raises(ValueError, match=r"set data\.reader\.words and data\.reader\.tags"):
        list(read(path, "tokens", "labels", "utf-8"))


def test_an_illegal_tag_is_found_on_the_line_of_its_sentence(folder: Path) -> None:
    sentences = read_texts(folder, "a\nb c d\n", "O\nO O I-X\n")
    with pytest.raises(ValueError, match=r"^file:2: tag 'I-X' follows 'O'"):
        build_corpus(sentences, "iob2", False, "file")
