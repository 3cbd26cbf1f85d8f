"""How many cores of the machine are free for this process."""

import math
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_SAMPLE_SECONDS = 0.1
_ROOT = Path("/")


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
    """What the machine has for this process now; takes a tenth of a second.

    One thread of this process is busy all the while, so that two commands that begin at once see
    each other.

    Args:
        root: where ``proc`` and ``sys`` are.
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
    physical, idle_cpus = count_cores(cpus, root), (idle + own) / elapsed
    free = free_cores(physical, len(cpus), idle_cpus, min(quotas, default=math.inf))
    return Cores(physical, free)


def free_cores(physical: int, logical: int, idle: float, quota: float) -> float:
    """The cores that others leave of ``physical`` ones, whose ``logical`` CPUs are ``idle`` but for
    this process, under a quota. Any hyperthread of others costs a core."""
    return math.nan if math.isnan(idle) else min(physical - max(logical - idle, 0.0), quota)


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
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        below = Path(path.lstrip("/"))
        yield from (f for f in (mount / name for name in (below, *below.parents)) if f.is_dir())


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
