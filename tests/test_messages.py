"""Words of messages, columns of CoNLL, the console and the one progress bar."""

import io
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nerlab.messages import (
    as_column,
    conll_sentence,
    counted,
    counted_on_terminal,
    make_console,
    progress_bar,
)
from nerlab.process import discarding_errors


def test_a_number_and_its_noun_agree() -> None:
    found = [counted(n, "epoch") for n in (0, 1, 2, 1200)]
    assert found == ["0 epochs", "1 epoch", "2 epochs", "1,200 epochs"]


rows = st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1)))


@given(rows, st.sampled_from([" ", "\t"]))
def test_lines_and_columns_can_be_told_apart(
    rows: list[tuple[str, str, str]], separator: str
) -> None:
    columns = [[as_column(row[i]) for row in rows] for i in range(3)]
    text = conll_sentence(*columns, separator=separator)
    assert text.endswith("\n")
    lines = text.split("\n")[:-2]
    assert [line.split(separator) for line in lines] == [
        list(row) for row in zip(*columns, strict=True)
    ]


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        conll_sentence(["a", "b"], ["O"])


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_bar_shows_description_share_and_state_and_is_gone_at_the_end() -> None:
    console = terminal()
    with progress_bar(console, "training [1]") as show:
        show(completed=30, total=120, state="loss 0.5")
        show(completed=60)
    for word in ("training [1]", "50%", "loss 0.5"):
        assert word in written(console)
    assert written(console).endswith("\x1b[2K")  # the line is erased


def test_without_a_terminal_there_is_no_bar() -> None:
    console = Console(file=io.StringIO(), width=80)
    with progress_bar(console, "training") as show:
        show(completed=1, total=2, state="half")
    assert written(console) == ""


def test_items_pass_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(counted_on_terminal(range(12_000), "reading", "lines")) == list(range(12_000))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_console_without_a_stream_drops_what_is_printed(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(sys, name, None)
    make_console(stderr=name == "stderr").print("word")


def test_a_closed_pipe_is_an_error_and_no_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w", buffering=1, encoding="utf-8") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with pytest.raises(BrokenPipeError):
            make_console().print("word\n" * 10)
        monkeypatch.undo()
        with discarding_errors(pipe):
            pipe.flush()
