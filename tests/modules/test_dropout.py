"""Locked dropout: one mask a sentence."""

import pytest
import torch

from nerlab.modules.lstm import LockedDropout


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_a_feature_is_dropped_at_all_tokens_of_a_sentence_or_at_none() -> None:
    dropped = LockedDropout(0.5)(torch.ones(6, 9, 50)) == 0.0
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert 0.3 < dropped.float().mean() < 0.7


def test_sentences_have_masks_of_their_own() -> None:
    masks = LockedDropout(0.5)(torch.ones(6, 2, 50))[:, 0] == 0.0
    assert len({tuple(mask.tolist()) for mask in masks}) == 6


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_what_is_kept_is_scaled_so_that_the_expectation_stays(p: float) -> None:
    output = LockedDropout(p)(torch.full((400, 1, 400), 3.0))
    kept = output[output != 0.0]
    torch.testing.assert_close(kept, torch.full_like(kept, 3.0 / (1.0 - p)))
    assert output.mean().item() == pytest.approx(3.0, rel=0.03)


def test_gradient_passes_where_the_feature_was_kept() -> None:
    x = torch.randn(3, 4, 20, requires_grad=True)
    output = LockedDropout(0.5)(x)
    output.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.where(output != 0.0, 2.0, 0.0))


def test_outside_training_and_at_rate_zero_nothing_changes() -> None:
    x = torch.randn(3, 4, 20)
    assert torch.equal(LockedDropout(0.5).eval()(x), x)
    assert torch.equal(LockedDropout(0.0)(x), x)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_type_of_the_numbers_stays(dtype: torch.dtype) -> None:
    assert LockedDropout(0.5)(torch.ones(2, 3, 4, dtype=dtype)).dtype == dtype
