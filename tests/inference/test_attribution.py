"""LIME, occlusion and integrated gradients, of functions whose answer is known."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.spatial.distance import cosine
from sklearn.linear_model import Ridge
from torch import Tensor

from nerlab.inference import attribution
from nerlab.inference.attribution import integrated_gradients, lime, occlusion, weighted_ridge

SIGMA = 0.25
weights_of_words = st.lists(st.integers(-99, 99).map(lambda n: n / 10), min_size=1, max_size=12)
few = settings(max_examples=25)


class Masked:
    """F as a function of tensors ``(N, T)``, and the shares that it was asked for."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function
        self.asked: list[np.ndarray] = []

    def values(self, shares: np.ndarray) -> np.ndarray:
        self.asked.append(shares)
        return self.function(torch.from_numpy(shares)).numpy()

    def gradients(self, shares: np.ndarray) -> np.ndarray:
        z = torch.from_numpy(shares).requires_grad_()
        return torch.autograd.grad(self.function(z).sum(), z)[0].numpy()


def linear(weights: list[float], intercept: float = 0.7) -> Masked:
    return Masked(lambda z: intercept + z @ torch.tensor(weights, dtype=torch.float64))


def curved(words: int = 5) -> Masked:
    """As log p is: near 0 where enough words are there, steep where they are not."""
    generator = torch.Generator().manual_seed(words)
    pairs = torch.randn(words, words, generator=generator, dtype=torch.float64)
    single = 3 * torch.randn(words, generator=generator, dtype=torch.float64)
    return Masked(lambda z: torch.nn.functional.logsigmoid(z @ single + ((z @ pairs) * z).sum(1)))


def draw(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@few
@given(weights_of_words)
def test_all_three_recover_a_linear_function(weights: list[float]) -> None:
    f, T = linear(weights), len(weights)
    assert occlusion(f, T) == pytest.approx(weights, abs=1e-9)
    fitted = lime(f, T, samples=200, kernel_width=SIGMA, ridge=0.0, generator=draw())
    assert fitted.values == pytest.approx(weights, abs=1e-8)
    assert fitted.intercept == pytest.approx(0.7, abs=1e-8)
    assert fitted.r_squared == pytest.approx(1.0)
    for steps in (1, 2, 7):
        found = integrated_gradients(f, T, steps)
        assert found.values == pytest.approx(weights, abs=1e-9)
        assert found.gap == pytest.approx(0.0, abs=1e-9)


def test_occlusion_is_what_a_loop_over_the_words_finds() -> None:
    f, T = curved(), 5
    everything = [1.0] * T
    for t, found in enumerate(occlusion(f, T)):
        without = [*everything[:t], 0.0, *everything[t + 1 :]]
        whole, less = f.values(np.array([everything])), f.values(np.array([without]))
        assert found == pytest.approx((whole - less)[0])


@few
@given(st.integers(1, 8), st.integers(2, 40), st.floats(0.001, 100), st.integers(0, 2**31))
def test_the_regression_is_that_of_scikit_learn(
    T: int, samples: int, ridge: float, seed: int
) -> None:
    generator = draw(seed)
    z = generator.integers(0, 2, (samples, T)).astype(float)
    y, weights = generator.normal(size=samples), generator.random(samples) + 0.01
    values, intercept, r_squared = weighted_ridge(z, y, weights, ridge)
    theirs = Ridge(alpha=ridge).fit(z, y, sample_weight=weights)
    assert values == pytest.approx(theirs.coef_, abs=1e-8)
    assert intercept == pytest.approx(theirs.intercept_, abs=1e-8)
    assert r_squared == pytest.approx(theirs.score(z, y, sample_weight=weights), abs=1e-8)


def test_lime_fits_samples_that_count_by_their_cosine_distance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[tuple[np.ndarray, np.ndarray, np.ndarray, float]] = []

    def note(z: np.ndarray, y: np.ndarray, weights: np.ndarray, ridge: float) -> object:
        given.append((z, y, weights, ridge))
        return weighted_ridge(z, y, weights, ridge)

    monkeypatch.setattr(attribution, "weighted_ridge", note)
    f, T = curved(), 5
    lime(f, T, samples=3000, kernel_width=SIGMA, ridge=2.0, generator=draw())
    ((z, y, weights, ridge),) = given
    assert ridge == 2.0
    assert y == pytest.approx(f.values(z))
    for sample, weight in zip(z[:100], weights, strict=False):
        distance = cosine(sample, np.ones(T)) if sample.any() else 1.0
        assert weight == pytest.approx(np.exp(-(distance**2) / (2 * SIGMA**2)))
    # The sentence itself, then from 1 to T masked words, as often each number and each word.
    assert z[0].tolist() == [1.0] * T
    masked = (z[1:] == 0).sum(1)
    assert np.bincount(masked, minlength=T + 1) == pytest.approx([0, *[600] * T], abs=100)
    assert (z[1:] == 0).mean(0) == pytest.approx([0.6] * T, abs=0.05)


def test_lime_looks_at_no_mask_twice_and_repeats_itself_with_the_same_seed() -> None:
    f, T = curved(3), 3
    first, again, other = (lime(f, T, 500, SIGMA, 1.0, draw(seed)) for seed in (1, 1, 2))
    assert all(len(asked) <= 2**T for asked in f.asked)
    assert first.values.tolist() == again.values.tolist() != other.values.tolist()
    assert first.r_squared < 1.0


def test_lime_of_what_does_not_depend_on_the_words_is_nothing() -> None:
    for T in (1, 4):
        values, intercept, r_squared, _ = lime(linear([0.0] * T), T, 50, SIGMA, 1.0, draw())
        assert values == pytest.approx([0.0] * T)
        assert intercept == pytest.approx(0.7)
        assert r_squared == 1.0


def test_integrated_gradients_are_the_integral_of_finite_differences() -> None:
    f, T, h = curved(), 5, 1e-6
    found = integrated_gradients(f, T, 40).values
    for t in range(T):

        def slope(a: float, t: int = t) -> float:
            z = np.full((2, T), a)
            z[:, t] += (-h, h)
            low, high = f.values(z)
            return float(high - low) / (2 * h)

        assert found[t] == pytest.approx(quad(slope, 0, 1)[0], abs=1e-6)


def test_the_completeness_gap_shrinks_with_more_steps() -> None:
    f, T = curved(), 5
    gaps = [abs(integrated_gradients(f, T, steps).gap) for steps in (1, 4, 16, 64)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0.1
    assert gaps[-1] < 1e-9
    values, gap, steps = integrated_gradients(f, T, 4)
    masked, whole = f.values(np.stack([np.zeros(T), np.ones(T)]))
    assert values.sum() - gap == pytest.approx(whole - masked)
    assert steps == 4
