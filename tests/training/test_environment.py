"""What ``environment.json`` says of a run, and that it never costs one."""

import getpass
import json
import os
import platform
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT, SMALL_MODEL, run_script
from helpers import one_in
from safetensors.torch import load_file

import nerlab
from nerlab.training.environment import environment

CPU = torch.device("cpu")


def facts_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "environment.json").read_text())
    return found


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    command = ["git", *who, "-C", str(folder), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_run_says_what_it_ran_on(run: Path) -> None:
    facts = facts_of(run)
    assert facts["versions"] == {
        "python": platform.python_version(),
        "nerlab": nerlab.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "cuda": torch.version.cuda,
    }
    assert facts["command"][:2] == ["python", "train.py"]
    assert f"run.dir='{run}'" in facts["command"]
    assert (facts["device"], facts["threads"]) == (str(facts["device"]), 1)
    hardware = facts["hardware"]
    assert hardware["cores"] == os.cpu_count() >= hardware["cores_allowed"] >= 1
    assert hardware["cpu"]
    assert 100 < facts["peak_memory_mb"] < hardware["memory_mb"]
    assert facts["begun"].endswith("+00:00")
    weights = load_file(run / "checkpoints" / "best" / "model.safetensors")
    assert facts["parameters"] == sum(tensor.numel() for tensor in weights.values())
    assert facts["splits"]["train"]["sentences"] == 40
    assert len(facts["splits"]["dev"]["sha256"]) == 64
    assert facts["resumed"] == []
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert sum(line.get("dev/seconds", 0) for line in lines) < facts["seconds"] < 600


def test_nothing_of_it_names_a_person_or_a_machine(run: Path) -> None:
    facts = facts_of(run)
    del facts["command"]  # as it was typed
    text = json.dumps(facts)
    for name in (getpass.getuser(), socket.gethostname(), str(Path.home())):
        assert name not in text


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the sources are in no git repository")
def test_the_commit_is_that_of_the_repository_of_nerlab(run: Path) -> None:
    assert facts_of(run)["commit"] == git(ROOT, "rev-parse", "HEAD")
    assert "current_folder" not in environment(CPU)
    assert type(facts_of(run)["dirty"]) is bool


def test_another_repository_in_the_current_folder_is_told_with_what_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "current_folder" not in environment(CPU)
    git(tmp_path, "init")
    assert environment(CPU)["current_folder"] == {"commit": None, "dirty": False}
    (tmp_path / "a.py").write_text("1")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "untracked.txt").write_text("1")
    assert environment(CPU)["current_folder"] == {"commit": commit, "dirty": False}
    (tmp_path / "a.py").write_text("2")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert environment(CPU)["current_folder"] == {"commit": commit, "dirty": True}


def test_a_package_that_its_surrounding_repository_does_not_track_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is installed in an environment within somebody's repository."""
    git(tmp_path, "init")
    package = tmp_path / "venv" / "nerlab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.setattr(nerlab, "__file__", str(package / "__init__.py"))
    monkeypatch.chdir(tmp_path)
    facts = environment(CPU)
    assert (facts["commit"], facts["dirty"]) == (None, None)
    assert facts["current_folder"] == {"commit": None, "dirty": False}


@pytest.mark.parametrize("problem", ["no git", "it fails", "it hangs", "no folder"])
def test_without_git_there_is_no_commit_and_no_error(
    problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    if problem == "no folder":
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
    elif problem != "no git":
        last = "exec /bin/sleep 60" if problem == "it hangs" else "exit 3"
        (tmp_path / "bin" / "git").write_text(f"#!/bin/sh\n{last}\n")
        (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setattr("nerlab.training.environment._PATIENCE_S", 0.05)
    monkeypatch.setenv(
        "PATH", f"{tmp_path / 'bin'}:/usr/bin" if problem == "it hangs" else str(tmp_path / "bin")
    )
    facts = environment(CPU)
    assert (facts["commit"], facts["dirty"]) == (None, None)
    assert "current_folder" not in facts


def resumed(run: Path, folder: Path) -> Path:
    """A copy of a finished run, to go on with."""
    return Path(shutil.copytree(run, folder / "run"))


def test_a_process_that_goes_on_with_a_run_is_told_beside_the_first(
    run: Path, tmp_path: Path
) -> None:
    copy = resumed(run, tmp_path)
    for _ in range(2):
        assert run_script("train", f"resume={copy}").status == 0
    facts = facts_of(copy)
    assert len(facts["resumed"]) == 2
    later = facts.pop("resumed")
    assert facts == {name: fact for name, fact in facts_of(run).items() if name != "resumed"}
    for process in later:
        assert process["command"] == ["python", "train.py", f"resume='{copy}'"]
        assert process.keys() == facts.keys() - {"splits", "parameters"}
        assert process["seconds"] > 0


@pytest.mark.parametrize(
    "content", one_in(3, ["{", "", "[]", '{"resumed": 3}', "[" * 99_999, None])
)
def test_a_file_that_no_run_has_written_is_begun_anew(
    run: Path, tmp_path: Path, content: str | None
) -> None:
    copy = resumed(run, tmp_path)
    if content is None:
        (copy / "environment.json").unlink()
    else:
        (copy / "environment.json").write_text(content)
    assert run_script("train", f"resume={copy}").status == 0
    facts = facts_of(copy)
    assert facts["command"][2] == f"resume='{copy}'"
    assert facts["resumed"] == []


def test_a_run_that_fails_has_its_seconds(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        assert facts_of(tmp_path / "run")["seconds"] is None
        raise OSError(28, "No space left on device", "x")

    monkeypatch.setattr("nerlab.training.recorder.Recorder.log", fail)
    keys = (*SMALL_MODEL, f"data.dir={corpus}", f"run.dir={tmp_path / 'run'}")
    assert run_script("train", *keys).status == 1
    assert facts_of(tmp_path / "run")["seconds"] > 0


def test_a_file_that_cannot_be_written_costs_a_warning(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("nerlab.training.environment.write_file", fail)
    keys = (*SMALL_MODEL, f"data.dir={corpus}", f"run.dir={tmp_path / 'run'}", "trainer.epochs=1")
    result = run_script("train", *keys)
    assert (result.status, result.err) == (0, "")
    warning = (
        f"{tmp_path}/run/environment.json: No space left on device; the run goes on without it"
    )
    assert warning in result.out
