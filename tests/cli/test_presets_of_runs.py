"""A model, or an experiment, chooses how it is trained; what is typed wins."""

from typing import Any

from conftest import run_script
from omegaconf import OmegaConf


def composed(*arguments: str) -> Any:
    result = run_script("train", *arguments, "--cfg=job")
    assert result.status == 0, result.err
    return OmegaConf.create(result.out)


def test_a_published_model_chooses_how_it_is_fine_tuned() -> None:
    plain, chosen = composed(), composed("model=pretrained")
    assert plain == composed("trainer=default")
    assert chosen.trainer.optimizer == "adamw"
    assert chosen.trainer.epochs < plain.trainer.epochs


def test_what_is_typed_wins_over_what_a_model_chooses() -> None:
    chosen = composed("model=pretrained")
    assert composed("model=pretrained", "trainer=default").trainer == composed().trainer
    changed = composed("model=pretrained", "trainer.epochs=77", "trainer.optimizer=sgd")
    assert (changed.trainer.epochs, changed.trainer.optimizer) == (77, "sgd")
    assert changed.trainer.learning_rate == chosen.trainer.learning_rate


def test_a_value_that_a_model_cannot_do_without_is_asked_for_in_one_line() -> None:
    result = run_script("train", "model=pretrained", "tracker=none")
    assert result.status == 1
    assert result.err == "error: model.path=... is needed; --help says what it takes\n"
