"""The gradients of a step, where batches fit into memory and where they do not."""

import logging

import numpy as np
import pytest
import torch
from conftest import ROOT
from helpers import make_batcher
from hydra import compose, initialize_config_dir
from torch import Tensor

from nerlab.config import register_schemas
from nerlab.data.batch import Batch
from nerlab.models.build import build_tagger
from nerlab.models.tagger import Tagger
from nerlab.training.gradients import Gradients
from nerlab.training.optimisation import Optimisation

CPU = torch.device("cpu")
BATCHES = [np.array([0, 1, 2]), np.array([3, 4, 5, 6, 7])]
ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


def make(precision: str = "fp32") -> Gradients:
    register_schemas()
    overrides = ["model.dropout=0", "trainer.rare_word_dropout=0", f"trainer.precision={precision}"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", overrides)
    vocabulary, batcher = make_batcher()
    torch.manual_seed(0)
    tagger = build_tagger(config.model, vocabulary).double()
    optimisation = Optimisation(tagger, config.trainer, CPU)
    return Gradients(tagger, optimisation, batcher, config.trainer, np.random.default_rng(0))


def gradients(tagger: Tagger) -> dict[str, Tensor]:
    found = {}
    for name, parameter in tagger.named_parameters():
        assert parameter.grad is not None
        found[name] = parameter.grad.to_dense()
    return found


def memory_for(
    tokens: int, tagger: Tagger, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Let the backward pass fail halfway through for batches of more tokens, padding counted."""
    loss_of = tagger.loss

    def loss(batch: Batch) -> Tensor:
        value = loss_of(batch)
        if batch.words.numel() > tokens:
            # The gradients of the decoder and the linear layer are there before this is called.
            def fail(_: Tensor) -> None:
                raise error

            hidden = tagger.embedder(batch)
            hidden.register_hook(fail)
            value = value + 0 * hidden.sum()
        return value

    monkeypatch.setattr(tagger, "loss", loss)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("tokens", [30, 10])
def test_a_batch_that_does_not_fit_gives_the_gradients_that_it_would_if_it_did(
    tokens: int, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected, found = make(), make()
    expected.make(BATCHES)
    memory_for(tokens, found.tagger, monkeypatch, error)
    with caplog.at_level(logging.WARNING):
        found.make(BATCHES)
    assert "does not fit into memory and is split" in caplog.text
    wanted = gradients(expected.tagger)
    for name, gradient in gradients(found.tagger).items():
        torch.testing.assert_close(gradient, wanted[name])
    steps = [made.optimisation.step(0.0) for made in (expected, found)]
    torch.testing.assert_close(steps[1].loss, steps[0].loss)


def test_a_sentence_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    made = make()
    memory_for(9, made.tagger, monkeypatch, MemoryError())
    with pytest.raises(ValueError, match="does not fit into memory") as refusal:
        made.make(BATCHES)
    assert "sentence 7 (10 tokens, 'It rained in Oslo and in Rome for 40 day...') of train" in str(
        refusal.value
    )
    assert "\n" not in str(refusal.value)


def test_what_is_no_want_of_memory_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    made = make()
    memory_for(0, made.tagger, monkeypatch, RuntimeError("mat1 and mat2 cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        made.make(BATCHES)
