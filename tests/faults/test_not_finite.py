"""A loss or a gradient that is not finite: its step is skipped, and many of them are named."""

import json
import math
from pathlib import Path

import pytest
from conftest import run_script
from processes import arguments, metrics

from nerlab.data.readers.conll import read
from nerlab.tags import spans_of

# Steps as large as this throw the weights out of every range; and then no loss is finite.
_ABSURD = ("trainer.learning_rate=1e30", "trainer.clip_norm=1e30", "trainer.ema=0.5")
_SOON = ("trainer.max_skipped_steps=3",)


def vectors_with_a_huge_one(path: Path, word: str) -> str:
    """Vectors of which one is finite, and the gradients of what is made from it are not."""
    lines = [f"{word} {' '.join(['3e38'] * 16)}", f"the {' '.join(['0.1'] * 16)}"]
    path.write_text("\n".join(lines) + "\n")
    return f"data.vectors={path}"


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


def test_the_step_that_went_wrong_can_be_taken_again(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = run_script("train", *arguments(corpus, run, *_ABSURD, *_SOON))
    kept = run / "checkpoints" / "not-finite"
    state = json.loads((kept / "training.json").read_text())["trainer"]
    sentences = (run / "not-finite.jsonl").read_bytes()
    (run / "not-finite.jsonl").unlink()
    again = run_script("train", f"resume={kept}")
    assert f"resumed after step {state['step']}," in again.out
    assert f"step {state['step'] + 1}: the loss or its gradient is not finite" in again.err
    assert (again.status, again.err) == (1, first.err)
    assert (run / "not-finite.jsonl").read_bytes() == sentences
    assert json.loads((kept / "training.json").read_text())["trainer"] == state


def test_the_first_step_of_an_epoch_can_be_taken_again(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    more = ("trainer.log_every=1", "trainer.max_skipped_steps=1", "trainer.rare_word_dropout=0.5")
    run_script("train", *arguments(corpus, run, vectors_for_all(corpus, tmp_path), *more))
    kept = run / "checkpoints" / "not-finite"
    assert json.loads((kept / "training.json").read_text())["trainer"]["place"] == 0
    sentences = (run / "not-finite.jsonl").read_bytes()
    run_script("train", f"resume={kept}")
    assert (run / "not-finite.jsonl").read_bytes() == sentences


def vectors_for_all(corpus: Path, folder: Path) -> str:
    rows = (corpus / "train.conll").read_text().splitlines()
    words = {row.split()[0].lower() for row in rows if row.strip()}
    path = folder / "vectors.txt"
    path.write_text("".join(f"{word} {' '.join(['3e38'] * 16)}\n" for word in sorted(words)))
    return f"data.vectors={path}"
