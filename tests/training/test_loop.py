"""The loop: what it does when memory does not suffice, and when it is asked to stop."""

from pathlib import Path

import pytest
import torch
from conftest import SMALL_MODEL, Result, run_script
from torch import Tensor

from nerlab.data.batch import Batch
from nerlab.models.tagger import Tagger

ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


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
