"""The training loop."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from nerlab.config import TrainerConfig
from nerlab.data.batch import Batcher
from nerlab.evaluation.report import Report
from nerlab.messages import counted
from nerlab.models.checkpoint import State
from nerlab.models.tagger import Tagger
from nerlab.process import Interrupted, Interruption
from nerlab.training.gradients import Gradients
from nerlab.training.not_finite import NOT_FINITE, NotFinite
from nerlab.training.optimisation import Optimisation
from nerlab.training.recorder import ProgressBar, Recorder
from nerlab.training.state import (
    Expected,
    check_tensor,
    generator_state,
    number,
    section,
    whole,
)
from nerlab.training.window import SpeedWatch, Window

logger = logging.getLogger(__name__)


class _Moment(NamedTuple):
    """Where the loop stands, beside weights and optimiser."""

    step: int
    place: int
    window: Window
    chance: dict[str, Any]
    torch_chance: dict[str, torch.Tensor]


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
        save: saves the tagger as it is under a name, with the state of the training or without;
            ``last`` to go on from, ``best`` on dev, ``not-finite`` before a step that cannot be.
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
        self._window = Window.empty(self.optimisation.device)
        self._speed = SpeedWatch()
        self._gradients = Gradients(
            self.tagger, self.optimisation, self.train, self.config, self.generator
        )
        self._epoch_chance = self.generator.bit_generator.state

    def fit(self) -> None:
        """Train for ``config.epochs``, or until ``config.patience`` of them brought nothing.

        Raises:
            Interrupted: the run was asked to stop; what it needs to go on is saved.
            NotFinite: ``config.max_skipped_steps`` in a row had no finite loss and gradient.
            ValueError: a sentence does not fit into memory.
        """
        with self.recorder.progress(self.config.epochs) as bar:
            while not self.is_finished():
                self._run_epoch(bar)
                self._score_and_save()
                self._stop_if_asked()
        if self.config.patience is not None and self.epoch < self.config.epochs:
            logger.info("stopped: no better dev F1 for %s", counted(self.config.patience, "epoch"))
        logger.info("best: epoch %d, dev F1 %.2f", self.best_epoch, 100 * self.best_f1)

    def state(self) -> State:
        """Everything that the rest of the training depends on beside the weights."""
        return self._state_at(self._moment())

    def _moment(self) -> _Moment:
        device = self.optimisation.device
        torch_chance = {"chance.torch": torch.get_rng_state()}
        if device.type == "cuda":
            torch_chance["chance.cuda"] = torch.cuda.get_rng_state(device)
        chance = self.generator.bit_generator.state
        return _Moment(self.step, self.place, self._window, dict(chance), torch_chance)

    def _state_at(self, moment: _Moment) -> State:
        """The state at a moment since which weights and optimiser have not changed."""
        tensors, values = self.optimisation.state()
        own = {name: getattr(self, name) for name in _PROGRESS}
        # At place 0 the batches of the epoch are still to be drawn.
        chance = moment.chance if moment.place else self._epoch_chance
        own |= {"step": moment.step, "place": moment.place, "window": moment.window.state()}
        own |= {"chance": chance, "epoch_chance": self._epoch_chance}
        return State({**tensors, **moment.torch_chance}, {**values, "trainer": own})

    def restore(self, state: State) -> None:
        """Go on from a :meth:`state`, bit for bit; the tagger has the saved weights already.

        Raises:
            ValueError: what somebody else may have written is no such state.
        """
        own = section(state.values, "trainer")
        self.step, self.epoch, self.place = (whole(own, name) for name in _PROGRESS[:3])
        self.best_f1, self.best_epoch = number(own, "best_f1", -1, 1), whole(own, "best_epoch")
        chance = generator_state(own, "chance")
        self._epoch_chance = generator_state(own, "epoch_chance") if self.place else chance
        self.generator.bit_generator.state = chance
        self._window = Window.restored(section(own, "window"), self.optimisation.device)
        self.optimisation.restore(state)
        for name, fresh in self._moment().torch_chance.items():
            check_tensor(name, state.tensors.get(name), Expected.like(fresh))
        try:
            torch.set_rng_state(state.tensors["chance.torch"])
            if self.optimisation.device.type == "cuda":
                torch.cuda.set_rng_state(state.tensors["chance.cuda"], self.optimisation.device)
        except RuntimeError as error:  # torch looks at the numbers in it
            raise ValueError(f"chance.torch: {str(error).splitlines()[0]}") from None

    def is_finished(self) -> bool:
        """Whether all epochs are done, or ``config.patience`` of them brought nothing."""
        patience = self.config.patience
        is_out_of_patience = patience is not None and self.epoch - self.best_epoch >= patience
        return self.epoch >= self.config.epochs or is_out_of_patience

    def _groups(self) -> list[np.ndarray]:
        """The batches of the present epoch; halfway through they are drawn as at its beginning."""
        generator = np.random.default_rng()
        generator.bit_generator.state = self._epoch_chance
        groups = self.train.shuffled_groups(self.config.batch_tokens, generator)
        if not self.place:
            self.generator.bit_generator.state = generator.bit_generator.state
        return groups

    def _run_epoch(self, bar: ProgressBar) -> None:
        """One pass over the training split, or what is left of it."""
        config = self.config
        groups = self._groups()
        if not self.place:
            self._window = self._window.next()
        self.tagger.train()
        for first in range(self.place, len(groups), config.accumulate):
            before = self._moment()
            batches = groups[first : first + config.accumulate]
            self._gradients.make(batches)
            progress = (self.epoch + first / len(groups)) / config.epochs
            step = self.optimisation.step(progress)
            self.step += 1
            self.place = first + len(batches)
            sentences = np.concatenate(batches)
            tokens = int(self.train.corpus.lengths[sentences].sum())
            self._window = self._window.add(step, len(batches), tokens)
            bar.update(progress, self.epoch + 1)
            if self.step % config.log_every == 0 or self.place == len(groups):
                self._stop_if_not_finite(before, sentences)
                self._record(step.norm, bar)
            self._save_on_the_way()

    def _record(self, norm: torch.Tensor, bar: ProgressBar) -> None:
        """Write a line of metrics; what is not finite has no place in it."""
        metrics = self._window.metrics()
        self._window = self._window.next()
        bar.show(metrics["train/loss"], metrics["train/tokens_per_second"])
        metrics |= {"lr": self.optimisation.learning_rate, "grad_norm": norm.item()}
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        self.recorder.log(finite, self.step, self.epoch + 1)
        if skipped := metrics["train/skipped_steps"]:
            logger.warning(
                "step %d: %s skipped since the last line of metrics, the loss or its "
                "gradient was not finite",
                self.step,
                counted(int(skipped), "step"),
            )
        self._warn_if_slow(metrics["train/tokens_per_second"])

    def _warn_if_slow(self, speed: float) -> None:
        if not self._speed.has_fallen(speed):
            return
        advice = ""
        if self.optimisation.device.type == "cpu" and torch.get_num_threads() > 1:
            advice = (
                "; threads that share the work of an operation then wait for each other: stop the "
                "run and go on with resume=RUN threads=1 (its bits are other ones from there on)"
            )
        logger.warning(
            "step %d: %.0f tokens/s, the best was %.0f; do other processes keep the cores busy?%s",
            self.step,
            speed,
            self._speed.best,
            advice,
        )

    def _stop_if_not_finite(self, before: _Moment, sentences: np.ndarray) -> None:
        """Save how it was before the present step, if it is one skipped step too many.

        It is looked at where a line of metrics waits for the device anyway. All these steps were
        skipped, so weights and moments are still those that the present one began with.
        """
        if self._window.in_a_row.item() < self.config.max_skipped_steps:
            return
        self._save(NOT_FINITE, self._state_at(before))
        raise NotFinite(self.step, sentences)

    def _save_on_the_way(self) -> None:
        """Save if it is time, or if the run was asked to stop."""
        every = self.config.save_every_steps
        is_time = every is not None and self.step % every == 0
        if is_time or self.interruption.requested is not None:
            self._save("last", self.state())
            self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.interruption.requested is not None:
            raise Interrupted(self.interruption.requested)

    def _save(self, name: str, state: State) -> None:
        with self.optimisation.averaged_weights():
            self.save(name, state)

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
        self._epoch_chance = self.generator.bit_generator.state
        self._save("last", self.state())


_PROGRESS = ("step", "epoch", "place", "best_f1", "best_epoch")


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
