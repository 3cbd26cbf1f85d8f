"""A loss or a gradient that is not finite: its step is skipped, and many of them are named."""

import json
import math
from pathlib import Path

import pytest
from conftest import run_script
from processes import arguments, metrics
from safetensors.torch import load_file

from nerlab.data.readers.conll import read
from nerlab.tags import spans_of

# Steps as large as this throw the weights out of every range; and then no loss is finite.
_ABSURD = ("trainer.learning_rate=1e30", "trainer.clip_norm=1e30", "trainer.ema=0.5")
_SOON = ("trainer.max_skipped_steps=3",)


def vectors_with_a_huge_one(path: Path, word: str) -> str:
    """Vectors of which one is finite, and the gradients of what is made from it are not."""
    lines = [f"{word} {' '.join(['3e38'] * 16)}", f"the {' '.join(['0.1'] * 16)}"]
    path.write_text("\n".join(lines) + "\n")
    return f"model.embedder.words.indexer.vectors={path}"


@pytest.fixture
def common_word(corpus: Path) -> str:
    """A word that is in a few sentences of the training split."""
    words = [
        line.split()[0].lower()
        for line in (corpus / "train.conll").read_text().splitlines()
        if line.strip()
    ]
    return min(set(words), key=lambda word: abs(words.count(word) - 4))


def test_a_run_goes_on_past_steps_that_are_not_finite(
    corpus: Path, tmp_path: Path, common_word: str
) -> None:
    run = tmp_path / "run"
    vectors = vectors_with_a_huge_one(tmp_path / "vectors.txt", common_word)
    result = run_script("train", *arguments(corpus, run, vectors))
    assert result.status == 0, result.err
    lines = [line for line in metrics(run) if "train/skipped_steps" in line]
    skipped = sum(line["train/skipped_steps"] for line in lines)
    assert 0 < skipped < lines[-1]["step"] / 2
    assert "steps skipped since the last line of metrics" in result.out
    for line in metrics(run):
        assert all(math.isfinite(value) for value in line.values())
    scores = [line["dev/f1"] for line in metrics(run) if "dev/f1" in line]
    assert scores[-1] > 0


def test_a_run_that_has_gone_wrong_stops_and_names_the_sentences(
    corpus: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    result = run_script("train", *arguments(corpus, run, *_ABSURD, *_SOON))
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "the loss or its gradient is not finite" in result.err
    kept = [json.loads(line) for line in (run / "not-finite.jsonl").read_text().splitlines()]
    assert f"it had sentences {', '.join(str(line['sentence']) for line in kept[:10])}" in (
        result.err
    )
    sentences = list(read(corpus / "train.conll", 0, -1, "utf-8"))
    for line in kept:
        sentence = sentences[line["sentence"] - 1]
        assert line["tokens"] == list(sentence.tokens)
        assert spans_of(line["tags"]) == spans_of(sentence.tags)
        assert line["loss"] is None


def test_a_run_that_has_gone_wrong_can_be_evaluated_and_goes_on(
    corpus: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    first = run_script("train", *arguments(corpus, run, *_ABSURD, *_SOON))
    last = run / "checkpoints" / "last"
    assert f"{last} has the weights before these steps" in first.err
    weights = load_file(last / "model.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values())
    step = json.loads((last / "training.json").read_text())["progress"]["step"]
    assert f"step {step}: the loss or its gradient is not finite" in first.err
    again = run_script("train", f"resume={run}")
    assert f"resumed after step {step}," in again.out
    assert again.status == 1
    assert "the loss or its gradient is not finite" in again.err
