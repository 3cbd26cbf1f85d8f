"""A model, or an experiment, chooses how it is trained; what is typed wins."""

from pathlib import Path
from typing import Any

import pytest
from conftest import run_script
from omegaconf import OmegaConf

MODEL = """
defaults:
  - embedder: words
  - encoder: none
  - decoder: softmax
  - _self_
  - context: null
  - override /trainer@_global_.trainer: finetune
path: ???
dropout: 0.1
embedder:
  words:
    indexer:
      vectors: ${model.path}
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/mine.yaml").write_text(MODEL)
    return tmp_path


def composed(conf: Path, *arguments: str) -> Any:
    result = run_script("train", f"--config-dir={conf}", *arguments, "--cfg=job")
    assert result.status == 0, result.err
    return OmegaConf.create(result.out)


def test_a_model_chooses_its_trainer(conf: Path) -> None:
    config = composed(conf, "model=mine", "model.path=x")
    assert config.trainer.optimizer == "adamw"
    assert config.trainer.epochs < composed(conf).trainer.epochs
    assert composed(conf) == composed(conf, "trainer=default")


def test_what_is_typed_wins_over_what_a_model_chooses(conf: Path) -> None:
    chosen = composed(conf, "model=mine")
    plain = composed(conf, "model=mine", "trainer=default")
    assert plain.trainer == composed(conf).trainer != chosen.trainer
    changed = composed(conf, "model=mine", "trainer.epochs=77", "trainer.optimizer=sgd")
    assert (changed.trainer.epochs, changed.trainer.optimizer) == (77, "sgd")
    assert changed.trainer.learning_rate == chosen.trainer.learning_rate


def test_a_value_that_a_model_cannot_do_without_is_asked_for_in_one_line(conf: Path) -> None:
    result = run_script("train", f"--config-dir={conf}", "model=mine", "tracker=none")
    assert result.status == 1
    assert result.err == "error: model.path=... is needed; --help says what it takes\n"
