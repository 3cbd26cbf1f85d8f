"""The decoder without structure, against sums written out."""

import itertools
import math
import re
from typing import Any

import pytest
import torch
from helpers import make_softmax
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nerlab.tags import iobes_tags

TAGS = iobes_tags(["A", "B-C"])


def example(B: int = 3, T: int = 5, K: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(100 * B + 10 * T + K)
    lengths = torch.randint(1, T + 1, (B,), generator=generator)
    emissions = 5 * torch.randn(B, T, K, generator=generator)
    return emissions, lengths, torch.randint(K, (B, T), generator=generator)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 5))
def test_loss_is_the_cross_entropy_of_the_real_tokens(B: int, T: int, K: int) -> None:
    emissions, lengths, tags = example(B, T, K)
    found = make_softmax(TAGS[:K]).nll(emissions, lengths, tags)
    for b in range(B):
        expected = 0.0
        for t in range(int(lengths[b])):
            scores = emissions[b, t].tolist()
            expected += math.log(sum(map(math.exp, scores))) - scores[int(tags[b, t])]
        assert found[b].item() == pytest.approx(expected, rel=1e-5, abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 6),
    st.floats(0, 1),
    st.dictionaries(st.sampled_from(["O", "A", "B-C"]), st.floats(0.01, 100), max_size=3),
)
def test_training_minimises_the_mean_with_weights_and_smoothing(
    B: int, T: int, smoothing: float, weights: dict[str, float]
) -> None:
    emissions, lengths, tags = example(B, T, len(TAGS))
    found = make_softmax(TAGS, smoothing, weights).loss(emissions, lengths, tags)
    of_tags = [weights.get(tag[2:] if tag != "O" else "O", 1.0) for tag in TAGS]
    total = weight = 0.0
    for b, length in enumerate(lengths.tolist()):
        for t in range(length):
            scores = emissions[b, t].tolist()
            z = math.log(sum(map(math.exp, scores)))
            weighted = [w * (z - score) for w, score in zip(of_tags, scores, strict=True)]
            total += (1 - smoothing) * weighted[tags[b, t]] + smoothing / len(TAGS) * sum(weighted)
            weight += of_tags[tags[b, t]]
    assert found.item() == pytest.approx(total / weight, rel=1e-5, abs=1e-5)


def test_without_weights_and_smoothing_the_loss_is_the_likelihood_of_a_token() -> None:
    emissions, lengths, tags = example()
    softmax = make_softmax(TAGS[:4], class_weights={"O": 3, "A": 3.0})
    expected = softmax.nll(emissions, lengths, tags).sum() / lengths.sum()
    for made in (softmax, make_softmax(TAGS[:4])):  # weights that are all alike change nothing
        torch.testing.assert_close(made.loss(emissions, lengths, tags), expected)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"C": 2}, "class_weights.C: no such type; expected some of O, A, B-C"),
        ({"B-A": 2}, "class_weights.B-A: no such type; expected some of O, A, B-C"),
        ({"O": 0}, "class_weights.O=0: expected a number above 0"),
        ({"O": -1.0}, "class_weights.O=-1.0: expected a number above 0"),
        ({"O": math.nan}, "class_weights.O=nan: expected a number above 0"),
        ({"O": math.inf}, "class_weights.O=inf: expected a number above 0"),
        ({"O": "much"}, "class_weights.O=much: expected a number above 0"),
        ({"O": True}, "class_weights.O=True: expected a number above 0"),
        ("balanced", "class_weights=balanced: expected weights by type, {O: 0.5}"),
    ],
)
def test_weights_that_make_no_sense_are_named(weights: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        make_softmax(TAGS, class_weights=weights)


def test_weights_of_types_are_no_weights_of_the_model() -> None:
    assert not make_softmax(TAGS, class_weights={"O": 0.5}).state_dict()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_padding_gets_no_gradient_and_does_not_count(smoothing: float) -> None:
    emissions, _, tags = example()
    lengths = torch.tensor([5, 2, 1])
    padding = torch.arange(5) >= lengths[:, None]
    softmax = make_softmax(TAGS[:4], smoothing, {"A": 2})
    emissions.requires_grad_()
    loss = softmax.loss(emissions, lengths, tags)
    loss.backward()
    assert emissions.grad is not None
    assert not emissions.grad[padding].any()
    assert emissions.grad[~padding].all()
    filled = emissions.masked_fill(padding[..., None], 1e4), lengths, tags.masked_fill(padding, 0)
    assert torch.equal(softmax.loss(*filled), loss)
    nll = softmax.nll(emissions, lengths, tags)
    assert torch.equal(softmax.nll(*filled), nll)


def test_decoding_takes_the_best_tag_of_each_token_and_0_beyond_a_length() -> None:
    emissions, lengths, _ = example()
    found = make_softmax(TAGS[:4]).decode(emissions, lengths)
    for b in range(3):
        for t in range(5):
            scores = emissions[b, t].tolist()
            best = scores.index(max(scores)) if t < lengths[b] else 0
            assert found[b, t] == best


def test_marginals_are_probabilities_of_tokens_and_0_beyond_a_length() -> None:
    emissions, lengths, tags = example()
    softmax = make_softmax(TAGS[:4])
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
    softmax, rounded = make_softmax(TAGS[:4]), emissions.bfloat16()
    for method in (softmax.loss, softmax.nll):
        found = method(rounded, lengths, tags)
        assert found.dtype == torch.float32
        assert torch.equal(found, method(rounded.float(), lengths, tags))


def test_it_has_nothing_to_learn() -> None:
    assert not list(make_softmax(TAGS[:4]).parameters())


def test_tags_beyond_a_length_may_be_any_number() -> None:
    emissions, _, tags = example()
    lengths = torch.tensor([5, 2, 1])
    odd = tags.masked_fill(torch.arange(5) >= lengths[:, None], 99)
    softmax = make_softmax(TAGS[:4])
    assert torch.equal(softmax.nll(emissions, lengths, odd), softmax.nll(emissions, lengths, tags))
    _, log_p = softmax.path_log_probabilities(emissions, lengths, odd)
    assert torch.equal(-log_p.sum(1), softmax.nll(emissions, lengths, tags))


def test_emissions_in_float64_keep_their_digits() -> None:
    emissions, lengths, tags = example()
    found = make_softmax(TAGS[:4]).nll(emissions.double(), lengths, tags)
    expected = torch.stack(
        [
            torch.nn.functional.cross_entropy(e[:n].double(), y[:n], reduction="sum")
            for e, n, y in zip(emissions, lengths, tags, strict=True)
        ]
    )
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 12))
def test_the_best_paths_are_the_first_of_all(B: int, T: int, K: int, k: int) -> None:
    emissions, lengths, _ = example(B, T, K)
    softmax = make_softmax(TAGS[:K])
    found, log_p = softmax.best_paths(emissions, lengths, k)
    for b, length in enumerate(lengths.tolist()):
        paths = torch.tensor(list(itertools.product(range(K), repeat=length)))
        each = emissions[b, :length].log_softmax(1)
        scores = each.expand(len(paths), length, K).gather(2, paths[..., None]).sum((1, 2))
        expected, order = scores.sort(descending=True)
        there = min(k, len(paths))
        assert log_p[:there, b].tolist() == pytest.approx(expected[:there].tolist(), abs=1e-4)
        assert found[:there, b, :length].tolist() == paths[order[:there]].tolist()
        assert log_p[there:, b].tolist() == [-math.inf] * (k - there)
