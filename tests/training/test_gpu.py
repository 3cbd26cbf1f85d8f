"""What only a GPU can show."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from nerlab.config import register_schemas
from nerlab.data.batch import Batcher
from nerlab.data.build import build_corpus
from nerlab.data.corpus import Corpus
from nerlab.data.sentence import Sentence
from nerlab.memory import is_out_of_memory
from nerlab.models.build import build_tagger, fit_vocabulary
from nerlab.training.determinism import deterministic_algorithms
from nerlab.training.optimizer import TaggerOptimizer
from nerlab.training.recorder import Accumulator

CONF = str(Path(__file__).resolve().parents[2] / "conf")
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


@pytest.fixture
def synchronisation_raises() -> Iterator[None]:
    yield
    torch.cuda.set_sync_debug_mode("default")


def corpus() -> Corpus:
    sentences = [
        Sentence(("Ann", "saw", f"Rome{i}", "."), ("S-PER", "O", "S-LOC", "O")) for i in range(64)
    ]
    return build_corpus(sentences, scheme="iobes", repair=False, source="test")


@pytest.mark.usefixtures("synchronisation_raises")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("model", ["bilstm_crf", "transformer"])
def test_a_training_step_never_waits_for_the_device(model: str, precision: str) -> None:
    register_schemas()
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", [f"model={model}", f"trainer.precision={precision}"])
    device = torch.device("cuda")
    data = corpus()
    vocabulary = fit_vocabulary(config.model, data)
    tagger = build_tagger(config.model, vocabulary).to(device)
    optimizer = TaggerOptimizer(tagger, config.trainer, device)
    tagger.autocast_dtype = optimizer.dtype
    batcher = Batcher(data, vocabulary, with_tags=True)
    generator = np.random.default_rng(0)
    accumulator = Accumulator(device)
    for number, group in enumerate(batcher.shuffled_groups(32, generator)):
        if number == 3:  # libraries have set themselves up
            torch.cuda.set_sync_debug_mode("error")
        loss = tagger.loss(batcher.collate(group).to(device))
        optimizer.backward(loss)
        norm = optimizer.clip(loss.detach())
        optimizer.step(norm, 0.0)
        accumulator.add(loss.detach(), norm, 1, 8)
    torch.cuda.set_sync_debug_mode("default")
    assert torch.isfinite(loss)
    assert torch.isfinite(norm)
    metrics, in_a_row = accumulator.flush()
    assert metrics["train/skipped_steps"] == in_a_row == 0


def weights_after_training(model: str) -> dict[str, torch.Tensor]:
    register_schemas()
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", [f"model={model}"])
    device = torch.device("cuda")
    data = corpus()
    vocabulary = fit_vocabulary(config.model, data)
    torch.manual_seed(1)
    tagger = build_tagger(config.model, vocabulary).to(device)
    optimizer = TaggerOptimizer(tagger, config.trainer, device)
    tagger.autocast_dtype = optimizer.dtype
    batcher = Batcher(data, vocabulary, with_tags=True)
    generator = np.random.default_rng(0)
    for group in batcher.shuffled_groups(32, generator):
        loss = tagger.loss(batcher.collate(group).to(device))
        optimizer.backward(loss)
        optimizer.step(optimizer.clip(loss.detach()), 0.0)
    return {name: weight.cpu() for name, weight in tagger.state_dict().items()}


@pytest.mark.parametrize("model", ["bilstm_crf", "transformer_crf"])
def test_with_deterministic_algorithms_the_same_seed_gives_the_same_bits(model: str) -> None:
    with deterministic_algorithms():
        first, second = (weights_after_training(model) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_does_not_fit_on_the_device_is_known_and_half_of_it_may_fit() -> None:
    device = torch.device("cuda")
    _, total = torch.cuda.mem_get_info(device)
    torch.cuda.set_per_process_memory_fraction(min(1.0, 2**28 / total), device)
    try:
        tried = [2**29]
        while True:
            try:
                torch.empty(tried[-1], dtype=torch.uint8, device=device)
                break
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            tried.append(tried[-1] // 2)
        assert 1 < len(tried) < 8
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
