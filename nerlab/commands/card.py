"""The model card of an exported tagger: what it is, what it was trained on, how good it is."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateError
from omegaconf import DictConfig
from torch import nn

import nerlab
from nerlab.messages import escape_controls, markdown
from nerlab.models.loading import Checkpoint
from nerlab.models.tagger import Tagger
from nerlab.paths import read_object
from nerlab.saved_config import portable
from nerlab.training.environment import ENVIRONMENT

CARD = "README.md"
_BEFORE = "run.json"  # what runs of nerlab 0.1 wrote, with its version and that of torch in it
# An absolute path as the value of a key, in quotes or not.
_LAST_NAME = re.compile(r"""=(['"]?)/(?:[^'"]*/)?([^'"/]+)/?\1$""")
_UNFIT = (ValueError, TypeError, LookupError, AttributeError)
_PLACES = ("run.", "resume=", "tracker")  # keys that say where a run was written and logged
_SPLITS = ("dev", "test")  # whose figures are shown


def card(
    checkpoint: Checkpoint,
    directory: Path,
    folder: str,
    trusted: tuple[str, ...],
    with_graph: bool,
) -> str:
    """The model card, Markdown, of the checkpoint in ``directory`` that is exported to ``folder``.

    Figures are those of the run directory that it lies in, if it is the best checkpoint of it, or
    of its own folder. ``ValueError``: a file that they are read from is broken.
    """
    run, config = checkpoint.run, checkpoint.config
    is_scored = directory == run or directory.name.startswith("best")
    figures = {
        split: metrics
        for split in _SPLITS
        if is_scored and (metrics := read_object(run / "evaluation" / split / "metrics.json"))
    }
    provenance = read_object(run / ENVIRONMENT) or read_object(run / _BEFORE)
    model = {
        "name": str((config.get("run") or {}).get("name", folder)),
        "parts": parts(checkpoint.tagger, config.model),
        "parameters": sum(p.numel() for p in checkpoint.tagger.parameters()),
        "labels": checkpoint.vocabulary.labels,
        "config": portable(config),
    }
    try:
        versions = provenance.get("versions", provenance)
        return _template().render(
            model,
            folder=shlex.quote(escape_controls(folder)),
            trust=f" {shlex.quote(f'trust=[{names}]')}" if (names := ",".join(trusted)) else "",
            with_graph=with_graph,
            figures=figures,
            splits=provenance.get("splits", {}),
            command=_as_typed(provenance.get("command")),
            trained_with={name: versions.get(name) for name in ("nerlab", "torch")},
            versions={"nerlab": nerlab.__version__, "torch": torch.__version__},
        )
    except (TemplateError, *_UNFIT) as error:
        files = f"{ENVIRONMENT} and evaluation/*/metrics.json"
        reason = " ".join(str(error).split())
        raise ValueError(f"{run}: {files}: not what a run has written ({reason})") from None


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        # Names of types may hold anything. Markup is no plain str.
        finalize=lambda value: markdown(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("card.md")


def _as_typed(words: list[str] | None) -> str:
    """A command without where the run was written, and with the last names of absolute paths."""
    kept = [word for word in words or () if not word.startswith(_PLACES)]
    return escape_controls(shlex.join(_LAST_NAME.sub(r"=\2", word) for word in kept))


def parts(tagger: Tagger, model: DictConfig) -> list[tuple[str, str, str, int]]:
    """Of each part of a model its key, its class, its options and its number of parameters."""
    modules: dict[str, Mapping[str, Any]] = {
        "embedder": dict(tagger.embedder.items()),
        "context": dict(tagger.stages.items()),
        "encoder": dict(tagger.stages.items()),
        "decoder": {"decoder": tagger.decoder},
    }
    rows = []
    for section, built in modules.items():
        node = model.get(section)
        if node is None:
            continue
        single = "_target_" in node
        for name, options in {section: node}.items() if single else node.items():
            key = section if single else f"{section}.{name}"
            rows.append((key, *_described(built[name], options)))
    return rows


def _described(module: nn.Module, options: DictConfig) -> tuple[str, str, int]:
    plain = {name: value for name, value in options.items() if not str(name).startswith("_")}
    said = [f"{n!s}={v}" for n, v in plain.items() if v is not None and n != "indexer"]
    return type(module).__name__, ", ".join(said), sum(p.numel() for p in module.parameters())
