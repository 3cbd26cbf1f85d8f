"""The files of annotation tools give back each text, and each entity at its offsets."""

import json
import re
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from annotation_tools import options_of
from hypothesis import example, given
from hypothesis import strategies as st
from tagged_texts import LABELS, sentence_of, tagged_texts

from nerlab.data.readers.spans import read
from nerlab.data.sentence import Sentence
from nerlab.inference.annotation import brat, labelstudio, spacy
from nerlab.inference.output import Tagged, entities_of
from nerlab.messages import as_column
from nerlab.tags import Span, spans_of
from nerlab.text import Token

TEXT = "Anna  Smith met\u2028Eve in\nNew York."
TOKENS = [Token(m[0], m.start(), m.end()) for m in re.finditer(r"[^\s.]+|\.", TEXT)]
TAGGED = [sentence_of(TEXT, TOKENS, [Span(0, 2, "PER"), Span(2, 4, "ORG"), Span(4, 6, "LOC")])]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tools") / "file"


def words_of(texts: list[Tagged]) -> list[tuple[list[str], list[Span]]]:
    """The tokens of each sentence and the spans of its entities."""
    return [
        ([token.text for token in sentence.tokens], spans_of(sentence.tags))
        for _, tagged in texts
        for sentence in tagged
    ]


def read_back(path: Path, content: str, tool: str, **changes: Any) -> list[Sentence]:
    """What the reader of a tool finds in a file of it."""
    path.write_text(content, encoding="utf-8")
    return list(read(path, **(options_of(tool) | changes)))


def read_words(found: list[Sentence]) -> list[tuple[list[str], list[Span]]]:
    return [(list(sentence.tokens), spans_of(sentence.tags)) for sentence in found]


def test_brat_has_a_line_an_entity_and_a_line_its_score() -> None:
    (document, annotations), empty, last = brat([(TEXT, TAGGED), ("", []), (TEXT, TAGGED)])
    assert document == f"{TEXT}\n"
    assert annotations.split("\n") == [
        "T1\tPER 0 11\tAnna  Smith",
        "#1\tAnnotatorNotes T1\t0.500000",
        "T2\tORG 12 15;16 19\tmet Eve",
        "#2\tAnnotatorNotes T2\t0.250000",
        "T3\tLOC 20 22;23 26\tin New",
        "#3\tAnnotatorNotes T3\t0.125000",
        "",
    ]
    assert empty == ("\n", "")
    assert last[1].startswith(f"T4\tPER {len(TEXT) + 2} {len(TEXT) + 13}\tAnna  Smith\n")


@given(tagged_texts())
@example([(TEXT, TAGGED), (TEXT, TAGGED)])
def test_brat_gives_back_each_entity_at_its_offsets(texts: list[Tagged]) -> None:
    pairs = list(brat(texts))
    document = "".join(pair[0] for pair in pairs)
    assert document == "".join(f"{text}\n" for text, _ in texts)
    lines = "".join(pair[1] for pair in pairs).split("\n")
    assert all(line.isprintable() or "\t" in line or "\u200d" in line for line in lines[:-1])
    expected = [entity for _, tagged in texts for entity in entities_of(tagged)]
    starts = accumulate((len(text) + 1 for text, _ in texts), initial=0)
    pairs_of = zip(starts, texts, strict=False)  # the last start is that of the end
    shifts = [start for start, (_, tagged) in pairs_of for _ in entities_of(tagged)]
    assert len(lines) == 2 * len(expected) + 1
    for number, (entity, shift) in enumerate(zip(expected, shifts, strict=True)):
        identifier, place, name = lines[2 * number].split("\t")
        note, target, score = lines[2 * number + 1].split("\t")
        label, offsets = place.split(" ", 1)
        assert (identifier, label) == (f"T{number + 1}", as_column(entity.label))
        assert (note, target) == (f"#{number + 1}", f"AnnotatorNotes T{number + 1}")
        assert float(score) == pytest.approx(entity.score, abs=1e-6)
        places = [tuple(map(int, pair.split(" "))) for pair in offsets.split(";")]
        assert (places[0][0], places[-1][1]) == (shift + entity.start, shift + entity.end)
        assert " ".join(document[start:end] for start, end in places) == name
        assert "".join(name.split()) == "".join(
            re.sub(r"[\0-\x1f\x7f-\x9f]", "", entity.text).split()
        )


def words_and_spaces(words: list[str], text: str) -> tuple[list[str], list[bool]]:
    """The words of a spaCy document and whether a space is behind each, for a text: what stands
    between words is a word too, but for one space behind each."""
    found, spaces, done = list[str](), list[bool](), 0
    for word in words:
        start = text.index(word, done)
        if start > done:
            found.append(text[done:start])
            spaces.append(False)
        found.append(word)
        done = start + len(word)
        spaces.append(text[done : done + 1] == " ")
        done += spaces[-1]
    if done < len(text):
        found.append(text[done:])
        spaces.append(False)
    return found, spaces


@given(tagged_texts())
@example([(TEXT, TAGGED)])
@example([("  a  \n b ", [sentence_of("  a  \n b ", [Token("a", 2, 3), Token("b", 7, 8)], [])])])
def test_spacy_makes_a_document_of_a_line(texts: list[Tagged]) -> None:
    lines = list(spacy(texts))
    assert len(lines) == len(texts)
    for (text, tagged), line in zip(texts, lines, strict=True):
        found = json.loads(line)
        assert found["text"] == text
        words = [text[token["start"] : token["end"]] for token in found["tokens"]]
        assert [token["id"] for token in found["tokens"]] == list(range(len(words)))
        # Its document must be the text, and its words those of the line.
        again, spaces = words_and_spaces([word for word in words if not word.isspace()], text)
        assert again == words
        joined = (word + " " * space for word, space in zip(again, spaces, strict=True))
        assert "".join(joined) == text
        starts = {token["start"] for token in found["tokens"]}
        ends = {token["end"] for token in found["tokens"]}
        for span in (*found["ents"], *found["sents"]):  # else it has no such span
            assert span["start"] in starts
            assert span["end"] in ends
        entities = [(e.start, e.end, e.label) for e in entities_of(tagged)]
        assert [(e["start"], e["end"], e["label"]) for e in found["ents"]] == entities


@given(tagged_texts().filter(lambda texts: any(tagged for _, tagged in texts)))
@example([(TEXT, TAGGED), ("", []), (TEXT, TAGGED)])
def test_what_is_written_for_spacy_is_read_back(file: Path, texts: list[Tagged]) -> None:
    controls = any(re.search(r"[\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]", text) for text, _ in texts)
    found = read_words(read_back(file, "".join(spacy(texts)), "spacy"))
    if not controls:  # which are words there
        # No sentence ends in an entity there.
        assert found == words_of(texts)


@given(tagged_texts().filter(lambda texts: any(tagged for _, tagged in texts)))
@example([(TEXT, TAGGED), ("", []), (TEXT, TAGGED)])
def test_what_is_written_for_label_studio_is_read_back(file: Path, texts: list[Tagged]) -> None:
    content = "".join(labelstudio(texts))
    spans = {"spans": "predictions.0.result", "keep": None}
    found = read_words(read_back(file, content, "label_studio", **spans))
    joined = [(" ".join(words[s.start : s.end]), s.label) for words, marks in found for s in marks]
    assert joined == [
        (" ".join(words[s.start : s.end]), s.label)
        for words, marks in words_of(texts)
        for s in marks
    ]
    for task, (text, tagged) in zip(json.loads(content), texts, strict=True):
        assert task["data"] == {"text": text}
        (prediction,) = task["predictions"]
        entities = entities_of(tagged)
        for region, entity in zip(prediction["result"], entities, strict=True):
            value = region["value"]
            assert text[value["start"] : value["end"]] == value["text"] == entity.text
            assert value["labels"] == [entity.label]
            assert region["score"] == pytest.approx(entity.score, abs=1e-6)
        assert len({region["id"] for region in prediction["result"]}) == len(entities)
        lowest = min((entity.score for entity in entities), default=None)
        assert prediction.get("score") == (lowest and pytest.approx(lowest, abs=1e-6))


def test_label_studio_has_an_array_of_nothing() -> None:
    assert json.loads("".join(labelstudio([]))) == []


@given(st.sampled_from(LABELS))
def test_a_label_is_one_word_for_brat(label: str) -> None:
    text = "Anna"
    ((_, lines),) = brat([(text, [sentence_of(text, [Token(text, 0, 4)], [Span(0, 1, label)])])])
    assert len(lines.split("\n")[0].split(" ")) == 3
