"""What happens to the weights, against torch's own optimisers and plain loops."""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from helpers import make_batcher, make_crf, make_embedders, make_softmax
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nerlab.config import Optimizer, Precision, Schedule, TrainerConfig
from nerlab.device import autocast_dtype
from nerlab.models.tagger import ParameterGroup, Tagger
from nerlab.modules.transformer import Transformer
from nerlab.training.averaging import average_weights
from nerlab.training.optimizer import RowAdam, TaggerOptimizer, build_optimizers, schedule

CPU = torch.device("cpu")
ROWS = 12  # of the table of the small network


def trainer(**changes: Any) -> TrainerConfig:
    defaults = {
        "epochs": 10,
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
    def parameter_groups(self) -> list[ParameterGroup]:
        table = self.get_parameter("0.weight")
        return [ParameterGroup([table], sparse=True, weight_decay=False)]


def network() -> Network:
    torch.manual_seed(0)
    return Network(nn.Embedding(ROWS, 4), nn.Linear(4, 3), nn.LayerNorm(3)).double()


def loss_of(model: nn.Module, ids: list[int]) -> Tensor:
    target = torch.linspace(-1.0, 1.0, 3, dtype=model.get_parameter("1.bias").dtype)
    loss: Tensor = 1000 * (model(torch.tensor(ids)) - target).square().mean()
    return loss


def step(made: TaggerOptimizer, *losses: Tensor, progress: float = 0.0) -> Tensor:
    """Make a step of the mean of some losses; returns the norm of its gradient."""
    for loss in losses:
        made.backward(loss / len(losses))
    norm = made.clip(torch.stack(losses).mean().detach())
    made.step(norm, progress)
    return norm


def make_tagger(make_decoder: Callable[[Sequence[str]], nn.Module]) -> Tagger:
    torch.manual_seed(0)
    vocabulary, _ = make_batcher()
    embedder = make_embedders(vocabulary)
    encoder = Transformer(embedder.output_dim, 8, 1, 2, 8, 0.0, 0.0, "pre", "rotary", 512)
    decoder = make_decoder(vocabulary.tags)
    return Tagger(embedder, {"encoder": encoder}, decoder, len(vocabulary.tags), 0.0)


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
    ours, theirs = (
        nn.ParameterList(nn.Parameter(torch.zeros(k, 3)) for k in range(1, count + 1))
        for _ in range(2)
    )
    for mine, other in zip(list(ours)[1:], list(theirs)[1:], strict=True):
        mine.grad = torch.randn(mine.shape, generator=generator)  # the first has no gradient
        other.grad = mine.grad.clone()
    norm = TaggerOptimizer(ours, trainer(clip_norm=max_norm), CPU).clip(torch.zeros(()))
    torch.testing.assert_close(norm, nn.utils.clip_grad_norm_(theirs, max_norm))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, other.grad)
    assert ours[0].grad is None


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=20), st.sampled_from([1e-3, 0.1, 1e4])
)
def test_sparse_gradients_are_clipped_like_dense_ones(ids: list[int], max_norm: float) -> None:
    dense, sparse = network(), network()
    norms = []
    for model, kind in ((dense, Optimizer.sgd), (sparse, Optimizer.adam)):
        made = TaggerOptimizer(model, trainer(optimizer=kind, clip_norm=max_norm), CPU)
        for part in (ids, ids[:1]):  # two backward passes: rows that must be added up
            loss_of(model, part).backward()
        norms.append(made.clip(torch.zeros(())))
    gradient = sparse.get_parameter("0.weight").grad
    assert gradient is not None
    assert gradient.is_sparse
    torch.testing.assert_close(norms[0], norms[1])
    for expected, found in zip(dense.parameters(), sparse.parameters(), strict=True):
        assert expected.grad is not None
        assert found.grad is not None
        gradient = found.grad.to_dense() if found.grad.is_sparse else found.grad
        torch.testing.assert_close(gradient, expected.grad)


@pytest.mark.parametrize("kind", [Optimizer.adam, Optimizer.adamw])
def test_adam_on_the_cpu_moves_only_the_rows_that_were_used(kind: Optimizer) -> None:
    model = network()
    before = deepcopy(model.state_dict())
    made = TaggerOptimizer(model, trainer(optimizer=kind, weight_decay=0.1), CPU)
    for ids in ([1, 2], [2, 5, 5]):
        step(made, loss_of(model, ids))
    moved = (model.state_dict()["0.weight"] != before["0.weight"]).any(1)
    assert moved.nonzero().flatten().tolist() == [1, 2, 5]
    assert (model.state_dict()["1.weight"] != before["1.weight"]).all()


@pytest.mark.parametrize("kind", list(Optimizer))
@pytest.mark.parametrize("clip_norm", [50.0, 1e9])
def test_steps_are_those_of_torch_when_every_row_is_used(kind: Optimizer, clip_norm: float) -> None:
    ours, baseline = network(), network()
    config = trainer(optimizer=kind, clip_norm=clip_norm, schedule=Schedule.linear, momentum=0.5)
    made = TaggerOptimizer(ours, config, CPU)
    method = {
        Optimizer.adam: lambda p: torch.optim.Adam(p, lr=0.1),
        Optimizer.adamw: lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.0),
        Optimizer.sgd: lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5),
    }[kind](baseline.parameters())
    ids = [*range(ROWS), 3, 3]
    for number in range(5):
        norm = step(made, loss_of(ours, ids), progress=number / 5)
        method.param_groups[0]["lr"] = 0.1 * (1 - number / 5)
        method.zero_grad()
        loss_of(baseline, ids).backward()
        expected_norm = nn.utils.clip_grad_norm_(baseline.parameters(), clip_norm)
        method.step()
        torch.testing.assert_close(norm, expected_norm, rtol=1e-5, atol=0.0)
        assert made.learning_rate == pytest.approx(0.1 * (1 - number / 5))
    for mine, other in zip(ours.parameters(), baseline.parameters(), strict=True):
        # SparseAdam adds ε before it corrects the bias, so it differs a little.
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


def test_a_step_clears_the_gradients() -> None:
    model = network()
    made = TaggerOptimizer(model, trainer(), CPU)
    step(made, loss_of(model, [1, 2]))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_at_the_end_of_a_falling_schedule_nothing_moves() -> None:
    model = network()
    before = deepcopy(model.state_dict())
    made = TaggerOptimizer(model, trainer(schedule=Schedule.cosine), CPU)
    step(made, loss_of(model, [1, 2]), progress=1.0)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, before[name])


@pytest.mark.parametrize("device", ["cpu", "meta"])  # what is not a CPU has one optimiser for all
@pytest.mark.parametrize("kind", list(Optimizer))
def test_learned_positions_decay_and_lookup_tables_do_not(kind: Optimizer, device: str) -> None:
    tagger = make_tagger(make_softmax)
    tagger.stages["encoder"].positions = nn.Embedding(50, 8)
    config = trainer(optimizer=kind, weight_decay=0.5)
    optimizers = build_optimizers(tagger, config, torch.device(device))
    decays = {
        id(parameter): group.get("weight_decay", 0.0)
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert decays.keys() == {id(parameter) for parameter in tagger.parameters()}
    names = {id(parameter): name for name, parameter in tagger.named_parameters()}
    found = {names[key]: decay for key, decay in decays.items()}
    assert found["stages.encoder.positions.weight"] == found["linear.weight"] == 0.5
    assert found["embedder.words.table.weight"] == 0
    assert found["embedder.characters.embedding"] == 0
    is_lazy = device == "cpu" and kind is not Optimizer.sgd
    tables = {n: m.sparse for n, m in tagger.named_modules() if isinstance(m, nn.Embedding)}
    assert tables == {"embedder.words.table": is_lazy, "stages.encoder.positions": False}
    assert len(optimizers) == 1 + is_lazy


@pytest.mark.parametrize("kind", [Optimizer.adamw, Optimizer.sgd])
def test_weight_decay_spares_biases_norms_and_lookup_tables(kind: Optimizer) -> None:
    tagger = make_tagger(make_softmax)
    nn.init.ones_(tagger.linear.bias)
    before = {name: p.detach().clone() for name, p in tagger.named_parameters()}
    made = TaggerOptimizer(tagger, trainer(optimizer=kind, weight_decay=0.5), CPU)
    for parameter in tagger.parameters():
        parameter.grad = torch.zeros_like(parameter)
    table = tagger.get_parameter("embedder.words.table.weight")
    if kind is Optimizer.adamw:
        table.grad = torch.zeros_like(table).to_sparse(1)
    made.step(made.clip(torch.zeros(())), 0.0)
    decayed = {n for n, p in tagger.named_parameters() if not torch.equal(p, before[n])}
    spared = {
        name
        for name in before
        if name.endswith("bias") or "norm" in name or "table" in name or "embedding" in name
    } | {"stages.encoder.layers.0.feedforward.0.weight"}  # a norm
    assert decayed == before.keys() - spared
    for name in decayed:
        torch.testing.assert_close(tagger.get_parameter(name), before[name] * (1 - 0.1 * 0.5))


@pytest.mark.parametrize("kind", list(Optimizer))
def test_two_half_batches_make_the_step_of_one_whole(kind: Optimizer) -> None:
    whole, halves = network(), network()
    for model, parts in ((whole, [[1, 2, 3, 3, 5, 1]]), (halves, [[1, 2, 3], [3, 5, 1]])):
        made = TaggerOptimizer(model, trainer(optimizer=kind, clip_norm=0.5), CPU)
        for _ in range(3):
            step(made, *(loss_of(model, part) for part in parts))
    for expected, found in zip(whole.parameters(), halves.parameters(), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("by_scaler", [False, True])  # as on a GPU, where no host decides
@pytest.mark.parametrize("kind", list(Optimizer))
@pytest.mark.parametrize("wrong", ["loss", "gradient"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_step_that_is_not_finite_is_as_if_it_had_not_been(
    kind: Optimizer, wrong: str, value: float, by_scaler: bool
) -> None:
    models: list[nn.Module] = [network(), network()]
    if by_scaler:  # a GPU has no sparse parameters
        models = [nn.Sequential(*network()).float() for _ in range(2)]
    config = trainer(optimizer=kind, momentum=0.9, weight_decay=0.1)
    ours, baseline = (TaggerOptimizer(model, config, CPU) for model in models)
    if by_scaler:
        ours.scaler, baseline.scaler = (torch.amp.GradScaler("cpu", 1.0) for _ in range(2))
    skipped = []
    for number in range(6):
        is_wrong = number in (0, 2, 3)
        loss = loss_of(models[0], [1, number, 5])
        ours.backward(loss)
        if is_wrong and wrong == "gradient":
            gradient = models[0].get_parameter("1.bias").grad
            assert gradient is not None
            gradient[1] = value
        elif is_wrong:
            loss = loss + value  # its gradient is what it would be
        norm = ours.clip(loss.detach())
        ours.step(norm, 0.0)
        skipped.append(bool(norm.isnan()))
        if not is_wrong:
            assert torch.equal(norm, step(baseline, loss_of(models[1], [1, number, 5])))
    assert skipped == [True, False, True, True, False, False]
    for mine, other in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(mine, other)
    mine, other = (made.moments() for made in (ours, baseline))
    assert mine.keys() == other.keys()
    assert all(torch.equal(mine[name], other[name]) for name in other)


def test_the_scaler_changes_no_bit_of_a_step() -> None:
    models = [nn.Sequential(*network()).float() for _ in range(2)]
    first, second = (TaggerOptimizer(model, trainer(clip_norm=1.0), CPU) for model in models)
    second.scaler = torch.amp.GradScaler("cpu", 1.0)
    for number in range(4):
        for made, model in zip((first, second), models, strict=True):
            step(made, loss_of(model, [1, number, 5]))
    for mine, other in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(mine, other)


def test_loss_scaling_leaves_norm_and_step_as_they_are() -> None:
    models = [nn.Sequential(*network()).float() for _ in range(2)]
    first, second = (TaggerOptimizer(model, trainer(clip_norm=1.0), CPU) for model in models)
    second.scaler = torch.amp.GradScaler("cpu", 2.0**10)
    norms = [
        step(made, loss_of(model, [1, 2, 5]))
        for made, model in zip((first, second), models, strict=True)
    ]
    torch.testing.assert_close(norms[0], norms[1])
    for mine, other in zip(*(model.parameters() for model in models), strict=True):
        torch.testing.assert_close(mine, other)


class Grouped(nn.Sequential):
    def parameter_groups(self) -> list[ParameterGroup]:
        return [
            ParameterGroup([self.get_parameter("0.weight")], sparse=True, weight_decay=False),
            ParameterGroup([self.get_parameter("1.weight")], learning_rate_factor=0.1),
            ParameterGroup([self.get_parameter("2.weight")], learning_rate_factor=0.0),
        ]


def test_groups_have_their_own_factor_of_the_learning_rate() -> None:
    model = Grouped(*network())
    before = deepcopy(model.state_dict())
    step(TaggerOptimizer(model, trainer(), CPU), loss_of(model, list(range(ROWS))))
    for name, factor in (("0.weight", 1), ("1.weight", 0.1), ("1.bias", 1), ("2.weight", 0)):
        moved = (model.state_dict()[name] - before[name]).abs()  # Adam's first step is the rate
        torch.testing.assert_close(moved, torch.full_like(moved, 0.1 * factor), rtol=1e-3, atol=0)


def test_frozen_weights_stay_as_they_are() -> None:
    model = network()
    for layer in (0, 2):
        model[layer].requires_grad_(False)
    before = deepcopy(model.state_dict())
    made = TaggerOptimizer(model, trainer(ema=0.9, weight_decay=0.5), CPU)
    step(made, loss_of(model, [1, 2]))
    changed = {n for n, w in model.state_dict().items() if not torch.equal(w, before[n])}
    assert changed == {"1.weight", "1.bias"}


def test_fp16_on_the_cpu_is_refused_in_one_line_that_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"trainer\.precision=fp16") as refusal:
        TaggerOptimizer(network(), trainer(precision=Precision.fp16), CPU)
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
def test_emissions_are_computed_in_the_precision_asked_for(
    precision: Precision, dtype: torch.dtype
) -> None:
    tagger, (_, batcher) = make_tagger(make_softmax), make_batcher()
    tagger.autocast_dtype = autocast_dtype(precision, CPU)
    assert tagger.emissions(batcher.collate(np.arange(8))).dtype == dtype


@pytest.mark.parametrize("make_decoder", [make_crf, make_softmax])
def test_bf16_keeps_weights_and_loss_in_float32_and_learns(
    make_decoder: Callable[[Sequence[str]], nn.Module],
) -> None:
    tagger, (_, batcher) = make_tagger(make_decoder), make_batcher()
    config = trainer(precision=Precision.bf16, learning_rate=0.02)
    made = TaggerOptimizer(tagger, config, CPU)
    tagger.autocast_dtype = made.dtype
    losses = []
    for _ in range(20):
        loss = tagger.loss(batcher.collate(np.arange(8)))
        assert loss.dtype == torch.float32
        step(made, loss)
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(parameter.dtype == torch.float32 for parameter in tagger.parameters())


@pytest.mark.parametrize("decay", [0.3, 0.9, 0.999])
def test_the_average_is_that_of_a_plain_loop(decay: float) -> None:
    generator = torch.Generator().manual_seed(0)
    model = nn.Linear(3, 2, bias=False).double()
    average = average_weights(model, decay)
    expected = torch.zeros(2, 3, dtype=torch.float64)
    for number in range(50):
        model.weight.data.copy_(torch.randn(2, 3, generator=generator, dtype=torch.float64))
        average.update_parameters(model)
        rate = min(decay, (1 + number) / (10 + number)) if number else 0.0
        expected = model.weight.detach() * (1 - rate) + expected * rate
    torch.testing.assert_close(average.module.get_parameter("weight").detach(), expected)


ids_of_steps = st.lists(
    st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=8), min_size=1, max_size=12
)


def row_adam(table: nn.Parameter) -> RowAdam:
    """For one table, as :func:`build_optimizers` makes it."""
    made = RowAdam([{"params": [table]}], lr=0.1)
    zeros = {name: torch.zeros_like(table) for name in ("exp_avg", "exp_avg_sq")}
    made.state[table].update(step=torch.zeros(()), **zeros)
    return made


def train_table(table: nn.Parameter, method: torch.optim.Optimizer, steps: list[list[int]]) -> None:
    weights = torch.linspace(-1.0, 2.0, 3, dtype=torch.float64)
    for rows in steps:
        is_sparse = not isinstance(method, torch.optim.Adam)
        found = nn.functional.embedding(torch.tensor(rows), table, sparse=is_sparse)
        (found.sin() * weights).sum().backward()
        method.step()
        method.zero_grad()


def make_table() -> nn.Parameter:
    return nn.Parameter(torch.arange(ROWS * 3, dtype=torch.float64).view(ROWS, 3).cos())


@settings(max_examples=30, deadline=None)
@given(ids_of_steps)
def test_rows_move_as_in_sparse_adam_and_the_others_stay(steps: list[list[int]]) -> None:
    found, expected = make_table(), make_table()
    train_table(found, row_adam(found), steps)
    train_table(expected, torch.optim.SparseAdam([expected], lr=0.1), steps)
    # SparseAdam adds epsilon before it corrects the bias of the second moment, we after, as Adam.
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    unused = sorted(set(range(ROWS)) - {row for rows in steps for row in rows})
    assert torch.equal(found[unused], make_table()[unused])


def test_where_every_row_is_used_it_is_adam() -> None:
    found, expected = make_table(), make_table()
    steps = [list(range(ROWS)) * (1 + i % 2) for i in range(10)]
    train_table(found, row_adam(found), steps)
    train_table(expected, torch.optim.Adam([expected], lr=0.1), steps)
    torch.testing.assert_close(found, expected)
