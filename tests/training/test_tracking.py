"""wandb at arm's length: what it is given, and that nothing it does costs a run."""

import json
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import pytest
from conftest import ROOT, SMALL_MODEL, Result, run_process

from nerlab.evaluation.report import Report
from nerlab.training import wandb_tracker
from nerlab.training.recorder import Tracker
from nerlab.training.wandb_tracker import WandbTracker


class Finished(NamedTuple):
    """A training process that has ended, the home it had, and the runs it made."""

    result: Result
    home: Path
    runs: list[Path]

    def metrics(self) -> list[dict[str, float]]:
        lines = (self.runs[0] / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def predictions(self) -> list[str]:
        path = self.runs[0] / "evaluation" / "dev" / "predictions.conll"
        return path.read_text(encoding="utf-8").splitlines()

    def offline_run(self) -> Path:
        (folder,) = self.runs[0].glob("wandb/offline-run-*")
        return folder


def train_with_wandb(folder: Path, corpus: Path, *first: str) -> Finished:
    home, work = folder / "home", folder / "work"
    home.mkdir()
    work.mkdir()
    # matplotlib looks for all fonts again where it finds no cache; that takes seconds.
    variables = {"HOME": str(home), "MPLCONFIGDIR": matplotlib.get_cachedir()}
    arguments = [*first, *SMALL_MODEL, f"data.dir={corpus}", "tracker=wandb"]
    command = [str(ROOT / "train.py"), *arguments]
    result = run_process(command, work, **variables, PYTHONPATH=str(ROOT))
    assert result.status == 0, result.err
    runs = [path.parent for path in sorted(work.glob("runs/sweeps/*/*/config.yaml"))]
    return Finished(result, home, runs)


@pytest.fixture(scope="module")
def finished(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two runs in one process, with wandb and without a key."""
    return train_with_wandb(tmp_path_factory.mktemp("wandb"), corpus, "-m", "seed=1,2")


@pytest.fixture(scope="module")
def records(finished: Finished) -> list[dict[str, Any]]:
    """What wandb itself reads back of the run."""
    folder = finished.offline_run()
    command = ["-m", "wandb", "leet", "inspect", "--json", str(folder)]
    result = run_process(command, folder, HOME=str(finished.home))
    assert result.status == 0, result.err
    return [json.loads(line) for line in result.out.splitlines()]


def test_a_run_without_a_key_is_offline_and_asks_nothing(finished: Finished) -> None:
    assert finished.result.err == ""
    assert "wandb failed" not in finished.result.out
    folder = finished.offline_run().relative_to(finished.home.parent / "work")
    assert f"look at the run: wandb leet {folder} " in finished.result.out


def test_wandb_writes_in_the_run_directory_alone(finished: Finished) -> None:
    work = finished.home.parent / "work"
    assert list(finished.home.iterdir()) == []
    assert [path.name for path in work.iterdir()] == ["runs"]
    names = {path.name for path in (work / "runs").iterdir()}
    assert names == {"latest", "sweeps"}
    expected = {"checkpoints", "config.yaml", "evaluation", "wandb"}
    expected |= {"metrics.jsonl", "run.json", "train.log"}
    for run in finished.runs:
        assert {path.name for path in run.iterdir()} == expected


def test_a_second_run_of_the_process_has_all_of_wandb_in_its_own_directory(
    finished: Finished,
) -> None:
    first, second = finished.runs
    for run in (first, second):
        assert len(list(run.glob("wandb/offline-run-*/*.wandb"))) == 1
        assert len(list(run.glob("wandb/offline-run-*/files/media/table/dev/final/*"))) == 2
    staged = [len(list(run.glob("wandb/artifacts/staging/*"))) for run in (first, second)]
    assert staged[0] == staged[1]


def test_wandb_reads_back_the_numbers_of_metrics_jsonl(
    finished: Finished, records: list[dict[str, Any]]
) -> None:
    history: dict[float, dict[str, float]] = {}
    for record in records:
        if record["type"] == "history":
            history[record["history"]["step"]["num"]] = record["history"]["item"]
    lines = finished.metrics()
    assert any("dev/f1" in line for line in lines)
    assert any("train/loss" in line for line in lines)
    for line in lines:
        step = line.pop("step")
        assert {key: history[step][key] for key in line} == pytest.approx(line)


def test_wandb_has_the_configuration_and_the_hash_of_the_data(
    finished: Finished, records: list[dict[str, Any]]
) -> None:
    (config,) = (r["run"]["config"]["update"] for r in records if r["type"] == "run")
    assert config["trainer"]["epochs"] == 6
    assert config["data"]["scheme"] == "iob2"
    assert config["model"]["encoder"]["hidden_dim"] == 32
    assert len(config["train_sha256"]) == 64


def test_wandb_has_the_confusions_and_the_examples(finished: Finished) -> None:
    folder = finished.offline_run() / "files" / "media" / "table" / "dev" / "final"
    tables = {
        path.name.partition("_")[0]: json.loads(path.read_text()) for path in folder.iterdir()
    }
    assert set(tables) == {"confusion", "examples"}
    tokens = sum(1 for line in finished.predictions() if line)
    assert sum(row[2] for row in tables["confusion"]["data"]) == tokens
    for gold, predicted, right in tables["examples"]["data"]:
        assert right == (gold == predicted)
    assert any("PER]" in gold for gold, _, _ in tables["examples"]["data"])


class FakeRun:
    """A wandb run that raises in some of its methods."""

    offline = True
    url = "https://example.org"
    dir = "run/wandb/offline-run-1/files"

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.calls: list[str] = []

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        self._call("log")

    def finish(self) -> None:
        self._call("finish")

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name == self.broken:
            raise ConnectionResetError(f"{name}\nis broken")


REPORT: Report = Report("dev", [["x"]], [["S-A"]], [["O"]], ["A"])


@pytest.fixture
def tracker_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Callable[[Callable[..., FakeRun]], WandbTracker]:
    """Builds a tracker whose ``wandb.init`` is the given function."""
    import wandb

    caplog.set_level(logging.INFO, logger="nerlab")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("SILENT", "CACHE_DIR", "CONFIG_DIR", "DATA_DIR", "ARTIFACT_DIR"):
        monkeypatch.setenv(f"WANDB_{name}", str(tmp_path))

    def build(init: Callable[..., FakeRun]) -> WandbTracker:
        monkeypatch.setattr(wandb, "init", init)
        return WandbTracker(tmp_path, "name", {"a": 1}, "project", 0.1)

    return build


Build = Callable[[Callable[..., FakeRun]], WandbTracker]


def use(tracker: WandbTracker) -> None:
    tracker.log({"train/loss": 1.0}, 1)
    tracker.log({"train/loss": 0.5}, 2)
    tracker.log_report(REPORT)
    tracker.finish()


@pytest.mark.parametrize("broken", ["log", "finish"])
def test_wandb_that_raises_costs_one_warning(
    tracker_of: Build, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    run = FakeRun(broken)
    use(tracker_of(lambda **_: run))
    assert run.calls.count(broken) == 1
    assert [r.message for r in caplog.records] == [
        f"wandb failed ({broken} is broken); the run goes on without it"
    ]


@pytest.mark.parametrize("most", [2, 100])
def test_a_call_of_wandb_that_never_ends_keeps_nobody_waiting(
    tracker_of: Build,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
) -> None:
    """As when its process is stopped."""
    for name in ("_PATIENCE", "_LAST_PATIENCE"):
        monkeypatch.setattr(wandb_tracker, name, 0.01)
    monkeypatch.setattr(wandb_tracker, "_MAX_WAITING", most)
    end = threading.Event()

    class Stopped(FakeRun):
        def _call(self, name: str) -> None:
            end.wait()

    tracker = tracker_of(lambda **_: Stopped())
    for step in range(10):
        tracker.log({"train/loss": 1.0}, step)
    tracker.finish()
    end.set()
    messages = [record.message for record in caplog.records]
    assert messages[0] == "wandb is too slow, or stopped; its run may lack rows"
    assert "wandb leet" in messages[1]


def test_wandb_that_does_not_start_costs_one_warning(
    tracker_of: Build, caplog: pytest.LogCaptureFixture
) -> None:
    def init(**_: Any) -> FakeRun:
        raise OSError

    use(tracker_of(init))
    assert [r.message for r in caplog.records] == [
        "wandb failed (OSError); the run goes on without it"
    ]


def test_wandb_that_works_says_how_to_look_at_the_run(
    tracker_of: Build, caplog: pytest.LogCaptureFixture
) -> None:
    run = FakeRun()
    use(tracker_of(lambda **_: run))
    assert run.calls == ["log", "log", "log", "finish"]
    assert "wandb leet run/wandb/offline-run-1 " in caplog.text


@pytest.mark.parametrize("source", ["variable", "netrc"])
def test_with_a_key_a_run_is_online_and_falls_back_to_offline(
    tracker_of: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    if source == "variable":
        monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    else:
        (tmp_path / "home").mkdir()
        netrc = tmp_path / "home" / ".netrc"
        netrc.write_text("machine api.wandb.ai login user password " + "k" * 40)
        netrc.chmod(0o600)
    modes: list[str] = []
    run = FakeRun()

    def init(mode: str, config: object, **_: Any) -> FakeRun:
        modes.append(mode)
        assert config == {"a": 1}
        if mode == "online":
            raise TimeoutError("no network")
        return run

    use(tracker_of(init))
    assert modes == ["online", "offline"]
    assert run.calls == ["log", "log", "log", "finish"]


def test_a_run_that_is_online_says_its_address(
    tracker_of: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    run = FakeRun()
    run.offline = False
    use(tracker_of(lambda **_: run))
    assert "look at the run: https://example.org" in caplog.text


@pytest.mark.parametrize("mode", ["online", "offline", "disabled"])
def test_the_mode_of_the_environment_is_the_users_word(
    tracker_of: Build, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    modes: list[str] = []
    tracker = tracker_of(lambda mode, **_: modes.append(mode) or FakeRun())  # type: ignore[func-returns-value]
    tracker.finish()
    assert modes == [mode]


def test_the_base_class_keeps_nothing(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path, "name", {})
    tracker.log({"train/loss": 1.0}, 1)
    tracker.log_report(REPORT)
    tracker.finish()
    assert list(tmp_path.iterdir()) == []
