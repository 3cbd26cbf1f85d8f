"""How many threads compute, decided once, when a command begins.

Threads that share an operation wait for each other by spinning. Where other processes want the
same cores, all of them wait for the one that has lost its core, and training comes to a halt:
beside two busy processes one thread is then many times faster than two. So ``threads: auto`` takes
as many threads as cores are free, and one where in doubt. Another number of threads adds up in
another order, so its bits differ: a run keeps the number that it was begun with.
"""

import math
import multiprocessing
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock, Thread
from typing import NamedTuple

import torch

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_LARGEST = 1024
# Two threads train 1.2 to 1.4 times as fast as one: by Amdahl's law eight reach more than four
# fifths of what any number could.
_MOST = 8
# What a quiet machine does beside, in cores; idle time is counted in hundredths of a second.
_BACKGROUND = 0.25
_SAMPLE_SECONDS = 0.1
_ROOT = Path("/")
_changing_default = Lock()


class Cores(NamedTuple):
    """What the machine has for this process, in cores.

    Attributes:
        physical: cores that the process may run on; hyperthreads of one core count once.
        logical: the same with every hyperthread counted.
        free: of ``logical``, what other processes leave; nan where that cannot be read.
        quota: what the limit of the cgroup leaves; inf where there is none.
    """

    physical: int
    logical: int
    free: float
    quota: float

    def threads(self) -> int:
        """As many as cores are free; one where that is not known."""
        if math.isnan(self.free):
            return 1
        others = max(self.logical - self.free, 0.0)  # any hyperthread of theirs costs a core
        return max(1, min(math.floor(self._left(others) + _BACKGROUND), _MOST))

    def _left(self, others: float) -> float:
        return min(self.physical - others, self.quota)

    def __str__(self) -> str:
        if math.isnan(self.free):
            return "the load of this machine cannot be read"
        others = max(self.logical - self.free, 0.0)
        return f"{max(self._left(others), 0.0):.1f} of {self.physical} cores free"


class Threads(NamedTuple):
    """How many threads, and why so many."""

    number: int
    reason: str

    def __str__(self) -> str:
        return f"threads: {self.number} ({self.reason})"


def use_threads(wanted: object) -> Threads:
    """Choose the number of threads and have torch compute with it, for the whole process.

    For the beginning of a command; a library has no business to call it.

    Args:
        wanted: the key ``threads``: ``auto``, or a number.

    Raises:
        ValueError: ``wanted`` is neither.
    """
    chosen = choose_threads(wanted)
    torch.set_num_threads(chosen.number)
    return chosen


def use_one_thread_here() -> None:
    """Have the calling thread compute alone, and no other one: for a thread as it begins.

    ``torch.set_num_threads`` holds for the thread that calls it, and for threads that begin later.
    For those it is put back, by a thread that begins and ends for that.
    """
    with _changing_default:
        default = torch.get_num_threads()  # a thread that begins has what all begin with
        torch.set_num_threads(1)
        restore = Thread(target=torch.set_num_threads, args=(default,))
        restore.start()
        restore.join()


def choose_threads(wanted: object) -> Threads:
    """The number that is wanted; for ``auto`` the first of these that applies:

    1. one, in a worker that multiprocessing or joblib started: its siblings have the other cores;
    2. what ``OMP_NUM_THREADS`` or ``MKL_NUM_THREADS`` says;
    3. as many as cores are free at present.

    Raises:
        ValueError: ``wanted`` is neither ``auto`` nor a number in range.
    """
    if wanted != "auto":
        if type(wanted) is not int or not 1 <= wanted <= _LARGEST:
            raise ValueError(f"threads={wanted}: expected auto, or a number from 1 to {_LARGEST}")
        return Threads(wanted, "as given")
    if multiprocessing.parent_process() is not None:
        return Threads(1, "auto: one a worker process")
    if given := [name for name in _VARIABLES if os.environ.get(name)]:
        return Threads(torch.get_num_threads(), f"auto: {given[0]} is set")
    cores = measure_cores()
    return Threads(cores.threads(), f"auto: {cores}")


def measure_cores(root: Path = _ROOT) -> Cores:
    """What the machine has for this process now; takes a tenth of a second.

    One thread of this process is busy all the while, so that two commands that begin at once see
    each other.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    if not hasattr(os, "sched_getaffinity"):  # not Linux
        return Cores(1, 1, math.nan, math.inf)
    cpus = os.sched_getaffinity(0)
    groups = list(_cgroups(root))
    before = idle_seconds(cpus, root), [used_seconds(group) for group in groups]
    own, start = time.process_time(), time.perf_counter()
    while (elapsed := time.perf_counter() - start) < _SAMPLE_SECONDS:
        pass
    own = time.process_time() - own
    after = idle_seconds(cpus, root), [used_seconds(group) for group in groups]
    quota = math.inf
    for group, used_before, used_after in zip(groups, before[1], after[1], strict=True):
        others = max(used_after - used_before - own, 0.0) / elapsed
        quota = min(quota, quota_of(group) - others)
    free = (after[0] - before[0] + own) / elapsed
    return Cores(count_cores(cpus, root), len(cpus), free, quota)


def idle_seconds(cpus: Iterable[int], root: Path = _ROOT) -> float:
    """How long CPUs have had nothing to do since the machine began; nan if one is not found."""
    try:
        lines = (root / "proc/stat").read_text().splitlines()
        found = {line.split()[0]: line.split()[4:6] for line in lines if line.startswith("cpu")}
        ticks = sum(int(value) for cpu in cpus for value in found[f"cpu{cpu}"])  # idle, iowait
    except (OSError, LookupError, ValueError):
        return math.nan
    return ticks / os.sysconf("SC_CLK_TCK")


def count_cores(cpus: Iterable[int], root: Path = _ROOT) -> int:
    """How many physical cores some CPUs are; those of unknown place count each."""
    folder = root / "sys/devices/system/cpu"
    return len({_text(folder / f"cpu{c}/topology/thread_siblings_list") or str(c) for c in cpus})


def _cgroups(root: Path) -> Iterator[Path]:
    """The folders of the groups that limit this process, each with all that are above it.

    A container may see its own group as the top one, and its path as it is outside.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        mount = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        if controllers and "cpu" not in controllers.split(","):
            continue
        below = Path(path.lstrip("/"))
        for folder in (below, *below.parents):
            if (mount / folder).is_dir():
                yield mount / folder


def quota_of(group: Path) -> float:
    """The cores' worth of time that a cgroup (version 2 or 1) may use; inf without a limit."""
    quota, _, period = _text(group / "cpu.max").partition(" ")
    if not period:
        quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
    try:
        limit = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max", or no such file
        return math.inf
    return limit if limit > 0 else math.inf  # -1 is no limit


def used_seconds(group: Path) -> float:
    """The CPU time that a cgroup has used; 0 where it is not counted."""
    numbers = dict(line.split(" ", 1) for line in _text(group / "cpu.stat").splitlines())
    if microseconds := numbers.get("usage_usec"):
        return int(microseconds) / 1e6
    return int(_text(group / "cpuacct.usage") or 0) / 1e9


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
