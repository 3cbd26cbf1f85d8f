"""Which words a number that a model gives rests on: three answers.

All ask the same function, ``F(z)``: the number, where of each word t the share ``z_t`` is there;
1 is the word, 0 that it is masked. The sentence is ``F(1, …, 1)``. What F is: :mod:`.masking`.
"""

from typing import NamedTuple, Protocol

import numpy as np


class Function(Protocol):
    """F of T words, for several shares at once."""

    def values(self, shares: np.ndarray) -> np.ndarray:
        """``F(z)`` ``(N,)`` of shares ``(N, T)``."""

    def gradients(self, shares: np.ndarray) -> np.ndarray:
        """``∂F/∂z_t`` ``(N, T)`` at shares ``(N, T)``."""


class Lime(NamedTuple):
    """A linear function of which words are there, ``intercept + Σ_t values_t z_t``, fitted to so
    many masked sentences, and which share of their (weighted) variance it explains: R²."""

    values: np.ndarray
    intercept: float
    r_squared: float
    samples: int


class IntegratedGradients(NamedTuple):
    """Values that add up to ``F(1) - F(0)``, but for ``gap``, the error of an integration in so
    many steps: their sum less that difference."""

    values: np.ndarray
    gap: float
    steps: int


def occlusion(f: Function, words: int) -> np.ndarray:
    """``F(1) - F(1 - e_t)`` ``(T,)``: how far F falls where word t alone is masked (Zeiler and
    Fergus 2014; of words, Li et al. 2016)."""
    found = f.values(np.concatenate([np.ones((1, words)), 1.0 - np.eye(words)]))
    return found[0] - found[1:]


def lime(
    f: Function,
    words: int,
    samples: int,
    kernel_width: float,
    ridge: float,
    generator: np.random.Generator,
) -> Lime:
    """The linear function that is nearest to F around the sentence (Ribeiro et al. 2016).

    Of each sample, 1 to T words that are drawn at random are masked; how many is drawn too. The
    sentence itself is one more. A sample z counts by how near it is,

        π(z) = exp(-D(z)² / 2σ²),   D(z) = 1 - sqrt(Σ_t z_t / T),

    D being the cosine distance of z from the sentence, and the values w minimise

        Σ_z π(z) (F(z) - b - Σ_t w_t z_t)² + λ Σ_t w_t².

    Args:
        f: F.
        words: T.
        samples: masked sentences.
        kernel_width: σ.
        ridge: λ; the intercept b is not held down.
        generator: draws the masks.
    """
    masked = generator.integers(1, words, size=samples, endpoint=True)
    ranks = generator.random((samples, words)).argsort(1).argsort(1)
    z = np.concatenate([np.ones((1, words)), ranks >= masked[:, None]])
    distinct, which = np.unique(z, axis=0, return_inverse=True)
    y = f.values(distinct)[which.reshape(-1)]
    distance = 1.0 - np.sqrt(z.mean(1))
    weights = np.exp(-(distance**2) / (2.0 * kernel_width**2))
    return Lime(*weighted_ridge(z, y, weights, ridge), samples)


def weighted_ridge(
    z: np.ndarray, y: np.ndarray, weights: np.ndarray, ridge: float
) -> tuple[np.ndarray, float, float]:
    """Values, intercept and R² of the ridge regression of ``y (N,)`` on ``z (N, T)`` with
    ``weights (N,)``. R² is 1 where all y are alike."""
    means = np.average(z, axis=0, weights=weights), np.average(y, weights=weights)
    root = np.sqrt(weights)
    centred_z, centred_y = root[:, None] * (z - means[0]), root * (y - means[1])
    words = z.shape[1]
    # As least squares with T more rows, which needs no inverse and so none that exists.
    rows = np.concatenate([centred_z, np.sqrt(ridge) * np.eye(words)])
    values = np.linalg.lstsq(rows, np.concatenate([centred_y, np.zeros(words)]), rcond=None)[0]
    total, left = (centred_y**2).sum(), ((centred_y - centred_z @ values) ** 2).sum()
    intercept = means[1] - means[0] @ values
    return values, float(intercept), float(1.0 - left / total) if np.ptp(y) else 1.0


def integrated_gradients(f: Function, words: int, steps: int) -> IntegratedGradients:
    """``∫_0^1 ∂F/∂z_t (a, …, a) da`` ``(T,)`` (Sundararajan et al. 2017).

    Where F mixes the vectors of a word and of the unknown word, ``x_t = u + z_t (x̂_t - u)``, that
    is the sum over the features of x̂_t of the integrated gradients from the baseline u.

    Args:
        f: F.
        words: T.
        steps: points of the Gauss-Legendre quadrature, exact for polynomials up to the degree
            ``2 steps - 1``.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)  # on -1 to 1
    gradients = f.gradients(np.repeat((nodes[:, None] + 1.0) / 2.0, words, axis=1))
    values = weights @ gradients / 2.0
    masked, whole = f.values(np.stack([np.zeros(words), np.ones(words)]))
    return IntegratedGradients(values, float(values.sum() - (whole - masked)), steps)
