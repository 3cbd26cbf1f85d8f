"""predict.py asks for texts on a terminal, and shows how far it is with a file."""

import os
import pty
import re
import subprocess
import termios
import time
from pathlib import Path

import pytest
from conftest import ROOT, run_script
from fork_server import Process, start_python

_STYLE = re.compile(rb"\x1b\[[\d;]*m")


class Terminal:
    """A terminal in which predict.py runs, and what has come to its screen."""

    def __init__(self, *arguments: str, stderr_only: bool = False) -> None:
        self.ours, its = pty.openpty()
        settings = termios.tcgetattr(its)
        settings[3] &= ~termios.ECHO  # what is typed does not come to the screen by itself
        termios.tcsetattr(its, termios.TCSANOW, settings)
        streams = {"stdin": its, "stdout": its, "stderr": its}
        if stderr_only:
            streams |= {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        environment = {"TERM": "xterm-256color", "NO_COLOR": "", "COLUMNS": "80"}
        command = ["predict.py", *arguments, "device=cpu"]
        self.process: Process = start_python(command, ROOT, environment, **streams)
        os.close(its)
        self.screen = b""

    def read_until(self, end: bytes) -> bytes:
        """What comes to the screen, up to an end that is waited for."""
        until = time.monotonic() + 120
        while end not in self.screen:
            assert time.monotonic() < until, self.screen
            self.screen += os.read(self.ours, 10_000)
        found, self.screen = self.screen.split(end, 1)
        return found

    def read_all(self) -> bytes:
        """The rest, when the process has ended."""
        try:
            while part := os.read(self.ours, 10_000):
                self.screen += part
        except OSError:  # so Linux says that the other side is closed
            pass
        os.close(self.ours)
        return self.screen


@pytest.mark.parametrize("end", [b":quit\n", pytest.param(b"\x04", marks=pytest.mark.long)])
def test_texts_are_asked_for_and_come_back_with_their_entities(run: Path, end: bytes) -> None:
    terminal = Terminal(f"checkpoint={run}")
    assert b"finds LOC PER; type a text and Enter, :quit or Ctrl-D to end" in terminal.read_until(
        b"> "
    )
    for text, name, label in (
        ("Anna Smith flew to Berlin .", "Anna Smith", "PER"),
        ("", "", ""),
        ("In Bakı Aygün Əliyeva met Eve .", "Bakı", "LOC"),
    ):
        os.write(terminal.ours, f"{text}\n".encode())
        shown = terminal.read_until(b"> ")
        styled = re.findall(rb"\x1b\[[\d;]*48;[\d;]*m([^\x1b]*)\x1b", shown)
        plain = _STYLE.sub(b"", shown).decode()
        assert (name.encode() in styled) == bool(name)
        assert not label or f"  {label}" in plain
        assert text in plain
    os.write(terminal.ours, end)
    terminal.read_all()
    assert terminal.process.wait(timeout=60) == 0


def test_without_a_terminal_nothing_is_asked_for(run: Path) -> None:
    result = run_script("predict", f"checkpoint={run}")
    expected = "error: expected text=... or input=FILE (input=- reads standard input)\n"
    assert result == (1, "", expected)


def test_how_much_of_a_file_is_tagged_is_shown_on_the_terminal(run: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "texts.txt", tmp_path / "out.jsonl"
    source.write_text("Anna Smith flew to Berlin .\n" * 50)
    terminal = Terminal(
        f"checkpoint={run}", f"input={source}", f"output={output}", stderr_only=True
    )
    screen = terminal.read_all()
    assert terminal.process.wait(timeout=60) == 0
    assert b"tagging" in screen
    assert b"100%" in screen
    assert output.read_text().count("Anna Smith") == 100
