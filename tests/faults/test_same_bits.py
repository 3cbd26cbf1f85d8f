"""The same seed gives the same bits in every process, with two threads, on a busy machine too."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, SMALL_MODEL, run_process


@contextmanager
def _busy(processes: int) -> Iterator[None]:
    """So many processes that want a core each, and do nothing with it."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def _weights_of_a_run(corpus: Path, run: Path) -> bytes:
    # Batches so large that two threads share the work of an operation.
    short = ("trainer.epochs=1", "trainer.batch_tokens=1500")
    arguments = (*SMALL_MODEL, *short, f"data.dir={corpus}", f"run.dir={run}")
    done = run_process(["train.py", *arguments], ROOT, OMP_NUM_THREADS="2")
    assert done.status == 0, done.err
    return (run / "checkpoints" / "last" / "model.safetensors").read_bytes()


@pytest.mark.long
def test_the_same_seed_gives_the_same_weights_in_every_process(
    corpus: Path, tmp_path: Path
) -> None:
    with _busy(processes=2):  # without choose_vector_kernels one run in fifteen had other bits
        found = {_weights_of_a_run(corpus, tmp_path / str(n)) for n in range(20)}
    assert len(found) == 1
