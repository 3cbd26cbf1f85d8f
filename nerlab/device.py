"""What computes: the device, its arithmetic, and on a CPU how many threads.

Threads that share an operation wait for each other by spinning: beside other busy processes one
thread is many times faster than two. So ``threads: auto`` takes as many as cores are free, and one
where in doubt. Other numbers of threads add up in another order, so their bits differ: a run keeps
the number that it was begun with.
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

from nerlab.config import Precision

_LARGEST = 1024
# Two threads train 1.2 to 1.4 times as fast as one: by Amdahl's law eight reach more than four
# fifths of what any number could.
_MOST = 8
# What a quiet machine does beside, in cores; idle time is counted in hundredths of a second.
_BACKGROUND = 0.25
_SAMPLE_SECONDS = 0.1
_ROOT = Path("/")  # where proc and sys are
_changing_default = Lock()


def choose_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one; else any name that torch knows, ``cuda:1`` say.

    Raises:
        ValueError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(str(name))
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError, ImportError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device={name}: not to be had here ({reason}); set device=auto") from None
    return device


def autocast_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The arithmetic of emissions in training, scoring and prediction; auto is bf16 on a GPU that
    has it and fp32 elsewhere, fp16 is fp32 but on a GPU."""
    on_gpu = device.type == "cuda"
    if precision is Precision.auto:
        return torch.bfloat16 if on_gpu and torch.cuda.is_bf16_supported() else torch.float32
    if precision is Precision.bf16:
        return torch.bfloat16
    return torch.float16 if precision is Precision.fp16 and on_gpu else torch.float32


class Threads(NamedTuple):
    """How many threads, and why so many."""

    number: int
    reason: str

    def __str__(self) -> str:
        return f"threads: {self.number} ({self.reason})"


def use_threads(wanted: object) -> Threads:
    """Have torch compute with the number of threads that is wanted, in the whole process.

    For the beginning of a command; a library has no business to call it. ``auto`` is one in a
    worker that multiprocessing or joblib started, whose siblings have the other cores; else what
    ``OMP_NUM_THREADS`` or ``MKL_NUM_THREADS`` says; else as many as cores are free.

    Raises:
        ValueError: ``wanted`` is neither ``auto`` nor a number in range.
    """
    given = [name for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if os.environ.get(name)]
    if wanted != "auto":
        if type(wanted) is not int or not 1 <= wanted <= _LARGEST:
            raise ValueError(f"threads={wanted}: expected auto, or a number from 1 to {_LARGEST}")
        chosen = Threads(wanted, "as given")
    elif multiprocessing.parent_process() is not None:
        chosen = Threads(1, "auto: one a worker process")
    elif given:
        chosen = Threads(torch.get_num_threads(), f"auto: {given[0]} is set")
    else:
        cores = measure_cores()
        chosen = Threads(threads_for(cores.free), f"auto: {cores}")
    torch.set_num_threads(chosen.number)
    return chosen


def threads_for(free: float) -> int:
    """As many as cores are free; one where that is not known."""
    return 1 if math.isnan(free) else max(1, math.floor(min(free + _BACKGROUND, _MOST)))


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


class Cores(NamedTuple):
    """The physical cores that the process may run on (hyperthreads of one core count once), and
    how many of them other processes and the limit of the cgroup leave; nan: unknown."""

    physical: int
    free: float

    def __str__(self) -> str:
        if math.isnan(self.free):
            return "the load of this machine cannot be read"
        return f"{max(self.free, 0.0):.1f} of {self.physical} cores free"


def measure_cores(root: Path = _ROOT) -> Cores:
    """What the machine has for this process now, measured for a tenth of a second.

    One thread of this process is busy all the while, so that two commands that begin at once see
    each other.
    """
    if not hasattr(os, "sched_getaffinity"):  # not Linux
        return Cores(1, math.nan)
    cpus, groups = os.sched_getaffinity(0), list(_cgroups(root))

    def sample() -> list[float]:
        used = (used_seconds(group) for group in groups)
        return [time.perf_counter(), time.process_time(), idle_seconds(cpus, root), *used]

    before = sample()
    while time.perf_counter() - before[0] < _SAMPLE_SECONDS:
        pass
    elapsed, own, idle, *used = (b - a for a, b in zip(before, sample(), strict=True))
    quotas = (
        quota_of(group) - max(seconds - own, 0.0) / elapsed
        for group, seconds in zip(groups, used, strict=True)
    )
    physical, quota = count_cores(cpus, root), min(quotas, default=math.inf)
    return Cores(physical, free_cores(physical, len(cpus), (idle + own) / elapsed, quota))


def free_cores(physical: int, logical: int, idle: float, quota: float) -> float:
    """The cores that others leave of ``physical`` ones, whose ``logical`` CPUs are ``idle`` but for
    this process, under a quota. Any hyperthread of others costs a core."""
    return math.nan if math.isnan(idle) else min(physical - max(logical - idle, 0.0), quota)


def idle_seconds(cpus: Iterable[int], root: Path = _ROOT) -> float:
    """How long CPUs have had nothing to do since the machine began; nan if one is not found."""
    rows = [line.split() for line in _text(root / "proc/stat").splitlines()]
    # Columns 4 and 5: idle, and waiting for a disk.
    ticks = {row[0]: sum(map(int, row[4:6])) for row in rows if row[0].startswith("cpu")}
    return sum(ticks.get(f"cpu{cpu}", math.nan) for cpu in cpus) / os.sysconf("SC_CLK_TCK")


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
        if not controllers or "cpu" in controllers.split(","):
            mount = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
            below = Path(path.lstrip("/"))
            yield from filter(Path.is_dir, (mount / name for name in (below, *below.parents)))


def quota_of(group: Path) -> float:
    """The cores' worth of time that a cgroup (version 2 or 1) may use; inf without a limit."""
    version_1 = f"{_text(group / 'cpu.cfs_quota_us')} {_text(group / 'cpu.cfs_period_us')}"
    quota, _, period = (_text(group / "cpu.max") or version_1).partition(" ")
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
