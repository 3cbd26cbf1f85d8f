"""What there is to know of a tagger: what it is, what it was trained on, how good it is.

The README of an export is written from it, and a server answers it. An exported folder keeps it in
``card.json``, since the files of the run that it is read from stay behind.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig
from torch import nn

import nerlab
from nerlab.evaluation.files import METRICS
from nerlab.models.loading import Checkpoint
from nerlab.models.tagger import Tagger
from nerlab.paths import read_object
from nerlab.reports.runs import scores_of
from nerlab.saved_config import portable
from nerlab.training.environment import ENVIRONMENT

CARD = "card.json"
SPLITS = ("dev", "test")  # whose figures are shown
_BEFORE = "run.json"  # what runs of nerlab 0.1 wrote, with its version and that of torch in it
# An absolute path as the value of a key, in quotes or not.
_LAST_NAME = re.compile(r"""=(['"]?)/(?:[^'"]*/)?([^'"/]+)/?\1$""")
_UNFIT = (ValueError, TypeError, LookupError, AttributeError, OverflowError)
_VERSIONS = ("nerlab", "torch")  # of environment.json
_PLACES = ("run.", "resume=", "tracker")  # keys that say where a run was written and logged


def card_of(checkpoints: Sequence[Checkpoint]) -> dict[str, Any]:
    """The card of a tagger, or of an ensemble, as plain data; ``ValueError``: a file that it is
    read from is broken.

    An ensemble has its ``members``, a card each, and no parts, figures, data or training itself.
    """
    cards = [card(checkpoint) for checkpoint in checkpoints]
    if len(cards) == 1:
        return {**cards[0], "members": []}
    return {
        "name": ", ".join(found["name"] for found in cards),
        "versions": cards[0]["versions"],
        "labels": cards[0]["labels"],
        "parameters": sum(found["parameters"] for found in cards),
        "parts": [],
        "figures": {},
        "data": None,
        "training": None,
        "members": cards,
    }


def card(checkpoint: Checkpoint) -> dict[str, Any]:
    """The card of one tagger, plain data::

        {"name": "bilstm_crf-demo", "versions": {"nerlab": "0.1.0", "torch": "2.13.0"},
         "labels": ["LOC", "PER"], "parameters": 1262254,
         "parts": [{"part": "encoder", "class": "LSTM", "options": "layers=1", "parameters": 7}],
         "figures": {"dev": {"sentences": 604, "tokens": 5049, "precision": 0.90, "recall": 0.91,
                             "f1": 0.91, "support": 1020, "per_type": {"LOC": {"f1": ...}}}},
         "data": {"dir": "data/demo", "scheme": "iob2",
                  "splits": {"train": {"sentences": 10005, "tokens": 84005, "sha256": "90..."}}},
         "training": {"command": ["python", "train.py"], "seed": 1, "precision": "auto",
                      "published": null, "versions": {"nerlab": "0.1.0", "torch": "2.13.0"}}}

    ``versions`` are those of this process and of the one that trained. Figures are those of the run
    directory that the checkpoint lies in, if it is the best of it, or of its own folder. Of
    absolute paths there are the last names. What is not known is null, or not there.

    Raises:
        ValueError: a file that it is read from is broken.
    """
    run, config = checkpoint.run, portable(checkpoint.config)
    kept = read_object(run / CARD) if checkpoint.directory == run else {}
    facts = read_object(run / ENVIRONMENT) or read_object(run / _BEFORE)
    measured = _measured(checkpoint)
    try:
        name = kept.get("name") or (checkpoint.config.get("run") or {}).get("name") or run.name
        origin = _of_run(facts) if facts or not kept else _of_card(kept)
        figures = kept.get("figures", {}) | measured
        return {
            "name": str(name),
            "versions": {"nerlab": nerlab.__version__, "torch": torch.__version__},
            "labels": list(checkpoint.vocabulary.labels),
            "parameters": _size(checkpoint.tagger),
            "parts": _parts(checkpoint.tagger, config.model),
            "figures": {split: _figures(figures[split]) for split in SPLITS if split in figures},
            "data": {
                "dir": _text(config.data.get("dir")),
                "scheme": _text(config.data.get("scheme")),
                "splits": {split: _split(found) for split, found in origin.splits.items()},
            },
            "training": {
                "command": _command(origin.command),
                "seed": None if (seed := config.get("seed")) is None else int(seed),
                "precision": _text(config.trainer.get("precision")),
                "published": _text(config.model.get("path")),
                "versions": {name: _text(origin.versions.get(name)) for name in _VERSIONS},
            },
        }
    except _UNFIT as error:
        files = f"{ENVIRONMENT}, {CARD}, evaluation/*/{METRICS}"
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{run}: {files}: not as nerlab writes them ({reason})") from None


class _Origin(NamedTuple):
    """What a run has noted of its beginning, unchecked."""

    splits: Mapping[str, Any]
    command: list[str] | None
    versions: Mapping[str, Any]


def _of_run(facts: Mapping[str, Any]) -> _Origin:
    return _Origin(facts.get("splits", {}), facts.get("command"), facts.get("versions", facts))


def _of_card(kept: Mapping[str, Any]) -> _Origin:
    training = kept["training"]
    return _Origin(kept["data"]["splits"], training["command"], training["versions"])


def _measured(checkpoint: Checkpoint) -> dict[str, dict[str, Any]]:
    """The metrics of each split that the checkpoint was scored on."""
    run, directory = checkpoint.run, checkpoint.directory
    if directory != run and not directory.name.startswith("best"):
        return {}
    found = {split: read_object(run / "evaluation" / split / METRICS) for split in SPLITS}
    return {split: metrics for split, metrics in found.items() if metrics}


def _figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    total, per_type = scores_of(metrics)
    for score in (total, *per_type.values()):
        if not all(0 <= value <= 1 for value in score[:3]) or score.support < 0:
            raise ValueError(
                f"expected figures from 0 to 1 and a number of entities, found {score}"
            )
    return {
        **_sizes(metrics),
        **total._asdict(),
        "per_type": {label: score._asdict() for label, score in per_type.items()},
    }


def _split(found: Mapping[str, Any]) -> dict[str, Any]:
    return {**_sizes(found), "sha256": _text(found.get("sha256"))}


def _sizes(found: Mapping[str, Any]) -> dict[str, int]:
    sizes = {name: int(found[name]) for name in ("sentences", "tokens")}
    if min(sizes.values()) < 0:
        raise ValueError(f"expected numbers of sentences and tokens, found {sizes}")
    return sizes


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _command(words: list[str] | None) -> list[str] | None:
    """The words without where the run was written, and with the last names of absolute paths."""
    if words is None:
        return None
    return [_LAST_NAME.sub(r"=\2", word) for word in words if not word.startswith(_PLACES)]


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _parts(tagger: Tagger, model: DictConfig) -> list[dict[str, Any]]:
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
            rows.append({"part": key, **_described(built[name], options)})
    return rows


def _described(module: nn.Module, options: DictConfig) -> dict[str, Any]:
    plain = {name: value for name, value in options.items() if not str(name).startswith("_")}
    said = [f"{n!s}={v}" for n, v in plain.items() if v is not None and n != "indexer"]
    kind, parameters = type(module).__name__, _size(module)
    return {"class": kind, "options": ", ".join(said), "parameters": parameters}
