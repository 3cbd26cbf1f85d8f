"""Two rates, frozen weights, gradient checkpointing: against torch by hand, and bit for bit."""

import signal
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest
import torch
from helpers import make_batcher, make_crf, one_in
from torch import Tensor, nn

from nerlab.config import Optimizer, Precision, Schedule, TrainerConfig
from nerlab.models.tagger import Embedders, ParameterGroup, Tagger
from nerlab.models.words import WordIndexer, Words
from nerlab.modules.transformer import Transformer
from nerlab.process import Interrupted, Interruption
from nerlab.training.experiment import checkpoint_layers
from nerlab.training.loop import Trainer
from nerlab.training.optimizer import TaggerOptimizer
from nerlab.training.recorder import Accumulator, Recorder, TrainingState
from nerlab.training.restore import restore

CPU = torch.device("cpu")
SEED = 3
VOCABULARY, BATCHER = make_batcher()
TABLE = "embedder.words.table.weight"  # counts as published below


def trainer(**changes: Any) -> TrainerConfig:
    config = TrainerConfig(
        epochs=6,
        batch_tokens=16,
        accumulate=1,
        optimizer=Optimizer.adamw,
        learning_rate=0.01,
        momentum=0.9,
        weight_decay=0.1,
        schedule=Schedule.linear,
        warmup=0.1,
        clip_norm=1e9,
        ema=0.0,
        precision=Precision.fp32,
        patience=None,
        log_every=100,
        decode_tokens=100,
    )
    return replace(config, **changes)


class Published(nn.Linear):
    """Some weights of a published model, the lower ones with half the rate."""

    def parameter_groups(self) -> list[ParameterGroup]:
        lower = ParameterGroup([self.weight], learning_rate_factor=0.5, pretrained=True)
        return [lower, ParameterGroup([self.bias], pretrained=True)]


class Small(nn.Module):
    """As a tagger, with the names of its parts."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(SEED)
        self.embedder, self.encoder = Published(4, 3), nn.Linear(3, 3)
        self.linear, self.decoder = nn.Linear(3, 2), nn.Linear(2, 2)

    def loss(self, step: int) -> Tensor:
        x = torch.arange(8.0).view(2, 4).add(step).sin()
        for layer in (self.embedder, self.encoder, self.linear, self.decoder):
            x = layer(x).tanh()
        return x.square().sum()


def train(model: Small, config: TrainerConfig, steps: int = 6) -> TaggerOptimizer:
    """Steps of ours, each an epoch."""
    made = TaggerOptimizer(model, config, CPU)
    for number in range(steps):
        made.begin_epoch(number)
        loss = model.loss(number)
        made.backward(loss)
        made.step(made.clip(loss.detach()), number / steps)
    return made


def train_by_hand(
    model: Small, kind: Optimizer, head_rate: float, frozen_steps: int, steps: int = 6
) -> None:
    """The same steps with an optimiser of torch for each parameter; biases do not decay."""
    methods: dict[Optimizer, Any] = {
        Optimizer.adam: torch.optim.Adam,
        Optimizer.adamw: torch.optim.AdamW,
        Optimizer.sgd: torch.optim.SGD,
    }
    momentum = {"momentum": 0.9} if kind is Optimizer.sgd else {}
    optimizers = {
        name: methods[kind]([parameter], weight_decay=0.1 * (parameter.dim() > 1), **momentum)
        for name, parameter in model.named_parameters()
    }
    for number in range(steps):
        model.zero_grad()
        model.loss(number).backward()
        progress = number / steps
        factor = progress / 0.1 if progress < 0.1 else (1 - progress) / 0.9
        for name, optimizer in optimizers.items():
            rate = head_rate if name.startswith(("linear", "decoder")) else 0.01
            rate = 0.005 if name == "embedder.weight" else rate
            optimizer.param_groups[0]["lr"] = factor * rate
            if number >= frozen_steps or not name.startswith("embedder"):
                optimizer.step()


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Whether tensors are equal, name by name, bit by bit."""
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


@pytest.mark.parametrize("kind", list(Optimizer))
@pytest.mark.parametrize(("head_rate", "frozen_epochs"), [(0.3, 0), (0.0, 0), (0.3, 2), (0.01, 5)])
def test_two_rates_and_frozen_epochs_are_the_steps_of_torch_by_hand(
    kind: Optimizer, head_rate: float, frozen_epochs: int
) -> None:
    ours, baseline = Small(), Small()
    config = trainer(optimizer=kind, head_learning_rate=head_rate, frozen_epochs=frozen_epochs)
    train(ours, config)
    train_by_hand(baseline, kind, head_rate, frozen_epochs)
    for (name, mine), other in zip(ours.named_parameters(), baseline.parameters(), strict=True):
        torch.testing.assert_close(mine, other, msg=name)


@pytest.mark.parametrize("kind", list(Optimizer))
def test_a_head_rate_that_is_the_rate_of_all_changes_no_bit(kind: Optimizer) -> None:
    models = Small(), Small()
    for model, rate in zip(models, (None, 0.01), strict=True):
        train(model, trainer(optimizer=kind, head_learning_rate=rate))
    assert same(models[0].state_dict(), models[1].state_dict())


@pytest.mark.parametrize("kind", list(Optimizer))
def test_frozen_weights_and_their_moments_keep_every_bit_and_have_no_gradient(
    kind: Optimizer,
) -> None:
    model = Small()
    before = deepcopy(model.embedder.state_dict())
    made = train(model, trainer(optimizer=kind, frozen_epochs=4), steps=4)
    assert same(model.embedder.state_dict(), before)
    for parameter in model.embedder.parameters():
        moments = [o.state[parameter] for o in made.optimizers if parameter in o.state]
        assert not any(value.any() for found in moments for value in found.values())
    assert not model.embedder(torch.ones(4)).requires_grad  # nothing is kept for a way back
    made.begin_epoch(4)
    assert model.embedder(torch.ones(4)).requires_grad


@pytest.mark.parametrize("frozen_epochs", [6, 7])
def test_weights_frozen_for_good_have_no_moments(frozen_epochs: int) -> None:
    model = Small()
    before = deepcopy(model.embedder.state_dict())
    made = train(model, trainer(frozen_epochs=frozen_epochs))
    assert same(model.embedder.state_dict(), before)
    optimised = {p for o in made.optimizers for group in o.param_groups for p in group["params"]}
    assert optimised == {p for p in model.parameters() if p.requires_grad}
    assert optimised == set(model.parameters()) - set(model.embedder.parameters())


def test_there_must_be_something_to_freeze() -> None:
    model = Small().requires_grad_(True)
    model.embedder = nn.Linear(4, 3)  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"^trainer\.frozen_epochs=1: .*; set it to 0, or choose"):
        TaggerOptimizer(model, trainer(frozen_epochs=1), CPU)


class PublishedWords(Words):
    """Words whose vectors count as published."""

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup([self.table.weight], pretrained=True)]


def make_trainer(config: TrainerConfig, stop_at: int | None = None) -> Trainer:
    """A trainer of a transformer with dropout, which stops after some steps."""
    torch.manual_seed(SEED)
    indexer = VOCABULARY.indexers["words"]
    assert isinstance(indexer, WordIndexer)
    embedder = Embedders({"words": PublishedWords(indexer, 8, 0.3)})
    encoder = Transformer(8, 8, 2, 2, 8, 0.2, 0.1, "pre", "relative", 512)
    tags = VOCABULARY.tags
    tagger = Tagger(embedder, {"encoder": encoder}, make_crf(tags), len(tags), 0.3)
    state = TrainingState(tagger, TaggerOptimizer(tagger, config, CPU), Accumulator(CPU), None)
    recorder = create_autospec(Recorder, instance=True)
    recorder.vocabulary = VOCABULARY
    interruption = Interruption()

    def stop(**_: object) -> None:
        if state.step == stop_at:
            interruption.requested = signal.SIGTERM

    return Trainer(state, config, SEED, BATCHER, BATCHER, recorder, interruption, stop)


def snapshot(state: TrainingState) -> dict[str, Tensor]:
    """Copies of the weights and of all else that a checkpoint has."""
    return deepcopy({**state.tagger.state_dict(), **state.snapshot().tensors})


@pytest.mark.parametrize(
    ("kind", "frozen_epochs"),
    one_in(3, [(Optimizer.adamw, 2), (Optimizer.adamw, 3), (Optimizer.sgd, 2)]),
)
def test_a_run_stopped_while_frozen_or_after_goes_on_bit_for_bit(
    kind: Optimizer, frozen_epochs: int
) -> None:
    config = trainer(optimizer=kind, frozen_epochs=frozen_epochs, epochs=3)
    whole = make_trainer(config)
    before = whole.state.tagger.get_parameter(TABLE).detach().clone()
    whole.fit()
    expected = snapshot(whole.state)
    steps = whole.state.step
    for stop_at in (1, 2 * steps // 3, steps - 1):
        stopped = make_trainer(config, stop_at)
        with pytest.raises(Interrupted):
            stopped.fit()
        is_frozen = stopped.state.epoch < frozen_epochs
        assert torch.equal(stopped.state.tagger.get_parameter(TABLE), before) == is_frozen
        saved = deepcopy(stopped.state.snapshot())
        going_on = make_trainer(config)
        going_on.state.tagger.load_state_dict(stopped.state.tagger.state_dict())
        restore(going_on.state, saved)
        going_on.fit()
        assert same(snapshot(going_on.state), expected)


@pytest.mark.parametrize("precision", [Precision.fp32, Precision.bf16])
def test_gradient_checkpointing_changes_no_bit(precision: Precision) -> None:
    found = []
    for is_checkpointing in (False, True):
        made = make_trainer(trainer(precision=precision, epochs=2))
        tagger = made.state.tagger
        tagger.autocast_dtype = made.state.optimizer.dtype
        if is_checkpointing:
            checkpoint_layers(tagger)
        made.fit()
        found.append(snapshot(made.state))
    assert same(*found)


def test_gradient_checkpointing_keeps_less_for_the_way_back() -> None:
    kept: list[int] = []
    for is_checkpointing in (False, True):
        tagger = make_trainer(trainer()).state.tagger
        if is_checkpointing:
            checkpoint_layers(tagger)
        sizes: list[int] = []

        def note(tensor: Tensor, sizes: list[int] = sizes) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            tagger.loss(BATCHER.collate(np.arange(8)))
        kept.append(sum(sizes))
    assert kept[1] < 0.6 * kept[0]


def test_gradient_checkpointing_needs_layers() -> None:
    tagger = make_trainer(trainer()).state.tagger
    del tagger.stages["encoder"]
    with pytest.raises(ValueError, match=r"^trainer\.gradient_checkpointing=true: .* layers"):
        checkpoint_layers(tagger)
