"""The directory of a run is made for it alone."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime as real_datetime
from pathlib import Path

import pytest
from conftest import ROOT, run_process

from nerlab.config import RunDirectory
from nerlab.training import run_directory
from nerlab.training.kept_steps import keep_step
from nerlab.training.run_directory import new_run_directory, point_latest_to

NOON = real_datetime(2026, 11, 20, 12, 0, 0)


def make(root: Path, name: str, directory: Path | None = None) -> Path:
    """Make the directory of a run, and let it go."""
    path = None if directory is None else str(directory)
    with new_run_directory(RunDirectory(str(root), name, path)) as run:
        return run


class Stopped(real_datetime):
    """A clock on which every run starts in the same second."""

    @classmethod
    def now(cls, tz: object = None) -> real_datetime:  # type: ignore[override]
        return NOON


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_directory, "datetime", Stopped)


@pytest.mark.usefixtures("stopped_clock")
def test_the_name_is_the_time_and_the_name_of_the_run(tmp_path: Path) -> None:
    run = make(tmp_path / "deep" / "runs", "bilstm-demo")
    assert run == tmp_path / "deep" / "runs" / "2026-11-20_12-00-00-bilstm-demo"
    assert list(run.iterdir()) == []


@pytest.mark.usefixtures("stopped_clock")
def test_threads_that_start_in_the_same_second_never_share_a_directory(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: make(tmp_path, "x"), range(40)))
    assert len(set(runs)) == 40
    assert set(tmp_path.iterdir()) == set(runs)


def test_processes_that_start_in_the_same_second_never_share_a_directory(tmp_path: Path) -> None:
    code = f"""
import os, sys
sys.path[:0] = [{str(ROOT)!r}]
import datetime
from nerlab.config import RunDirectory
from nerlab.training import run_directory
class Stopped(datetime.datetime):
    now = classmethod(lambda cls: cls(2026, 11, 20))
run_directory.datetime = Stopped
children = []
for _ in range(3):  # eight processes
    child = os.fork()
    children = [*children, child] if child else []
for _ in range(10):
    with run_directory.new_run_directory(RunDirectory({str(tmp_path)!r}, "x", None)) as run:
        run.joinpath("mine").touch(exist_ok=False)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
"""
    result = run_process(["-c", code], tmp_path)
    assert result == (0, "", "")
    assert len(list(tmp_path.iterdir())) == 80


def test_a_directory_of_ones_own_may_be_new_or_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new/and/deep"):
        path = tmp_path / name
        assert make(tmp_path, "unused", path) == path
        assert path.is_dir()


def test_a_directory_that_is_not_empty_is_refused_and_left_alone(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "precious").touch()
    with pytest.raises(ValueError, match=rf"run\.dir={taken}: expected .* new or empty"):
        make(tmp_path, "unused", taken)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["precious", "taken"]


def test_a_file_in_the_place_of_the_directory_is_named(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.touch()
    with pytest.raises(ValueError, match=rf"run\.dir={taken}: expected .* new or empty"):
        make(tmp_path, "unused", taken)


def test_latest_leads_to_the_run_last_pointed_to(tmp_path: Path) -> None:
    for name in ("first", "second", "second"):
        (tmp_path / name).mkdir(exist_ok=True)
        point_latest_to(tmp_path / name, tmp_path)
        assert (tmp_path / "latest").resolve() == tmp_path / name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "latest", "second"]


def test_latest_lies_in_the_root_of_runs_however_deep_the_run_is(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "sweeps" / "today" / "seed-1"
    run.mkdir(parents=True)
    point_latest_to(run, tmp_path / "runs")
    assert (tmp_path / "runs" / "latest").resolve() == run
    point_latest_to(run, tmp_path / "elsewhere")
    assert (run.parent / "latest").resolve() == run


def test_latest_still_leads_to_the_run_when_the_folder_has_moved(tmp_path: Path) -> None:
    (tmp_path / "runs" / "one").mkdir(parents=True)
    point_latest_to(tmp_path / "runs" / "one", tmp_path / "runs")
    (tmp_path / "runs").rename(tmp_path / "moved")
    assert (tmp_path / "moved" / "latest").resolve() == tmp_path / "moved" / "one"


def test_a_link_that_cannot_be_made_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "replace", refuse)
    point_latest_to(tmp_path / "run", tmp_path)
    assert "no links here" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_only_the_newest_steps_are_kept_and_none_from_the_future(tmp_path: Path) -> None:
    last = tmp_path / "last"
    for step in (3, 6, 9, 12, 5):
        shutil.rmtree(last, ignore_errors=True)
        last.mkdir()
        (last / "file").write_text(str(step))
        keep_step(last, step, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last", "step-5"]
    for left_by_a_killed_process in ("step-9.part", "step-6.old"):
        (tmp_path / left_by_a_killed_process).mkdir()
    for step in (9, 12, 15, 18):
        (last / "file").unlink()
        (last / "file").write_text(str(step))
        keep_step(last, step, 3)
    assert {path.name: (path / "file").read_text() for path in tmp_path.glob("step-*")} == {
        f"step-{step}": str(step) for step in (12, 15, 18)
    }


def test_steps_are_kept_without_hard_links_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "last").mkdir()
    (tmp_path / "last" / "file").write_text("content")
    keep_step(tmp_path / "last", 7, 2)
    kept = tmp_path / "step-7" / "file"
    assert kept.read_text() == "content"
    assert not kept.samefile(tmp_path / "last" / "file")


def test_a_directory_with_half_a_file_is_still_new(tmp_path: Path) -> None:
    (tmp_path / "config.yaml.part").write_text("half")
    assert make(tmp_path, "unused", tmp_path) == tmp_path
