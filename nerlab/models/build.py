"""A vocabulary and a tagger from the ``model`` section of a configuration."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from omegaconf import DictConfig
from torch import nn

from nerlab.config import check_values
from nerlab.data.corpus import Corpus
from nerlab.data.vocabulary import Indexer, Vocabulary
from nerlab.instantiation import instantiate
from nerlab.models.tagger import Embedders, Tagger
from nerlab.tags import iobes_constraints

# What the sections of a model may name, beside what trusted packages define.
EMBEDDERS = (
    "nerlab.models.words.Words",
    "nerlab.models.characters.Characters",
    "nerlab.models.pretrained.Pretrained",
    "nerlab.models.subwords.Subwords",
)
INDEXERS = (
    "nerlab.models.words.WordIndexer",
    "nerlab.models.characters.CharacterIndexer",
    "nerlab.models.pretrained.PretrainedIndexer",
    "nerlab.models.subwords.SubwordIndexer",
)
ENCODERS = (
    "nerlab.modules.lstm.LSTM",
    "nerlab.modules.transformer.Transformer",
    "nerlab.modules.identity.Identity",
)
DECODERS = ("nerlab.modules.crf.CRF", "nerlab.modules.softmax.Softmax")
# What a part raises that refuses its arguments.
_REFUSALS = (ValueError, TypeError, RuntimeError, AttributeError, LookupError, ArithmeticError)


def fit_vocabulary(
    model: DictConfig,
    train: Corpus,
    trusted: tuple[str, ...] = (),
    before: Vocabulary | None = None,
) -> Vocabulary:
    """The labels of the training split, and the indexers of the model fitted on its tokens; those
    of ``before``, whose weights the model will begin with, are taken over into them."""
    indexers = build_indexers(model, trusted)
    for name, (key, _) in _parts(model, "embedder").items():
        with _blaming(f"{key}.indexer"):
            if before is not None and name in before.indexers:
                getattr(indexers[name], "take_over", lambda _: None)(before.indexers[name])
            indexers[name].fit(train.token_counts())
    vocabulary = Vocabulary(tuple(sorted(train.labels)), indexers)
    vocabulary.files()  # what cannot be saved is found before anything is trained
    return vocabulary


def build_indexers(model: DictConfig, trusted: tuple[str, ...] = ()) -> dict[str, Indexer]:
    """The indexer of each embedder, by its name, before it is fitted or loaded."""
    check_values("model", model)
    indexers = {}
    for name, (key, node) in _parts(model, "embedder").items():
        with _blaming(key):
            instantiate(node, EMBEDDERS, trusted, without="indexer")
        if "indexer" not in node:
            raise ValueError(f"{key}: expected a section indexer in it, found none")
        with _blaming(f"{key}.indexer"):
            indexers[name] = instantiate(node.indexer, INDEXERS, trusted)()
    return indexers


def build_tagger(
    model: DictConfig, vocabulary: Vocabulary, trusted: tuple[str, ...] = ()
) -> Tagger:
    """Build the parts that the ``model`` section names; sizes are passed from part to part."""
    if missing := {"embedder", "encoder", "decoder", "dropout"} - model.keys():
        raise ValueError(f"model.{min(missing)}: missing")
    check_values("model", model)
    embedders: dict[str, nn.Module] = {}
    stages: dict[str, nn.Module] = {}
    for name, (key, node) in _parts(model, "embedder").items():
        with _blaming(key):
            make = instantiate(node, EMBEDDERS, trusted, without="indexer")
            embedders[name] = make(indexer=vocabulary.indexers[name])
    with _blaming("model.embedder"):
        embedder = Embedders(embedders)
    width = embedder.output_dim
    context = {} if model.get("context") is None else _parts(model, "context")
    for name, (key, node) in [*context.items(), *_parts(model, "encoder").items()]:
        if name in stages:
            raise ValueError(f"{key}: a part of model.context has this name; choose another one")
        with _blaming(key):
            stages[name] = stage = instantiate(node, ENCODERS, trusted)(input_dim=width)
            width = int(stage.output_dim)
    with _blaming("model.decoder"):
        constraints = (torch.from_numpy(allowed) for allowed in iobes_constraints(vocabulary.tags))
        decoder = instantiate(model.decoder, DECODERS, trusted)(vocabulary.tags, *constraints)
    return Tagger(embedder, stages, decoder, len(vocabulary.tags), model.dropout)


def part_keys(model: DictConfig) -> dict[str, str]:
    """The keys of the parts, by their names in the tagger."""
    keys = {"decoder": "model.decoder"}
    for section, where in (("embedder", "embedder"), ("context", "stages"), ("encoder", "stages")):
        if model.get(section) is not None:
            parts = _parts(model, section)
            keys |= {f"{where}.{name}": key for name, (key, _) in parts.items()}
    return keys


def _parts(model: DictConfig, section: str) -> dict[str, tuple[str, DictConfig]]:
    """The parts of a section by name, each with its key: several named ones, or a single one,
    which has the name of the section."""
    node = model.get(section)
    if not isinstance(node, DictConfig) or "_target_" in node:
        return {section: (f"model.{section}", node)}
    if not node:
        raise ValueError(f"model.{section}: expected a part, or several by name")
    parts = {str(name): (f"model.{section}.{name!s}", part) for name, part in node.items()}
    for name, (key, _) in parts.items():
        if not name.isidentifier():
            raise ValueError(f"{key}: expected a name of letters, digits and _ for a part")
    return parts


@contextmanager
def _blaming(section: str) -> Iterator[None]:
    """A part that refuses what its section says is the configuration's fault."""
    try:
        yield
    except _REFUSALS as error:
        if str(error).startswith(section):
            raise
        raise ValueError(f"{section}: {' '.join(str(error).split())}") from error
