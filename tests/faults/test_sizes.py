"""Lines of millions of characters or tokens: nothing is lost, and nothing hangs."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import run_script
from formats import FORMATS, TOOLS, Text
from invariants import check_tagged_lines
from no_hang import no_hang

import nerlab
from nerlab.data.build import build_corpus
from nerlab.data.readers.alignment import align
from nerlab.tags import Span
from nerlab.text import tokenize

READERS = FORMATS | TOOLS
LONG = pytest.mark.long
LIMIT = 300  # seconds; the slowest of the long ones takes twelve


def sentences_of(kind: str, size: int) -> Text:
    """A token or a label of this many characters, or a tenth as many tokens."""
    if kind == "token":
        return [[("x" * size, "B-X"), ("y", "O")]]
    if kind == "label":
        return [[("x", f"B-{'y' * size}"), ("y", "O")]]
    return [[("in", "O"), ("Oslo", "B-X")] * (size // 20)]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", ["token", "label", "tokens"])
@pytest.mark.parametrize("size", [200_000, pytest.param(10_000_000, marks=LONG)])
def test_a_line_of_megabytes_is_read_or_refused(
    tmp_path: Path, name: str, kind: str, size: int
) -> None:
    path = tmp_path / "words"
    text = sentences_of(kind, size)
    READERS[name].write(text, path)
    if name == "table" and kind != "tokens":
        limit = csv.field_size_limit()
        with pytest.raises(
            ValueError, match=rf"words:2: field larger than field limit \({limit}\)"
        ):
            list(READERS[name].read(path))
        return
    with no_hang(LIMIT):
        found = list(READERS[name].read(path))
    tokens = [token for sentence in found for token in sentence.tokens]
    assert tokens == [token for token, _ in text[0]]
    assert [tag for sentence in found for tag in sentence.tags] == [tag for _, tag in text[0]]
    corpus = build_corpus(found, "iob2", False, str(path))
    assert [token for i in range(len(corpus)) for token in corpus.sentence_tokens(i)] == tokens


TEXTS: dict[str, Callable[[int], str]] = {
    "a token": lambda size: "x" * size,
    "tokens": lambda size: "Anna met Eve . " * (size // 40),
    "distinct tokens": lambda size: " ".join(map(str, range(size // 10))),
    "marks": lambda size: ". " * (size // 10),
    "spaces": lambda size: " " * size + "Eve",
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("size", [100_000, pytest.param(10_000_000, marks=LONG)])
def test_a_text_of_megabytes_is_tagged(run: Path, kind: str, size: int) -> None:
    text = TEXTS[kind](size)
    predictor = nerlab.load(run)
    ((_, tagged),) = predictor.stream([text])
    assert [token for sentence in tagged for token in sentence.tokens] == list(tokenize(text))
    for sentence in tagged:
        for entity in sentence.entities:
            assert text[entity.start : entity.end] == entity.text


@pytest.mark.parametrize("form", ["jsonl", "conll", "table"])
@pytest.mark.parametrize("size", [100_000, pytest.param(10_000_000, marks=LONG)])
def test_a_line_of_megabytes_is_written(run: Path, tmp_path: Path, form: str, size: int) -> None:
    content = (TEXTS["tokens"](size) + "\n").encode()
    path = tmp_path / "input"
    path.write_bytes(content)
    result = run_script("predict", f"checkpoint={run}", f"input={path}", f"format={form}")
    if form == "jsonl":
        check_tagged_lines(content, result)
    else:
        assert (result.status, result.err) == (0, "")
        assert result.out.count("met") == content.count(b"met")


@pytest.mark.parametrize("size", [2_000, pytest.param(200_000, marks=LONG)])
def test_many_long_spans_are_laid_on_tokens_in_no_time(size: int) -> None:
    places = [(i, i + 1) for i in range(2 * size)]
    # The first takes the second half; each of the others reaches one token into it.
    marks = [Span(size, 2 * size, "X"), *(Span(i, size + 1, "Y") for i in range(2, size))]
    with no_hang(LIMIT):
        spans, problems = align(marks, places, 2 * size, widen=False)
    assert [(span.start, span.end) for span in spans] == [(size, 2 * size)]
    assert len(problems) == len(marks) - 1
