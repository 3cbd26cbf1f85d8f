"""Speed of training on a busy machine, for fixed numbers of threads and for threads=auto.

    python benchmarks/contention.py data/conll2003      # the folder with train.txt and valid.txt

The model and the sizes are those of throughput.py. Two processes train when they are told to and
wait in between; the settings take turns, and ``auto`` looks at the machine each time, as a command
does when it begins. Fails where ``auto`` is slower than 0.8 times the best fixed number.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from throughput import Training, compose_config

from nerlab.data.batch import Batcher
from nerlab.data.load import load_split
from nerlab.device import use_threads
from nerlab.models.build import build_tagger, fit_vocabulary

_WANTED = 0.8
# What the machine does: training processes, and processes that want a core each.
_SITUATIONS = {
    "alone": (1, 0),
    "beside one busy process": (1, 1),
    "beside two": (1, 2),
    "two runs at once, each": (2, 0),
}


def train_when_told(directory: str) -> None:
    """For each line ``THREADS SECONDS`` of standard input train; write threads and tokens/s."""
    config = compose_config(directory, "fp32", batch_tokens=500)
    train = load_split(config.data, "train")
    vocabulary = fit_vocabulary(config.model, train)
    torch.manual_seed(0)
    tagger = build_tagger(config.model, vocabulary)
    batcher = Batcher(train, vocabulary, with_tags=True)
    training = Training(tagger, batcher, config, torch.device("cpu"))
    training.steps(10)  # warm-up
    print("ready", flush=True)
    for line in sys.stdin:
        wanted, seconds = line.split()
        use_threads(wanted if wanted == "auto" else int(wanted))
        tokens, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < float(seconds):
            tokens += training.step()
        print(torch.get_num_threads(), tokens / elapsed, flush=True)


class Trainee:
    """A process that trains when it is told to."""

    def __init__(self, directory: str) -> None:
        command = [sys.executable, __file__, directory, "--train-when-told"]
        environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._answer()

    def begin(self, wanted: str, seconds: float) -> None:
        """Tell it to train for so long."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{wanted} {seconds}\n")
        self._process.stdin.flush()

    def result(self) -> tuple[int, float]:
        """Wait until it has; threads and tokens a second."""
        threads, speed = self._answer().split()
        return int(threads), float(speed)

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise RuntimeError("a training process has ended")
        return line


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """So many processes that want a core each, and do nothing with it."""
    command = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(command) for _ in range(count)]
    try:
        time.sleep(0.2)
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def main() -> None:
    """Measure, print, and fail where auto is too slow."""
    arguments = _parse_arguments()
    if arguments.train_when_told:
        train_when_told(arguments.directory)
        return
    cores = torch.get_num_threads()
    fixed = [str(2**n) for n in range(cores.bit_length())]
    print(f"{cores} cores, torch {torch.__version__}; {arguments.rounds} rounds", flush=True)
    speeds: dict[tuple[str, str], list[float]] = defaultdict(list)
    chosen: dict[str, list[int]] = defaultdict(list)
    trainees = [Trainee(arguments.directory) for _ in range(2)]
    try:
        for _ in range(arguments.rounds):
            for situation, (runs, busy) in _SITUATIONS.items():
                for wanted in (*fixed, "auto"):
                    with busy_processes(busy):
                        for trainee in trainees[:runs]:
                            trainee.begin(wanted, arguments.seconds)
                        results = [trainee.result() for trainee in trainees[:runs]]
                    speeds[situation, wanted].append(np.mean([s for _, s in results]).item())
                    if wanted == "auto":
                        chosen[situation] += [threads for threads, _ in results]
    finally:
        for trainee in trainees:
            trainee.end()
    names = "".join(f"{f'{wanted} thr.':>10}" for wanted in fixed)
    print(f"{'tokens/s':<26}{names}{'auto':>10}{'of the best':>13}   threads that auto chose")
    failed = False
    for situation in _SITUATIONS:
        medians = [statistics.median(speeds[situation, wanted]) for wanted in (*fixed, "auto")]
        ratio = medians[-1] / max(medians[:-1])
        failed |= ratio < _WANTED
        row = "".join(f"{speed:>10,.0f}" for speed in medians)
        print(f"{situation:<26}{row}{ratio:>13.2f}   {' '.join(map(str, chosen[situation]))}")
    if failed:
        sys.exit(f"threads=auto is slower than {_WANTED} times the best fixed number")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", help="folder with train.txt and valid.txt of CoNLL-2003")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--train-when-told", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
