"""Batches and sentences that do not fit into the memory that the process may have."""

import gzip
from pathlib import Path

import pytest
from conftest import ROOT, SMALL_MODEL, Result, run_process

from nerlab.explanation import explain

# Beyond what the libraries take, the process may have so many MiB.
_LIMITED = """
import ctypes, re, resource, runpy, sys
from pathlib import Path
ctypes.CDLL(None).mallopt(-8, 1)  # one arena for all threads: each takes 64 MiB
import matplotlib.figure, matplotlib.backends.backend_agg, torch._dynamo, nerlab.training.experiment
taken = re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())
limit = int(taken[1]) * 1024 + int(sys.argv.pop(1)) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.argv[0] = sys.argv.pop(1)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def limited(size: int, script: str, *arguments: str) -> Result:
    """Run a script with so many MiB for its data."""
    command = ["-c", _LIMITED, str(size), f"{script}.py", *arguments]
    return run_process(command, ROOT, PYTHONPATH=str(ROOT))


def corpus_with(folder: Path, lengths: list[int]) -> Path:
    folder.mkdir()
    sentences = (
        "\n".join(f"w{i % 97} {'B-PER' if i % 97 == 5 else 'O'}" for i in range(length))
        for length in lengths
    )
    (folder / "train.conll").write_text("\n\n".join(sentences) + "\n")
    (folder / "dev.conll").write_text("w4 O\nw5 B-PER\nw6 O\n")
    return folder


def arguments(data: Path, run: Path) -> list[str]:
    wide = ("model.encoder.hidden_dim=256", "trainer.batch_tokens=40000", "trainer.epochs=1")
    return [*SMALL_MODEL, *wide, "data.test=null", f"data.dir={data}", f"run.dir={run}"]


@pytest.mark.long
def test_a_batch_that_does_not_fit_is_one_line_that_says_what_to_set(tmp_path: Path) -> None:
    data = corpus_with(tmp_path / "data", [20] * 800)
    done = limited(150, "train", *arguments(data, tmp_path / "run"))
    assert (done.status, done.err.count("\n")) == (1, 1), done.err
    assert "error: a batch of 16,000 tokens, padding counted, does not fit into memory" in (
        done.err
    )
    assert "set trainer.batch_tokens to less than 16000, or choose a smaller model" in done.err


@pytest.mark.long
def test_a_line_that_does_not_fit_is_one_line_that_names_its_file(tmp_path: Path) -> None:
    data = corpus_with(tmp_path / "data", [20])
    (data / "train.conll").unlink()
    with gzip.open(data / "train.conll.gz", "wb", compresslevel=1) as file:
        for _ in range(1000):
            file.write(b"x" * 1_000_000)
    done = limited(150, "train", *arguments(data, tmp_path / "run"))
    assert (done.status, done.err.count("\n")) == (1, 1), done.err
    assert f"error: {data / 'train.conll.gz'}: a line of it does not fit" in done.err


@pytest.mark.parametrize("message", ["", "\n", "CUDA out of memory.\nTried to"])
def test_an_error_of_memory_is_one_line_whatever_it_says(message: str) -> None:
    line = explain(MemoryError(message), "", "")
    assert line.startswith("memory does not suffice (")
    assert "\n" not in line


def test_a_sentence_that_does_not_fit_is_named_in_one_line(tmp_path: Path) -> None:
    data = corpus_with(tmp_path / "data", [20, 20, 30_000, 20])
    done = limited(150, "train", *arguments(data, tmp_path / "run"))
    assert (done.status, done.err.count("\n")) == (1, 1), done.err
    assert "error: sentence 3 (30,000 tokens, 'w0 w1 w2 w3 w4" in done.err
    assert "of train does not fit into memory" in done.err
