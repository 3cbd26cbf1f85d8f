"""The reader of texts and spans: what tools export is read as the spans that were marked."""

from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from annotation_tools import (
    BY_TOKENS,
    NAMED,
    NAMES,
    TEXT,
    TOOLS,
    doccano_record,
    entities,
    label_studio_record,
    prodigy_record,
    read_records,
)
from helpers import check
from hypothesis import given, settings
from hypothesis import strategies as st

from nerlab.tags import spans_of
from nerlab.text import sentences as sentences_of
from nerlab.text import tokenize


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that every example writes anew."""
    return tmp_path_factory.mktemp("spans") / "scratch.jsonl"


@pytest.mark.parametrize("tool", TOOLS)
def test_the_export_of_a_tool_is_read(scratch: Path, tool: str) -> None:
    records = [TOOLS[tool](TEXT, NAMED), TOOLS[tool]("Nobody came", [])]
    found = read_records(scratch, tool, records)
    assert entities(found) == NAMES
    tokens = [token.text for token in tokenize(TEXT)]
    if tool == "prodigy":  # whose records know no sentences
        assert [list(sentence.tokens) for sentence in found] == [tokens, ["Nobody", "came"]]
    else:
        assert [list(s.tokens) for s in found] == [tokens[:7], tokens[7:], ["Nobody", "came"]]
    last_line = 1 if tool == "label_studio" else 2
    assert [(s.document, s.line, s.lines_a_token) for s in found] == [
        *[(1, 1, 0)] * (len(found) - 1),
        (2, last_line, 0),
    ]


words = st.sampled_from(
    [
        "Ada",
        "U.N.",
        "don't",
        "3,5",
        "北京",
        "क्षि",
        "👩‍👩‍👧",
        "é",
        "«",
        "!",
        ".",
        "Dr.",
        "a\u200bb",
        "\ud800",
    ]
)
gaps = st.sampled_from(["", " ", "  ", "\n", "\t", "\xa0", "\u2028", "\r\n", "\0"])
texts = st.builds(
    lambda parts: "".join(gap + word for gap, word in parts),
    st.lists(st.tuples(gaps, words), min_size=1, max_size=12),
)
labels = st.sampled_from(["PER", "LOC", "WORK-OF-ART", "B-X", "a label"])


@st.composite
def annotated_texts(draw: st.DrawFn) -> tuple[str, list[tuple[int, int, str]]]:
    """A text and spans of it, over whole tokens and in order, that do not overlap."""
    text = draw(texts.filter(lambda text: any(tokenize(text))))
    tokens = list(tokenize(text))
    named = []
    place = 0
    for gap, width, label in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), labels), max_size=4)
    ):
        covered = tokens[place + gap : place + gap + width]
        if len(covered) == width:
            named.append((covered[0].start, covered[-1].end, label))
        place += gap + width
    return text, named


@settings(max_examples=60)
@given(documents=st.lists(annotated_texts(), min_size=1, max_size=3))
@pytest.mark.parametrize(
    ("tool", "changes"),
    [*((tool, {}) for tool in TOOLS), ("prodigy", BY_TOKENS), ("prodigy", {"tokens": None})],
)
def test_spans_come_back_from_what_each_tool_writes(
    scratch: Path,
    tool: str,
    changes: dict[str, Any],
    documents: list[tuple[str, list[tuple[int, int, str]]]],
) -> None:
    found = read_records(
        scratch, tool, [TOOLS[tool](*document) for document in documents], **changes
    )
    grouped = [list(group) for _, group in groupby(found, key=lambda s: s.document)]
    assert len(grouped) == len(documents)
    for sentences, (text, named) in zip(grouped, documents, strict=True):
        tokens = list(tokenize(text))
        flat = [(t, tag) for s in sentences for t, tag in zip(s.tokens, s.tags, strict=True)]
        assert [token for token, _ in flat] == [token.text for token in tokens]
        for sentence in sentences:
            check(sentence.tags, "iob2")
        # Sentences begin outside or with a B-, so the spans of all are those of each.
        assert [
            (tokens[span.start].start, tokens[span.end - 1].end, span.label)
            for span in spans_of([tag for _, tag in flat])
        ] == named


@settings(max_examples=60)
@given(document=annotated_texts())
def test_a_text_without_tokens_is_cut_into_its_sentences_but_never_inside_a_span(
    scratch: Path, document: tuple[str, list[tuple[int, int, str]]]
) -> None:
    text, named = document
    found = read_records(scratch, "doccano", [doccano_record(text, named)])
    expected: list[list[str]] = []
    for group in sentences_of(text):
        inside = any(start < group[0].start < end for start, end, _ in named)
        if inside:
            expected[-1] += [token.text for token in group]
        else:
            expected.append([token.text for token in group])
    assert [list(sentence.tokens) for sentence in found] == expected


def test_a_span_over_a_line_break_holds_its_sentence_together(scratch: Path) -> None:
    found = read_records(
        scratch, "doccano", [doccano_record("in New\nYork. We\nwent", [(3, 11, "L")])]
    )
    assert [list(s.tokens) for s in found] == [["in", "New", "York", "."], ["We"], ["went"]]
    assert [list(s.tags) for s in found] == [["O", "B-L", "I-L", "O"], ["O"], ["O"]]


# What a record may hold.


def test_a_region_of_two_labels_is_two_spans_that_overlap(scratch: Path) -> None:
    record = label_studio_record(TEXT, NAMED[:1])
    record["annotations"][0]["result"][2]["value"]["labels"] = ["PER", "LOC"]
    with pytest.raises(ValueError, match=r"'LOC'\) is overlapped by another"):
        read_records(scratch, "label_studio", [record])
    found = read_records(scratch, "label_studio", [record], misaligned="skip")
    assert entities(found) == [("Angela Merkel", "PER")]


def test_records_are_kept_by_the_value_of_a_field(scratch: Path) -> None:
    records = [prodigy_record(TEXT, NAMED) | {"answer": a} for a in ("reject", "accept", "ignore")]
    del records[2]["answer"]
    assert [s.line for s in read_records(scratch, "prodigy", records)] == [2]
    assert len(read_records(scratch, "prodigy", records, keep=None)) == 3
    assert read_records(scratch, "prodigy", records[:1]) == []


def test_a_task_without_an_annotation_or_with_a_cancelled_one_is_passed_over(scratch: Path) -> None:
    empty, cancelled, good = (label_studio_record(TEXT, NAMED) for _ in range(3))
    empty["annotations"] = []
    cancelled["annotations"][0]["was_cancelled"] = True
    assert entities(read_records(scratch, "label_studio", [empty, cancelled, good])) == NAMES


def test_a_record_without_spans_has_none_where_they_are_not_required(scratch: Path) -> None:
    bare = prodigy_record("Nobody came", [])
    del bare["spans"]
    found = read_records(scratch, "prodigy", [bare, prodigy_record(TEXT, NAMED)])
    assert entities(found) == NAMES
    with pytest.raises(
        ValueError, match=r"scratch\.jsonl:1: expected a list under 'spans', found n"
    ):
        read_records(scratch, "prodigy", [bare], require_spans=True)
    with pytest.raises(
        ValueError, match=r"under 'spans', found none in any record; set data\.read"
    ):
        read_records(scratch, "prodigy", [bare])


def test_tokens_of_white_space_are_none_but_are_counted(scratch: Path) -> None:
    record = {
        "text": "in  Paris\n",
        "tokens": [{"start": a, "end": b} for a, b in ((0, 2), (3, 4), (4, 9), (9, 10), (10, 10))],
        "spans": [{"first": 2, "last": 2, "label": "LOC"}],
        "answer": "accept",
    }
    changes = {"start": "first", "end": "last", "unit": "tokens", "ends": "inclusive"}
    (sentence,) = read_records(scratch, "prodigy", [record], **changes)
    assert (sentence.tokens, sentence.tags) == (["in", "Paris"], ["O", "B-LOC"])


def test_tokens_that_are_strings_make_up_the_text(scratch: Path) -> None:
    record = {
        "tokenized_text": ["New", "York", "is", "", "big"],
        "ner": [[0, 1, "LOC"], [4, 4, "X"]],
    }
    changes = {
        "text": None,
        "tokens": "tokenized_text",
        "spans": "ner",
        "start": 0,
        "end": 1,
        "label": 2,
        "unit": "tokens",
        "ends": "inclusive",
    }
    (sentence,) = read_records(scratch, "spans", [record], **changes)
    assert sentence.tokens == ["New", "York", "is", "big"]
    assert sentence.tags == ["B-LOC", "I-LOC", "O", "B-X"]
    changes |= {"unit": "characters", "ends": "exclusive"}
    record["ner"] = [[0, 8, "LOC"]]
    assert entities(read_records(scratch, "spans", [record], **changes)) == [("New York", "LOC")]


def test_inclusive_ends_are_those_of_the_last_position(scratch: Path) -> None:
    named = [(start, end - 1, label) for start, end, label in NAMED]
    found = read_records(scratch, "doccano", [doccano_record(TEXT, named)], ends="inclusive")
    assert entities(found) == NAMES


def test_texts_without_a_token_yield_nothing(scratch: Path) -> None:
    empty = [doccano_record(text, []) for text in ("", " \n", "\0")]
    (sentence,) = read_records(scratch, "doccano", [*empty, doccano_record("a", [])])
    assert (sentence.line, sentence.document) == (4, 4)
    for records in ([], empty):
        assert read_records(scratch, "doccano", records) == []
