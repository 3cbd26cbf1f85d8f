"""TensorBoard: what its own reader finds in the files of a run."""

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL_MODEL, run_script
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from nerlab.training.recorder import Tracker
from nerlab.training.tensorboard_tracker import TensorBoardTracker
from nerlab.training.trackers import Trackers

TARGET = "nerlab.training.tensorboard_tracker"


def read(run: Path) -> EventAccumulator:
    """All that is shown of a run."""
    found = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    return found.Reload()


def texts(found: EventAccumulator, name: str) -> str:
    (event,) = found.Tensors(f"{name}/text_summary")
    return str(event.tensor_proto.string_val[0].decode())


@pytest.fixture(scope="module")
def tracked(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run; do not write into it."""
    run = tmp_path_factory.mktemp("tensorboard") / "run"
    wild = ("trainer.learning_rate=0.5", "trainer.schedule=constant")
    keys = (*SMALL_MODEL, *wild, f"data.dir={corpus}", f"run.dir={run}", "tracker=tensorboard")
    result = run_script("train", *keys)
    assert (result.status, result.err) == (0, "")
    assert f"look at the run: tensorboard --logdir {run}/tensorboard\n" in result.out
    return run


@pytest.fixture(scope="module")
def shown(tracked: Path) -> EventAccumulator:
    return read(tracked)


def lines(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_the_scalars_are_the_numbers_of_metrics_jsonl(
    tracked: Path, shown: EventAccumulator
) -> None:
    for name in ("train/loss", "lr", "dev/f1", "dev/loss", "dev/PER/recall"):
        expected = [(line["step"], line[name]) for line in lines(tracked) if name in line]
        found = [(event.step, event.value) for event in shown.Scalars(name)]
        assert np.array(found) == pytest.approx(np.array(expected), rel=1e-6)
        assert len(found) >= 6


def test_pictures_and_texts_are_there(tracked: Path, shown: EventAccumulator) -> None:
    names = shown.Tags()["images"]
    assert names
    for name in names:
        (picture,) = shown.Images(name)
        assert picture.encoded_image_string.startswith(b"\x89PNG")
        assert min(picture.width, picture.height) > 100
    examples = texts(shown, "best/dev/examples")
    assert re.search(r"gold .*\[Eve PER\]", examples)
    assert re.search(r"predicted .*\[.* (PER|LOC)\]", examples)


def test_the_configuration_is_hyperparameters_beside_the_best_numbers(
    tracked: Path, shown: EventAccumulator
) -> None:
    content = shown.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hyperparameters = metadata.parse_session_start_info_plugin_data(content).hparams
    assert hyperparameters["model.encoder.hidden_dim"].number_value == 32
    assert hyperparameters["trainer.optimizer"].string_value == "adam"
    assert hyperparameters["model.embedder.words.indexer.lowercase"].number_value == 1
    assert hyperparameters.keys().isdisjoint({"debug", "model.encoder._partial_", "train_sha256"})
    best = max(line["dev/f1"] for line in lines(tracked) if "dev/f1" in line)
    assert shown.Scalars("best/dev/f1")[0].value == pytest.approx(best)


def test_what_was_logged_beyond_a_checkpoint_is_hidden_when_a_run_goes_on(tmp_path: Path) -> None:
    for first, last in ((1, 8), (4, 6)):  # from the checkpoint of step 3
        tracker = TensorBoardTracker(tmp_path, "name", {})
        for step in range(first, last):
            tracker.log({"train/loss": float(first)}, step)
        tracker.finish()
    found = [(event.step, event.value) for event in read(tmp_path).Scalars("train/loss")]
    assert found == [(1, 1), (2, 1), (3, 1), (4, 4), (5, 4)]


def test_the_report_is_shown_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "evaluation" / "test").mkdir(parents=True)
    report = tmp_path / "evaluation" / "test" / "report.txt"
    report.write_text("type  F1\n<b>*A*  \x1b[2J 7\n")
    TensorBoardTracker(tmp_path, "name", {}).finish()
    assert texts(read(tmp_path), "best/test/report") == (
        "    type  F1\n    <b>*A*  \\x1b[2J 7\n    "
    )


def test_a_folder_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    steps: list[int] = []

    class Noted(Tracker):
        def log(self, metrics: Mapping[str, float], step: int) -> None:
            steps.append(step)

    trackers = Trackers({"a": TensorBoardTracker, "b": Noted}, tmp_path, "name", {})
    trackers.log({"train/loss": 1.0}, 1)
    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.add_scalar", fail)
    for step in range(2, 100):
        trackers.log({"train/loss": 1.0}, step)
    trackers.finish()
    assert len(caplog.records) == 1
    assert "a failed ([Errno 28] No space left on device); the run" in caplog.text
    assert steps == list(range(1, 100))


@pytest.fixture
def _without_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith(("tensorboard", "torch.utils.tensorboard", TARGET)):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)


@pytest.mark.usefixtures("_without_tensorboard")
def test_without_the_library_one_line_says_how_to_install_it(tmp_path: Path) -> None:
    keys = ("tracker=[none,tensorboard]", f"run.dir={tmp_path / 'run'}")
    result = run_script("train", "~tracker._target_", "~tracker._partial_", *keys)
    assert result.status == 1
    assert result.err == (
        f"error: tracker.tensorboard: {TARGET}.TensorBoardTracker: the library tensorboard is "
        "needed; pip install 'nerlab[tensorboard]'\n"
    )
    assert not (tmp_path / "run").exists()


def test_nothing_is_written_through_a_linked_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "tensorboard").symlink_to(tmp_path / "victim")
    Trackers({"a": TensorBoardTracker}, tmp_path / "run", "name", {}).finish()
    assert "found a link; remove it); the run goes on without it" in caplog.text
    assert os.listdir(tmp_path / "victim") == []


def test_a_run_that_is_resumed_has_one_curve(tracked: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tracked, tmp_path / "run"))
    assert run_script("train", f"resume={run}").status == 0
    found = [event.step for event in read(run).Scalars("dev/f1")]
    assert found == sorted({*found})
    assert len(found) == 6


def test_each_of_several_trackers_is_checked_before_the_run_begins(tmp_path: Path) -> None:
    refused = {
        "tracker.tensorboard.project=x": "tracker.tensorboard: ",
        "tracker.wandb._target_=os.system": "tracker.wandb: _target_ 'os.system'",
    }
    for key, said in refused.items():
        keys = ("tracker=[wandb,tensorboard]", f"++{key}", f"run.dir={tmp_path / 'run'}")
        result = run_script("train", *keys)
        assert (result.status, result.err.count("\n")) == (1, 1)
        assert result.err.startswith(f"error: {said}")
    assert not (tmp_path / "run").exists()
