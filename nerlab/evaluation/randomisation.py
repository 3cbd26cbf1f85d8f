"""Is the difference in F1 between two systems significant? Approximate randomisation."""

from collections.abc import Sequence

import numpy as np

ROUNDS = 10_000
_SEED = 1
_PATTERNS = 256  # drawn at once: 20 MB for 10,000 rounds
_TIE = 1e-12  # rounding of floats


def f1_of(counts: np.ndarray, gold: np.ndarray | int) -> np.ndarray:
    """F1 = 2c / (g + p) of correct and predicted spans ``(..., 2)``, 0 where there are no spans."""
    correct, spans = counts[..., 0], gold + counts[..., 1]
    return np.where(spans > 0, 2 * correct / np.maximum(spans, 1), 0.0)


def randomisation_test(
    first: np.ndarray, second: np.ndarray, gold: np.ndarray, rounds: int = ROUNDS
) -> float:
    """The two-sided p-value of the difference in F1 between two systems on the same sentences.

    Under the null hypothesis the two are exchangeable on each sentence. A round swaps what they
    found in a sentence with probability 1/2, in all runs at once, since runs of one system tend to
    err on the same sentences; the statistic is t = |mean_s F1(first_s) - mean_s F1(second_s)|,
    where F1 is that of all spans together (micro average), and

        p = (1 + number of rounds with t_round >= t) / (1 + rounds).

    Sentences in which both counts differ by the same amounts count alike, so a round draws how many
    of each kind are swapped, from a binomial distribution: the same p in a hundredth of the time.
    The random numbers are seeded: the same counts have the same p.

    Args:
        first, second: ``(S, N, 2)`` correct and predicted spans of S runs in N sentences.
        gold: ``(N,)`` gold spans.
        rounds: R, of which 10,000 give a standard error of p of at most 0.005.

    Source: Noreen 1989, Computer-Intensive Methods for Testing Hypotheses; Yeh 2000, More accurate
    tests for the statistical significance of result differences.
    """
    runs, total = len(first), int(gold.sum())
    changes = (second.astype(np.int64) - first).transpose(1, 0, 2).reshape(len(gold), 2 * runs)
    kinds, times = np.unique(changes[changes.any(axis=1)], axis=0, return_counts=True)
    shifts = np.zeros((rounds, 2 * runs))
    generator = np.random.default_rng(_SEED)
    for start in range(0, len(kinds), _PATTERNS):
        block = slice(start, start + _PATTERNS)
        swapped = generator.binomial(times[block], 0.5, size=(rounds, len(times[block])))
        shifts += swapped @ kinds[block].astype(float)

    def difference(shift: np.ndarray) -> np.ndarray:  # (R, S, 2) -> (R,)
        ours, theirs = first.sum(axis=1) + shift, second.sum(axis=1) - shift
        return np.abs((f1_of(ours, total) - f1_of(theirs, total)).mean(axis=-1))

    observed = difference(np.zeros((1, runs, 2)))
    as_large = int((difference(shifts.reshape(rounds, runs, 2)) >= observed - _TIE).sum())
    return (1 + as_large) / (1 + rounds)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of several tests, each raised so that to reject those up to α keeps the probability
    of any false rejection at α: the k-th smallest of m times m - k + 1, at least the one before it
    and at most 1 (Holm 1979, A simple sequentially rejective multiple test procedure)."""
    adjusted, least = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = least
    return adjusted
