"""The transformer, against attention written as loops over positions, and what it promises."""

import math
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nerlab.modules.transformer import (
    Attention,
    Layer,
    Layers,
    LearnedPositions,
    Norm,
    Positions,
    Transformer,
    _angles,
)

INPUT_DIM = 6
NORMS: tuple[Norm, ...] = get_args(Norm)
POSITIONS: tuple[Positions, ...] = get_args(Positions)
every_norm = pytest.mark.parametrize("norm", NORMS)
every_kind = pytest.mark.parametrize("positions", POSITIONS)
exact = torch.float64


def make(
    norm: Norm = "pre",
    positions: Positions = "rotary",
    layers: int = 2,
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
    heads: int = 2,
) -> Transformer:
    """A transformer whose parameters are all at random, biases and norms too."""
    torch.manual_seed(0)
    encoder = Transformer(
        INPUT_DIM, 8, layers, heads, 16, dropout, attention_dropout, norm, positions, 40
    )
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.4)
    return encoder.double()


def sentences(lengths: list[int], seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(lengths), max(lengths), INPUT_DIM, generator=generator, dtype=exact)


# ------------------------------------------------------------------------------- by loops


def normalised(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """Each vector of ``x (T, D)`` with mean 0 and variance 1, then scaled and moved."""
    rows = []
    for vector in x:
        centred = vector - vector.mean()
        rows.append(centred / math.sqrt(centred.square().mean() + norm.eps))
    return torch.stack(rows) * norm.weight + norm.bias


def fed_forward(feedforward: nn.Sequential, x: Tensor) -> Tensor:
    first, _, second = feedforward
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    hidden = x @ first.weight.T + first.bias
    hidden = hidden * 0.5 * (1.0 + torch.erf(hidden / math.sqrt(2.0)))  # exact GELU
    product: Tensor = hidden @ second.weight.T + second.bias
    return product


def angle(i: int, width: int) -> float:
    return float(10_000 ** (-2 * i / width))


def turned(vector: Tensor, t: int) -> Tensor:
    """Features i and i + width / 2 as a complex number, turned by the angle of i, t times."""
    width = len(vector)
    numbers = torch.complex(*vector.chunk(2))
    phases = [complex(0.0, t * angle(i, width)) for i in range(width // 2)]
    numbers = numbers * torch.tensor(phases, dtype=torch.complex128).exp()
    return torch.cat([numbers.real, numbers.imag])


def distance_vector(distance: int, width: int) -> Tensor:
    """``r`` of TENER."""
    angles = [distance * angle(i, width) for i in range(width // 2)]
    cosines, sines = map(math.cos, angles), map(math.sin, angles)
    return torch.tensor([*cosines, *(-sine for sine in sines)], dtype=exact)


def score(layer: Layer, head: int, query: Tensor, key: Tensor, t: int, j: int) -> Tensor:
    """What token t gives to token j before the softmax."""
    width = len(query)
    if layer.attention == "plain":
        return query @ key / math.sqrt(width)
    if layer.attention == "rotary":
        return turned(query, t) @ turned(key, j) / math.sqrt(width)
    u, v = layer.content_bias[head, 0], layer.position_bias[head, 0]
    return (query + u) @ key + (query + v) @ distance_vector(t - j, width)


def attended(layer: Layer, x: Tensor) -> Tensor:
    """Self-attention of one sentence ``(T, D)``, head by head and pair by pair."""
    T, D = x.shape
    projected = x @ layer.queries_keys_values.weight.T + layer.queries_keys_values.bias
    queries, keys, values = projected.chunk(3, dim=1)
    mixed = torch.zeros(T, D, dtype=exact)
    for head in range(layer.heads):
        own = slice(head * layer.head_dim, (head + 1) * layer.head_dim)
        q, k, v = queries[:, own], keys[:, own], values[:, own]
        for t in range(T):
            scores = [score(layer, head, q[t], k[j], t, j) for j in range(T)]
            weights = torch.stack(scores).exp() / torch.stack(scores).exp().sum()
            mixed[t, own] = sum(weights[j] * v[j] for j in range(T))
    return mixed @ layer.attention_output.weight.T + layer.attention_output.bias


def transformed(encoder: Transformer, x: Tensor) -> Tensor:
    """One sentence ``(T, input_dim)`` through the transformer."""
    x = x @ encoder.project.weight.T + encoder.project.bias
    if encoder.positions is not None:
        x = torch.stack([x[t] + encoder.positions.table.weight[t] for t in range(len(x))])
    for layer in encoder.layers.layers:
        assert isinstance(layer, Layer)
        first, second = layer.attention_norm, layer.feedforward_norm
        if layer.is_pre_norm:
            x = x + attended(layer, normalised(first, x))
            x = x + fed_forward(layer.feedforward, normalised(second, x))
        else:
            x = normalised(first, x + attended(layer, x))
            x = normalised(second, x + fed_forward(layer.feedforward, x))
    norm = encoder.layers.norm
    return normalised(norm, x) if isinstance(norm, nn.LayerNorm) else x


@every_norm
@every_kind
@torch.no_grad()
def test_it_computes_what_loops_over_heads_and_positions_do(
    norm: Norm, positions: Positions
) -> None:
    for layers, heads in ((1, 1), (2, 2)):
        encoder, lengths = make(norm, positions, layers, heads=heads), [6, 1, 4]
        x = sentences(lengths)
        found = encoder(x, torch.tensor(lengths))
        for b, length in enumerate(lengths):
            expected = transformed(encoder, x[b, :length])
            torch.testing.assert_close(found[b, :length], expected, rtol=1e-9, atol=1e-9)
            assert not found[b, length:].any()


def test_after_the_last_block_there_is_a_norm_only_where_norms_stand_before_the_blocks() -> None:
    assert isinstance(make("pre").layers.norm, nn.LayerNorm)
    assert not isinstance(make("post").layers.norm, nn.LayerNorm)


# ------------------------------------------------------------------------------- padding


@every_norm
@every_kind
@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=4), st.integers(1, 3), st.integers(0, 9))
def test_a_sentence_alone_is_encoded_as_in_a_batch_whatever_the_padding_holds(
    norm: Norm, positions: Positions, lengths: list[int], columns: int, seed: int
) -> None:
    encoder = make(norm, positions)
    x = nn.functional.pad(sentences([*lengths, 1], seed), (0, 0, 0, columns), value=7.0)
    together = encoder(x, torch.tensor([*lengths, 1]))
    for b, length in enumerate(lengths):
        alone = encoder(x[b : b + 1, :length], torch.tensor([length]))
        torch.testing.assert_close(together[b, :length], alone[0])
        assert not together[b, length:].any()


@every_norm
@every_kind
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_row_without_tokens_is_zero_and_its_gradients_are_finite(
    norm: Norm, positions: Positions, dtype: torch.dtype, dropout: float
) -> None:
    encoder = make(norm, positions, dropout=dropout, attention_dropout=dropout).to(dtype)
    lengths = torch.tensor([3, 0])
    x = sentences([3, 3]).to(dtype).requires_grad_()
    encoded = encoder(x, lengths)
    assert encoded.isfinite().all()
    assert not encoded[1].any()
    encoded.square().sum().backward()
    assert x.grad is not None
    assert x.grad[0].any()
    assert not x.grad[1].any()  # which nan is not either
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@every_kind
def test_a_batch_of_nothing_is_encoded(positions: Positions) -> None:
    encoder = make(positions=positions)
    assert encoder(torch.zeros(2, 0, INPUT_DIM, dtype=exact), torch.tensor([0, 0])).shape[1] == 0
    assert not encoder(sentences([3, 3]), torch.tensor([0, 0])).any()


# ------------------------------------------------------------------------------- positions


def follows_the_order(encoder: Transformer) -> bool:
    """Whether reordering the tokens does more than to reorder what is computed."""
    x, order = sentences([5]), torch.tensor([3, 1, 4, 0, 2])
    lengths = torch.tensor([5])
    return not torch.allclose(encoder(x[:, order], lengths), encoder(x, lengths)[:, order])


@pytest.mark.parametrize("norm", NORMS)
def test_the_order_of_tokens_matters_unless_there_are_no_positions(norm: Norm) -> None:
    found = {positions: follows_the_order(make(norm, positions)) for positions in POSITIONS}
    assert found == {"none": False, "learned": True, "rotary": True, "relative": True}


@pytest.mark.parametrize("positions", ["rotary", "relative"])
def test_attention_tells_left_from_right(positions: Positions) -> None:
    x = sentences([1]).expand(1, 5, INPUT_DIM).clone()
    x[0, 2] = -x[0, 2]  # one token that differs, two before it and two after
    encoded = make(positions=positions)(x, torch.tensor([5]))[0]
    assert not torch.allclose(encoded[1], encoded[3])
    mirrored = make(positions=positions)(x.flip(1), torch.tensor([5]))[0]
    torch.testing.assert_close(mirrored, encoded)  # the same sentence
    x[0, 0] *= 2.0
    encoded, mirrored = (make(positions=positions)(y, torch.tensor([5]))[0] for y in (x, x.flip(1)))
    assert not torch.allclose(mirrored.flip(0), encoded)


@pytest.mark.parametrize("attention", get_args(Attention))
@settings(max_examples=10, deadline=None)
@given(T=st.integers(1, 6), shift=st.integers(1, 40))
def test_attention_sees_distances_alone(attention: Attention, T: int, shift: int) -> None:
    torch.manual_seed(0)
    layer = Layer(8, 2, 16, 0.0, 0.0, "pre", attention).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.4)
    x = torch.randn(1, shift + T, 8, dtype=exact)
    mask = (torch.arange(shift + T) >= shift)[None, None, None]  # padding at the left
    found = layer(x, mask, _angles(torch.arange(shift + T), 4, x))[:, shift:]
    expected = layer(x[:, shift:], mask[..., shift:], _angles(torch.arange(T), 4, x))
    torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_heads_of_relative_attention_begin_with_different_neighbours() -> None:
    """Where the content says nothing, head h of 8 looks at the token h - 4 further on."""
    layer = Layer(128, 8, 16, 0.0, 0.0, "pre", "relative").double()
    silent = torch.zeros(16, dtype=exact)
    for head in range(8):
        scores = [score(layer, head, silent, silent, 10, j).item() for j in range(21)]
        nearest = 10 + head - 4
        assert max(range(21), key=scores.__getitem__) == nearest
        assert torch.tensor(scores).softmax(0)[nearest] > 0.2
    torch.manual_seed(0)
    queries, keys, _ = layer.queries_keys_values(torch.randn(500, 128, dtype=exact)).chunk(3, dim=1)
    assert queries.std().item() == pytest.approx(keys.std().item() / 4, rel=0.1)  # √16
    torch.manual_seed(1)
    plain = Layer(128, 8, 16, 0.0, 0.0, "pre", "plain").queries_keys_values.weight
    torch.manual_seed(1)
    relative = Layer(128, 8, 16, 0.0, 0.0, "pre", "relative").queries_keys_values.weight
    torch.testing.assert_close(relative[128:], plain[128:])


def test_learned_positions_begin_at_their_offset() -> None:
    positions = LearnedPositions(5, 3, offset=2)
    assert positions.table.weight.shape == (7, 3)
    assert torch.equal(positions(4), positions.table.weight[2:6])
    assert torch.equal(positions(5), positions.table.weight[2:])


@torch.no_grad()
def test_a_sentence_of_3000_words_goes_through_windows_of_learned_positions() -> None:
    encoder, lengths = make(positions="learned"), torch.tensor([3000, 7, 41, 0])
    x = sentences(lengths.tolist())
    together = encoder(x, lengths)
    for b, length in enumerate(lengths.tolist()):
        alone = encoder(x[b : b + 1, :length], lengths[b : b + 1])
        torch.testing.assert_close(together[b, :length], alone[0])
        assert not together[b, length:].any()
    # 40 positions, so windows begin every 30 words; each gives its inner 30.
    for t in (0, 34, 35, 36, 64, 65, 1500, 2989, 2999):
        start = max(t - 5, 0) // 30 * 30
        window = x[:1, start : start + 40]
        in_window = encoder(window, torch.tensor([window.shape[1]]))
        torch.testing.assert_close(together[0, t], in_window[0, t - start])


@pytest.mark.parametrize("positions", ["none", "rotary", "relative"])
def test_other_attention_sees_all_of_a_long_sentence(positions: Positions) -> None:
    encoder, x = make(positions=positions, layers=1), sentences([300]).requires_grad_()
    encoder(x, torch.tensor([300]))[0, 0].sum().backward()
    assert x.grad is not None
    assert x.grad[0].any(1).all()


def test_angles_are_exact_for_long_sentences() -> None:
    cosines, sines = _angles(torch.arange(5000), 32, torch.zeros(0, dtype=exact))
    for t, i in ((0, 0), (1, 3), (4999, 0), (4999, 1), (4999, 15), (2048, 7)):
        expected = t * angle(i, 32)
        assert cosines[t, i].item() == pytest.approx(math.cos(expected), abs=1e-10)
        assert sines[t, i].item() == pytest.approx(math.sin(expected), abs=1e-10)
    for dtype, tolerance in ((torch.float32, 1e-3), (torch.bfloat16, 5e-3)):
        for rounded, full in zip(
            _angles(torch.arange(5000), 32, torch.zeros(0, dtype=dtype)),
            (cosines, sines),
            strict=True,
        ):
            assert rounded.dtype == dtype
            torch.testing.assert_close(rounded.double(), full, rtol=0.0, atol=tolerance)


# ------------------------------------------------------------------------------- dropout


@every_norm
def test_it_drops_in_training_alone(norm: Norm) -> None:
    x, lengths = sentences([5]), torch.tensor([5])
    expected = make(norm)(x, lengths)
    for options in ({"dropout": 0.5}, {"attention_dropout": 0.5}):
        encoder = make(norm, **options)  # type: ignore[arg-type]
        assert not torch.equal(encoder(x, lengths), encoder(x, lengths))
        torch.testing.assert_close(encoder.eval()(x, lengths), expected)


def test_dropout_is_on_the_input_and_on_what_each_block_adds() -> None:
    """What is dropped nearly always leaves a norm of nothing but its bias."""
    x, lengths = sentences([3]), torch.tensor([3])
    encoder = make("pre", layers=3, dropout=1.0 - 1e-12)
    assert isinstance(encoder.layers.norm, nn.LayerNorm)
    expected = encoder.layers.norm.bias.expand(1, 3, 8)
    torch.testing.assert_close(encoder(x, lengths), expected)


def test_attention_dropout_drops_whole_weights_and_scales_the_others() -> None:
    """The one weight of a sentence of one token is 1; with p = 1/2 it becomes 0 or 2."""
    encoder, x = make(attention_dropout=0.5, heads=1), sentences([1]).expand(200, 1, INPUT_DIM)
    layer, hidden = encoder.layers.layers[0], encoder.project(x)
    assert isinstance(layer, Layer)
    mask = torch.ones(200, 1, 1, 1, dtype=torch.bool)
    with torch.no_grad():
        found = layer.attend(hidden, mask, _angles(torch.arange(1), 8, x))[:, 0]
        values = layer.queries_keys_values(hidden[0, 0]).chunk(3)[2]
        dropped, kept = (layer.attention_output(factor * values) for factor in (0.0, 2.0))
    is_dropped = torch.isclose(found, dropped).all(1)
    assert (is_dropped | torch.isclose(found, kept).all(1)).all()
    assert 60 < is_dropped.sum() < 140


# -------------------------------------------------------------------- gradient checkpointing


def gradients(
    encoder: Transformer, x: Tensor, lengths: Tensor
) -> tuple[float, dict[str, Tensor], int]:
    """The loss, its gradients, and how often a layer was computed."""
    calls: list[object] = []
    for layer in encoder.layers.layers:
        layer.register_forward_pre_hook(lambda *arguments: calls.append(arguments))
    torch.manual_seed(7)
    loss = encoder(x, lengths).square().sum()
    if loss.requires_grad:
        loss.backward()
    found = {name: p.grad for name, p in encoder.named_parameters() if p.grad is not None}
    return loss.item(), found, len(calls)


@every_norm
@every_kind
def test_gradient_checkpointing_changes_neither_loss_nor_gradients_nor_what_is_dropped(
    norm: Norm, positions: Positions
) -> None:
    x, lengths = sentences([5, 2]), torch.tensor([5, 2])
    encoder, other = (make(norm, positions, 3, 0.3, 0.3) for _ in range(2))
    other.layers.gradient_checkpointing = True
    expected_loss, expected, once = gradients(encoder, x, lengths)
    loss, found, twice = gradients(other, x, lengths)
    assert (once, twice) == (3, 6)
    assert loss == expected_loss
    assert found.keys() == expected.keys() == {name for name, _ in encoder.named_parameters()}
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0.0, atol=0.0)


def test_gradient_checkpointing_is_for_training_alone() -> None:
    x, lengths = sentences([5, 2]), torch.tensor([5, 2])
    encoder = make(layers=3)
    encoder.layers.gradient_checkpointing = True
    assert gradients(encoder.eval(), x, lengths)[2] == 3


# ------------------------------------------------------------------------------- arithmetic


@every_norm
@every_kind
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.1)])
def test_in_other_arithmetic_it_comes_to_nearly_the_same(
    norm: Norm, positions: Positions, dtype: torch.dtype, tolerance: float
) -> None:
    x, lengths = sentences([9, 4]), torch.tensor([9, 4])
    encoder = make(norm, positions)
    expected = encoder(x, lengths)
    encoder, x = encoder.float(), x.float()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        found = encoder(x, lengths)
        found.square().sum().backward()
    assert found.dtype == torch.float32  # the sum of the blocks is not rounded
    distance = (found.double() - expected).norm() / expected.norm()
    assert distance < tolerance
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


# ------------------------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    ("attention", "dim", "expected"),
    [
        ("plain", 10, "a multiple of 4 (heads=4, plain attention), found 10"),
        ("rotary", 12, "a multiple of 8 (heads=4, rotary attention), found 12"),
        ("relative", 12, "a multiple of 8 (heads=4, relative attention), found 12"),
    ],
)
def test_a_width_that_heads_cannot_share_is_refused(
    attention: Attention, dim: int, expected: str
) -> None:
    with pytest.raises(ValueError, match=r"^hidden_dim: expected") as caught:
        Layer(dim, 4, 16, 0.0, 0.0, "post", attention)
    assert expected in str(caught.value)


def test_only_attention_that_turns_pairs_of_features_asks_for_heads_of_even_width() -> None:
    layers = Layers([Layer(12, 4, 16, 0.0, 0.0, "post", "plain")])
    assert layers(torch.randn(1, 2, 12), torch.tensor([2])).shape == (1, 2, 12)
