"""A disk that is full costs one line, and no checkpoint that was there."""

import subprocess
import sys
from pathlib import Path

import torch
from conftest import ROOT, run_script
from processes import arguments, start, wait_for_step

from nerlab.models.checkpoint import load_checkpoint

# Files of more than so many bytes cannot be written, as on a disk that is full.
_LIMITED = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.argv[0] = "train.py"
runpy.run_path("train.py", run_name="__main__")
"""
_LONG = "trainer.epochs=300"


def limited(size: int, corpus: Path, run: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", _LIMITED, str(size), *arguments(corpus, run, _LONG)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_a_checkpoint_that_does_not_fit_is_one_line_and_the_one_before_stays(
    corpus: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = start(corpus, run, _LONG)
    wait_for_step(run, 30, process)
    process.terminate()
    process.communicate(timeout=60)
    checkpoints = run / "checkpoints"
    before = {path: path.read_bytes() for path in checkpoints.rglob("*.*")}
    assert before
    done = limited((checkpoints / "last" / "model.safetensors").stat().st_size - 1, corpus, run)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"error: {checkpoints}/" in done.stderr
    assert "no checkpoint was written, the one before stays" in done.stderr
    assert {path: path.read_bytes() for path in checkpoints.rglob("*.*")} == before
    load_checkpoint(checkpoints / "last", torch.device("cpu"))


def test_a_disk_that_is_full_from_the_start_leaves_no_half_checkpoint(
    corpus: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = limited(10_000, corpus, run)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no checkpoint was written" in done.stderr
    assert list((run / "checkpoints").iterdir()) == []
    message = run_script("evaluate", f"checkpoint={run}").err
    assert "no whole checkpoint in it" in message
