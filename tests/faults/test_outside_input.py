"""Raw text and file names from outside: every one is tagged, or refused in one line."""

from pathlib import Path

import pytest
from conftest import run_script
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from invariants import check_tagged_lines, refused, tagged
from no_hang import no_hang

from nerlab.text import sentences

few = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
UNITS = [
    "word ",
    "a",
    "1-",
    "'",
    ". ",
    "\n",
    "中",
    "👍",
    "\u0301",
    "\u200d",
    "n't ",
    "\ud800",
    "A. ",
]


contents = (
    st.binary(max_size=60)
    | st.text(max_size=40).map(str.encode)
    | st.lists(st.sampled_from([b"Eve", b"\r", b"\n", b"\0", b" ", b"\xef\xbb\xbf", b"\x1a"])).map(
        b"".join
    )
)


@few
@given(contents, st.booleans())
@example(b"", True)
@example(b"", False)
@example(b"\0", True)
@example(b"Anna met Eve", True)
@example(b"\n\n", False)
@example(b"\xef\xbb\xbf", True)
@example(b"\xff\xfeE\0v\0e\0", True)
@example(b"\xff\xfeE\0v\0e\0", False)
@example(b"\x1f\x8b\x08\0", False)
def test_a_file_of_any_bytes_is_tagged_or_refused(
    run: Path, tmp_path: Path, content: bytes, is_file: bool
) -> None:
    path = tmp_path / "input"
    path.write_bytes(content)
    source, stdin = (str(path), b"") if is_file else ("-", content)
    result = run_script("predict", f"checkpoint={run}", f"input={source}", stdin=stdin)
    check_tagged_lines(content, result)


@few
@given(
    st.text(st.characters(exclude_characters="\0")), st.sampled_from(["jsonl", "conll", "table"])
)
@example("\ud800 met \udfff", "conll")
@example("'", "jsonl")
@example("'a", "jsonl")
@example('"a" and "b"', "jsonl")
def test_any_text_is_tagged(run: Path, text: str, form: str) -> None:
    result = run_script("predict", f"checkpoint={run}", f"text={text}", f"format={form}")
    if text == "null":
        assert "text=" in refused(result)
    elif form == "jsonl":
        assert tagged(result) == [text]
    else:
        assert (result.status, result.err) == (0, "")


@pytest.mark.parametrize("unit", UNITS)
def test_a_text_of_one_sign_over_and_over_is_cut_in_no_time(unit: str) -> None:
    text = unit * (300_000 // len(unit))
    with no_hang(10):
        found = "".join(token.text for sentence in sentences(text) for token in sentence)
    assert found == "".join(text.split())


def test_a_line_of_many_tokens_loses_none() -> None:
    assert sum(map(len, sentences("Eve " * 200_000))) == 200_000
