"""Sweeps: where their runs lie, what these are named, and which of them failed."""

import json
import re
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from nerlab.files import naming, open_to_append
from nerlab.messages import escape_controls

FAILED = "failed.jsonl"
_LEFT_OUT = "hydra.job.config.override_dirname.exclude_keys"
_LONGEST = 100  # of a name; folders may have 255 bytes, and wandb keeps 128 characters


class SweepFolder(Callback):
    """Notes the folder of the sweep that this process runs: Hydra says it to its callbacks alone,
    and calls them at the end only if no job has failed."""

    noted: ClassVar[Path | None] = None

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Note the folder."""
        SweepFolder.noted = Path(config.hydra.sweep.dir)


def place_in_sweep() -> Path | None:
    """The folder for the run of this job of a sweep, named by the overrides that are swept; None
    outside a sweep."""
    if not HydraConfig.initialized() or HydraConfig.get().mode is not RunMode.MULTIRUN:
        return None
    return Path(HydraConfig.get().sweep.dir) / folder_name(HydraConfig.get().job.override_dirname)


def folder_name(overrides: str) -> str:
    """A name for the folder of a run that a shell, Hydra and any file system take unquoted.

    Args:
        overrides: as Hydra joins them, ``key=value`` with commas between.

    >>> folder_name("model=bilstm_crf,seed=1")
    'model-bilstm_crf--seed-1'
    >>> folder_name("data.dir=/corpora/a b")
    'data.dir-_corpora_a_b'
    """
    name = overrides.replace(",", "--").replace("=", "-")
    name = re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".-") or "run"
    if len(name) > _LONGEST:
        digest = sha256(overrides.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        name = f"{name[: _LONGEST - len(digest) - 2]}--{digest}"
    return name


def name_by_what_is_swept(arguments: list[str]) -> list[str]:
    """The arguments of a sweep, with Hydra told to leave the overrides that all of its jobs share
    out of their names."""
    if any(_LEFT_OUT in argument for argument in arguments):
        return arguments
    parser, shared = OverridesParser.create(), []
    for argument in arguments:
        try:
            override = parser.parse_override(argument)
        except HydraException:
            continue  # an option; what is none, Hydra says
        if not override.is_sweep_override() and not override.is_hydra_override():
            shared.append(f"'{override.key_or_group}'")
    return [*arguments, f"{_LEFT_OUT}=[{','.join(shared)}]"] if shared else arguments


def note_failure(reason: str) -> None:
    """Say that this job has failed, and add it to the list of those that did, which lies in the
    folder of the sweep."""
    place = place_in_sweep()
    assert place is not None
    place.parent.mkdir(parents=True, exist_ok=True)
    path = place.parent / FAILED
    with naming(path), open_to_append(path) as file:
        file.write(json.dumps({"run": place.name, "reason": reason}) + "\n")
    print(escape_controls(f"failed: {place.name}: {reason}"), file=sys.stderr)


def failures(folder: Path) -> dict[str, str]:
    """The jobs of a sweep that failed, and why; ``ValueError`` if the list is broken."""
    path = folder / FAILED
    if not path.exists():
        return {}
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return {str(line["run"]): str(line["reason"]) for line in lines}
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise ValueError(f"{path}: broken file ({error}); remove it") from None
