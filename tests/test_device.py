"""How many threads compute: from what the machine is said to have, and from what it has."""

import itertools
import math
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import joblib
import pytest
import torch
from conftest import run_script
from helpers import one_in
from hypothesis import given
from hypothesis import strategies as st

import nerlab.device
from nerlab.device import (
    Cores,
    Threads,
    count_cores,
    free_cores,
    idle_seconds,
    measure_cores,
    threads_for,
    use_one_thread_here,
    use_threads,
)

ALL_CPUS = frozenset(range(8))


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def _free_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("physical", "logical", "idle", "quota", "threads"),
    [
        (2, 2, 2.0, math.inf, 2),  # quiet
        (2, 2, 1.85, math.inf, 2),  # what a quiet machine does beside
        (2, 2, 1.6, math.inf, 1),  # in doubt
        (2, 2, 1.0, math.inf, 1),  # one busy process
        (2, 2, 0.6, math.inf, 1),  # two
        (2, 2, math.nan, math.inf, 1),  # nobody knows
        (1, 2, 2.0, math.inf, 1),  # two hyperthreads are one core
        (4, 8, 8.0, math.inf, 4),
        (4, 8, 6.0, math.inf, 2),  # two busy processes, on a core each as a rule
        (4, 8, 3.0, math.inf, 1),
        (4, 4, 4.0, 2.0, 2),  # a container
        (4, 4, 4.0, 1.5, 1),
        (4, 4, 4.0, 0.5, 1),
        (4, 4, 1.0, 2.0, 1),
        (64, 128, 128.0, math.inf, 8),
    ],
)
def test_there_are_as_many_threads_as_cores_are_free(
    physical: int, logical: int, idle: float, quota: float, threads: int
) -> None:
    assert threads_for(free_cores(physical, logical, idle, quota)) == threads


@given(
    st.integers(1, 256),
    st.integers(1, 4),
    st.floats(-0.1, 1.1),
    st.one_of(st.just(math.inf), st.floats(-1, 300)),
    st.floats(0, 10),
)
def test_there_are_never_more_threads_than_cores_and_more_load_never_makes_more(
    physical: int, siblings: int, share: float, quota: float, load: float
) -> None:
    logical = physical * siblings
    free = free_cores(physical, logical, share * logical, quota)
    threads = threads_for(free)
    assert 1 <= threads <= physical
    assert threads <= max(1, quota + 0.25)
    assert threads_for(free_cores(physical, logical, share * logical - load, quota)) <= threads
    assert threads_for(free_cores(physical, logical, math.nan, quota)) == 1
    assert "cores free" in str(Cores(physical, free))


def test_idle_time_is_that_of_the_cpus_that_may_be_used(tmp_path: Path) -> None:
    tick = os.sysconf("SC_CLK_TCK")
    lines = ["cpu  9 9 9 9 9", "cpu0 0 0 0 100 0 0", f"cpu3 0 0 0 {2 * tick} {tick} 0", "intr 1"]
    root = write(tmp_path, {"proc/stat": "\n".join(lines)})
    assert idle_seconds({3}, root) == 3.0
    assert idle_seconds({0, 3}, root) == 3.0 + 100 / tick
    assert math.isnan(idle_seconds({1}, root))
    assert math.isnan(idle_seconds({0}, tmp_path / "nowhere"))


def test_hyperthreads_of_one_core_count_once(tmp_path: Path) -> None:
    place = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    root = write(tmp_path, {place.format(n): f"{n % 2},{n % 2 + 2}" for n in range(4)})
    assert count_cores({0, 1, 2, 3}, root) == 2
    assert count_cores({0, 2}, root) == 1
    assert count_cores({0, 1}, root) == 2
    assert count_cores({7, 8}, root) == 2  # nothing said of them


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A quiet machine of eight CPUs; its files may be added to."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: ALL_CPUS, raising=False)
    idle = iter([0.0, 0.7])  # seven CPUs had nothing to do, and ours was busy
    monkeypatch.setattr(nerlab.device, "idle_seconds", lambda cpus, root: next(idle))
    return tmp_path


V1, V2 = "sys/fs/cgroup/cpu", "sys/fs/cgroup"


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, math.inf),
        ({"proc/self/cgroup": "0::/job", f"{V2}/job/cpu.max": "150000 100000"}, 1.5),
        ({"proc/self/cgroup": "0::/job", f"{V2}/job/cpu.max": "max 100000"}, math.inf),
        # the group above is the narrower one
        (
            {
                "proc/self/cgroup": "0::/a/b",
                f"{V2}/a/b/cpu.max": "max 100000",
                f"{V2}/a/cpu.max": "400000 100000",
            },
            4.0,
        ),
        # in a container the path is that of outside
        ({"proc/self/cgroup": "0::/docker/4f", f"{V2}/cpu.max": "300000 100000"}, 3.0),
        (
            {
                "proc/self/cgroup": "5:memory:/x\n4:cpu,cpuacct:/job\n0::/",
                f"{V1}/job/cpu.cfs_quota_us": "200000",
                f"{V1}/job/cpu.cfs_period_us": "100000",
            },
            2.0,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/job",
                f"{V1}/job/cpu.cfs_quota_us": "-1",
                f"{V1}/job/cpu.cfs_period_us": "100000",
            },
            math.inf,
        ),
        ({"proc/self/cgroup": "0::/job", f"{V2}/job/cpu.max": "strange 0"}, math.inf),
    ],
)
def test_the_limit_of_the_cgroup_is_found(
    files: dict[str, str], quota: float, machine: Path
) -> None:
    found = measure_cores(write(machine, files))
    assert found.physical == 8
    if quota < math.inf:
        assert found.free == pytest.approx(quota)
    else:  # an approximate number: ours is not always busy for a tenth of a second
        assert 5 < found.free <= 8


def test_what_others_of_the_cgroup_use_is_not_free(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(machine, {"proc/self/cgroup": "0::/job", f"{V2}/job/cpu.max": "200000 100000"})
    used = iter([0.0] * 2 + [1000.0] * 2)  # of the group, and of the one above
    monkeypatch.setattr(nerlab.device, "used_seconds", lambda group: next(used))
    assert measure_cores(machine).free < 0


def test_the_time_that_a_cgroup_has_used_is_read_in_both_versions(tmp_path: Path) -> None:
    assert nerlab.device.used_seconds(tmp_path) == 0
    write(tmp_path, {"cpuacct.usage": "2500000000"})
    assert nerlab.device.used_seconds(tmp_path) == 2.5
    write(tmp_path, {"cpu.stat": "usage_usec 1500000\nuser_usec 9"})
    assert nerlab.device.used_seconds(tmp_path) == 1.5


@pytest.mark.usefixtures("_free_environment")
def test_a_system_that_does_not_tell_its_load_gets_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert use_threads("auto") == (1, "auto: the load of this machine cannot be read")


@pytest.mark.usefixtures("_free_environment")
def test_this_machine_is_measured() -> None:
    found = measure_cores()
    assert 1 <= found.physical <= len(os.sched_getaffinity(0))
    assert use_threads("auto").number in range(1, found.physical + 1)


def test_what_the_user_has_set_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    torch.set_num_threads(3)  # as torch does when it is loaded
    assert str(use_threads("auto")) == "threads: 3 (auto: OMP_NUM_THREADS is set)"
    assert use_threads(2) == Threads(2, "as given")
    assert torch.get_num_threads() == 2


def test_a_worker_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "parent_process", multiprocessing.current_process)
    torch.set_num_threads(3)
    assert use_threads("auto") == (1, "auto: one a worker process")
    assert use_threads(2).number == 2


@pytest.mark.long
def test_a_worker_of_joblib_has_one_thread() -> None:
    run = joblib.Parallel(n_jobs=2)
    found = run(joblib.delayed(use_threads)("auto") for _ in range(2))
    assert found == [(1, "auto: one a worker process")] * 2


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
