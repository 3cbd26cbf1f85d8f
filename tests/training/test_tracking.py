"""Trackers: what wandb is given, and that nothing they do costs a run."""

import json
import logging
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pytest
from conftest import ROOT, SMALL_MODEL, Result, run_process, run_script
from matplotlib.image import imread
from safetensors.torch import load_file

from nerlab.evaluation.report import Report
from nerlab.evaluation.settings import configuration_name
from nerlab.training import wandb_tracker
from nerlab.training.recorder import Tracker
from nerlab.training.trackers import MakeTracker, Trackers
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
    # Such that the last epoch is not the best one.
    wild = ("trainer.learning_rate=0.5", "trainer.schedule=constant")
    arguments = [*first, *SMALL_MODEL, *wild, f"data.dir={corpus}", "tracker=wandb"]
    command = [str(ROOT / "train.py"), *arguments]
    result = run_process(command, work, **variables, PYTHONPATH=str(ROOT))
    assert result.status == 0, result.err
    runs = [path.parent for path in sorted(work.glob("runs/sweeps/*/*/config.yaml"))]
    return Finished(result, home, runs)


@pytest.fixture(scope="module")
def finished(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two runs in one process, with wandb and without a key."""
    keys = ("-m", "seed=1,2", "tracker.wandb.artifact=true", "tracker.wandb.tags=[a,b]")
    return train_with_wandb(tmp_path_factory.mktemp("wandb"), corpus, *keys)


@pytest.fixture(scope="module")
def records(finished: Finished) -> list[dict[str, Any]]:
    """What wandb itself reads back of the run."""
    return records_of(finished.offline_run(), finished.home)


def records_of(folder: Path, home: Path) -> list[dict[str, Any]]:
    """All of an offline run, as wandb reads it."""
    return [json.loads(line) for line in inspect(folder, home).splitlines()]


def summary_of(folder: Path, home: Path) -> dict[str, float]:
    """The summary of an offline run, as wandb reads it."""
    found: dict[str, float] = json.loads(inspect(folder, home, "--summary"))["summary"]
    return found


def inspect(folder: Path, home: Path, *options: str) -> str:
    """What ``wandb leet`` says of an offline run."""
    command = ["-m", "wandb", "leet", "inspect", "--json", *options, str(folder)]
    result = run_process(command, folder, HOME=str(home))
    assert result.status == 0, result.err
    return result.out


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
    expected |= {"environment.json", "metrics.jsonl", "train.log"}
    for run in finished.runs:
        assert {path.name for path in run.iterdir()} == expected


def test_a_second_run_of_the_process_has_all_of_wandb_in_its_own_directory(
    finished: Finished,
) -> None:
    first, second = finished.runs
    for run in (first, second):
        assert len(list(run.glob("wandb/offline-run-*/*.wandb"))) == 1
        assert len(list(run.glob("wandb/offline-run-*/files/media/table/best/dev/*"))) == 2
    staged = [len(list(run.glob("wandb/artifacts/staging/*"))) for run in (first, second)]
    assert staged[0] == staged[1] > 0


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
    weights = load_file(finished.runs[0] / "checkpoints" / "best" / "model.safetensors")
    assert config["parameters"] == sum(tensor.numel() for tensor in weights.values())


def test_the_summary_of_wandb_has_the_best_numbers_and_not_the_last(finished: Finished) -> None:
    summary = summary_of(finished.offline_run(), finished.home)
    scored = [line for line in finished.metrics() if "dev/f1" in line]
    best = max(scored, key=lambda line: line["dev/f1"])  # the first of them
    assert best["dev/f1"] != scored[-1]["dev/f1"]
    assert summary["best/epoch"] == best["epoch"]
    for name in ("dev/f1", "dev/precision", "dev/PER/recall", "dev/loss"):
        assert summary[f"best/{name}"] == pytest.approx(best[name])
        assert name not in summary
    assert summary["train/loss"] == finished.metrics()[-2]["train/loss"]


def test_the_pictures_of_a_split_are_images_in_wandb(
    finished: Finished, records: list[dict[str, Any]]
) -> None:
    rows = [record["history"]["item"] for record in records if record["type"] == "history"]
    (last,) = (row for row in rows if "best/dev/scores._type" in row)
    names = [name.partition(".")[0] for name in last if name.endswith("._type")]
    pictures = [name for name in names if last[f"{name}._type"] == "image-file"]
    assert len(pictures) >= 4
    for name in pictures:
        pixels = imread(finished.offline_run() / "files" / last[f"{name}.path"])
        assert pixels.shape[:2] == (last[f"{name}.height"], last[f"{name}.width"])
        assert np.unique(pixels).size > 50  # something is drawn


def test_the_best_checkpoint_is_an_artifact_where_that_is_asked_for(
    finished: Finished, records: list[dict[str, Any]]
) -> None:
    artifacts = [record["artifact"] for record in records if record["type"] == "artifact"]
    (artifact,) = (found for found in artifacts if found["type"] == "model")  # tables are others
    assert "best" in artifact["aliases"]
    assert artifact["name"] == f"{finished.runs[0].name}-{identity(records)['run_id']}"
    best = finished.runs[0] / "checkpoints" / "best"
    for entry in artifact["manifest"]["contents"]:
        assert Path(entry["local_path"]).read_bytes() == (best / entry["path"]).read_bytes()
    names = {entry["path"] for entry in artifact["manifest"]["contents"]}
    assert names == {path.name for path in best.iterdir()}


def identity(records: list[dict[str, Any]]) -> dict[str, Any]:
    """What wandb knows a run by."""
    (run,) = (record["run"] for record in records if record["type"] == "run")
    return run


def test_the_seeds_of_a_configuration_are_a_group(
    finished: Finished, records: list[dict[str, Any]]
) -> None:
    first = identity(records)
    (folder,) = finished.runs[1].glob("wandb/offline-run-*")
    second = identity(
        [json.loads(x) for x in inspect(folder, finished.home, "--json").split("\n") if x]
    )
    assert first["run_group"] == second["run_group"]
    assert first["run_group"].startswith("words+characters-lstm-crf-")
    assert first["run_id"] != second["run_id"]
    assert first["display_name"] != second["display_name"]
    assert (first["tags"], first["job_type"]) == (["a", "b"], "train")


@pytest.mark.long
def test_a_run_that_is_resumed_is_one_run_of_wandb(
    finished: Finished, records: list[dict[str, Any]], tmp_path: Path
) -> None:
    run = Path(shutil.copytree(finished.runs[0], tmp_path / finished.runs[0].name))
    (before,) = run.glob("wandb/offline-run-*")
    keys = (f"resume={run}", "tracker=wandb", "tracker.wandb.notes=a, b")
    variables = {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    result = run_process(
        [str(ROOT / "train.py"), *keys], finished.home.parent / "work", **variables
    )
    assert result.status == 0, result.err
    assert f"(wandb sync {run}/wandb/offline-run-* sends it)" in result.out
    (after,) = set(run.glob("wandb/offline-run-*")) - {before}
    again = records_of(after, tmp_path)
    for key in ("run_id", "run_group", "display_name", "resume"):
        assert identity(again)[key] == identity(records)[key]
    assert identity(again)["notes"] == "a, b"
    first, second = (summary_of(folder, tmp_path) for folder in (before, after))
    for key in ("best/dev/f1", "best/epoch"):
        assert first[key] == second[key]


def test_wandb_has_the_confusions_and_the_examples(finished: Finished) -> None:
    folder = finished.offline_run() / "files" / "media" / "table" / "best" / "dev"
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
        self.summary: dict[str, float] = {}
        self.metrics: dict[str, str] = {}

    def define_metric(self, name: str, summary: str) -> None:
        self.metrics[name] = summary

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
    tracker.log_summary({"best/dev/f1": 0.5})
    tracker.log_report(REPORT)
    tracker.log_checkpoint(Path())
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
    assert run.calls == ["log", "log", "log", "finish"]  # no artifact, as none is asked for
    assert run.summary == {"best/dev/f1": 0.5}
    assert "wandb leet run/wandb/offline-run-1 " in caplog.text


def test_wandb_is_begun_as_the_configuration_says(
    tmp_path: Path, tracker_of: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, Any]] = []
    tracker_of(lambda **options: given.append(options) or FakeRun()).finish()  # type: ignore[func-returns-value]
    keys = {"entity": "team", "group": "mine", "job_type": "tune", "notes": "no, yes"}
    for tags in (["a", "b"], "a"):
        WandbTracker(tmp_path, "name", {}, "project", 0.1, tags=tags, **keys).finish()  # type: ignore[arg-type]
    monkeypatch.setenv("WANDB_RUN_GROUP", "of the environment")
    WandbTracker(tmp_path, "name", {}, "project", 0.1).finish()
    plain, several, one, environment = given
    assert (plain["entity"], plain["tags"]) == (None, None)
    assert {name: several[name] for name in keys} == keys
    assert (several["tags"], one["tags"]) == (["a", "b"], ["a"])
    assert environment["group"] == "of the environment"
    assert len({options["id"] for options in given}) == 1  # of one run directory
    assert {options["resume"] for options in given} == {"allow"}


def test_an_id_that_no_run_has_written_is_replaced(tracker_of: Build, tmp_path: Path) -> None:
    given: list[dict[str, Any]] = []
    folder = tmp_path / "wandb"
    folder.mkdir()
    (folder / "id.txt").write_text("../../else\n")
    tracker_of(lambda **options: given.append(options) or FakeRun()).finish()  # type: ignore[func-returns-value]
    assert given[0]["id"].isalnum()
    assert (folder / "id.txt").read_text() == given[0]["id"]


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


def call_all(tracker: Tracker, folder: Path) -> None:
    """Call every method of a tracker once."""
    tracker.log({"train/loss": 1.0}, 1)
    tracker.log_summary({"best/epoch": 1})
    tracker.log_report(REPORT)
    tracker.log_pictures(dict)
    tracker.log_checkpoint(folder)
    tracker.finish()


def test_the_base_class_keeps_nothing(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path, "name", {})
    call_all(tracker, tmp_path)
    assert list(tmp_path.iterdir()) == []


CALLS = ("log", "log_summary", "log_report", "log_pictures", "log_checkpoint", "finish")


class Recorded(Tracker):
    """Notes what it is told, and raises at one of the calls."""

    def __init__(self, broken: str = "") -> None:
        self.told: list[str] = []
        self.broken = broken
        if broken == "__init__":
            raise ValueError

    def __getattribute__(self, name: str) -> Any:
        if name not in CALLS:
            return super().__getattribute__(name)

        def call(*arguments: object) -> None:
            self.told.append(name)
            if name == self.broken:
                raise ConnectionError(f"{name}\nis broken")

        return call


@pytest.mark.parametrize("broken", ["__init__", *CALLS])
def test_a_tracker_that_raises_costs_one_warning_and_neither_the_run_nor_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    made: dict[str, Recorded] = {}

    def maker(name: str, broken: str) -> MakeTracker:
        return lambda *_: made.setdefault(name, Recorded(broken))

    makers = {name: maker(name, broken if name == "b" else "") for name in "abc"}
    tracker = Trackers(makers, tmp_path, "name", {})
    call_all(tracker, tmp_path)
    assert made["a"].told == made["c"].told == list(CALLS)
    reason = "ValueError" if broken == "__init__" else f"{broken} is broken"
    assert [record.message for record in caplog.records] == [
        f"b failed ({reason}); the run goes on without it"
    ]
    if broken != "__init__":
        assert made["b"].told == list(CALLS[: CALLS.index(broken) + 1])


def test_a_run_outlives_a_tracker_that_raises(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    keys = (*SMALL_MODEL, f"data.dir={corpus}", f"run.dir={tmp_path / 'run'}", "trainer.epochs=2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tracker, "log", lambda *_: 1 / 0)
        result = run_script("train", *keys)
    assert (result.status, result.err) == (0, "")
    assert result.out.count("tracker failed (division by zero); the run goes on without it") == 1


def test_the_name_of_a_configuration_leaves_out_what_its_seeds_differ_in() -> None:
    config: dict[str, Any] = {
        "model": {
            "embedder": {"_target_": "nerlab.models.pretrained.Pretrained"},
            "encoder": {"a": {}, "b": {}},
            "decoder": {"_target_": "nerlab.modules.crf.CRF"},
        },
        "data": {"dir": "here", "scheme": "iob2"},
        "trainer": {"epochs": 3},
    }
    name = configuration_name(config)
    assert re.fullmatch(r"pretrained-a\+b-crf-[0-9a-f]{8}", name)
    apart = {"seed": 7, "run": {"dir": "x"}, "tracker": {}, "device": "cuda", "threads": 3}
    assert configuration_name(config | apart) == name
    assert configuration_name(config | {"data": {"dir": "there", "scheme": "iob2"}}) == name
    others = ({"data": {"scheme": "iob1"}}, {"trainer": {"epochs": 4}}, {"train_sha256": "0"})
    assert len({name, *(configuration_name(config | other) for other in others)}) == 4
