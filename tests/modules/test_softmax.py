"""The decoder without structure, against sums written out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nerlab.modules.softmax import Softmax


def make_softmax(K: int) -> Softmax:
    return Softmax(torch.zeros(K).bool(), torch.zeros(K, K).bool(), torch.zeros(K).bool())


def example(B: int = 3, T: int = 5, K: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(100 * B + 10 * T + K)
    lengths = torch.randint(1, T + 1, (B,), generator=generator)
    emissions = 5 * torch.randn(B, T, K, generator=generator)
    return emissions, lengths, torch.randint(K, (B, T), generator=generator)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 5))
def test_loss_is_the_cross_entropy_of_the_real_tokens(B: int, T: int, K: int) -> None:
    emissions, lengths, tags = example(B, T, K)
    found = make_softmax(K).nll(emissions, lengths, tags)
    for b in range(B):
        expected = 0.0
        for t in range(int(lengths[b])):
            scores = emissions[b, t].tolist()
            expected += math.log(sum(map(math.exp, scores))) - scores[int(tags[b, t])]
        assert found[b].item() == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_padding_gets_no_gradient_and_does_not_count() -> None:
    emissions, _, tags = example()
    lengths = torch.tensor([5, 2, 1])
    padding = torch.arange(5) >= lengths[:, None]
    softmax = make_softmax(4)
    emissions.requires_grad_()
    loss = softmax.nll(emissions, lengths, tags)
    loss.sum().backward()
    assert emissions.grad is not None
    assert not emissions.grad[padding].any()
    assert emissions.grad[~padding].all()
    filled = emissions.masked_fill(padding[..., None], 1e4), lengths, tags.masked_fill(padding, 0)
    assert torch.equal(softmax.nll(*filled), loss)


def test_decoding_takes_the_best_tag_of_each_token_and_0_beyond_a_length() -> None:
    emissions, lengths, _ = example()
    found = make_softmax(4).decode(emissions, lengths)
    for b in range(3):
        for t in range(5):
            scores = emissions[b, t].tolist()
            best = scores.index(max(scores)) if t < lengths[b] else 0
            assert found[b, t] == best


def test_marginals_are_probabilities_of_tokens_and_0_beyond_a_length() -> None:
    emissions, lengths, tags = example()
    softmax = make_softmax(4)
    marginals = softmax.marginals(emissions, lengths)
    one, other = softmax.path_log_probabilities(emissions, lengths, tags)
    assert torch.equal(one, other)
    for b in range(3):
        for t in range(5):
            if t >= lengths[b]:
                assert not marginals[b, t].any()
                continue
            weights = emissions[b, t].double().exp()
            expected = (weights / weights.sum()).float()
            torch.testing.assert_close(marginals[b, t], expected)
            torch.testing.assert_close(one[b, t].exp(), expected[tags[b, t]])


def test_loss_of_bfloat16_is_computed_in_float32() -> None:
    emissions, lengths, tags = example()
    found = make_softmax(4).nll(emissions.bfloat16(), lengths, tags)
    assert found.dtype == torch.float32
    assert torch.equal(found, make_softmax(4).nll(emissions.bfloat16().float(), lengths, tags))


def test_it_has_nothing_to_learn() -> None:
    assert not list(make_softmax(4).parameters())


def test_tags_beyond_a_length_may_be_any_number() -> None:
    emissions, _, tags = example()
    lengths = torch.tensor([5, 2, 1])
    odd = tags.masked_fill(torch.arange(5) >= lengths[:, None], 99)
    softmax = make_softmax(4)
    assert torch.equal(softmax.nll(emissions, lengths, odd), softmax.nll(emissions, lengths, tags))
    _, log_p = softmax.path_log_probabilities(emissions, lengths, odd)
    assert torch.equal(-log_p.sum(1), softmax.nll(emissions, lengths, tags))


def test_emissions_in_float64_keep_their_digits() -> None:
    emissions, lengths, tags = example()
    found = make_softmax(4).nll(emissions.double(), lengths, tags)
    expected = torch.stack(
        [
            torch.nn.functional.cross_entropy(e[:n].double(), y[:n], reduction="sum")
            for e, n, y in zip(emissions, lengths, tags, strict=True)
        ]
    )
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)
