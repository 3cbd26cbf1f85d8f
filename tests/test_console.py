"""The console and the one progress bar."""

import io
import os
import sys

import pytest
from rich.console import Console

from nerlab.console import counted_on_terminal, make_console, progress_bar
from nerlab.process import discard


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_bar_shows_description_share_and_state_and_is_gone_at_the_end() -> None:
    console = terminal()
    with progress_bar(console, "training [1]") as show:
        show(30, 120, "loss 0.5")
        show(60)
    for word in ("training [1]", "50%", "loss 0.5"):
        assert word in written(console)
    assert written(console).endswith("\x1b[2K")  # the line is erased


def test_without_a_terminal_there_is_no_bar() -> None:
    console = Console(file=io.StringIO(), width=80)
    with progress_bar(console, "training") as show:
        show(1, 2, "half")
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
        discard(pipe)
