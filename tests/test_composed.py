"""The configurations of the other tests are those that Hydra composes."""

from typing import Any

import hydra
import pytest
from composed import CONF, compose, hydra_main, main
from conftest import SMALL_MODEL
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from nerlab.config import register_schemas

OVERRIDES = [
    SMALL_MODEL,
    ("model=transformer_crf", "seed=2", "trainer.patience=null", "seed=3"),
    ("data=csv", "data.reader.tag_column=type", "data.dir='a=b, ${seed}'", "data.scheme=bio"),
    ("model.embedder.characters.widths=[2,3]", "model/encoder=lstm", "tracker.wandb={_target_: x}"),
    ("tracker=none", "~tracker._partial_", "+data.reader.x=1", "++seed=4"),
]


def called_with(composer: Any, *overrides: str) -> tuple[Any, ...]:
    """What a script is called with, and what it sees of Hydra."""
    found: list[Any] = []

    def job(config: DictConfig) -> None:
        sections = [type(config), *(OmegaConf.get_type(config[k]) for k in ("data", "trainer"))]
        own = HydraConfig.get()
        typed = (OmegaConf.to_container(n) for n in (own.runtime.choices, own.overrides.task))
        found.extend((OmegaConf.to_yaml(config), sections, *typed, config.run.name))
        with pytest.raises(AttributeError, match="surprise"):
            config.trainer.surprise = 1
        with pytest.raises(ValueError, match="could not be converted"):
            config.trainer.epochs = "many"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["train.py", *overrides])
        composer(version_base="1.3", config_path=str(CONF), config_name="train")(job)()
    return tuple(found)


@pytest.mark.parametrize("overrides", OVERRIDES, ids=" ".join)
def test_a_script_is_called_with_what_hydra_composes(overrides: tuple[str, ...]) -> None:
    register_schemas()
    assert called_with(main, *overrides) == called_with(hydra_main, *overrides)


@pytest.mark.parametrize("override", ["sed=2", "seed=x", "seed=1,2", "("])
def test_what_hydra_refuses_is_refused_in_its_words(override: str) -> None:
    with pytest.raises(HydraException) as ours:
        compose("train", [override])
    config_dir = hydra.initialize_config_dir(str(CONF), version_base="1.3")
    with config_dir, pytest.raises(type(ours.value)) as theirs:
        hydra.compose("train", [override])
    assert str(ours.value) == str(theirs.value)


def test_a_copy_that_is_changed_changes_no_other() -> None:
    compose("train").trainer.epochs = 1
    assert compose("train").trainer.epochs > 1
