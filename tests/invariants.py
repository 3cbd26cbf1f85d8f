"""What must hold for input from outside, whatever it is: hypothesis and the fuzzers ask the same.

Each of these takes what came of some input, and raises unless it went well or was refused in one
line.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from conftest import Result
from formats import Text

from nerlab.data.build import build_corpus
from nerlab.data.sentence import Sentence
from nerlab.inference.predictor import Predictor
from nerlab.models.loading import load_checkpoint, load_state
from nerlab.tags import spans_of
from nerlab.text import MAX_SENTENCE_TOKENS, sentences, tokenize

_CPU = torch.device("cpu")
_TEXT = "In Bakı Aygün Əliyeva met Eve, 1999."


def contents(found: Iterable[Sentence]) -> Text:
    """Sentences as pairs of token and tag."""
    return [list(zip(s.tokens, s.tags, strict=True)) for s in found]


def one_line(message: str) -> str:
    """A message that a person can read: returned as it is."""
    assert message
    assert len(message.splitlines()) == 1, message
    return message


def read_or_refuse(read: Callable[[Path], Iterator[Sentence]], path: Path) -> Text | str:
    """The sentences of a file, which can be indexed without a change; or the line that refuses."""
    try:
        found = list(read(path))
    except ValueError as error:
        message = one_line(str(error))
    else:
        _check_sentences(found, path)
        return contents(found)
    assert message.startswith(f"{path.parent}/")
    assert len(message) < 1000
    return message


def _check_sentences(found: list[Sentence], path: Path) -> None:
    for sentence in found:
        assert len(sentence.tokens) == len(sentence.tags) > 0
        assert all(isinstance(text, str) for text in [*sentence.tokens, *sentence.tags])
        assert all(sentence.tokens)
    try:
        corpus = build_corpus(found, "iob2", repair=True, source=str(path))
    except ValueError as error:  # a tag of no scheme
        message = one_line(str(error))
    else:
        for number, sentence in enumerate(found):
            assert corpus.sentence_tokens(number) == sentence.tokens
            assert spans_of(corpus.sentence_tags(number)) == spans_of(sentence.tags)
        return
    assert message.startswith(f"{path}:")


def is_space(character: str) -> bool:
    """Whether a character may stand between tokens."""
    return character.isspace() or unicodedata.category(character) == "Cc"


def check_tokens(text: str) -> None:
    """No character but white space and controls is lost, none stands at a wrong offset."""
    tokens, end = list(tokenize(text)), 0
    for token in tokens:
        assert end <= token.start < token.end
        assert token.text == text[token.start : token.end]
        assert all(map(is_space, text[end : token.start]))
        assert not any(map(is_space, token.text))
        end = token.end
    assert all(map(is_space, text[end:]))
    split = list(sentences(text))
    assert [token for sentence in split for token in sentence] == tokens
    assert all(0 < len(sentence) <= MAX_SENTENCE_TOKENS for sentence in split)


def load_or_refuse(folder: Path) -> None:
    """A checkpoint of which nothing is sure tags a text at the right offsets, or is refused."""
    try:
        checkpoint = load_checkpoint(folder, _CPU)
    except ValueError as error:
        message = one_line(str(error))
    else:
        _check_offsets(Predictor([checkpoint]))
        return
    assert str(folder) in message


def _check_offsets(predictor: Predictor) -> None:
    (entities,) = predictor.predict([_TEXT])
    assert all(_TEXT[entity.start : entity.end] == entity.text for entity in entities)


def load_state_or_refuse(folder: Path) -> None:
    """The same of the state of a training."""
    message = str(folder)
    try:
        load_state(folder)
    except ValueError as error:
        message = one_line(str(error))
    assert str(folder) in message


def refused(result: Result) -> str:
    """The line with which a script ends that cannot go on."""
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("error: ")
    assert result.err.endswith("\n")
    return one_line(result.err)


def composed_or_refused(result: Result) -> None:
    """A script prints its configuration without a word beside it, or ends in one line."""
    if result.status == 0:
        assert result.err == ""
    else:
        refused(result)


def tagged(result: Result) -> list[str]:
    """The texts of a run of predict.py that went well, after a look at their entities."""
    assert (result.status, result.err) == (0, "")
    lines = [json.loads(line) for line in result.out.split("\n")[:-1]]
    for line in lines:
        for entity in line["entities"]:
            assert line["text"][entity["start"] : entity["end"]] == entity["text"]
    return [line["text"] for line in lines]


def check_tagged_lines(content: bytes, result: Result) -> None:
    """predict.py has tagged each line of a file, or the file is no UTF-8."""
    lines = _lines_of(content)
    if lines is None:
        assert re.search("is not UTF-8|expected UTF-8", refused(result))
    else:
        assert tagged(result) == lines


def _lines_of(content: bytes) -> list[str] | None:
    """The texts that a file holds; None if it is no UTF-8. A line ends with LF or CR LF."""
    raw = content.removesuffix(b"\n").split(b"\n") if content else []
    try:
        lines = [line.decode("utf-8-sig" if i == 0 else "utf-8") for i, line in enumerate(raw)]
    except UnicodeDecodeError:
        return None
    ended = len(lines) if content.endswith(b"\n") else len(lines) - 1
    return [line.removesuffix("\r") if i < ended else line for i, line in enumerate(lines)]
