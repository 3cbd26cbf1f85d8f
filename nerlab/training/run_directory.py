"""The directory of a run, and the state of its training, which is saved there."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import cast

import torch
from omegaconf import DictConfig
from torch.optim.swa_utils import AveragedModel

from nerlab.config import RunDirectory, TrainerConfig
from nerlab.data.vocabulary import Vocabulary
from nerlab.files import file_lock
from nerlab.models.checkpoint import State, save_checkpoint
from nerlab.models.tagger import Tagger
from nerlab.training.optimizer import TaggerOptimizer
from nerlab.training.recorder import Accumulator, Recorder

PROGRESS = ("step", "epoch", "batch_index", "best_f1", "best_epoch")


@contextmanager
def new_run_directory(config: RunDirectory) -> Iterator[Path]:
    """Make the directory of a new run; it is locked within the block."""
    run = create_run_directory(config.dir, config.root, config.name)
    with file_lock(run):
        check_empty(run)  # another process may have begun a run in it, and ended
        yield run


def create_run_directory(directory: str | None, root: str, name: str) -> Path:
    """Make a directory and return it.

    Without ``directory`` it is ``<root>/<date-time>-<name>``; runs that start in the same second
    are numbered. Making the directory is what reserves it, so two never share one.

    Raises:
        ValueError: ``directory`` exists and is not empty.
    """
    if directory is not None:
        path = Path(directory)
        if path.exists():
            check_empty(path)
        path.mkdir(parents=True, exist_ok=True)
        return path
    path = first = Path(root) / f"{datetime.now():%Y-%m-%d_%H-%M-%S}-{name}"
    first.parent.mkdir(parents=True, exist_ok=True)
    for number in count(2):
        try:
            path.mkdir()
            break
        except FileExistsError:
            path = first.with_name(f"{first.name}-{number}")
    return path


def check_empty(path: Path) -> None:
    """Raise ``ValueError`` unless it is a folder in which no whole file is."""
    if not path.is_dir() or any(file.suffix != ".part" for file in path.iterdir()):
        raise ValueError(
            f"run.dir={path}: expected a directory that is new or empty; "
            "choose another name, or remove what is there"
        )


def point_latest_to(run: Path) -> None:
    """Let the link ``latest`` beside a run lead to it."""
    link = run.parent / "latest"
    part = run.parent / f".latest-{os.getpid()}"
    try:
        part.symlink_to(run.name, target_is_directory=True)
        os.replace(part, link)
    except OSError as error:  # a file system without links; the run itself is unharmed
        part.unlink(missing_ok=True)
        logging.getLogger(__name__).warning("%s: no link made: %s", link, error.strerror)


@dataclass
class TrainingState:
    """Where a training stands, with what it trains.

    Attributes:
        tagger: the model, on its device.
        optimizer: changes its weights.
        accumulator: the numbers since the last line of metrics.
        average: the moving average of the weights, if one is kept.
        step, epoch: steps and epochs that are done.
        batch_index: the next batch of the present epoch.
        best_f1, best_epoch: the best span F1 on dev so far, and the epoch that reached it.
    """

    tagger: Tagger
    optimizer: TaggerOptimizer
    accumulator: Accumulator
    average: AveragedModel | None
    step: int = 0
    epoch: int = 0
    batch_index: int = 0
    best_f1: float = -1.0
    best_epoch: int = 0

    @property
    def model(self) -> Tagger:
        """The tagger that is scored and saved: the average, if one is kept."""
        return self.tagger if self.average is None else cast(Tagger, self.average.module)

    def is_finished(self, config: TrainerConfig) -> bool:
        """Whether all epochs are done, or ``patience`` of them brought nothing."""
        waited = self.epoch - self.best_epoch
        is_out_of_patience = config.patience is not None and waited >= config.patience
        return self.epoch >= config.epochs or is_out_of_patience

    def snapshot(self) -> State:
        """What a checkpoint saves beside the weights of :attr:`model`."""
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


@dataclass(frozen=True)
class Checkpoints:
    """Writes the checkpoints of a run, with its vocabulary and configuration.

    ``digests`` are those of the splits, which a run that goes on compares with its own.
    """

    run: Path
    vocabulary: Vocabulary
    config: DictConfig
    digests: Mapping[str, str]
    recorder: Recorder

    def save_best(self, tagger: Tagger) -> None:
        """Save ``best``: the weights."""
        folder = self.run / "checkpoints" / "best"
        save_checkpoint(folder, tagger.state_dict(), self.vocabulary, self.config)

    def save_last(self, state: TrainingState) -> None:
        """Save ``last``: the weights, and what the training needs to go on from here."""
        folder = self.run / "checkpoints" / "last"
        tensors, values = state.snapshot()
        values = {**values, **self.digests, "metrics_bytes": self.recorder.sync()}
        weights = state.model.state_dict()
        save_checkpoint(folder, weights, self.vocabulary, self.config, State(tensors, values))
        if self.config.trainer.keep_last > 1:
            from nerlab.training.kept_steps import keep_step

            keep_step(folder, state.step, self.config.trainer.keep_last)
        if self.config.run.dir is None:
            point_latest_to(self.run)
