"""What is kept of a run: where its training stands, checkpoints, metrics.jsonl, the log."""

import json
import logging
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig
from rich.console import Console
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from nerlab.config import TrainerConfig
from nerlab.data.vocabulary import Vocabulary
from nerlab.evaluation.pages import Pictures
from nerlab.evaluation.report import Report
from nerlab.files import naming, open_to_append
from nerlab.messages import counted, escape_controls
from nerlab.models.checkpoint import State, save_checkpoint
from nerlab.models.tagger import Tagger
from nerlab.training.optimizer import TaggerOptimizer
from nerlab.training.run_directory import point_latest_to

logger = logging.getLogger("nerlab")
PROGRESS = ("step", "epoch", "batch_index", "best_f1", "best_epoch")


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


@dataclass
class TrainingState:
    """Where a training stands, with what it trains."""

    tagger: Tagger  # on its device
    optimizer: TaggerOptimizer
    accumulator: Accumulator
    average: AveragedModel | None  # of the weights, if one is kept
    step: int = 0  # steps and epochs that are done
    epoch: int = 0
    batch_index: int = 0  # the next batch of the present epoch
    best_f1: float = -1.0  # on dev so far, and the epoch that reached it
    best_epoch: int = 0
    notes: list[str] = field(default_factory=list)  # for the log: which weights are not new

    @property
    def model(self) -> Tagger:
        """The tagger that is scored and saved: the average, if one is kept."""
        return self.tagger if self.average is None else cast(Tagger, self.average.module)

    def is_finished(self, config: TrainerConfig) -> bool:
        """Whether all epochs are done, or ``patience`` of them brought nothing."""
        patience = config.epochs if config.patience is None else config.patience
        waited = self.epoch - self.best_epoch
        return self.epoch >= config.epochs or waited >= patience

    def snapshot(self) -> State:
        """What a checkpoint saves beside the weights of :attr:`model`: the tensors themselves, but
        for copies of the states of the random numbers."""
        device = self.optimizer.device
        tensors = {**self.optimizer.moments(), "accumulator": self.accumulator.sums}
        tensors["rng_state.cpu"] = torch.get_rng_state()
        if device.type == "cuda":
            tensors["rng_state.cuda"] = torch.cuda.get_rng_state(device)
        if self.average is not None:
            tensors |= {f"weights.{name}": w for name, w in self.tagger.state_dict().items()}
            tensors["steps_averaged"] = self.average.n_averaged
        progress = {name: getattr(self, name) for name in PROGRESS}
        progress["tokens"] = self.accumulator.tokens
        scaler = self.optimizer.scaler.state_dict()
        return State(tensors, {"progress": progress, "scaler": scaler})


class Tracker:
    """Where the numbers go beside ``metrics.jsonl``; by itself it keeps nothing.

    ``config`` is plain data. No run is lost because of what a tracker raises, see
    :class:`nerlab.training.trackers.Trackers`.
    """

    def __init__(self, run_directory: Path, name: str, config: Mapping[str, Any]) -> None:
        pass

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Take numbers that belong to a step; steps never fall."""

    def log_summary(self, values: Mapping[str, float]) -> None:
        """Take numbers of the run as a whole; later ones replace earlier ones of their name."""

    def log_report(self, report: Report) -> None:
        """Take a scored split: its confusion matrix and its examples."""

    def log_pictures(self, draw: Pictures) -> None:
        """Take the pictures of the reports, PNG by name, which ``draw`` makes when it is called."""

    def log_checkpoint(self, folder: Path) -> None:
        """Take the best checkpoint, when training is done."""

    def finish(self) -> None:
        """End the run and say how it can be looked at."""


class Recorder:
    """Writes a run into its directory: each line of ``metrics.jsonl`` at once, whatever becomes of
    the tracker, which gets the same numbers, and the checkpoints.

    ``digests`` are those of the splits, which a run that goes on compares with its own.
    """

    def __init__(
        self,
        run: Path,
        tracker: Tracker,
        vocabulary: Vocabulary,
        config: DictConfig,
        digests: Mapping[str, str],
    ) -> None:
        self.run, self.vocabulary, self.config = run, vocabulary, config
        self.tracker, self._digests = tracker, digests
        self._path = run / "metrics.jsonl"
        self._file = open_to_append(self._path)
        self._best_speed, self._slow_lines = 0.0, 0

    def log(self, metrics: Mapping[str, float], step: int, epoch: int) -> None:
        """Record numbers that belong to a step; those that are not finite are left out."""
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        with naming(self._path):
            self._file.write(json.dumps({"step": step, "epoch": epoch, **finite}) + "\n")
            self._file.flush()
        self.tracker.log({"epoch": epoch, **finite}, step)
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

    def log_best(self, metrics: Mapping[str, float], epoch: int | None = None) -> None:
        """Let the summary of the run hold numbers of its best checkpoint, and of which epoch."""
        best = {f"best/{name}": value for name, value in metrics.items() if math.isfinite(value)}
        self.tracker.log_summary(best if epoch is None else best | {"best/epoch": epoch})

    def save_best(self, tagger: Tagger) -> None:
        """Save ``best``: the weights."""
        folder = self.run / "checkpoints" / "best"
        save_checkpoint(folder, tagger.state_dict(), self.vocabulary, self.config)

    def save_last(self, state: TrainingState) -> None:
        """Save ``last``: the weights, and what the training needs to go on from here."""
        folder = self.run / "checkpoints" / "last"
        tensors, values = state.snapshot()
        with naming(self._path):
            os.fsync(self._file.fileno())  # the lines that the checkpoint counts
        values = {**values, **self._digests, "metrics_bytes": self._file.tell()}
        weights = state.model.state_dict()
        save_checkpoint(folder, weights, self.vocabulary, self.config, State(tensors, values))
        if self.config.trainer.keep_last > 1:
            from nerlab.training.kept_steps import keep_step

            keep_step(folder, state.step, self.config.trainer.keep_last)
        if self.config.run.dir is None:
            point_latest_to(self.run, Path(self.config.run.root))

    def close(self) -> None:
        """Close the file and end the tracker's run."""
        try:
            with naming(self._path):
                self._file.close()
        finally:
            self.tracker.finish()


class RunLog(logging.Handler):
    """Writes what nerlab logs to a file and to the terminal, each message as one line, until it is
    closed; a file that is full raises."""

    def __init__(self, path: Path, console: Console) -> None:
        super().__init__()
        self._path, self._file, self._console = path, open_to_append(path), console
        self._level_before = logger.level
        logger.setLevel(logging.INFO)
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        message = escape_controls(record.getMessage())
        with naming(self._path):
            self._file.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {record.levelname} {message}\n")
            self._file.flush()
        # By rich, so that it never lands within a progress bar.
        self._console.print(message)

    def close(self) -> None:
        """Close the file and leave the log as it was."""
        logger.setLevel(self._level_before)
        logger.removeHandler(self)
        super().close()
        with naming(self._path):
            self._file.close()
