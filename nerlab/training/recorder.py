"""What a run says while it goes on: metrics.jsonl, train.log, the terminal, the tracker."""

import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from nerlab.evaluation.report import Report
from nerlab.files import naming, open_to_append
from nerlab.messages import counted, escape_controls

logger = logging.getLogger("nerlab")


class Accumulator:
    """Loss, tokens and skipped steps since the last line of metrics, added up on the device.

    ``sums (4,)`` are the loss and the number of the batches that were not skipped, skipped steps,
    and steps skipped in a row, which go on over lines of metrics.
    """

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(4, device=device)
        self.tokens = 0
        self.start_clock()

    def start_clock(self) -> None:
        """Count the speed from now on."""
        self._start = time.perf_counter()

    def add(self, loss: Tensor, norm: Tensor, batches: int, tokens: int) -> None:
        """Add a step: its mean loss, and the norm of its gradient, nan where it was skipped."""
        skipped = norm.isnan().float()
        loss = torch.where(norm.isnan(), 0.0, loss * batches)
        seen = torch.stack([loss.float(), batches * (1 - skipped), skipped, skipped])
        in_a_row = torch.cat([torch.ones_like(self.sums[:3]), skipped[None]])
        self.sums = self.sums * in_a_row + seen
        self.tokens += tokens

    def flush(self) -> tuple[dict[str, float], int]:
        """The metrics so far and the number of steps skipped in a row; begin anew.

        The loss is nan where every step was skipped.
        """
        loss, batches, skipped, in_a_row = self.sums.tolist()
        metrics = {
            "train/loss": loss / batches if batches else math.nan,
            "train/skipped_steps": int(skipped),
            "train/tokens_per_second": self.tokens / (time.perf_counter() - self._start),
        }
        self.sums = torch.cat([torch.zeros_like(self.sums[:3]), self.sums[3:]])
        self.tokens = 0
        self.start_clock()
        return metrics, int(in_a_row)


class Tracker:
    """Where the numbers go beside ``metrics.jsonl``; it never raises: no run is lost because of it.

    It is built with ``(run_directory, name, config)``, ``config`` as plain data.
    """

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Take numbers that belong to a step; steps never fall."""

    def log_report(self, report: Report) -> None:
        """Take a scored split: its confusion matrix and its examples."""

    def finish(self) -> None:
        """End the run and say how it can be looked at."""


class NoTracker(Tracker):
    """Keeps nothing."""

    def __init__(self, run_directory: Path, name: str, config: Mapping[str, Any]) -> None:
        pass


class Recorder:
    """Writes each line of ``metrics.jsonl`` at once, whatever becomes of the tracker or the
    terminal, and gives the tracker the same numbers."""

    def __init__(self, path: Path, tracker: Tracker) -> None:
        self._path = path
        self._file = open_to_append(path)
        self._tracker = tracker
        self._best_speed, self._slow_lines = 0.0, 0

    def log(self, metrics: Mapping[str, float], step: int, epoch: int) -> None:
        """Record numbers that belong to a step; those that are not finite are left out."""
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        with naming(self._path):
            self._file.write(json.dumps({"step": step, "epoch": epoch, **finite}) + "\n")
            self._file.flush()
        self._tracker.log({"epoch": epoch, **finite}, step)
        if skipped := metrics.get("train/skipped_steps"):
            reason = "the loss or its gradient was not finite"
            said = "step %d: %s skipped since the last line of metrics, %s"
            logger.warning(said, step, counted(int(skipped), "step"), reason)
        if speed := metrics.get("train/tokens_per_second"):
            self._warn_if_slow(speed, step)

    def _warn_if_slow(self, speed: float, step: int) -> None:
        """Warn at the second line in a row with a fifth of the best speed, or less."""
        self._best_speed = max(self._best_speed, speed)
        self._slow_lines = self._slow_lines + 1 if speed <= self._best_speed / 5 else 0
        if self._slow_lines == 2:
            busy = "do other processes keep the cores busy?"
            if torch.get_num_threads() > 1:
                busy += "; if so, resume=RUN threads=1 is faster"
            said = "step %d: %.0f tokens/s, the best was %.0f; %s"
            logger.warning(said, step, speed, self._best_speed, busy)

    def sync(self) -> int:
        """Wait until all lines are on the disk; returns how many bytes they take."""
        with naming(self._path):
            os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file and end the tracker's run."""
        try:
            with naming(self._path):
                self._file.close()
        finally:
            self._tracker.finish()


@contextmanager
def logging_to(path: Path, console: Console) -> Iterator[None]:
    """Send what nerlab logs to a file and to the terminal; a file that is full raises."""
    handler, level = _Lines(path, console), logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        with naming(path):
            handler.file.close()


class _Lines(logging.Handler):
    """Writes each message as one line."""

    def __init__(self, path: Path, console: Console) -> None:
        super().__init__()
        self.path, self.console, self.file = path, console, open_to_append(path)

    def emit(self, record: logging.LogRecord) -> None:
        message = escape_controls(record.getMessage())
        with naming(self.path):
            self.file.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {record.levelname} {message}\n")
            self.file.flush()
        # By rich, so that it never lands within a progress bar.
        self.console.print(message)
