"""The reader of texts and spans: the exports of four tools, and spans that fit no tokens."""

import json
import logging
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from nerlab.data.readers.alignment import Mark, align
from nerlab.data.readers.spans import read
from nerlab.data.sentence import Sentence
from nerlab.tags import Span, check, spans_of
from nerlab.text import sentences as sentences_of
from nerlab.text import tokenize

LOGGER = "nerlab.data.readers.spans"


def options_of(tool: str) -> dict[str, Any]:
    """The options in the YAML file of a tool and in the one that it begins with."""
    folder = ROOT / "conf" / "data" / "reader"
    options: dict[str, Any] = {}
    for name in ("spans", tool):
        options |= yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
    return {key: value for key, value in options.items() if key not in ("defaults", *TARGET)}


TARGET = ("_target_", "_partial_")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that every example writes anew."""
    return tmp_path_factory.mktemp("spans") / "scratch.jsonl"


def read_records(path: Path, tool: str, records: list[Any], **changes: Any) -> list[Sentence]:
    """The sentences of records, written as the layout of the tool wants them."""
    options = options_of(tool) | changes
    if options["layout"] == "array":
        path.write_text(json.dumps(records))
    else:
        path.write_text("\n".join(map(json.dumps, records)))
    return list(read(path, **options))


def entities(sentences: list[Sentence]) -> list[tuple[str, str]]:
    """Text and label of every entity, its tokens apart by spaces."""
    return [
        (" ".join(sentence.tokens[span.start : span.end]), span.label)
        for sentence in sentences
        for span in spans_of(sentence.tags)
    ]


# What each tool writes, of one text in two sentences.

TEXT = "Angela Merkel flew to New York. It rained in Paris!"
NAMED = [(0, 13, "PER"), (22, 30, "LOC"), (45, 50, "LOC")]
NAMES = [("Angela Merkel", "PER"), ("New York", "LOC"), ("Paris", "LOC")]


def prodigy_record(text: str, named: list[tuple[int, int, str]]) -> dict[str, Any]:
    tokens = list(tokenize(text))
    starts, ends = [t.start for t in tokens], [t.end for t in tokens]
    return {
        "text": text,
        "_input_hash": -96976038,
        "_task_hash": 163468,
        "tokens": [
            {"text": t.text, "start": t.start, "end": t.end, "id": i, "ws": True}
            for i, t in enumerate(tokens)
        ],
        "spans": [
            {
                "start": start,
                "end": end,
                "token_start": starts.index(start),
                "token_end": ends.index(end),
                "label": label,
            }
            for start, end, label in named
        ],
        "_view_id": "ner_manual",
        "answer": "accept",
    }


def doccano_record(text: str, named: list[tuple[int, int, str]]) -> dict[str, Any]:
    return {"id": 7, "text": text, "label": [list(span) for span in named], "Comments": []}


def spacy_record(text: str, named: list[tuple[int, int, str]]) -> dict[str, Any]:
    groups = list(sentences_of(text))
    return {
        "text": text,
        "ents": [{"start": start, "end": end, "label": label} for start, end, label in named],
        "sents": [{"start": group[0].start, "end": group[-1].end} for group in groups],
        "tokens": [
            {"id": i, "start": t.start, "end": t.end, "pos": "X"}
            for i, t in enumerate(tokenize(text))
        ],
    }


def label_studio_record(text: str, named: list[tuple[int, int, str]]) -> dict[str, Any]:
    results: list[dict[str, Any]] = [
        {
            "value": {"start": start, "end": end, "text": text[start:end], "labels": [label]},
            "id": f"id{start}",
            "from_name": "label",
            "to_name": "text",
            "type": "labels",
            "origin": "manual",
        }
        for start, end, label in named
    ]
    relation = {"from_id": "id0", "to_id": "id1", "type": "relation", "direction": "right"}
    choices = {"value": {"choices": ["News"]}, "from_name": "kind", "type": "choices"}
    region_choice = {"value": {"start": 0, "end": 1, "choices": ["a"]}, "type": "choices"}
    return {
        "id": 1,
        "annotations": [
            {
                "id": 9,
                "result": [relation, choices, *results, region_choice],
                "was_cancelled": False,
            }
        ],
        "data": {"text": text},
        "predictions": [],
    }


TOOLS: dict[str, Callable[[str, list[tuple[int, int, str]]], dict[str, Any]]] = {
    "prodigy": prodigy_record,
    "doccano": doccano_record,
    "spacy": spacy_record,
    "label_studio": label_studio_record,
}


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


BY_TOKENS = {"start": "token_start", "end": "token_end", "unit": "tokens", "ends": "inclusive"}


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


# Spans that fit no tokens, against a twin that looks at every character.


class Wrong(NamedTuple):
    number: int
    kind: str
    widened: bool


def align_slowly(
    marks: list[Mark], places: list[tuple[int, int]], length: int, widen: bool
) -> tuple[list[Span], list[Wrong]]:
    owner: list[int | None] = [None] * length  # the token that each character belongs to
    for token, (start, end) in enumerate(places):
        owner[start:end] = [token] * (end - start)
    wrong: dict[int, tuple[str, bool]] = {}
    tokens_of: dict[int, list[int]] = {}
    for number, mark in enumerate(marks):
        if mark.end <= mark.start:
            wrong[number] = ("empty", False)
            continue
        characters = set(range(mark.start, mark.end))
        if not characters <= set(range(length)):
            wrong[number] = ("out of the text", False)
            continue
        touched = sorted({t for c in characters if (t := owner[c]) is not None})
        whole = {c for c in range(length) if owner[c] in touched}
        edges = {mark.start, mark.end - 1}
        if touched and whole <= characters and edges <= whole:
            tokens_of[number] = touched
        else:
            wrong[number] = ("off the token borders", widen and bool(touched))
            if widen and touched:
                tokens_of[number] = touched
    spans: list[Span] = []
    while tokens_of:
        most = max(map(len, tokens_of.values()))
        longest = {n: tokens for n, tokens in tokens_of.items() if len(tokens) == most}
        chosen = min(longest, key=lambda n: (longest[n][0], n))
        kept = tokens_of.pop(chosen)
        spans.append(Span(kept[0], kept[-1] + 1, marks[chosen].label))
        for number in [n for n, tokens in tokens_of.items() if set(tokens) & set(kept)]:
            del tokens_of[number]
            wrong[number] = ("overlapped by another", False)
    return sorted(spans), [Wrong(n, *wrong[n]) for n in sorted(wrong)]


@st.composite
def places(draw: st.DrawFn) -> tuple[list[tuple[int, int]], int]:
    """Where tokens stand in a text, and its length."""
    end = 0
    found = []
    for gap, width in draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)), max_size=6)):
        found.append((end + gap, end + gap + width))
        end += gap + width
    return found, end + draw(st.integers(0, 2))


marks = st.builds(Mark, st.integers(-2, 20), st.integers(-2, 20), st.sampled_from("XY"))


@settings(max_examples=300)
@given(text=places(), marks=st.lists(marks, max_size=6), widen=st.booleans())
def test_spans_are_laid_on_tokens_as_character_by_character(
    text: tuple[list[tuple[int, int]], int], marks: list[Mark], widen: bool
) -> None:
    found, misfits = align(marks, *text, widen=widen)
    expected, wrong = align_slowly(marks, *text, widen)
    assert found == expected
    assert [(m.mark, m.kind, m.widened) for m in misfits] == [
        (marks[w.number], w.kind, w.widened) for w in wrong
    ]


MISFITS = [
    (0, 3, "PER"),  # Ang
    (13, 18, "PER"),  # space, flew
    (45, 45, "LOC"),
    (45, 500, "LOC"),
    (22, 30, "LOC"),  # New York
    (26, 30, "LOC"),  # York
]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("skip", [("New York", "LOC")]),
        ("expand", [("Angela", "PER"), ("flew", "PER"), ("New York", "LOC")]),
    ],
)
def test_misfits_are_left_out_or_widened_and_counted_in_one_line(
    scratch: Path, caplog: pytest.LogCaptureFixture, policy: str, expected: list[tuple[str, str]]
) -> None:
    records = [doccano_record("Nobody came", []), doccano_record(TEXT, MISFITS)]
    with caplog.at_level(logging.WARNING, LOGGER):
        found = read_records(scratch, "doccano", records, misaligned=policy)
    assert entities(found) == expected
    (record,) = caplog.records
    assert (record.name, record.levelname) == (LOGGER, "WARNING")
    message = record.getMessage()
    fate = "widened" if policy == "expand" else "left out"
    assert message.startswith(
        f"{scratch}: spans do not fit, data.reader.misaligned={policy}: 2 off the token borders "
        f"({fate}), 1 empty (left out), 1 out of the text (left out), 1 overlapped by another "
        "(left out); line 2: span 'Ang' (characters 0:3, 'PER') is off the token borders, near "
        "'Angela' 'Merkel' 'flew'; line 2: "
    )
    assert message.count("line 2: ") == 5
    assert "\n" not in message


def test_no_more_than_five_examples_are_said(
    scratch: Path, caplog: pytest.LogCaptureFixture
) -> None:
    records = [doccano_record("one", [(0, 1, "X")])] * 9
    read_records(scratch, "doccano", records, misaligned="skip")
    assert "9 off the token borders" in caplog.text
    assert [f"line {n}: " in caplog.text for n in range(1, 10)] == [True] * 5 + [False] * 4


def test_nothing_is_said_where_all_spans_fit(
    scratch: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read_records(scratch, "doccano", [doccano_record(TEXT, NAMED)], misaligned="skip")
    assert not caplog.records


@pytest.mark.parametrize(
    ("span", "message"),
    [
        (
            (23, 30, "LOC"),
            r"span 'ew York' \(characters 23:30, 'LOC'\) is off the token borders, near 'flew' "
            r"'to' 'New' 'York' '\.' 'It'; mend it, set data\.reader\.unit and \.ends to what its "
            r"positions count, or data\.reader\.misaligned=expand or skip$",
        ),
        ((0, 0, "X"), r"span '' \(characters 0:0, 'X'\) is empty, near 'Angela' 'Merkel'"),
        ((9, 3, "X"), r"span '' \(characters 9:3, 'X'\) is empty"),
        ((45, 52, "X"), r"span 'Paris!' \(characters 45:52, 'X'\) is out of the text"),
        ((-1, 6, "X"), r"span 'Angela' \(characters -1:6, 'X'\) is out of the text"),
        ((10**30, 10**31, "X"), r"is out of the text, near 'Paris' '!'"),
        ((7, 13, "X"), r"span 'Merkel' \(characters 7:13, 'X'\) is overlapped by another"),
    ],
)
def test_a_misfit_is_an_error_unless_told_otherwise(
    scratch: Path, span: tuple[int, int, str], message: str
) -> None:
    records = [doccano_record("Nobody", []), doccano_record(TEXT, [(0, 13, "PER"), span])]
    with pytest.raises(ValueError, match=message) as caught:
        read_records(scratch, "doccano", records)
    assert str(caught.value).startswith(f"{scratch}:2: span ")
    assert "\n" not in str(caught.value)


def test_a_misfit_in_a_long_text_is_described_briefly(scratch: Path) -> None:
    text = "word " * 100_000
    with pytest.raises(ValueError, match="is off the token borders") as caught:
        read_records(scratch, "doccano", [doccano_record(text, [(0, len(text), "X")])])
    assert len(str(caught.value)) < 600


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
    with pytest.raises(ValueError, match=r"no sentence found; .*data\.reader\.keep wants them"):
        read_records(scratch, "prodigy", records[:1])


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


def test_texts_without_a_token_yield_nothing_and_a_file_of_them_is_an_error(scratch: Path) -> None:
    empty = [doccano_record(text, []) for text in ("", " \n", "\0")]
    (sentence,) = read_records(scratch, "doccano", [*empty, doccano_record("a", [])])
    assert (sentence.line, sentence.document) == (4, 4)
    for records in ([], empty):
        with pytest.raises(ValueError, match=r"scratch\.jsonl: no sentence found"):
            read_records(scratch, "doccano", records)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": None}, r"expected a string under 'text', found null; .* data\.reader\.text"),
        ({"text": ["a"]}, r"expected a string under 'text', found a list"),
        ({"spans": {}}, r"expected a list under 'spans', found a dict; .* data\.reader\.spans"),
        ({"spans": ["x"]}, r"spans\.0: expected a whole number under 'start', found nothing"),
        ({"spans": [{"start": True}]}, r"spans\.0: .* under 'start', found True"),
        ({"spans": [{"start": 0, "end": 1.0}]}, r"under 'end', found 1\.0; .*data\.reader\.end "),
        ({"spans": [{"start": 0, "end": 1}]}, r"expected a label under 'label', found null"),
        ({"spans": [{"start": 0, "end": 1, "label": ""}]}, r"under 'label', found ''"),
        ({"spans": [{"start": 0, "end": 1, "label": []}]}, r"under 'label', found null"),
        ({"spans": [{"start": 0, "end": 1, "label": 5}]}, r"under 'label', found 5"),
        ({"tokens": "a b"}, r"expected a list under 'tokens', found 'a b'"),
        ({"tokens": ["a"]}, r"tokens\.0: expected a whole number under 'start', found nothing"),
        (
            {"tokens": [{"start": 0, "end": 99}]},
            r"tokens\.0: expected a piece of the 51 characters of the text from 0 on, found 0:99; "
            r"mend the record, or set data\.reader\.tokens=null",
        ),
        (
            {"tokens": [{"start": 0, "end": 2}, {"start": 1, "end": 3}]},
            r"tokens\.1: .* from 2 on, found 1:3",
        ),
        ({"tokens": [{"start": 3, "end": 2}]}, r"found 3:2"),
        ({"sents": [{"start": 0}]}, r"sents\.0: expected a whole number under 'end', found noth"),
    ],
)
def test_what_a_record_lacks_is_named_with_its_line(
    scratch: Path, change: dict[str, Any], message: str
) -> None:
    good = prodigy_record(TEXT, [])
    with pytest.raises(ValueError, match=message) as caught:
        read_records(scratch, "prodigy", [good, good | change], sentences="sents")
    assert str(caught.value).startswith(f"{scratch}:2: ")
    assert "\n" not in str(caught.value)


def test_spans_that_count_tokens_need_tokens(scratch: Path) -> None:
    record = prodigy_record(TEXT, NAMED)
    del record["tokens"]
    with pytest.raises(
        ValueError, match=r":1: expected the tokens that positions count, found none"
    ):
        read_records(scratch, "prodigy", [record], **BY_TOKENS)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("unit", r"data\.reader\.unit: expected characters or tokens, found 'bytes'"),
        ("ends", r"data\.reader\.ends: expected exclusive or inclusive, found 'bytes'"),
        ("misaligned", r"data\.reader\.misaligned: expected error or expand or skip, found 'byt"),
    ],
)
def test_an_option_that_does_not_exist_is_refused(scratch: Path, option: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_records(scratch, "doccano", [doccano_record(TEXT, NAMED)], **{option: "bytes"})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["start", "end", "label", "0"]), inner)
    ),
    max_leaves=8,
)
span_objects = st.fixed_dictionaries(
    {"start": st.integers(-2, 6) | json_values, "end": st.integers(-2, 6), "label": labels}
)
offset_objects = st.fixed_dictionaries({"start": st.integers(0, 4), "end": st.integers(0, 4)})
any_records = st.fixed_dictionaries(
    {"text": st.text(max_size=6) | json_values},
    optional={
        "tokens": st.lists(offset_objects, max_size=3) | json_values,
        "spans": st.lists(span_objects, max_size=3) | json_values,
        "sents": st.lists(offset_objects, max_size=2) | json_values,
        "answer": st.just("accept") | json_values,
    },
)


@settings(max_examples=200)
@given(
    records=st.lists(any_records | json_values, max_size=3),
    tool=st.sampled_from([*TOOLS, "spans"]),
    layout=st.sampled_from(["lines", "array"]),
    unit=st.sampled_from(["characters", "tokens"]),
    misaligned=st.sampled_from(["error", "expand", "skip"]),
)
def test_any_records_are_read_or_refused_in_one_line(
    scratch: Path, records: list[Any], tool: str, layout: str, unit: str, misaligned: str
) -> None:
    message = None
    changes = {"layout": layout, "unit": unit, "misaligned": misaligned, "sentences": "sents"}
    try:
        for sentence in read_records(scratch, tool, records, **changes):
            assert len(sentence.tokens) == len(sentence.tags) > 0
            check(sentence.tags, "iob2")
    except ValueError as error:
        message = str(error)
    assert message is None or (message.startswith(f"{scratch}:") and "\n" not in message)
