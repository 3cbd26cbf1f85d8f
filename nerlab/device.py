"""What computes: the device, its arithmetic, and on a CPU how many threads.

Threads that share an operation wait for each other by spinning: beside other busy processes one
thread is many times faster than two. So ``threads: auto`` takes as many as get a core each. Other
numbers of threads add up in another order, so their bits differ: a run keeps the number that it was
begun with.
"""

import multiprocessing
import os
import time
from threading import Lock, Thread

import torch

from nerlab.config import Precision

_LARGEST = 1024
# Two threads train 1.2 to 1.4 times as fast as one: by Amdahl's law eight reach more than four
# fifths of what any number could.
_MOST = 8
_CORES = torch.get_num_threads()  # that the process may run on; hyperthreads of one count once
_BACKGROUND = 0.4  # of a core: what a quiet machine does beside
_TRIAL_SECONDS = 0.1
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


def use_threads(wanted: object, spare: int = 0) -> str:
    """Have torch compute with the number of threads that is wanted, in the whole process; returns
    a line for the log: how many they are, and why.

    For the beginning of a command; a library has no business to call it. ``auto`` is one in a
    worker that multiprocessing or joblib started, whose siblings have the other cores; else what
    ``OMP_NUM_THREADS`` or ``MKL_NUM_THREADS`` says; else as many as cores are free. Of the latter
    two ``spare`` are left to other work of the process, if there are more.

    Raises:
        ValueError: ``wanted`` is neither ``auto`` nor a number in range.
    """
    given = [name for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if os.environ.get(name)]
    if wanted != "auto":
        if type(wanted) is not int or not 1 <= wanted <= _LARGEST:
            raise ValueError(f"threads={wanted}: expected auto, or a number from 1 to {_LARGEST}")
        number, reason = wanted, "as given"
    elif multiprocessing.parent_process() is not None:
        number, reason = 1, "auto: one a worker process"
    elif given:
        number, reason = torch.get_num_threads() - spare, f"auto: {given[0]} is set"
    else:
        most = min(_CORES, _MOST)
        number, reason = free_cores(most) - spare, f"auto: of {most}, as many as get a core each"
    number = max(1, number)
    torch.set_num_threads(number)
    return f"threads: {number} ({reason})"


def keep_few_kernels() -> None:
    """Have oneDNN keep 128 compiled operations, unless ``ONEDNN_PRIMITIVE_CACHE_CAPACITY`` says
    another number. It keeps one for each shape, of 0.2 MB, up to 1024.

    For the beginning of a command that sees every shape of batch, before anything is computed.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")


def free_cores(most: int) -> int:
    """How many threads, 1 to ``most``, have a core each at this moment.

    It is tried, so nothing need be known of what takes cores away: other processes, which may be
    trying at the same time, or the limits of a container.
    """
    threads = most
    while threads > 1 and (cores := cores_of(threads)) < threads - _BACKGROUND:
        threads = max(1, min(int(cores), threads - 1))
    return threads


def cores_of(threads: int) -> float:
    """How many cores so many threads get, that share operations for a tenth of a second."""
    torch.set_num_threads(threads)
    x = torch.zeros(2**20)
    start, used = time.perf_counter(), time.process_time()
    while (elapsed := time.perf_counter() - start) < _TRIAL_SECONDS:
        torch.sin(x, out=x)
    return (time.process_time() - used) / elapsed


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
