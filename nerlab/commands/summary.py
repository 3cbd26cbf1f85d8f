"""``python -m nerlab summary``: the modules of a model, their shapes, parameters and memory."""

from collections.abc import Sequence

import torch
from omegaconf import DictConfig
from rich.filesize import decimal
from rich.table import Table

from nerlab.config import check_values
from nerlab.data.load import load_split
from nerlab.instantiation import trusted_packages
from nerlab.messages import make_console
from nerlab.models.build import fit_vocabulary
from nerlab.models.loading import load_checkpoint
from nerlab.training.experiment import begin_training
from nerlab.training.summary import Module, memory, modules_of


def run(config: DictConfig) -> None:
    """Print a table of the model that ``config`` describes, or of that in ``config.checkpoint``.

    ``ValueError``: it cannot be built, or a part returns a wrong shape.
    """
    trusted, device, console = trusted_packages(config.trust), torch.device("cpu"), make_console()
    if config.checkpoint is not None:
        found = load_checkpoint(config.checkpoint, device, trusted)
        console.print(table(modules_of(found.tagger, found.vocabulary, found.config.model)))
        return
    for section in ("model", "data", "trainer"):
        check_values(section, config[section])
    vocabulary = fit_vocabulary(config.model, load_split(config.data, "train", trusted), trusted)
    state = begin_training(config, vocabulary, trusted, device)
    console.print(table(modules_of(state.tagger, vocabulary, config.model)))
    console.print(f"training takes, beside what it makes of a batch: {memory(state)}")


def table(modules: Sequence[Module]) -> Table:
    """A row a module, those that the configuration names in bold, and the sum of these."""
    found = Table("module", "class", "output", title="B sentences, T tokens, U distinct tokens")
    for column in ("parameters", "trainable", "memory"):
        found.add_column(column, justify="right")
    for name, kind, shape, *numbers, is_part in modules:
        found.add_row(name, kind, shape, *_shown(numbers), style="bold" if is_part else None)
    found.add_section()
    numbers_of_parts = (module[3:6] for module in modules if module.is_part)
    found.add_row(
        "all", "", "", *_shown([sum(column) for column in zip(*numbers_of_parts, strict=True)])
    )
    return found


def _shown(numbers: Sequence[int]) -> tuple[str, str, str]:
    parameters, trainable, size = numbers
    return f"{parameters:,}", f"{trainable:,}", decimal(size)
