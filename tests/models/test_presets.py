"""Everything in ``conf/`` composes, every model is built, and each can learn eight sentences."""

import itertools

import numpy as np
import pytest
import torch
from composed import CONF, compose
from helpers import TAGGED, make_batcher
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf
from torch import nn

from nerlab.data import load
from nerlab.data.batch import Batcher
from nerlab.data.vocabulary import Vocabulary
from nerlab.instantiation import instantiate
from nerlab.models.build import build_tagger
from nerlab.models.decoding import score
from nerlab.models.subwords import SubwordIndexer
from nerlab.models.tagger import Tagger
from nerlab.modules.lstm import LockedDropout
from nerlab.training.optimizer import TaggerOptimizer
from nerlab.training.trackers import trackers_of


def with_subwords(vocabulary: Vocabulary, batcher: Batcher) -> tuple[Vocabulary, Batcher]:
    """The vocabulary and the batches, with what every embedder from scratch sees."""
    subwords = SubwordIndexer(model=None, vocab_size=100, coverage=1.0)
    subwords.fit(batcher.corpus.token_counts())
    vocabulary = Vocabulary(vocabulary.labels, {**vocabulary.indexers, "subwords": subwords})
    return vocabulary, Batcher(batcher.corpus, vocabulary, with_tags=True)


VOCABULARY, BATCHER = with_subwords(*make_batcher())
EIGHT = np.arange(len(TAGGED))


def choices(group: str) -> list[str]:
    """The names of the files of a group; those that others build upon are no choice."""
    names = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    return [name for name in names if name != "base"]


MODELS, DATA, TRACKERS, TRAINERS, EMBEDDERS, ENCODERS, DECODERS = map(
    choices,
    ["model", "data", "tracker", "trainer", "model/embedder", "model/encoder", "model/decoder"],
)
PUBLISHED = "pretrained"  # needs a folder, see test_pretrained.py
FROM_SCRATCH = [model for model in MODELS if model != PUBLISHED]


def plain(config: DictConfig) -> None:
    """Raise where a value is missing or a reference leads nowhere."""
    OmegaConf.to_container(config, resolve=True, throw_on_missing=True)


def make_tagger(config: DictConfig, seed: int = 1) -> Tagger:
    torch.manual_seed(seed)
    return build_tagger(config.model, VOCABULARY)


def test_the_choices_are_found() -> None:
    assert {"bilstm_crf", "transformer_crf"} <= set(MODELS)
    assert {"conll", "conll2003", "demo"} <= set(DATA)
    groups = [MODELS, DATA, TRACKERS, TRAINERS, EMBEDDERS, ENCODERS, DECODERS]
    assert all(groups)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_goes_with_all_trackers_and_trainers(model: str) -> None:
    for tracker, trainer in itertools.product(TRACKERS, TRAINERS):
        path = ["model.path=FOLDER"] if model == PUBLISHED else []
        goes_together(f"model={model}", f"tracker={tracker}", f"trainer={trainer}", *path)


@pytest.mark.parametrize("data", DATA)
def test_all_data_go_with_a_model_with_a_crf_and_one_without(data: str) -> None:
    goes_together(f"data={data}")  # the one with a CRF
    goes_together("model=transformer", f"data={data}")


def goes_together(*overrides: str) -> None:
    config = compose("train", overrides)
    for section in (config.model, config.data, config.tracker, config.trainer):
        plain(section)


@pytest.mark.parametrize("data", DATA)
def test_every_reader_is_found(data: str) -> None:
    config = compose("train", [f"data={data}"])
    assert callable(instantiate(config.data.reader, load.READERS, (), functions=True))


@pytest.mark.parametrize("tracker", TRACKERS)
def test_every_tracker_is_found(tracker: str) -> None:
    assert callable(trackers_of(compose("train", [f"tracker={tracker}"]).tracker, ()))


@pytest.mark.parametrize("script", ["evaluate", "predict"])
def test_the_other_scripts_compose(script: str) -> None:
    assert compose(script, ["checkpoint=runs/latest"]).checkpoint == "runs/latest"


@pytest.mark.parametrize(
    "override",
    ["trainer.epochs=many", "trainer.epoch=3", "data.scheme=iob3", "data.directory=x", "sed=2"],
)
def test_a_wrong_type_or_an_unknown_key_fails_when_composed(override: str) -> None:
    with pytest.raises(ConfigCompositionException):
        compose("train", [override])


@pytest.mark.parametrize("embedder", [name for name in EMBEDDERS if name != PUBLISHED])
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("decoder", DECODERS)
def test_every_embedder_encoder_and_decoder_go_together(
    embedder: str, encoder: str, decoder: str
) -> None:
    parts = f"model/embedder={embedder}", f"model/encoder={encoder}", f"model/decoder={decoder}"
    config = compose("train", parts)
    tagger = make_tagger(config)
    made = {**tagger.embedder, "encoder": tagger.stages["encoder"], "decoder": tagger.decoder}
    nodes = {**config.model.embedder, "encoder": config.model.encoder}
    for name, node in {**nodes, "decoder": config.model.decoder}.items():
        assert type(made[name]).__name__ == node._target_.rpartition(".")[2]
    batch = BATCHER.collate(EIGHT)
    loss = tagger.loss(batch)
    loss.backward()
    assert loss.isfinite()
    unused = [name for name, p in tagger.named_parameters() if p.grad is None]
    assert not unused
    emissions = tagger.emissions(batch)
    assert tagger.decoder.decode(emissions, batch.lengths).shape == batch.token_index.shape


@pytest.mark.parametrize("model", FROM_SCRATCH)
def test_a_model_is_the_same_from_the_same_seed_and_another_from_another(model: str) -> None:
    config = compose("train", [f"model={model}"])
    first, again, other = (make_tagger(config, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("model", FROM_SCRATCH)
def test_every_model_learns_eight_sentences_by_heart(model: str) -> None:
    config = compose("train", [f"model={model}"])
    tagger = make_tagger(config).train()
    for module in tagger.modules():
        if isinstance(module, (nn.Dropout, LockedDropout)):
            module.p = 0.0
    optimizer = TaggerOptimizer(tagger, config.trainer, torch.device("cpu"))
    batch = BATCHER.collate(EIGHT)
    for _ in range(200):
        loss = tagger.loss(batch)
        if loss * batch.lengths.sum() < 0.5:  # every sentence is likelier right than wrong
            break
        optimizer.backward(loss)
        optimizer.step(optimizer.clip(loss.detach()), config.trainer.warmup)
    assert score(tagger.eval(), VOCABULARY, BATCHER, "train", 1000).scores.total.f1 == 1.0
