"""How many threads compute: as many as get a core each when they try."""

import itertools
import math
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import joblib
import pytest
import torch
from conftest import run_script
from helpers import one_in

import nerlab.device
from nerlab.device import cores_of, free_cores, use_one_thread_here, use_threads


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("cores", "busy", "quota", "threads"),
    [
        (1, 0, math.inf, 1),
        (2, 0, math.inf, 2),
        (2, 0.15, math.inf, 2),  # what a quiet machine does beside
        (2, 0.6, math.inf, 1),  # in doubt
        (2, 1, math.inf, 1),
        (2, 2, math.inf, 1),  # as where two runs begin at once
        (8, 0, math.inf, 8),
        (8, 1, math.inf, 7),
        (8, 4, math.inf, 4),
        (8, 20, math.inf, 1),
        (8, 0, 4.0, 4),  # a container
        (8, 0, 1.5, 1),
        (8, 0, 0.5, 1),
        (8, 5, 4.0, 3),
        (64, 8, math.inf, 8),
    ],
)
def test_there_are_as_many_threads_as_cores_are_free(
    cores: int, busy: float, quota: float, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def given(wanted: int) -> float:
        """What a fair scheduler gives."""
        return min(wanted, cores * wanted / (wanted + busy), quota)

    monkeypatch.setattr(nerlab.device, "cores_of", given)
    assert free_cores(min(cores, 8)) == threads


def test_this_machine_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(nerlab.device, "_CORES", 2)
    said = use_threads("auto")
    number = torch.get_num_threads()
    assert number in (1, 2)
    assert said == f"threads: {number} (auto: of 2, as many as get a core each)"
    assert 0 < cores_of(1) < 1.2


def test_what_the_user_has_set_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    torch.set_num_threads(3)  # as torch does when it is loaded
    assert use_threads("auto") == "threads: 3 (auto: OMP_NUM_THREADS is set)"
    assert use_threads(2) == "threads: 2 (as given)"
    assert torch.get_num_threads() == 2


def test_a_server_leaves_a_core_to_http_if_there_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for cores, threads in ((1, 1), (2, 1), (6, 5)):
        monkeypatch.setattr(nerlab.device, "free_cores", lambda most, cores=cores: cores)
        use_threads("auto", spare=1)
        assert torch.get_num_threads() == threads
    use_threads(2, spare=1)
    assert torch.get_num_threads() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    torch.set_num_threads(3)
    assert use_threads("auto", spare=1) == "threads: 2 (auto: OMP_NUM_THREADS is set)"


def test_a_worker_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "parent_process", multiprocessing.current_process)
    torch.set_num_threads(3)
    assert use_threads("auto") == "threads: 1 (auto: one a worker process)"
    assert use_threads(2) == "threads: 2 (as given)"


@pytest.mark.long
def test_a_worker_of_joblib_has_one_thread() -> None:
    run = joblib.Parallel(n_jobs=2)
    found = run(joblib.delayed(use_threads)("auto") for _ in range(2))
    assert found == ["threads: 1 (auto: one a worker process)"] * 2


@pytest.mark.parametrize(
    ("script", "wanted"),
    one_in(
        4,
        itertools.product(
            ["train", "evaluate", "predict"],
            ["0", "-1", "1025", "1.5", "true", "two", "null", "[2]", "''"],
        ),
    ),
)
def test_what_is_no_number_of_threads_is_one_line(script: str, wanted: str, run: Path) -> None:
    more = () if script == "train" else (f"checkpoint={run}",)
    result = run_script(script, f"threads={wanted}", *more)
    assert result.status == 1
    assert result.err.startswith("error: threads=")
    assert result.err.endswith(": expected auto, or a number from 1 to 1024\n")
    assert result.err.count("\n") == 1


def test_one_thread_here_changes_no_other_thread() -> None:
    torch.set_num_threads(3)
    both = Barrier(2)

    def look(_: int) -> int:
        both.wait(timeout=60)  # so that each thread of the pool looks once
        return torch.get_num_threads()

    with ThreadPoolExecutor(2, initializer=use_one_thread_here) as pool:
        assert list(pool.map(look, range(2))) == [1, 1]
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == 3
