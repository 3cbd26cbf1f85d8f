"""Raw text and file names from outside: every one is tagged, or refused in one line."""

import json
import shutil
import time
from pathlib import Path

import pytest
from conftest import run_script
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from invariants import check_tagged_lines, refused, tagged

from nerlab.text import sentences, tokenize

few = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = [
    "two words",
    "it's",
    'a "quoted" name',
    "a=b",
    "${HOME}",
    "\\${data.dir}",
    "\\\\${x",
    "Bakı 北京 القاهرة 👍",
    "back\\slash",
    "ends in backslash\\",
    "new\nline",
    "[1, 2]",
    "{a: b}",
    "null",
    "~",
    "-",
    "#",
    "@x:y",
    "-m",
    "--cfg",
    "*",
]
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


@few
@given(
    st.binary(max_size=60)
    | st.text(max_size=40).map(str.encode)
    | st.lists(st.sampled_from([b"Eve", b"\r", b"\n", b"\0", b" ", b"\xef\xbb\xbf", b"\x1a"])).map(
        b"".join
    )
)
@example(b"")
@example(b"\0")
@example(b"Anna met Eve")
@example(b"\n\n")
@example(b"\xef\xbb\xbf")
@example(b"\xff\xfeE\0v\0e\0")
@example(b"\x1f\x8b\x08\0")
def test_a_file_of_any_bytes_is_tagged_or_refused(
    run: Path, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "input"
    path.write_bytes(content)
    from_file = run_script("predict", f"checkpoint={run}", f"input={path}")
    from_stdin = run_script("predict", f"checkpoint={run}", "input=-", stdin=content)
    check_tagged_lines(content, from_file)
    check_tagged_lines(content, from_stdin)


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


@pytest.mark.parametrize("name", NAMES)
def test_a_file_may_have_any_name(run: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    checkpoint = shutil.copytree(run / "checkpoints" / "best", folder / name)
    (folder / f"{name}.txt").write_text("Anna met Eve\n", encoding="utf-8")
    output = folder / f"{name}.jsonl"
    arguments = (f"checkpoint={checkpoint}", f"input={folder / name}.txt", f"output={output}")
    assert run_script("predict", *arguments) == (0, "", "")
    assert json.loads(output.read_text(encoding="utf-8"))["text"] == "Anna met Eve"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_not_there_is_refused_whatever_its_name(
    run: Path, tmp_path: Path, name: str
) -> None:
    refused(run_script("predict", f"checkpoint={run}", f"input={tmp_path}/{name}"))
    refused(run_script("predict", f"checkpoint={tmp_path}/{name}", "text=Eve"))


@pytest.mark.parametrize("key", ["input", "output", "checkpoint"])
def test_a_folder_or_an_impossible_name_is_refused(run: Path, tmp_path: Path, key: str) -> None:
    for place in (str(tmp_path), "x" * 5_000, ""):
        arguments = {"checkpoint": str(run), "text": "Eve", key: place}
        if key == "input":
            del arguments["text"]
        refused(run_script("predict", *(f"{k}={value}" for k, value in arguments.items())))


def seconds(text: str) -> float:
    """The least of three measurements of the time that cutting a text takes."""
    found = []
    for _ in range(3):
        start = time.process_time()
        for _ in sentences(text):
            pass
        found.append(time.process_time() - start)
    return min(found)


@pytest.mark.parametrize("unit", UNITS)
def test_twice_the_text_takes_about_twice_the_time(unit: str) -> None:
    size = 100_000 // len(unit)
    once, twice = seconds(unit * size), seconds(unit * (2 * size))
    # A quadratic rule would take four times as long; what is over in no time is measured badly.
    assert twice < 3 * once + 0.02


def test_a_line_of_a_million_tokens_loses_none() -> None:
    text = "Eve " * 1_000_000
    assert sum(1 for _ in tokenize(text)) == 1_000_000
    assert sum(map(len, sentences(text))) == 1_000_000
