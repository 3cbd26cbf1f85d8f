"""Lines from files and pipes: the same lines however they come, and answered when they come."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from conftest import ROOT, run_script
from fork_server import start_python
from hypothesis import given
from hypothesis import strategies as st

import nerlab
from nerlab.inference.lines import Lines


@pytest.fixture
def pipe() -> Iterator[tuple[Lines, int]]:
    """The lines of a pipe, and the descriptor to write to it."""
    source, target = os.pipe()
    with open(source, "rb", buffering=0) as file:
        yield Lines(file, "pipe"), target


@given(st.lists(st.sampled_from(["Eve", "é", "\r", "\n", "\r\n", "\ufeff"]), max_size=8), st.data())
def test_lines_are_the_same_in_whatever_pieces_they_come(
    parts: list[str], data: st.DataObject
) -> None:
    content = "".join(parts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=5)))
    source, target = os.pipe()

    def write() -> None:
        for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
            os.write(target, content[start:end])
        os.close(target)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    with open(source, "rb", buffering=0) as file:
        found = list(Lines(file, "pipe"))
    writer.join(timeout=10)
    expected = [line.decode() for line in BytesIO(content)]
    if expected:
        expected[0] = expected[0].removeprefix("\ufeff")
    ends = [line[:-2] if line.endswith("\r\n") else line.removesuffix("\n") for line in expected]
    assert found == ends


def test_a_line_is_ready_when_it_is_whole(pipe: tuple[Lines, int]) -> None:
    lines, target = pipe
    assert not lines.is_ready()
    os.write(target, b"one\ntw")
    assert lines.is_ready()
    iterator = iter(lines)
    assert next(iterator) == "one"
    assert not lines.is_ready()
    os.write(target, b"o\n")
    assert next(iterator) == "two"
    os.close(target)
    assert lines.is_ready()
    assert list(iterator) == []


def test_a_pipe_that_is_set_not_to_block_is_waited_for() -> None:
    source, target = os.pipe()
    os.set_blocking(source, False)

    def write() -> None:
        os.write(target, b"late\n")
        os.close(target)

    writer = threading.Timer(0.1, write)
    writer.start()
    with open(source, "rb", buffering=0) as file:
        assert list(Lines(file, "pipe")) == ["late"]
    writer.join(timeout=10)


def test_texts_are_tagged_while_no_other_is_ready(run: Path, pipe: tuple[Lines, int]) -> None:
    lines, target = pipe
    stream = nerlab.load(run).stream(lines, is_ready=lines.is_ready)
    for text in ("Anna Smith flew to Berlin .", "", "In Paris Tom met Eve ."):
        os.write(target, f"{text}\n".encode())
        assert next(stream)[0] == text
    os.close(target)
    assert list(stream) == []


def test_predict_answers_a_line_of_standard_input_when_it_comes(run: Path) -> None:
    command = ["predict.py", f"checkpoint={run}", "input=-", "device=cpu"]
    with start_python(command, ROOT, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(120, process.kill)  # else a failure would be a wait for ever
        timer.start()
        for text in ("Anna Smith flew to Berlin .", "In Paris Tom met Eve ."):
            process.stdin.write(text + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == text
        process.stdin.close()
        timer.cancel()
        assert process.stdout.read() == ""
    assert process.returncode == 0


def test_predict_reads_a_named_pipe(run: Path, tmp_path: Path) -> None:
    source = tmp_path / "pipe"
    os.mkfifo(source)
    writer = threading.Thread(
        target=source.write_text, args=("Anna met Eve\nTom too",), daemon=True
    )
    writer.start()
    result = run_script("predict", f"checkpoint={run}", f"input={source}")
    writer.join(timeout=10)
    assert result.status == 0, result.err
    assert [json.loads(line)["text"] for line in result.out.splitlines()] == [
        "Anna met Eve",
        "Tom too",
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_prediction_that_a_signal_ends_leaves_no_file(
    run: Path, tmp_path: Path, number: signal.Signals
) -> None:
    source, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(source)
    folder.mkdir()
    found: list[Path] = []
    main = threading.main_thread().ident
    assert main is not None

    def write_and_stop() -> None:
        with source.open("w") as file:  # opened when predict.py reads it
            file.write("Anna met Eve\n")
            file.flush()
            found.extend(folder.iterdir())
            signal.pthread_kill(main, number)
            stopped.wait()

    def refuse(*_: object) -> None:
        raise AssertionError("the signal was not handled")

    stopped = threading.Event()
    before = signal.signal(
        number, signal.default_int_handler if number == signal.SIGINT else refuse
    )
    writer = threading.Thread(target=write_and_stop, daemon=True)
    writer.start()
    try:
        result = run_script(
            "predict", f"checkpoint={run}", f"input={source}", f"output={folder / 'output'}"
        )
    finally:
        stopped.set()
        writer.join(timeout=10)
        signal.signal(number, before)
    assert result.status == 128 + number
    assert len(found) == 1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_text_in_utf_16_is_refused_with_its_name(encoding: str) -> None:
    content = "Angela Merkel flew to Paris.\nShe came.\n".encode(encoding)
    source, target = os.pipe()
    os.write(target, content)
    os.close(target)
    message = (
        rf"^pipe: expected UTF-8, found what is {encoding} .*\(iconv -f {encoding} -t utf-8\)$"
    )
    with open(source, "rb", buffering=0) as file, pytest.raises(ValueError, match=message):
        list(Lines(file, "pipe"))
