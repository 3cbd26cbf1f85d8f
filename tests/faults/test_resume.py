"""A run that is killed, any number of times, ends as one that was not: bit for bit."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL_MODEL, Result, run_script
from helpers import one_in, reseal
from omegaconf import OmegaConf
from processes import VARIANTS, arguments, content, metrics, start, wait_for_step, wait_until

from nerlab.files import file_lock
from nerlab.models.loading import load_state
from nerlab.saved_config import read_run_config
from nerlab.training import resume as resuming
from nerlab.training import run_directory

pytest_plugins = ["finished_run"]


@pytest.mark.parametrize("variant", one_in(3, ["plain", "averaged", "sgd"]))
def test_a_run_killed_in_the_middle_goes_on_bit_for_bit(
    variant: str, corpus: Path, tmp_path: Path, finished: Path
) -> None:
    more = VARIANTS[variant]
    expected, run = tmp_path / "expected", tmp_path / "run"
    if more:
        assert run_script("train", *arguments(corpus, expected, *more)).status == 0
    process = start(corpus, run, *more)
    wait_for_step(run, 12, process)
    time.sleep(float(np.random.default_rng().uniform(0, 0.05)))  # at any point of a step
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (run / "evaluation").exists()
    result = run_script("train", *arguments(corpus, run, *more))
    assert result.status == 0, result.err
    assert "resumed after step" in result.out
    assert content(run) == content(expected if more else finished)


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        # tests/test_interruption.py has each of them, in one process
        *(pytest.param(n, marks=pytest.mark.long) for n in (signal.SIGINT, signal.SIGHUP)),
    ],
)
def test_a_signal_ends_the_step_and_saves_it(corpus: Path, tmp_path: Path, number: int) -> None:
    run = tmp_path / "run"
    process = start(corpus, run, "trainer.epochs=300", "trainer.save_every_steps=null")
    wait_for_step(run, 1, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert err == f"stopped by {signal.Signals(number).name}, saved\n"
    saved = json.loads((run / "checkpoints" / "last" / "training.json").read_text())
    assert f"stopped after step {saved['progress']['step']}; go on with it: python train.py" in out


def test_a_second_signal_ends_at_once(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(corpus, run, "trainer.epochs=300")
    wait_for_step(run, 1, process)
    os.kill(process.pid, signal.SIGSTOP)  # so that both arrive within one step
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    os.kill(process.pid, signal.SIGCONT)
    assert process.wait(timeout=60) in (128 + signal.SIGTERM, 128 + signal.SIGINT)
    assert "saved" not in (process.communicate()[1])


@pytest.fixture(scope="module")
def stopped_once(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has a checkpoint in the middle of an epoch."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    process = start(corpus, run, "trainer.epochs=300")
    wait_for_step(run, 7, process)
    process.terminate()
    process.communicate(timeout=60)
    return run


@pytest.fixture
def stopped(stopped_once: Path, tmp_path: Path) -> Path:
    """The same run moved, to be changed."""
    return Path(shutil.copytree(stopped_once, tmp_path / "run"))


def resume(run: Path, *more: str) -> Result:
    return run_script("train", f"resume={run}", *more)


def test_a_run_that_is_named_takes_no_other_keys(stopped: Path) -> None:
    before = (stopped / "metrics.jsonl").read_bytes()
    result = resume(stopped, "trainer.epochs=3")
    assert result.status == 1
    assert result.err.startswith("error: trainer.epochs: a run that is resumed goes on as it began")
    assert (stopped / "metrics.jsonl").read_bytes() == before


def test_resume_auto_wants_the_configuration_that_the_run_was_begun_with(
    stopped: Path, corpus: Path
) -> None:
    result = run_script("train", *arguments(corpus, stopped, "seed=9", "trainer.epochs=300"))
    assert result.status == 1
    assert result.err == (
        f"error: seed=9: the run in {stopped} was begun with 1; give the same, or another run.dir\n"
    )


def test_a_run_that_was_moved_goes_on(stopped: Path, corpus: Path) -> None:
    assert OmegaConf.load(stopped / "config.yaml").run.dir != str(stopped)
    shorten(stopped)
    result = run_script("train", *arguments(corpus, stopped))
    assert result.status == 0, result.err
    assert "resumed after step" in result.out


@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_run_whose_data_has_changed_is_refused(
    stopped: Path, corpus: Path, tmp_path: Path, split: str
) -> None:
    moved = Path(shutil.copytree(corpus, tmp_path / "corpus"))
    with (moved / f"{split}.conll").open("a") as file:
        file.write("\none O\nmore O\n")
    result = resume(stopped, f"data.dir={moved}")
    assert result.status == 1
    assert f"the {split} split is not the one that the run was begun with" in result.err


def shorten(run: Path) -> None:
    """Let a run end after four epochs in place of 300."""
    last = run / "checkpoints" / "last"
    config = OmegaConf.load(last / "config.yaml")
    config.trainer.epochs = 4
    OmegaConf.save(config, last / "config.yaml")
    reseal(last)


def test_a_run_whose_data_has_moved_goes_on_where_it_is_now(
    stopped: Path, corpus: Path, tmp_path: Path
) -> None:
    shorten(stopped)
    config = OmegaConf.load(stopped / "checkpoints" / "last" / "config.yaml")
    config.data.dir = str(tmp_path / "gone")
    OmegaConf.save(config, stopped / "checkpoints" / "last" / "config.yaml")
    reseal(stopped / "checkpoints" / "last")
    result = resume(stopped)
    assert result.status == 1
    assert "set data.dir to the folder of the data set" in result.err
    moved = Path(shutil.copytree(corpus, tmp_path / "${HOME}"))
    changes = (f"data.dir={moved}", "device=cpu", "tracker=none")
    result = resume(stopped, *changes)
    assert result.status == 0, result.err
    for saved in ("config.yaml", "checkpoints/last/config.yaml"):
        config = read_run_config(stopped / saved)
        assert (config.data.dir, config.device) == (str(moved), "cpu")


def test_resume_auto_takes_what_may_have_moved_from_the_command_line(
    stopped: Path, corpus: Path, tmp_path: Path
) -> None:
    shorten(stopped)
    moved = Path(shutil.copytree(corpus, tmp_path / "corpus"))
    result = run_script("train", *arguments(moved, stopped, "device=cpu"))
    assert result.status == 0, result.err
    config = read_run_config(stopped / "config.yaml")
    assert (config.data.dir, config.device) == (str(moved), "cpu")


def test_metrics_that_were_cut_off_are_noticed(stopped: Path) -> None:
    path = stopped / "metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    result = resume(stopped)
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert f"{path}: expected at least the {len(whole)} bytes" in result.err
    assert path.read_bytes() == whole[:-1]


def test_a_damaged_best_checkpoint_of_a_finished_run_is_noticed(
    finished: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    path = run / "checkpoints" / "best" / "model.safetensors"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(bytes(damaged))
    result = resume(run)
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert f"{path}: broken file, its checksum is not the one in manifest.json" in result.err


def test_what_cannot_be_resumed_is_one_line(tmp_path: Path, run: Path, stopped: Path) -> None:
    missing = resume(tmp_path / "nowhere")
    assert "found no run to go on with; expected a run directory" in missing.err
    assert "set run.dir=FOLDER" in run_script("train", "resume=auto").err
    path = stopped / "checkpoints" / "last" / "training.safetensors"
    corrupted = bytearray(path.read_bytes())
    corrupted[len(corrupted) // 2] ^= 1
    path.write_bytes(bytes(corrupted))
    result = resume(stopped)
    assert f"{path}: broken file, its checksum is not the one in manifest.json" in result.err
    for found in (missing, result):
        assert (found.status, found.err.count("\n")) == (1, 1)


@pytest.mark.parametrize(
    "key",
    one_in(
        3,
        [
            *("metrics_bytes", "train_sha256", "dev_sha256", "progress", "scaler"),
            *("progress.batch_index", "progress.tokens"),
        ],
    ),
)
def test_a_state_of_training_that_is_none_is_one_line(stopped: Path, key: str) -> None:
    last = stopped / "checkpoints" / "last"
    values = json.loads((last / "training.json").read_text())
    *above, name = key.split(".")
    inside = values
    for step in above:
        inside = inside[step]
    for corrupted in ("text", -1 if name == "batch_index" else None):
        inside[name] = corrupted
        (last / "training.json").write_text(json.dumps(values))
        reseal(last)
        result = resume(stopped)
        assert (result.status, result.err.count("\n")) == (1, 1), corrupted


def test_the_latest_run_is_resumed_by_that_name(corpus: Path, tmp_path: Path) -> None:
    base = (*SMALL_MODEL, "trainer.epochs=1", f"data.dir={corpus}", f"run.root={tmp_path}")
    assert run_script("train", *base).status == 0
    latest = tmp_path / "latest"
    run = latest.resolve()
    result = resume(latest)
    assert result.status == 0, result.err
    assert latest.resolve() == run
    assert f"done: {run}" in result.out


def test_a_run_that_was_finished_goes_on_with_nothing(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for _ in range(2):
        assert run_script("train", *arguments(corpus, run)).status == 0
    assert [line["step"] for line in metrics(run)] == sorted(line["step"] for line in metrics(run))
    first = content(run)
    result = resume(run)
    assert result.status == 0
    assert "the run is finished: its best checkpoint is scored again, no more" in result.out
    assert content(run) == first


def steps_kept(run: Path) -> list[int]:
    """The steps of the checkpoints that are kept beside the last, each whole."""
    folders = (run / "checkpoints").glob("step-*")
    steps = sorted(int(folder.name.removeprefix("step-")) for folder in folders)
    for step in steps:
        _, state = load_state(run / "checkpoints" / f"step-{step}")
        assert state.values["progress"]["step"] == step
    return steps


def test_a_run_goes_on_from_any_checkpoint_that_is_kept(
    corpus: Path, tmp_path: Path, finished: Path
) -> None:
    run = tmp_path / "run"
    assert run_script("train", *arguments(corpus, run, "trainer.keep_last=4")).status == 0
    kept = steps_kept(run)
    assert len(kept) == 4
    assert content(run) == content(finished)
    for step in (kept[0], kept[2]):
        result = resume(run / "checkpoints" / f"step-{step}")
        assert f"resumed after step {step}," in result.out
        assert result.status == 0
        assert content(run) == content(finished)
        assert steps_kept(run)[-1] == kept[-1]


def test_what_is_kept_takes_no_room_of_its_own(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    more = ("trainer.keep_last=2", "trainer.epochs=1")
    assert run_script("train", *arguments(corpus, run, *more)).status == 0
    last = run / "checkpoints" / "last"
    newest = run / "checkpoints" / f"step-{steps_kept(run)[-1]}"
    for path in last.iterdir():
        assert path.samefile(newest / path.name)


def test_a_checkpoint_outside_its_run_cannot_be_gone_on_from(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "checkpoints" / "last", tmp_path / "alone")
    result = resume(tmp_path / "alone")
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "expected a checkpoint in the directory of its run" in result.err


@pytest.mark.parametrize(
    "first", [pytest.param("config.yaml", marks=pytest.mark.long), "metrics.jsonl"]
)
def test_a_run_killed_before_its_first_checkpoint_begins_anew(
    first: str, corpus: Path, tmp_path: Path, finished: Path
) -> None:
    run = tmp_path / "run"
    more = "trainer.save_every_steps=null"
    process = start(corpus, run, more)
    wait_until(process, (run / first).exists)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (run / "checkpoints" / "last").exists()
    again = [f"resume={run}"] if first == "metrics.jsonl" else arguments(corpus, run, more)
    result = run_script("train", *again)
    assert result.status == 0, result.err
    assert content(run) == content(finished)


def test_two_processes_never_work_on_one_run(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(corpus, run, "trainer.epochs=300")
    wait_for_step(run, 3, process)
    before = (run / "config.yaml").stat().st_mtime_ns
    for result in (
        run_script("train", *arguments(corpus, run, "trainer.epochs=300")),
        resume(run),
    ):
        assert (result.status, result.err) == (
            1,
            f"error: {run}: another process is at work in it; wait until it ends, or stop it\n",
        )
    assert (run / "config.yaml").stat().st_mtime_ns == before
    process.terminate()
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert "saved" in process.communicate()[1]


@pytest.mark.parametrize("begun", [True, False])
def test_what_another_process_has_done_before_the_lock_is_seen(
    begun: bool, corpus: Path, tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process finishes the run between the look at the folder and the lock on it."""
    run = tmp_path / "run"
    run.mkdir()
    if begun:  # and killed before its first checkpoint
        shutil.copy(finished / "config.yaml", run)
        (run / "metrics.jsonl").touch()

    @contextmanager
    def late(folder: Path) -> Iterator[None]:
        shutil.copytree(finished, run, dirs_exist_ok=True)
        with file_lock(folder):
            yield

    monkeypatch.setattr(resuming if begun else run_directory, "file_lock", late)
    result = resume(run) if begun else run_script("train", *arguments(corpus, run))
    assert content(run) == content(finished)
    if begun:
        assert result.status == 0, result.err
        assert "the run is finished" in result.out
    else:
        assert "expected a directory that is new or empty" in result.err
