"""A tagger from its configuration and a vocabulary."""

import torch
from omegaconf import DictConfig

from nerlab.config import instantiate
from nerlab.data.vocabulary import Vocabulary
from nerlab.models.tagger import Tagger
from nerlab.tags import iobes_constraints


def build_tagger(model: DictConfig, vocabulary: Vocabulary) -> Tagger:
    """Build the parts that the ``model`` section names and put them together.

    Sizes are passed from part to part; none stands in the configuration.
    """
    embedder = instantiate(model.embedder)(vocabulary=vocabulary)
    encoder = instantiate(model.encoder)(input_dim=embedder.output_dim)
    constraints = (torch.from_numpy(allowed) for allowed in iobes_constraints(vocabulary.tags))
    decoder = instantiate(model.decoder)(*constraints)
    return Tagger(embedder, encoder, decoder, len(vocabulary.tags), model.dropout)
