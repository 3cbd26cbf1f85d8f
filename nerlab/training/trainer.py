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
from nerlab.models.checkpoint import State
from nerlab.models.tagger import Tagger
from nerlab.training.interruption import Interrupted, Interruption
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
        save: saves the tagger as it is under a name, with the state of the training or without.
        recorder: takes the numbers.
        config: the trainer's configuration.
        generator: the chance in batches and in the dropping of rare words.
        interruption: may ask the run to stop.
        step: steps made so far.
        epoch: epochs finished so far.
        place: batches of the present epoch that are done.
        best_f1, best_epoch: the best span F1 on dev so far, and the epoch that reached it.
    """

    tagger: Tagger
    optimisation: Optimisation
    train: Batcher
    score_dev: Callable[[], Report]
    save: Callable[[str, State | None], None]
    recorder: Recorder
    config: TrainerConfig
    generator: np.random.Generator
    interruption: Interruption
    step: int = field(default=0, init=False)
    epoch: int = field(default=0, init=False)
    place: int = field(default=0, init=False)
    best_f1: float = field(default=-1.0, init=False)
    best_epoch: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._window = _Window(self.optimisation.device)
        self._epoch_chance = self.generator.bit_generator.state

    def fit(self) -> None:
        """Train for ``config.epochs``, or until ``config.patience`` of them brought nothing.

        Raises:
            Interrupted: the run was asked to stop; what it needs to go on is saved.
        """
        with self.recorder.progress(self.config.epochs) as bar:
            while self.epoch < self.config.epochs and not self._is_out_of_patience():
                self._run_epoch(bar)
                self._score_and_save()
                self._stop_if_asked()
        logger.info("best: epoch %d, dev F1 %.2f", self.best_epoch, 100 * self.best_f1)

    def state(self) -> State:
        """Everything that the rest of the training depends on beside the weights."""
        tensors, values = self.optimisation.state()
        tensors["chance.torch"] = torch.get_rng_state()
        if self.optimisation.device.type == "cuda":
            tensors["chance.cuda"] = torch.cuda.get_rng_state(self.optimisation.device)
        own = {name: getattr(self, name) for name in _PROGRESS}
        own["chance"] = self.generator.bit_generator.state
        own["epoch_chance"] = self._epoch_chance
        own["window"] = self._window.state()
        return State(tensors, {**values, "trainer": own})

    def restore(self, state: State) -> None:
        """Go on from a :meth:`state`, bit for bit; the tagger has the saved weights already."""
        own = state.values["trainer"]
        for name in _PROGRESS:
            setattr(self, name, own[name])
        self._epoch_chance = own["epoch_chance"]
        self.generator.bit_generator.state = own["chance"]
        self._window.restore(own["window"])
        self.optimisation.restore(state)
        torch.set_rng_state(state.tensors["chance.torch"])
        if self.optimisation.device.type == "cuda":
            torch.cuda.set_rng_state(state.tensors["chance.cuda"], self.optimisation.device)

    def _is_out_of_patience(self) -> bool:
        patience = self.config.patience
        if patience is None or self.epoch - self.best_epoch < patience:
            return False
        logger.info("stopped: no better dev F1 for %d epochs", patience)
        return True

    def _groups(self) -> list[np.ndarray]:
        """The batches of the present epoch; halfway through they are drawn as at its beginning."""
        generator = self.generator
        if self.place:
            generator = np.random.default_rng()
            generator.bit_generator.state = self._epoch_chance
        else:
            self._epoch_chance = generator.bit_generator.state
        return self.train.shuffled_groups(self.config.batch_tokens, generator)

    def _run_epoch(self, bar: ProgressBar) -> None:
        """One pass over the training split, or what is left of it."""
        config = self.config
        groups = self._groups()
        if not self.place:
            self._window = _Window(self.optimisation.device)
        self.tagger.train()
        for first in range(self.place, len(groups), config.accumulate):
            accumulated = groups[first : first + config.accumulate]
            for sentences in accumulated:
                loss = self._backward(sentences, 1 / len(accumulated))
                self._window.add(loss, int(self.train.corpus.lengths[sentences].sum()))
            progress = (self.epoch + first / len(groups)) / config.epochs
            norm = self.optimisation.step(progress)
            self.step += 1
            self.place = first + len(accumulated)
            bar.update(progress, self.epoch + 1)
            if self.step % config.log_every == 0 or self.place == len(groups):
                metrics = self._window.close()
                bar.show(metrics["train/loss"], metrics["train/tokens_per_second"])
                metrics |= {"lr": self.optimisation.learning_rate, "grad_norm": norm.item()}
                self.recorder.log(metrics, self.step, self.epoch + 1)
            self._save_on_the_way()

    def _save_on_the_way(self) -> None:
        """Save if it is time, or if the run was asked to stop."""
        every = self.config.save_every_steps
        is_time = every is not None and self.step % every == 0
        if is_time or self.interruption.requested is not None:
            self._save_last()
            self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.interruption.requested is not None:
            raise Interrupted(self.interruption.requested)

    def _save_last(self) -> None:
        state = self.state()
        with self.optimisation.averaged_weights():
            self.save("last", state)

    def _backward(self, sentences: np.ndarray, weight: float) -> torch.Tensor:
        """The gradients of one batch; returns its loss, on the device."""
        batch = self.train.training_batch(
            sentences, self.config.rare_word_dropout, self.generator
        ).to(self.optimisation.device)
        with self.optimisation.autocast():
            loss = self.tagger.loss(batch)
        self.optimisation.backward(loss * weight)
        return loss.detach()

    def _score_and_save(self) -> None:
        """Score dev, and finish the epoch: what was recorded is then in the checkpoint too."""
        epoch = self.epoch + 1
        with self.optimisation.averaged_weights():
            start = time.perf_counter()
            report = self.score_dev()
            seconds = time.perf_counter() - start
            f1 = report.counts.score().f1
            if f1 > self.best_f1:
                self.best_f1, self.best_epoch = f1, epoch
                self.save("best", None)
        self.recorder.log({**dev_metrics(report), "dev/seconds": seconds}, self.step, epoch)
        mark = "  best so far" if self.best_epoch == epoch else ""
        logger.info("epoch %d  dev F1 %.2f%s", epoch, 100 * f1, mark)
        self.epoch, self.place = epoch, 0
        self._save_last()


_PROGRESS = ("step", "epoch", "place", "best_f1", "best_epoch")


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

    def state(self) -> dict[str, float]:
        """What has been added since the last line."""
        return {"loss": self._loss.item(), "batches": self._batches, "tokens": self._tokens}

    def restore(self, state: dict[str, float]) -> None:
        """Go on from a :meth:`state`; the speed counts from now."""
        self._loss.fill_(state["loss"])
        self._batches, self._tokens = int(state["batches"]), int(state["tokens"])


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
