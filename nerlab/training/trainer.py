"""The training loop."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from nerlab.config import TrainerConfig
from nerlab.data.batch import Batcher
from nerlab.evaluation.report import Report
from nerlab.models.tagger import Tagger
from nerlab.training.optimisation import Optimisation
from nerlab.training.recorder import ProgressBar, Recorder

logger = logging.getLogger(__name__)


@dataclass
class Trainer:
    """Trains a tagger, which is on its device already, and keeps its best state.

    After each epoch dev is scored, the checkpoint ``last`` is saved, and ``best`` where the span
    F1 on dev is the best so far. Nothing is read back from the device inside a step.

    Attributes:
        tagger: the model.
        optimisation: what changes its weights.
        train: batches of the training split, with tags.
        score_dev: scores the tagger as it is on dev.
        save: saves the tagger as it is under a name.
        recorder: takes the numbers.
        config: the trainer's configuration.
        generator: the chance in batches and in the dropping of rare words.
        step: steps made so far.
        best_f1, best_epoch: the best span F1 on dev so far, and the epoch that reached it.
    """

    tagger: Tagger
    optimisation: Optimisation
    train: Batcher
    score_dev: Callable[[], Report]
    save: Callable[[str], None]
    recorder: Recorder
    config: TrainerConfig
    generator: np.random.Generator
    step: int = field(default=0, init=False)
    best_f1: float = field(default=-1.0, init=False)
    best_epoch: int = field(default=0, init=False)

    def fit(self) -> None:
        """Train for ``config.epochs``, or until ``config.patience`` of them brought nothing."""
        with self.recorder.progress(self.config.epochs) as bar:
            for epoch in range(1, self.config.epochs + 1):
                self._run_epoch(epoch, bar)
                self._score_and_save(epoch)
                patience = self.config.patience
                if patience is not None and epoch - self.best_epoch >= patience:
                    logger.info("stopped: no better dev F1 for %d epochs", patience)
                    break
        logger.info("best: epoch %d, dev F1 %.2f", self.best_epoch, 100 * self.best_f1)

    def _run_epoch(self, epoch: int, bar: ProgressBar) -> None:
        """One pass over the training split."""
        config = self.config
        groups = self.train.shuffled_groups(config.batch_tokens, self.generator)
        window = _Window(self.optimisation.device)
        self.tagger.train()
        for first in range(0, len(groups), config.accumulate):
            accumulated = groups[first : first + config.accumulate]
            for sentences in accumulated:
                loss = self._backward(sentences, 1 / len(accumulated))
                window.add(loss, int(self.train.corpus.lengths[sentences].sum()))
            progress = (epoch - 1 + first / len(groups)) / config.epochs
            norm = self.optimisation.step(progress)
            self.step += 1
            bar.update(progress, epoch)
            if self.step % config.log_every == 0 or first + config.accumulate >= len(groups):
                metrics = window.close()
                bar.show(metrics["train/loss"], metrics["train/tokens_per_second"])
                metrics |= {"lr": self.optimisation.learning_rate, "grad_norm": norm.item()}
                self.recorder.log(metrics, self.step, epoch)

    def _backward(self, sentences: np.ndarray, weight: float) -> torch.Tensor:
        """The gradients of one batch; returns its loss, on the device."""
        batch = self.train.training_batch(
            sentences, self.config.rare_word_dropout, self.generator
        ).to(self.optimisation.device)
        with self.optimisation.autocast():
            loss = self.tagger.loss(batch)
        self.optimisation.backward(loss * weight)
        return loss.detach()

    def _score_and_save(self, epoch: int) -> None:
        with self.optimisation.averaged_weights():
            start = time.perf_counter()
            report = self.score_dev()
            seconds = time.perf_counter() - start
            f1 = report.counts.score().f1
            if f1 > self.best_f1:
                self.best_f1, self.best_epoch = f1, epoch
                self.save("best")
            self.save("last")
        self.recorder.log({**dev_metrics(report), "dev/seconds": seconds}, self.step, epoch)
        mark = "  best so far" if self.best_epoch == epoch else ""
        logger.info("epoch %d  dev F1 %.2f%s", epoch, 100 * f1, mark)


class _Window:
    """Loss and speed since the last line of metrics; the loss stays on the device until then."""

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), device=device)
        self._batches = self._tokens = 0
        self._start = time.perf_counter()

    def add(self, loss: torch.Tensor, tokens: int) -> None:
        self._loss += loss
        self._batches += 1
        self._tokens += tokens

    def close(self) -> dict[str, float]:
        """The metrics of the window; begins the next one."""
        loss = self._loss.item() / self._batches
        now = time.perf_counter()
        speed = self._tokens / (now - self._start)
        self._loss.zero_()
        self._batches = self._tokens = 0
        self._start = now
        return {"train/loss": loss, "train/tokens_per_second": speed}


def dev_metrics(report: Report) -> dict[str, float]:
    """The scores of dev, in all and a type, under the names they are logged with."""
    scores = {"dev": report.counts.score()}
    scores |= {f"dev/{label}": report.counts.score(label) for label in report.counts.labels}
    return {
        f"{prefix}/{name}": value
        for prefix, score in scores.items()
        for name, value in score._asdict().items()
        if name != "support"
    }
