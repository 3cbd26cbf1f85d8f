"""What happens to the weights, against torch's own optimisers and plain loops."""

import math
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from helpers import make_batcher
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nerlab.config import Optimizer, Precision, Schedule, TrainerConfig
from nerlab.models.embedders import Characters, Concatenation, Words
from nerlab.models.tagger import Tagger
from nerlab.modules.crf import CRF
from nerlab.modules.softmax import Softmax
from nerlab.modules.transformer import Transformer
from nerlab.tags import iobes_constraints
from nerlab.training.optimisation import (
    Optimisation,
    WeightAverage,
    _build_optimizers,
    clip_gradients,
    schedule,
)

CPU = torch.device("cpu")
ROWS = 12  # of the table of the small network


def trainer(**changes: Any) -> TrainerConfig:
    defaults = {
        "accumulate": 1,
        "optimizer": Optimizer.adam,
        "learning_rate": 0.1,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "schedule": Schedule.constant,
        "warmup": 0.0,
        "clip_norm": 1e9,
        "ema": 0.0,
        "precision": Precision.fp32,
    }
    return TrainerConfig(**{**defaults, **changes})


class Network(nn.Sequential):
    @property
    def lookup_tables(self) -> list[Tensor]:
        return [self.get_parameter("0.weight")]


def network() -> Network:
    torch.manual_seed(0)
    return Network(nn.Embedding(ROWS, 4), nn.Linear(4, 3), nn.LayerNorm(3)).double()


def loss_of(model: nn.Module, ids: list[int]) -> Tensor:
    target = torch.linspace(-1.0, 1.0, 3, dtype=torch.float64)
    loss: Tensor = 1000 * (model(torch.tensor(ids)) - target).square().mean()
    return loss


def make_tagger(decoder: type[nn.Module]) -> Tagger:
    torch.manual_seed(0)
    vocabulary, _ = make_batcher()
    characters = Characters(vocabulary, dim=4, filters=4, widths=[3])
    embedder = Concatenation(
        vocabulary,
        {"words": lambda vocabulary: Words(vocabulary, 8), "characters": lambda **_: characters},
    )
    encoder = Transformer(12, 8, layers=1, heads=2, feedforward_dim=8, dropout=0.0)
    constraints = [torch.from_numpy(c) for c in iobes_constraints(vocabulary.tags)]
    return Tagger(embedder, encoder, decoder(*constraints), len(vocabulary.tags), 0.0)


@pytest.mark.parametrize(
    ("kind", "warmup", "expected"),
    [
        (Schedule.constant, 0.0, [1.0, 1.0, 1.0, 1.0, 1.0]),
        (Schedule.constant, 0.5, [0.0, 0.5, 1.0, 1.0, 1.0]),
        (Schedule.linear, 0.0, [1.0, 0.75, 0.5, 0.25, 0.0]),
        (Schedule.linear, 0.5, [0.0, 0.5, 1.0, 0.5, 0.0]),
        (Schedule.cosine, 0.0, [1.0, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125), 0.0]),
        (Schedule.cosine, 0.5, [0.0, 0.5, 1.0, 0.5, 0.0]),
        (Schedule.linear, 1.0, [0.0, 0.25, 0.5, 0.75, 0.0]),
    ],
)
def test_learning_rate_over_training(kind: Schedule, warmup: float, expected: list[float]) -> None:
    found = [schedule(progress, kind, warmup) for progress in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert found == pytest.approx(expected)


@given(st.sampled_from(Schedule), st.floats(0.0, 0.9), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_learning_rate_rises_before_the_warmup_ends_and_never_after(
    kind: Schedule, warmup: float, one: float, other: float
) -> None:
    early, late = sorted((one, other))
    first, second = (schedule(progress, kind, warmup) for progress in (early, late))
    assert -1e-12 <= min(first, second) <= max(first, second) <= 1.0 + 1e-12
    if late < warmup:
        assert first <= second
    elif early >= warmup:
        assert first >= second - 1e-12


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 6), st.sampled_from([1e-3, 0.5, 3.0, 1e4]))
def test_dense_gradients_are_clipped_as_torch_does(seed: int, count: int, max_norm: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    ours, theirs = ([nn.Parameter(torch.zeros(k, 3)) for k in range(count)] for _ in range(2))
    for mine, other in zip(ours[1:], theirs[1:], strict=True):  # the first has no gradient
        mine.grad = torch.randn(mine.shape, generator=generator)
        other.grad = mine.grad.clone()
    norm = clip_gradients(ours, max_norm)
    torch.testing.assert_close(norm, nn.utils.clip_grad_norm_(theirs, max_norm))
    for mine, other in zip(ours[1:], theirs[1:], strict=True):
        torch.testing.assert_close(mine.grad, other.grad)
    assert ours[0].grad is None


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=20), st.sampled_from([1e-3, 0.1, 1e4])
)
def test_sparse_gradients_are_clipped_like_dense_ones(ids: list[int], max_norm: float) -> None:
    dense, sparse = network(), network()
    table = sparse[0]
    assert isinstance(table, nn.Embedding)
    table.sparse = True
    for model in (dense, sparse):
        for part in (ids, ids[:1]):  # two backward passes: rows that must be added up
            loss_of(model, part).backward()
    assert table.weight.grad is not None
    assert table.weight.grad.is_sparse
    norms = [clip_gradients(list(model.parameters()), max_norm) for model in (dense, sparse)]
    torch.testing.assert_close(norms[0], norms[1])
    for expected, found in zip(dense.parameters(), sparse.parameters(), strict=True):
        assert expected.grad is not None
        assert found.grad is not None
        gradient = found.grad.to_dense() if found.grad.is_sparse else found.grad
        torch.testing.assert_close(gradient, expected.grad)


@pytest.mark.parametrize("optimizer", [Optimizer.adam, Optimizer.adamw])
def test_adam_on_the_cpu_moves_only_the_rows_that_were_used(optimizer: Optimizer) -> None:
    model = network()
    before = deepcopy(model.state_dict())
    optimisation = Optimisation(model, trainer(optimizer=optimizer, weight_decay=0.1), CPU)
    for ids in ([1, 2], [2, 5, 5]):
        optimisation.backward(loss_of(model, ids))
        optimisation.step(0.0)
    moved = (model.state_dict()["0.weight"] != before["0.weight"]).any(1)
    assert moved.nonzero().flatten().tolist() == [1, 2, 5]
    assert (model.state_dict()["1.weight"] != before["1.weight"]).all()


@pytest.mark.parametrize("optimizer", list(Optimizer))
@pytest.mark.parametrize("clip_norm", [50.0, 1e9])
def test_steps_are_those_of_torch_when_every_row_is_used(
    optimizer: Optimizer, clip_norm: float
) -> None:
    ours, twin = network(), network()
    config = trainer(
        optimizer=optimizer, clip_norm=clip_norm, schedule=Schedule.linear, momentum=0.5
    )
    optimisation = Optimisation(ours, config, CPU)
    method = {
        Optimizer.adam: lambda p: torch.optim.Adam(p, lr=0.1),
        Optimizer.adamw: lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.0),
        Optimizer.sgd: lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5),
    }[optimizer](twin.parameters())
    ids = [*range(ROWS), 3, 3]
    for step in range(5):
        optimisation.backward(loss_of(ours, ids))
        norm = optimisation.step(step / 5).norm
        method.param_groups[0]["lr"] = 0.1 * (1 - step / 5)
        method.zero_grad()
        loss_of(twin, ids).backward()
        expected_norm = nn.utils.clip_grad_norm_(twin.parameters(), clip_norm)
        method.step()
        torch.testing.assert_close(norm, expected_norm, rtol=1e-5, atol=0.0)
        assert optimisation.learning_rate == pytest.approx(0.1 * (1 - step / 5))
    for mine, other in zip(ours.parameters(), twin.parameters(), strict=True):
        # SparseAdam adds ε before it corrects the bias, so it differs a little.
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


def test_a_step_clears_the_gradients() -> None:
    model = network()
    optimisation = Optimisation(model, trainer(), CPU)
    optimisation.backward(loss_of(model, [1, 2]))
    optimisation.step(0.0)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_at_the_end_of_a_falling_schedule_nothing_moves() -> None:
    model = network()
    before = deepcopy(model.state_dict())
    optimisation = Optimisation(model, trainer(schedule=Schedule.cosine), CPU)
    optimisation.backward(loss_of(model, [1, 2]))
    optimisation.step(1.0)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, before[name])


@pytest.mark.parametrize("device", ["cpu", "meta"])  # what is not a CPU has one optimiser for all
@pytest.mark.parametrize("optimizer", list(Optimizer))
def test_learned_positions_decay_and_lookup_tables_do_not(
    optimizer: Optimizer, device: str
) -> None:
    tagger = make_tagger(Softmax)
    tagger.encoder.positions = nn.Embedding(50, 8)
    config = trainer(optimizer=optimizer, weight_decay=0.5)
    optimizers = _build_optimizers(tagger, config, torch.device(device))
    decays = {
        id(parameter): group.get("weight_decay", 0.0)
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert decays.keys() == {id(parameter) for parameter in tagger.parameters()}
    names = {id(parameter): name for name, parameter in tagger.named_parameters()}
    found = {names[key]: decay for key, decay in decays.items()}
    assert found["encoder.positions.weight"] == found["linear.weight"] == 0.5
    assert found["embedder.parts.words.table.weight"] == 0
    assert found["embedder.parts.characters.cnn.embedding"] == 0
    is_lazy = device == "cpu" and optimizer is not Optimizer.sgd
    tables = {n: m.sparse for n, m in tagger.named_modules() if isinstance(m, nn.Embedding)}
    assert tables == {"embedder.parts.words.table": is_lazy, "encoder.positions": False}
    assert len(optimizers) == 1 + is_lazy


@pytest.mark.parametrize("optimizer", [Optimizer.adamw, Optimizer.sgd])
def test_weight_decay_spares_biases_norms_and_lookup_tables(optimizer: Optimizer) -> None:
    tagger = make_tagger(Softmax)
    nn.init.ones_(tagger.linear.bias)
    before = {name: p.detach().clone() for name, p in tagger.named_parameters()}
    optimisation = Optimisation(tagger, trainer(optimizer=optimizer, weight_decay=0.5), CPU)
    for parameter in tagger.parameters():
        parameter.grad = torch.zeros_like(parameter)
    table = tagger.get_parameter("embedder.parts.words.table.weight")
    if optimizer is Optimizer.adamw:
        table.grad = torch.zeros_like(table).to_sparse(1)
    optimisation.step(0.0)
    decayed = {n for n, p in tagger.named_parameters() if not torch.equal(p, before[n])}
    spared = {
        name
        for name in before
        if name.endswith("bias") or "norm" in name or "table" in name or "embedding" in name
    } | {"encoder.layers.0.feedforward.0.weight"}  # a norm
    assert decayed == before.keys() - spared
    for name in decayed:
        torch.testing.assert_close(tagger.get_parameter(name), before[name] * (1 - 0.1 * 0.5))


@pytest.mark.parametrize("optimizer", list(Optimizer))
def test_two_half_batches_make_the_step_of_one_whole(optimizer: Optimizer) -> None:
    whole, halves = network(), network()
    for model, parts in ((whole, [[1, 2, 3, 3, 5, 1]]), (halves, [[1, 2, 3], [3, 5, 1]])):
        optimisation = Optimisation(model, trainer(optimizer=optimizer, clip_norm=0.5), CPU)
        for _ in range(3):
            for part in parts:
                optimisation.backward(loss_of(model, part) / len(parts))
            optimisation.step(0.0)
    for expected, found in zip(whole.parameters(), halves.parameters(), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("optimizer", list(Optimizer))
@pytest.mark.parametrize("spoiled", ["loss", "gradient"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_step_that_is_not_finite_is_as_if_it_had_not_been(
    optimizer: Optimizer, spoiled: str, value: float
) -> None:
    models = network(), network()
    config = trainer(optimizer=optimizer, momentum=0.9, weight_decay=0.1)
    ours, twin = (Optimisation(model, config, CPU) for model in models)
    skipped = []
    for step in range(6):
        optimisations = [ours] if step in (0, 2, 3) else [ours, twin]
        for optimisation, model in zip(optimisations, models, strict=False):
            loss = loss_of(model, [1, step, 5])
            if len(optimisations) == 2:
                optimisation.backward(loss)
            elif spoiled == "loss":
                optimisation.backward(loss + value)  # its gradient is what it would be
            else:
                optimisation.backward(loss)
                gradient = model.get_parameter("1.bias").grad
                assert gradient is not None
                gradient[1] = value
        results = [optimisation.step(0.0) for optimisation in optimisations]
        skipped.append(results[0].skipped.item())
        if len(results) == 2:
            assert torch.equal(*(result.norm for result in results))
            assert results[1].skipped == 0
    assert skipped == [1, 0, 1, 1, 0, 0]
    for mine, other in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(mine, other)
    mine, other = (optimisation.state().tensors for optimisation in (ours, twin))
    assert mine.keys() == other.keys()
    assert all(torch.equal(mine[name], other[name]) for name in mine)


def test_frozen_weights_stay_as_they_are() -> None:
    model = network()
    for layer in (0, 2):
        model[layer].requires_grad_(False)
    before = deepcopy(model.state_dict())
    optimisation = Optimisation(model, trainer(ema=0.9, weight_decay=0.5), CPU)
    optimisation.backward(loss_of(model, [1, 2]))
    optimisation.step(0.0)
    changed = {n for n, w in model.state_dict().items() if not torch.equal(w, before[n])}
    assert changed == {"1.weight", "1.bias"}


def test_fp16_on_the_cpu_is_refused_in_one_line_that_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"trainer\.precision=fp16") as refusal:
        Optimisation(network(), trainer(precision=Precision.fp16), CPU)
    assert "\n" not in str(refusal.value)
    assert "cpu" in str(refusal.value)
    assert "bf16" in str(refusal.value)


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [
        (Precision.auto, torch.float32),
        (Precision.fp32, torch.float32),
        (Precision.bf16, torch.bfloat16),
    ],
)
def test_forward_pass_runs_in_the_precision_asked_for(
    precision: Precision, dtype: torch.dtype
) -> None:
    model = nn.Linear(3, 2)
    optimisation = Optimisation(model, trainer(precision=precision), CPU)
    with optimisation.autocast():
        assert model(torch.ones(1, 3)).dtype == dtype
    assert model(torch.ones(1, 3)).dtype == torch.float32


@pytest.mark.parametrize("decoder", [CRF, Softmax])
def test_bf16_keeps_weights_and_loss_in_float32_and_learns(decoder: type[nn.Module]) -> None:
    tagger, (_, batcher) = make_tagger(decoder), make_batcher()
    config = trainer(precision=Precision.bf16, learning_rate=0.02)
    optimisation = Optimisation(tagger, config, CPU)
    losses = []
    for _ in range(20):
        with optimisation.autocast():
            loss = tagger.loss(batcher.collate(np.arange(8)))
        assert loss.dtype == torch.float32
        optimisation.backward(loss)
        optimisation.step(0.0)
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(parameter.dtype == torch.float32 for parameter in tagger.parameters())


@pytest.mark.parametrize("decay", [0.3, 0.9, 0.999])
def test_average_is_that_of_a_plain_loop(decay: float) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = nn.Parameter(torch.randn(3, 2, generator=generator, dtype=torch.float64))
    average = WeightAverage([weight], decay)
    expected = weight.detach().clone()
    for step in range(1, 50):
        weight.data.copy_(torch.randn(3, 2, generator=generator, dtype=torch.float64))
        average.update()
        if step < 8 or step % 8 == 0:  # later eight steps at once, with the weights of the last
            for _ in range(1 if step < 8 else 8):
                rate = min(decay, (1 + step) / (10 + step))
                expected = rate * expected + (1 - rate) * weight.detach()
    average.swap()
    torch.testing.assert_close(weight.detach(), expected)


def trained_with_average(ema: float) -> tuple[nn.Module, Optimisation]:
    model = network()
    optimisation = Optimisation(model, trainer(ema=ema), CPU)
    for _ in range(20):
        optimisation.backward(loss_of(model, list(range(ROWS))))
        optimisation.step(0.0)
    return model, optimisation


def test_averaged_weights_are_there_inside_and_gone_afterwards() -> None:
    model, optimisation = trained_with_average(ema=0.99)
    own = deepcopy(model.state_dict())
    for _ in range(2):  # and it can be done again
        with optimisation.averaged_weights():
            inside = deepcopy(model.state_dict())
        assert all(not torch.equal(inside[name], own[name]) for name in own)
        assert all(torch.equal(weight, own[name]) for name, weight in model.state_dict().items())


def test_own_weights_come_back_after_an_error() -> None:
    model, optimisation = trained_with_average(ema=0.99)
    own = deepcopy(model.state_dict())
    with pytest.raises(KeyboardInterrupt), optimisation.averaged_weights():
        raise KeyboardInterrupt
    assert all(torch.equal(weight, own[name]) for name, weight in model.state_dict().items())


def test_without_averaging_the_weights_inside_are_the_models_own() -> None:
    model, optimisation = trained_with_average(ema=0.0)
    own = deepcopy(model.state_dict())
    with optimisation.averaged_weights():
        assert all(torch.equal(weight, own[name]) for name, weight in model.state_dict().items())
