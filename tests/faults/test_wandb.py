"""The death of wandb's process in the middle of a run costs a warning."""

import os
import signal
import sys
from pathlib import Path

import pytest
from processes import content, start, wait_for_step

pytest_plugins = ["finished_run"]


def children(parent: int) -> dict[int, str]:
    """The processes that a process has started, with their names."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(") ")
        except OSError:  # it has ended in the meantime
            continue
        if int(rest.split()[1]) == parent:
            found[int(stat.parent.name)] = name.partition("(")[2]
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_a_run_outlives_the_death_of_wandb(
    corpus: Path, tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    monkeypatch.setenv("HOME", str(tmp_path))  # without a key, so that it stays here
    process = start(corpus, run, "tracker=wandb")
    wait_for_step(run, 9, process)
    process.send_signal(signal.SIGSTOP)
    wandb = children(process.pid)
    assert wandb
    for number, name in wandb.items():
        assert "wandb" in name
        os.kill(number, signal.SIGKILL)
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert out.count("wandb failed") == 1
    assert content(run) == content(finished)
