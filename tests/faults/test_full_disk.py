"""A disk that is full costs one line, and no checkpoint that was there."""

import io
import logging
import resource
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch
from conftest import ROOT, Result, run_process, run_script
from processes import arguments, content, start, wait_for_step
from rich.console import Console

from nerlab.models.loading import load_checkpoint
from nerlab.training.recorder import RunLog

pytest_plugins = ["finished_run"]

# Files of more than so many bytes cannot be written, as on a disk that is full.
_LIMITED = """
import resource, runpy, signal, sys

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.dont_write_bytecode = True  # Python would leave half a file of it for those who come later
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.argv[0] = "train.py"
runpy.run_path("train.py", run_name="__main__")
"""
_LONG = "trainer.epochs=300"


def limited(size: int, corpus: Path, run: Path, *more: str) -> Result:
    return run_process(["-c", _LIMITED, str(size), *arguments(corpus, run, _LONG, *more)], ROOT)


def test_a_checkpoint_that_does_not_fit_is_one_line_and_the_one_before_stays(
    corpus: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = start(corpus, run, _LONG)
    wait_for_step(run, 6, process)
    process.terminate()
    process.communicate(timeout=60)
    checkpoints = run / "checkpoints"
    before = {path: path.read_bytes() for path in checkpoints.rglob("*.*")}
    assert before
    done = limited((checkpoints / "last" / "model.safetensors").stat().st_size - 1, corpus, run)
    assert done.status == 1
    assert done.err.count("\n") == 1
    assert f"error: {checkpoints}/" in done.err
    assert "no checkpoint was written, the one before stays" in done.err
    assert {path: path.read_bytes() for path in checkpoints.rglob("*.*")} == before
    load_checkpoint(checkpoints / "last", torch.device("cpu"))


@pytest.mark.long
def test_a_disk_that_is_full_from_the_start_leaves_no_half_checkpoint(
    corpus: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = limited(10_000, corpus, run)
    assert done.status == 1
    assert done.err.count("\n") == 1
    assert "no checkpoint was written" in done.err
    assert list((run / "checkpoints").iterdir()) == []
    message = run_script("evaluate", f"checkpoint={run}").err
    assert "no whole checkpoint in it" in message


@pytest.mark.long
@pytest.mark.parametrize(("size", "name"), [(3000, "metrics.jsonl"), (100, "config.yaml")])
def test_every_file_that_does_not_fit_is_named(
    size: int, name: str, corpus: Path, tmp_path: Path
) -> None:
    many_lines = ("trainer.log_every=1", "trainer.batch_tokens=10", "trainer.save_every_steps=null")
    done = limited(size, corpus, tmp_path / "run", *many_lines)
    assert done.status == 1
    assert done.err == f"error: {tmp_path / 'run' / name}: File too large\n"


def test_a_log_that_does_not_fit_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        with pytest.raises(OSError, match="File too large") as found:  # noqa: PT012, SIM117
            with closing(RunLog(path, Console(file=io.StringIO()))):
                for _ in range(10):
                    logging.getLogger("nerlab").info("a line of some length")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert found.value.filename == str(path)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 600 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_until_it_ends(corpus: Path, disk: Path, step: int) -> bool:
    """Go on with the run on a disk that is full from a step on; whether that stopped it."""
    run, rest = disk / "run", disk / "rest"
    process = start(corpus, run)
    wait_for_step(run, step, process)
    with rest.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        file.writelines(bytes(1000) for _ in range(1000))
    out, err = process.communicate(timeout=60)
    rest.unlink()
    if process.returncode == 0:
        return False
    assert (process.returncode, err.count("\n")) == (1, 1), (out, err)
    assert err.startswith(f"error: {run}")
    assert "No space left on device" in err
    return True


def test_a_run_whose_disk_was_full_goes_on_when_there_is_room(
    corpus: Path, disk: Path, finished: Path
) -> None:
    run = disk / "run"
    assert fill_until_it_ends(corpus, disk, 5)
    result = run_script("train", *arguments(corpus, run))
    assert result.status == 0, result.err
    assert "resumed after step" in result.out
    assert content(run) == content(finished)


@pytest.mark.long
def test_ten_full_disks_and_nothing_is_lost(corpus: Path, disk: Path, finished: Path) -> None:
    run = disk / "run"
    stopped = sum(fill_until_it_ends(corpus, disk, step) for step in range(2, 32, 3))
    result = run_script("train", *arguments(corpus, run))
    assert result.status == 0, result.err
    assert content(run) == content(finished)
    print(f"full disk: {stopped} runs stopped, 0 losses")
    assert stopped >= 8
