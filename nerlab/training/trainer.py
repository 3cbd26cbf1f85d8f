"""The training loop."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from nerlab.config import TrainerConfig
from nerlab.data.batch import Batcher
from nerlab.evaluation.report import Report
from nerlab.models.tagger import Tagger
from nerlab.training.optimisation import Optimisation
from nerlab.training.recorder import ProgressBar, Recorder

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How training went: the best span F1 on dev, and the epoch that reached it."""

    best_f1: float
    best_epoch: int
    steps: int


def fit(
    tagger: Tagger,
    optimisation: Optimisation,
    train: Batcher,
    score_dev: Callable[[], Report],
    save: Callable[[str], None],
    recorder: Recorder,
    config: TrainerConfig,
    generator: np.random.Generator,
) -> Outcome:
    """Train a tagger, which is already on its device.

    After each epoch dev is scored, the checkpoint ``last`` is saved, and ``best`` where the span
    F1 on dev is the best so far. Nothing is read back from the device inside a step.

    Args:
        tagger: the model.
        optimisation: what changes its weights.
        train: batches of the training split, with tags.
        score_dev: scores the tagger as it is on dev.
        save: saves the tagger as it is under a name.
        recorder: takes the numbers.
        config: the trainer's configuration.
        generator: the chance in batches and in the dropping of rare words.
    """
    best_f1, best_epoch, step = -1.0, 0, 0
    with recorder.progress(config.epochs) as bar:
        for epoch in range(1, config.epochs + 1):
            step = _run_epoch(
                tagger, train, optimisation, recorder, bar, config, generator, epoch, step
            )
            with optimisation.averaged_weights():
                start = time.perf_counter()
                report = score_dev()
                seconds = time.perf_counter() - start
                f1 = report.counts.score().f1
                if f1 > best_f1:
                    best_f1, best_epoch = f1, epoch
                    save("best")
                save("last")
            recorder.log({**dev_metrics(report), "dev/seconds": seconds}, step, epoch)
            mark = "  best so far" if best_epoch == epoch else ""
            logger.info("epoch %d  dev F1 %.2f%s", epoch, 100 * f1, mark)
            if config.patience is not None and epoch - best_epoch >= config.patience:
                logger.info("stopped: no better dev F1 for %d epochs", config.patience)
                break
    return Outcome(best_f1, best_epoch, step)


def _run_epoch(
    tagger: Tagger,
    train: Batcher,
    optimisation: Optimisation,
    recorder: Recorder,
    bar: ProgressBar,
    config: TrainerConfig,
    generator: np.random.Generator,
    epoch: int,
    step: int,
) -> int:
    """One pass over the training split; returns the steps made so far."""
    device = optimisation.device
    groups = train.shuffled_groups(config.batch_tokens, generator)
    window = _Window(device)
    tagger.train()
    for first in range(0, len(groups), config.accumulate):
        accumulated = groups[first : first + config.accumulate]
        for sentences in accumulated:
            batch = train.training_batch(sentences, config.rare_word_dropout, generator)
            with optimisation.autocast():
                loss = tagger.loss(batch.to(device))
            optimisation.backward(loss / len(accumulated))
            window.add(loss, int(train.corpus.lengths[sentences].sum()))
        progress = (epoch - 1 + first / len(groups)) / config.epochs
        norm = optimisation.step(progress)
        step += 1
        bar.update(progress, epoch)
        if step % config.log_every == 0 or first + config.accumulate >= len(groups):
            metrics = window.close()
            bar.show(metrics["train/loss"], metrics["train/tokens_per_second"])
            metrics |= {"lr": optimisation.learning_rate, "grad_norm": norm.item()}
            recorder.log(metrics, step, epoch)
    return step


class _Window:
    """Loss and speed since the last line of metrics; the loss stays on the device until then."""

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), device=device)
        self._batches = self._tokens = 0
        self._start = time.perf_counter()

    def add(self, loss: torch.Tensor, tokens: int) -> None:
        self._loss += loss.detach()
        self._batches += 1
        self._tokens += tokens

    def close(self) -> dict[str, float]:
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
