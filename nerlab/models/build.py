"""A tagger from its configuration and a vocabulary."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from omegaconf import DictConfig

from nerlab.config import check_numbers
from nerlab.data.vocabulary import Vocabulary
from nerlab.instantiation import instantiate
from nerlab.models.tagger import Tagger
from nerlab.tags import iobes_constraints

# What the sections of a model may name, beside what trusted packages define.
EMBEDDERS = tuple(
    f"nerlab.models.embedders.{name}" for name in ("Words", "Characters", "Concatenation")
)
ENCODERS = (
    "nerlab.modules.lstm.LSTM",
    "nerlab.modules.transformer.Transformer",
    "nerlab.modules.identity.Identity",
)
DECODERS = ("nerlab.modules.crf.CRF", "nerlab.modules.softmax.Softmax")


def build_tagger(
    model: DictConfig, vocabulary: Vocabulary, trusted: tuple[str, ...] = ()
) -> Tagger:
    """Build the parts that the ``model`` section names and put them together.

    Sizes are passed from part to part; none stands in the configuration. The parts are classes of
    nerlab, or of the packages that are trusted.
    """
    if missing := {"embedder", "encoder", "decoder", "dropout"} - model.keys():
        raise ValueError(f"model.{min(missing)}: missing")
    check_numbers("model", model)
    with _blaming("model.embedder"):
        embedder = instantiate(model.embedder, EMBEDDERS, trusted)(vocabulary=vocabulary)
    with _blaming("model.encoder"):
        encoder = instantiate(model.encoder, ENCODERS, trusted)(input_dim=embedder.output_dim)
    with _blaming("model.decoder"):
        constraints = (torch.from_numpy(allowed) for allowed in iobes_constraints(vocabulary.tags))
        decoder = instantiate(model.decoder, DECODERS, trusted)(*constraints)
    return Tagger(embedder, encoder, decoder, len(vocabulary.tags), model.dropout)


@contextmanager
def _blaming(section: str) -> Iterator[None]:
    """A part that refuses what its section says is the configuration's fault."""
    try:
        yield
    except (
        ValueError,
        TypeError,
        RuntimeError,
        AttributeError,
        LookupError,
        ArithmeticError,
    ) as error:
        if str(error).startswith(section):
            raise
        raise ValueError(f"{section}: {' '.join(str(error).split())}") from error
