"""wandb's process dies, or is stopped, in the middle of a run: that costs a warning."""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import ROOT
from fork_server import start_python
from processes import arguments, content, start, wait_until

from nerlab.training.wandb_tracker import WandbTracker

pytest_plugins = ["finished_run"]


def wandb_of(parent: int) -> list[int]:
    """The processes of wandb that a process has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(") ")
        except OSError:  # it has ended in the meantime
            continue
        if int(rest.split()[1]) == parent and "wandb" in name:
            found.append(int(stat.parent.name))
    return found


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key, so that a run stays here."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_the_death_of_wandb_between_two_lines_costs_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("CACHE", "CONFIG", "DATA", "ARTIFACT"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path))
    tracker = WandbTracker(tmp_path, "name", {}, "project", 1.0)
    tracker.log({"train/loss": 1.0}, 1)
    while not any(tmp_path.glob("wandb/offline-run-*/*.wandb")):
        time.sleep(0.01)
    for number in wandb_of(os.getpid()):
        os.kill(number, signal.SIGKILL)
    for step in range(2, 10):
        tracker.log({"train/loss": 1.0}, step)
    tracker.finish()
    # wandb has words of its own, if it dies early.
    (record,) = (record for record in caplog.records if record.name.startswith("nerlab"))
    assert record.message.startswith("wandb failed (")


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_a_run_outlives_the_death_of_wandb(corpus: Path, tmp_path: Path, finished: Path) -> None:
    run = tmp_path / "run"
    process = start(corpus, run, "tracker=wandb")
    wait_until(process, lambda: bool(wandb_of(process.pid)))
    process.send_signal(signal.SIGSTOP)
    wandb = wandb_of(process.pid)
    assert wandb
    for number in wandb:
        os.kill(number, signal.SIGKILL)
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert out.count("wandb failed") == 1
    assert content(run) == content(finished)


# The waiting at the end of a run, made short.
_IMPATIENT = """
import runpy
from nerlab.training import wandb_tracker
wandb_tracker._PATIENCE = wandb_tracker._LAST_PATIENCE = 2.0
runpy.run_path("train.py", run_name="__main__")
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_a_run_ends_though_wandb_is_stopped(corpus: Path, tmp_path: Path, finished: Path) -> None:
    run = tmp_path / "run"
    command = ["-c", _IMPATIENT, *arguments(corpus, run, "tracker=wandb")]
    with start_python(command, ROOT) as process:
        wait_until(process, lambda: bool(wandb_of(process.pid)))
        wandb = wandb_of(process.pid)
        assert wandb
        try:
            for number in wandb:
                os.kill(number, signal.SIGSTOP)
            out, err = process.communicate(timeout=60)
            assert not any(Path(f"/proc/{number}").exists() for number in wandb)
        finally:
            process.kill()
            for number in wandb:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
    assert (process.returncode, err) == (0, "")
    assert out.count("wandb is too slow, or stopped") == 1
    assert content(run) == content(finished)
