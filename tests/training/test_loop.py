"""The loop: the steps of a plain one, and what it does when memory does not suffice."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest
import torch
from conftest import SMALL_MODEL, Result, run_script
from helpers import make_batcher, make_embedders, make_softmax
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from nerlab.config import Optimizer, Precision, Schedule, TrainerConfig
from nerlab.data.batch import Batch
from nerlab.evaluation.report import Report
from nerlab.models.decoding import score
from nerlab.models.tagger import Tagger
from nerlab.process import Interruption
from nerlab.training import loop
from nerlab.training.averaging import average_weights
from nerlab.training.loop import Trainer
from nerlab.training.optimizer import TaggerOptimizer
from nerlab.training.recorder import Accumulator, Recorder, TrainingState

CPU = torch.device("cpu")
SEED = 3
VOCABULARY, BATCHER = make_batcher()

ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


def make_tagger() -> Tagger:
    """A tagger without encoder, whose dropout makes all random numbers count."""
    torch.manual_seed(SEED)
    embedder = make_embedders(VOCABULARY, rare_word_dropout=0.3)
    return Tagger(embedder, {}, make_softmax(VOCABULARY.tags), len(VOCABULARY.tags), dropout=0.3)


def trainer_config(**changes: Any) -> TrainerConfig:
    config = TrainerConfig(
        epochs=3,
        batch_tokens=16,
        accumulate=2,
        optimizer=Optimizer.sgd,
        learning_rate=0.3,
        momentum=0.0,
        weight_decay=0.0,
        schedule=Schedule.linear,
        warmup=0.0,
        clip_norm=0.4,
        ema=0.0,
        precision=Precision.fp32,
        patience=None,
        log_every=2,
        decode_tokens=100,
    )
    return replace(config, **changes)


def make_trainer(
    tagger: Tagger, config: TrainerConfig, average: AveragedModel | None = None
) -> Trainer:
    """A trainer whose recorder only notes what is asked of it."""
    state = TrainingState(tagger, TaggerOptimizer(tagger, config, CPU), Accumulator(CPU), average)
    recorder = create_autospec(Recorder, instance=True)
    recorder.vocabulary = VOCABULARY
    return Trainer(
        *(state, config, SEED, BATCHER, BATCHER, recorder),
        *(Interruption(), lambda *_, **__: None),
    )


def plain_loop(tagger: Tagger, config: TrainerConfig) -> None:
    """The same steps as a textbook has them; dev is not scored."""
    tagger.train()
    optimizer = torch.optim.SGD(tagger.parameters(), config.learning_rate)
    torch.manual_seed(SEED)
    for epoch in range(config.epochs):
        rng = np.random.default_rng((SEED, epoch))
        batches = BATCHER.shuffled_groups(config.batch_tokens, rng)
        for first in range(0, len(batches), config.accumulate):
            step = batches[first : first + config.accumulate]
            optimizer.zero_grad()
            losses = [tagger.loss(BATCHER.collate(sentences)) for sentences in step]
            torch.stack(losses).mean().backward()
            nn.utils.clip_grad_norm_(tagger.parameters(), config.clip_norm)
            done = (epoch + first / len(batches)) / config.epochs
            optimizer.param_groups[0]["lr"] = config.learning_rate * (1 - done)
            optimizer.step()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accumulate": 1},
        {"accumulate": 3, "clip_norm": 1e9},
        {"accumulate": 99},
    ],
    ids=str,
)
def test_the_steps_are_those_of_a_plain_loop(changes: dict[str, Any]) -> None:
    config = trainer_config(**changes)
    found, expected = make_tagger(), make_tagger()
    first = [weights.clone() for weights in expected.parameters()]
    torch.manual_seed(SEED)
    make_trainer(found, config).fit()
    plain_loop(expected, config)
    for ours, theirs in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert not any(map(torch.equal, expected.parameters(), first))


def fit_with_scores(trainer: Trainer, scores: list[float], patch: pytest.MonkeyPatch) -> None:
    """Train where dev has these F1 in the order of the epochs."""
    of_epochs = iter(scores)
    patch.setattr(loop, "flat_metrics", lambda _: {"dev/f1": next(of_epochs)})
    trainer.fit()


def test_the_first_of_the_best_epochs_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(make_tagger(), trainer_config(epochs=5))
    fit_with_scores(trainer, [0.0, 0.5, 0.5, 0.3, 0.6], monkeypatch)
    saved: Any = trainer.recorder
    assert [call.args[1] for call in saved.log_best.call_args_list] == [1, 2, 5]
    assert [call[0] for call in saved.method_calls if call[0].startswith("save")] == [
        *("save_best", "save_last", "save_best", "save_last", "save_last", "save_last"),
        *("save_best", "save_last"),
    ]
    assert (trainer.state.best_epoch, trainer.state.best_f1) == (5, 0.6)


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 4), (None, 6)])
def test_patience_is_so_many_epochs_without_a_better_score(
    patience: int | None, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = trainer_config(epochs=6, patience=patience)
    trainer = make_trainer(make_tagger(), config)
    fit_with_scores(trainer, [0.1, 0.5, 0.5, 0.2, 0.2, 0.2], monkeypatch)
    assert trainer.state.epoch == epochs


def test_the_average_is_what_is_scored_and_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    tagger = make_tagger()
    average = average_weights(tagger, 0.9)
    scored: list[Tagger] = []

    def noted(tagger: Tagger, *arguments: Any) -> Report:
        scored.append(tagger)
        return score(tagger, *arguments)

    monkeypatch.setattr(loop, "score", noted)
    trainer = make_trainer(tagger, trainer_config(epochs=1), average)
    trainer.fit()
    saved: Any = trainer.recorder
    assert scored == [call.args[0] for call in saved.save_best.call_args_list] == [average.module]


def train_with(
    memory: int,
    error: Exception,
    corpus: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *more: str,
) -> Result:
    """Train where the loss of a batch of more tokens than ``memory``, padding counted, raises."""
    loss_of = Tagger.loss

    def loss(tagger: Tagger, batch: Batch) -> Tensor:
        assert batch.tags is not None
        if batch.tags.numel() > memory:
            raise error
        return loss_of(tagger, batch)

    monkeypatch.setattr(Tagger, "loss", loss)
    arguments = (*SMALL_MODEL, "trainer.epochs=1", f"data.dir={corpus}", f"run.dir={folder}")
    return run_script("train", *arguments, *more)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_batch_that_does_not_fit_is_named_with_what_to_set(
    error: Exception, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = train_with(30, error, corpus, tmp_path / "run", monkeypatch)
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert result.err.startswith("error: a batch of ")
    assert "does not fit into memory, of sentences " in result.err
    size = int(result.err.split("a batch of ")[1].split()[0])
    assert 30 < size <= 100
    assert f"set trainer.batch_tokens to less than {size}, or choose a smaller model" in result.err


def test_what_is_advised_helps(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ("trainer.batch_tokens=30", "trainer.accumulate=3")
    result = train_with(30, MemoryError(), corpus, tmp_path / "run", monkeypatch, *more)
    assert result.status == 0, result.err


def test_a_sentence_that_does_not_fit_is_named(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ("trainer.batch_tokens=1", "trainer.accumulate=2")
    result = train_with(5, MemoryError(), corpus, tmp_path / "run", monkeypatch, *more)
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert result.err.startswith("error: sentence ")
    assert "of train does not fit into memory; cut it into shorter ones" in result.err


def test_another_error_is_raised_as_it_is(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = RuntimeError("mat1 and mat2 cannot be multiplied")
    with pytest.raises(RuntimeError, match="mat1"):
        train_with(0, error, corpus, tmp_path / "run", monkeypatch)
