"""Training goes on whatever becomes of the terminal."""

import os
import pty
from pathlib import Path

import pytest
from conftest import ROOT
from fork_server import start_python
from processes import arguments, content

pytest_plugins = ["finished_run"]


@pytest.mark.parametrize("kind", ["pipe", pytest.param("terminal", marks=pytest.mark.long)])
def test_a_run_whose_terminal_or_reader_goes_is_trained_to_its_end(
    corpus: Path, tmp_path: Path, finished: Path, kind: str
) -> None:
    run = tmp_path / "run"
    ours, its = os.pipe() if kind == "pipe" else pty.openpty()
    process = start_python(["train.py", *arguments(corpus, run)], ROOT, stdout=its, stderr=its)
    os.close(its)
    assert b"run " in os.read(ours, 10_000)
    os.close(ours)
    assert process.wait(timeout=120) == 0
    assert content(run) == content(finished)
    assert f"done: {run}" in (run / "train.log").read_text()
