"""The training loop: epochs, batches, loss, backward, clip, step, log, score, save."""

import logging
import time
from dataclasses import dataclass, field

import numpy as np
import torch

from nerlab.config import TrainerConfig
from nerlab.data.batch import Batcher
from nerlab.evaluation.report import flat_metrics
from nerlab.messages import ShowProgress, counted
from nerlab.models.decoding import score
from nerlab.process import Interrupted, Interruption
from nerlab.training.failures import NotFinite
from nerlab.training.recorder import Recorder, TrainingState

logger = logging.getLogger(__name__)


@dataclass
class Trainer:
    """Trains the tagger of a :class:`TrainingState`, which may be one of a run that was stopped.

    After each epoch dev is scored and the checkpoint ``last`` is saved, and ``best`` where the
    span F1 is the best so far. Nothing is read back from a GPU inside a step. ``step_batches`` are
    the sentences of the batches of the present step, for who explains an error in it.
    """

    state: TrainingState
    config: TrainerConfig
    seed: int
    train: Batcher
    dev: Batcher
    recorder: Recorder
    interruption: Interruption
    show: ShowProgress
    step_batches: list[np.ndarray] = field(default_factory=list, init=False)

    def fit(self) -> None:
        """Train for ``config.epochs``, or until ``config.patience`` of them brought nothing.

        Raises:
            Interrupted: the run was asked to stop; what it needs to go on is saved.
            NotFinite: ``config.max_skipped_steps`` in a row had no finite loss and gradient.
        """
        state, patience = self.state, self.config.patience
        while not state.is_finished(self.config):
            self._train_epoch()
            self._score_dev()
            self.recorder.save_last(state)
            self._stop_if_asked()
        if patience is not None and state.epoch < self.config.epochs:
            logger.info("stopped: no better dev F1 for %s", counted(patience, "epoch"))
        logger.info("best: epoch %d, dev F1 %.2f", state.best_epoch, 100 * state.best_f1)

    def _train_epoch(self) -> None:
        """One pass over the training split, or what is left of it."""
        config, state, optimizer = self.config, self.state, self.state.optimizer
        rng = np.random.default_rng((self.seed, state.epoch))  # the same for a run that goes on
        batches = self.train.shuffled_groups(config.batch_tokens, rng)
        state.tagger.train()
        optimizer.begin_epoch(state.epoch)
        state.accumulator.start_clock()
        for first in range(state.batch_index, len(batches), config.accumulate):
            self.step_batches = batches[first : first + config.accumulate]
            number = len(self.step_batches)
            step_loss = torch.zeros((), device=optimizer.device)
            for sentences in self.step_batches:
                batch = self.train.collate(sentences).to(optimizer.device)
                loss = state.tagger.loss(batch) / number
                optimizer.backward(loss)
                step_loss += loss.detach()
            norm = optimizer.clip(step_loss)  # nan if it is not finite; then nothing changes
            done = (state.epoch + first / len(batches)) / config.epochs
            optimizer.step(norm, done)
            if state.average is not None:
                state.average.update_parameters(state.tagger)
            state.step += 1
            state.batch_index = first + number

            tokens = sum(int(self.train.corpus.lengths[group].sum()) for group in self.step_batches)
            state.accumulator.add(step_loss, norm, number, tokens)
            self.show(completed=done, total=1.0)
            if state.step % config.log_every == 0 or state.batch_index == len(batches):
                self._log(norm)
            if config.save_every_steps and state.step % config.save_every_steps == 0:
                self.recorder.save_last(state)
            self._stop_if_asked()
        self.step_batches = []

    def _log(self, norm: torch.Tensor) -> None:
        """Write a line of metrics; too many skipped steps in a row end the training."""
        state, epoch = self.state, self.state.epoch + 1
        metrics, skipped_in_a_row = state.accumulator.flush()
        metrics |= {"lr": state.optimizer.learning_rate, "grad_norm": norm.item()}
        self.recorder.log(metrics, state.step, epoch)
        loss, speed = metrics["train/loss"], metrics["train/tokens_per_second"]
        self.show(state=f"epoch {epoch}  loss {loss:.4f}  {speed:,.0f} tokens/s")
        if skipped_in_a_row >= self.config.max_skipped_steps:
            self.recorder.save_last(state)
            raise NotFinite(state.step, np.concatenate(self.step_batches))

    def _score_dev(self) -> None:
        """Score dev and finish the epoch."""
        state, start = self.state, time.perf_counter()
        vocabulary, decode_tokens = self.recorder.vocabulary, self.config.decode_tokens
        report = score(state.model.eval(), vocabulary, self.dev, "dev", decode_tokens)
        scores = flat_metrics(report)
        metrics = {**scores, "dev/seconds": time.perf_counter() - start}
        state.epoch, state.batch_index = state.epoch + 1, 0
        f1 = scores["dev/f1"]
        is_best = f1 > state.best_f1
        if is_best:
            state.best_f1, state.best_epoch = f1, state.epoch
            self.recorder.save_best(state.model)
        self.recorder.log(metrics, state.step, state.epoch)
        if is_best:
            self.recorder.log_best(scores, state.epoch)
        mark = "  best so far" if is_best else ""
        logger.info("epoch %d  dev F1 %.2f%s", state.epoch, 100 * f1, mark)

    def _stop_if_asked(self) -> None:
        if self.interruption.requested is not None:
            self.recorder.save_last(self.state)
            raise Interrupted(self.interruption.requested)
