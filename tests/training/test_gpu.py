"""What only a GPU can show."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from nerlab.config import register_schemas
from nerlab.data.batch import Batcher
from nerlab.data.corpus import Corpus, build_corpus
from nerlab.data.sentence import Sentence
from nerlab.data.vocabulary import build_vocabulary
from nerlab.models.build import build_tagger
from nerlab.training.optimisation import Optimisation

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
    vocabulary = build_vocabulary(data.token_counts(), data.labels, True, True, False, 1, 64)
    tagger = build_tagger(config.model, vocabulary).to(device)
    optimisation = Optimisation(tagger, config.trainer, device)
    batcher = Batcher(data, vocabulary, with_tags=True)
    generator = np.random.default_rng(0)
    for step, group in enumerate(batcher.shuffled_groups(32, generator)):
        if step == 3:  # libraries have set themselves up
            torch.cuda.set_sync_debug_mode("error")
        batch = batcher.training_batch(group, 0.5, generator).to(device)
        with optimisation.autocast():
            loss = tagger.loss(batch)
        optimisation.backward(loss)
        norm = optimisation.step(0.0)
    torch.cuda.set_sync_debug_mode("default")
    assert torch.isfinite(loss)
    assert torch.isfinite(norm)
