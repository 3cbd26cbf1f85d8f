"""What every encoder does; the LSTM against torch's over packed sequences."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nerlab.modules.identity import Identity
from nerlab.modules.lstm import LSTM
from nerlab.modules.transformer import Transformer

INPUT_DIM = 6


def make_lstm(layers: int = 2, bidirectional: bool = True, dropout: float = 0.0) -> LSTM:
    torch.manual_seed(0)
    return LSTM(INPUT_DIM, 8, layers, bidirectional, dropout).double()


def make_transformer() -> Transformer:
    torch.manual_seed(0)
    return Transformer(INPUT_DIM, 8, 2, 2, 16, 0.0, 0.0, "pre", "rotary", 512).double()


encoders = pytest.mark.parametrize(
    "encoder",
    [
        pytest.param(make_lstm(), id="bilstm"),
        pytest.param(make_lstm(bidirectional=False), id="lstm"),
        pytest.param(make_transformer(), id="transformer"),
        pytest.param(Identity(INPUT_DIM), id="none"),
    ],
)


def sentences(lengths: list[int], seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(
        len(lengths), max(lengths), INPUT_DIM, generator=generator, dtype=torch.float64
    )


@encoders
@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4), columns=st.integers(0, 3))
def test_a_sentence_alone_is_encoded_as_in_a_batch_whatever_the_padding_holds(
    encoder: nn.Module, lengths: list[int], columns: int
) -> None:
    x = nn.functional.pad(sentences(lengths), (0, 0, 0, columns), value=7.0)
    together = encoder(x, torch.tensor(lengths))
    assert together.shape == (*x.shape[:2], encoder.output_dim)
    for b, length in enumerate(lengths):
        alone = encoder(x[b : b + 1, :length], torch.tensor([length]))
        torch.testing.assert_close(together[b, :length], alone[0])


@encoders
def test_padding_gets_no_gradient(encoder: nn.Module) -> None:
    x, lengths = sentences([5, 2]).requires_grad_(), torch.tensor([5, 2])
    encoded = encoder(x, lengths)
    (encoded[0].sum() + encoded[1, :2].square().sum()).backward()
    assert x.grad is not None
    assert not x.grad[1, 2:].any()
    assert x.grad[1, :2].any()


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 3),
    st.booleans(),
    st.lists(st.integers(1, 8), min_size=1, max_size=4),
    st.integers(0, 2**31),
)
def test_lstm_computes_what_torch_does_over_packed_sequences(
    layers: int, bidirectional: bool, lengths: list[int], seed: int
) -> None:
    ours = make_lstm(layers, bidirectional)
    hidden = ours.output_dim // (2 if bidirectional else 1)
    baseline = nn.LSTM(
        INPUT_DIM, hidden, layers, batch_first=True, bidirectional=bidirectional
    ).double()
    for name, values in ours.named_parameters():  # layers.1.backwards.weight_ih_l0, say
        _, layer, direction, parameter = name.split(".")
        suffix = "_reverse" if direction == "backwards" else ""
        getattr(baseline, parameter[:-1] + layer + suffix).data.copy_(values)
    x = sentences(lengths, seed).requires_grad_()
    packed = pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(baseline(packed)[0], batch_first=True)
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None])[..., None]
    found = ours(x, torch.tensor(lengths)) * mask
    torch.testing.assert_close(found, expected)
    weights = torch.linspace(-1.0, 1.0, found.numel(), dtype=torch.float64).view_as(found)
    (gradient,) = torch.autograd.grad((found * weights).sum(), x)
    (by_torch,) = torch.autograd.grad((expected * weights).sum(), x)
    torch.testing.assert_close(gradient, by_torch)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_only_an_lstm_in_two_directions_sees_the_future(bidirectional: bool) -> None:
    encoder, lengths = make_lstm(bidirectional=bidirectional), torch.tensor([7])
    x = sentences([7])
    changed = x.clone()
    changed[0, 4] += 1.0
    differs = (encoder(x, lengths) != encoder(changed, lengths)).any(2)[0]
    assert differs.tolist() == [bidirectional] * 4 + [True] * 3


def test_lstm_has_locked_dropout_between_its_layers_alone() -> None:
    encoder = make_lstm(layers=2, bidirectional=False, dropout=1.0 - 1e-9)
    x, lengths = sentences([4]), torch.tensor([4])
    nothing = torch.zeros(1, 4, 8, dtype=torch.float64)
    second = encoder.layers[1].get_submodule("forwards")
    torch.testing.assert_close(encoder(x, lengths), second(nothing)[0])
    torch.testing.assert_close(encoder.eval()(x, lengths), make_lstm(2, False)(x, lengths))
    one_layer = make_lstm(layers=1, dropout=1.0 - 1e-9)
    torch.testing.assert_close(one_layer(x, lengths), make_lstm(layers=1)(x, lengths))


def test_lstm_begins_with_its_forget_gate_open_and_all_other_biases_zero() -> None:
    lstms = [module for module in make_lstm().modules() if isinstance(module, nn.LSTM)]
    assert len(lstms) == 4
    for weights in (dict(lstm.named_parameters()) for lstm in lstms):
        biases = weights["bias_ih_l0"] + weights["bias_hh_l0"]
        gates = biases.view(4, -1)  # input, forget, cell, output
        expected = torch.tensor([0.0, 1.0, 0.0, 0.0], dtype=torch.float64)
        assert torch.equal(gates, expected[:, None].expand_as(gates))
        for gate in weights["weight_hh_l0"].chunk(4):
            identity = torch.eye(len(gate), dtype=torch.float64)
            torch.testing.assert_close(gate @ gate.T, identity, rtol=1e-5, atol=1e-5)


def test_an_odd_width_cannot_be_shared_by_two_directions() -> None:
    with pytest.raises(ValueError, match=r"hidden_dim: expected an even number, found 7"):
        LSTM(INPUT_DIM, 7, 1, True, 0.0)
    assert LSTM(INPUT_DIM, 7, 1, False, 0.0).output_dim == 7


def test_no_encoder_leaves_the_embeddings_as_they_are() -> None:
    x = sentences([3, 2])
    encoder = Identity(INPUT_DIM)
    assert encoder(x, torch.tensor([3, 2])) is x
    assert encoder.output_dim == INPUT_DIM
