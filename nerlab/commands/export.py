"""``python -m nerlab export``: a tagger as a folder to give away, with a model card."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from omegaconf import DictConfig

from nerlab.commands.card import README, readme
from nerlab.data.vocabulary import LABELS
from nerlab.files import former, new_folder
from nerlab.instantiation import trusted_packages
from nerlab.messages import counted
from nerlab.models.checkpoint import (
    CONFIG,
    EMISSIONS,
    MANIFEST,
    WEIGHTS,
    write_files,
    write_manifest,
)
from nerlab.models.loading import Checkpoint, load_checkpoint
from nerlab.reports.card import CARD, card
from nerlab.saved_config import portable

FORMATS = ("nerlab", "onnx")


def run(config: DictConfig) -> None:
    """Write the checkpoint that ``config`` names to ``config.output``, whole or not at all.

    ``ValueError``: there is no such checkpoint, it is broken, or something is in the way.
    """
    if config.format not in FORMATS:
        raise ValueError(f"format={config.format}: expected one of {', '.join(FORMATS)}")
    trusted = trusted_packages(config.trust)
    output = Path(os.path.abspath(config.output))
    _check_output(output, config.overwrite)
    checkpoint = load_checkpoint(config.checkpoint, torch.device("cpu"), trusted)
    facts, with_graph = card(checkpoint), config.format == "onnx"
    texts = {
        CARD: json.dumps(facts, indent=1) + "\n",
        README: readme(facts, output.name, trusted, with_graph),
    }
    try:
        with new_folder(output) as part:
            _write(checkpoint, part, texts, with_graph)
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise OSError(f"output={output}: {reason}; nothing was written") from None
    size = sum(file.stat().st_size for file in output.iterdir())
    print(f"written: {config.output}  {counted(size, 'byte')}")


def _write(
    checkpoint: Checkpoint, folder: Path, texts: Mapping[str, str], with_graph: bool
) -> None:
    weights, vocabulary = checkpoint.tagger.state_dict(), checkpoint.vocabulary
    write_files(folder, weights, vocabulary, portable(checkpoint.config))
    if with_graph:
        from nerlab.models.onnx import export_emissions

        checkpoint.tagger.autocast_dtype = torch.float32
        export_emissions(checkpoint.tagger, vocabulary, folder)
    write_manifest(folder)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    # safetensors writes files that only their owner may read.
    (folder / WEIGHTS).chmod((folder / README).stat().st_mode)


def _check_output(output: Path, overwrite: bool) -> None:
    """Raise ``ValueError`` unless nothing is lost when the folder ``output`` is replaced."""
    for beside in (output.with_name(f"{output.name}.part"), former(output)):
        if beside.exists() or beside.is_symlink():
            needed = f"needed to write {output.name}, or left over from where that was killed"
            raise ValueError(f"{beside}: exists; its name is {needed}: remove it")
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise ValueError(f"output={output}: expected a folder or nothing, found something else")
    found = {path.name for path in output.iterdir()} if output.exists() else set[str]()
    if not found:
        return
    if not overwrite:
        raise ValueError(
            f"output={output}: exists; set overwrite=true, or output=FOLDER to another"
        )
    own = {WEIGHTS, CONFIG, LABELS, MANIFEST, README}
    foreign = {name for name in found - own - {EMISSIONS, CARD} if not name.startswith("indexer.")}
    if foreign or not own <= found:
        what = f"{min(foreign)} in it" if foreign else f"no {min(own - found)} in it"
        raise ValueError(
            f"output={output}: overwrite=true replaces an earlier export alone, found {what}; "
            "choose another folder"
        )
