"""The reader of texts and spans: what it says of misaligned spans and of broken records."""

from pathlib import Path
from typing import Any

import pytest
from annotation_tools import (
    BY_TOKENS,
    NAMED,
    TEXT,
    TOOLS,
    doccano_record,
    entities,
    prodigy_record,
    read_records,
)
from helpers import check
from hypothesis import given, settings
from hypothesis import strategies as st

from nerlab.data.readers.messages import collected_warnings


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that every example writes anew."""
    return tmp_path_factory.mktemp("spans") / "scratch.jsonl"


MISALIGNED = [
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
def test_misaligned_spans_are_left_out_or_widened_and_counted_in_one_line(
    scratch: Path, policy: str, expected: list[tuple[str, str]]
) -> None:
    records = [doccano_record("Nobody came", []), doccano_record(TEXT, MISALIGNED)]
    with collected_warnings() as warnings:
        found = read_records(scratch, "doccano", records, misaligned=policy)
    assert entities(found) == expected
    (message,) = warnings
    fate = "widened" if policy == "expand" else "left out"
    assert message.startswith(
        f"{scratch}: misaligned spans, data.reader.misaligned={policy}: 2 off the token borders "
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


def test_nothing_is_said_where_all_spans_are_aligned(
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
            r"'to' 'New' 'York' '\.' 'It'; fix it, set data\.reader\.unit and \.ends to what its "
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
def test_a_misaligned_span_is_an_error_unless_told_otherwise(
    scratch: Path, span: tuple[int, int, str], message: str
) -> None:
    records = [doccano_record("Nobody", []), doccano_record(TEXT, [(0, 13, "PER"), span])]
    with pytest.raises(ValueError, match=message) as caught:
        read_records(scratch, "doccano", records)
    assert str(caught.value).startswith(f"{scratch}:2: span ")
    assert "\n" not in str(caught.value)


def test_a_misaligned_span_in_a_long_text_is_described_briefly(scratch: Path) -> None:
    text = "word " * 100_000
    with pytest.raises(ValueError, match="is off the token borders") as caught:
        read_records(scratch, "doccano", [doccano_record(text, [(0, len(text), "X")])])
    assert len(str(caught.value)) < 600


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
            r"fix the record, or set data\.reader\.tokens=null",
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


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["start", "end", "label", "0"]), inner)
    ),
    max_leaves=8,
)
span_objects = st.fixed_dictionaries(
    {
        "start": st.integers(-2, 6) | json_values,
        "end": st.integers(-2, 6),
        "label": st.sampled_from(["PER", "a label"]),
    }
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
