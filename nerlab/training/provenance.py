"""Where a run comes from: ``run.json``, which a model card is written from."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

import nerlab
from nerlab.data.corpus import Corpus
from nerlab.files import write_file

PROVENANCE = "run.json"


def write_provenance(run: Path, splits: Mapping[str, Corpus], digests: Mapping[str, str]) -> None:
    """Write the command that began a run, the versions it ran with, and the splits: their sizes,
    and the SHA-256 of those that have one in ``digests``."""
    sizes = {
        name: {
            "sentences": len(corpus),
            "tokens": len(corpus.tokens),
            "sha256": digests.get(f"{name}_sha256"),
        }
        for name, corpus in splits.items()
    }
    facts = {"command": command(), "nerlab": nerlab.__version__, "torch": torch.__version__}
    write_file(run / PROVENANCE, json.dumps({**facts, "splits": sizes}, indent=1) + "\n")


def command() -> list[str] | None:
    """The words to type to train like this process, or this job of a sweep, without whom to trust,
    which each person says; None where Hydra did not begin it."""
    if not HydraConfig.initialized():
        return None
    hydra: Any = HydraConfig.get()
    sources = (source for source in hydra.runtime.config_sources if source.schema == "file")
    own = [source.path for source in sources if source.provider == "command-line"]
    folders = [f"--config-dir={os.path.relpath(path)}" for path in own]
    given: Any = OmegaConf.to_container(hydra.overrides.task)  # as typed: references stay
    kept = (word for word in given if not word.lstrip("+~").startswith("trust="))
    return ["python", "train.py", *folders, *kept]
