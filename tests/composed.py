"""Configurations as copies of what Hydra has composed once, where Hydra is not what is tested.

Composing takes a tenth of a second, and ``hydra.main`` does it twice, first to learn the mode. Here
Hydra composes each choice of files of ``conf/`` once; the values of other keys are set in a copy,
as Hydra sets them. Whatever is not ``key=value`` or is refused is left to Hydra, with its words.
"""

import logging
import pickle
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf, open_dict

from nerlab.config import register_schemas

Job = Callable[[DictConfig], object]

CONF = Path(__file__).resolve().parents[1] / "conf"
hydra_main = hydra.main


def compose(name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """What ``hydra.compose`` gives."""
    config = _copy(str(CONF), name, overrides)
    _cut_off_hydra(config)
    return config


def main(
    version_base: str, config_path: str, config_name: str
) -> Callable[[Job], Callable[[], None]]:
    """In place of ``hydra.main``."""

    def decorate(job: Job) -> Callable[[], None]:
        def run() -> None:
            arguments, config = sys.argv[1:], None
            if not any(argument.startswith(("-", "+hydra", "hydra")) for argument in arguments):
                with suppress(Exception):
                    config = _copy(config_path, config_name, arguments)
            if config is None:
                hydra_main(config_path, config_name, version_base)(job)()
            else:
                _call(job, config)

        return run

    return decorate


def _call(job: Job, config: DictConfig) -> None:
    """As Hydra does: its own section is hidden, and no handler is left to the root logger."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HydraConfig.instance(), "cfg", None)
        patch.setattr(logging.getLogger(), "handlers", [])
        HydraConfig.instance().set_config(config)
        _cut_off_hydra(config)
        job(config)


def _cut_off_hydra(config: DictConfig) -> None:
    with open_dict(config):
        del config["hydra"]


def _copy(conf: str, name: str, overrides: Sequence[str]) -> DictConfig:
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        if any(override.type is not OverrideType.CHANGE for override in parsed):
            return _composed(conf, name, *overrides)
        values = [override for override in parsed if _is_value(override, conf)]
        choices = (str(o.input_line) for o in parsed if o not in values)
        config = _composed(conf, name, *choices)
        for override in values:
            OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
        config.hydra.overrides.task = list(overrides)
    except Exception:
        return _composed(conf, name, *overrides)  # Hydra says what is wrong
    return config


def _is_value(override: Override, conf: str) -> bool:
    is_choice = override.package is not None or Path(conf, override.key_or_group).is_dir()
    return not is_choice and not override.is_sweep_override()


def _composed(conf: str, name: str, *overrides: str) -> DictConfig:
    config: DictConfig = pickle.loads(_composed_once(conf, name, overrides))
    return config


@lru_cache(maxsize=512)
def _composed_once(conf: str, name: str, overrides: Sequence[str]) -> bytes:
    register_schemas()
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(conf, version_base="1.3"):
        return pickle.dumps(hydra.compose(name, [*overrides], return_hydra_config=True))
