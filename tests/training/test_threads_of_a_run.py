"""A run keeps the number of threads that it was begun with, and says when it becomes slow."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import SMALL_MODEL, Result, run_script
from helpers import reseal
from omegaconf import OmegaConf

from nerlab.training.recorder import Accumulator, Recorder, Tracker


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def log_of(run: Path) -> list[str]:
    return (run / "train.log").read_text(encoding="utf-8").splitlines()


def test_the_number_is_in_the_configuration_and_in_the_log(run: Path) -> None:
    for folder in (run, run / "checkpoints" / "last", run / "checkpoints" / "best"):
        assert OmegaConf.load(folder / "config.yaml").threads == 1
    assert any(line.endswith(" threads: 1 (auto: OMP_NUM_THREADS is set)") for line in log_of(run))


@pytest.fixture
def begun_with_two(run: Path, tmp_path: Path) -> Path:
    """A finished run that was begun with two threads."""
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    for folder in (copy, copy / "checkpoints" / "last"):
        config = OmegaConf.load(folder / "config.yaml")
        config.threads = 2
        OmegaConf.save(config, folder / "config.yaml")
    reseal(copy / "checkpoints" / "last")
    return copy


def automatic(run: Path, corpus: Path, *more: str) -> Result:
    arguments = (*SMALL_MODEL, f"data.dir={corpus}", f"run.dir={run}", "resume=auto")
    return run_script("train", *arguments, *more)


@pytest.mark.parametrize("way", ["named", "auto"])
def test_a_run_goes_on_with_the_number_it_was_begun_with(
    way: str, begun_with_two: Path, corpus: Path
) -> None:
    if way == "named":
        result = run_script("train", f"resume={begun_with_two}")
    else:
        result = automatic(begun_with_two, corpus)
    assert result.status == 0, result.err
    assert torch.get_num_threads() == 2
    assert "threads: 2 (as given)\n" in result.out
    assert OmegaConf.load(begun_with_two / "config.yaml").threads == 2


@pytest.mark.parametrize("way", ["named", "auto"])
def test_another_number_may_be_given(way: str, begun_with_two: Path, corpus: Path) -> None:
    if way == "named":
        result = run_script("train", f"resume={begun_with_two}", "threads=1")
    else:
        result = automatic(begun_with_two, corpus, "threads=1")
    assert result.status == 0, result.err
    assert torch.get_num_threads() == 1
    assert "threads: 1 (as given)\n" in result.out
    assert OmegaConf.load(begun_with_two / "config.yaml").threads == 1


def test_a_saved_number_that_is_none_is_one_line(begun_with_two: Path) -> None:
    folder = begun_with_two / "checkpoints" / "last"
    config = OmegaConf.load(folder / "config.yaml")
    config.threads = 10**9
    OmegaConf.save(config, folder / "config.yaml")
    reseal(folder)
    result = run_script("train", f"resume={begun_with_two}")
    assert result.status == 1
    expected = "error: threads=1000000000: expected auto, or a number from 1 to 1024\n"
    assert result.err == expected


@pytest.mark.parametrize(
    ("speeds", "told"),
    [
        ([10, 100, 30, 90], []),
        ([10, 100, 20, 20, 20, 5], [3]),
        ([100, 20, 100, 20, 100], []),  # a checkpoint was saved, say
        ([100, 1, 1, 90, 1, 1, 1], [2, 5]),
        ([5, 50, 500, 5000], []),
    ],
)
def test_a_fall_to_a_fifth_is_told_once_each_time(
    speeds: list[float], told: list[int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = Tracker(tmp_path, "", {})
    unused: Any = None
    with closing(Recorder(tmp_path, tracker, unused, unused, {})) as recorder:
        for step, speed in enumerate(speeds):
            recorder.log({"train/tokens_per_second": speed}, step, 1)
    assert [record.args[0] for record in caplog.records] == told  # type: ignore[index]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_that_becomes_slow_says_so_once(
    threads: int, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds = iter([30_000.0, 31_000.0, *[900.0] * 1_000])
    flush = Accumulator.flush

    def slow(accumulator: Accumulator) -> tuple[dict[str, float], int]:
        metrics, in_a_row = flush(accumulator)
        return {**metrics, "train/tokens_per_second": next(speeds)}, in_a_row

    monkeypatch.setattr(Accumulator, "flush", slow)
    run = tmp_path / "run"
    more = ("trainer.epochs=2", "trainer.log_every=1", f"threads={threads}")
    result = run_script("train", *SMALL_MODEL, *more, f"data.dir={corpus}", f"run.dir={run}")
    assert result.status == 0, result.err
    slow_lines = [line for line in log_of(run) if "tokens/s" in line]
    assert len(slow_lines) == 1
    said = "WARNING step 4: 900 tokens/s, the best was 31000; do other processes keep"
    assert said in slow_lines[0]
    assert ("resume=RUN threads=1" in slow_lines[0]) == (threads == 2)
