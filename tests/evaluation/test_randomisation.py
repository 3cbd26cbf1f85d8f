"""The randomisation test against all swaps written out, against scipy, and Holm by its rule."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test

from nerlab.evaluation.randomisation import f1_of, holm, randomisation_test


def draw(
    seed: int, runs: int, sentences: int, skill: float = 0.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts of two systems, the second of which is right less often."""
    random = np.random.default_rng(seed)
    gold = random.integers(0, 4, sentences)
    systems = []
    for share in (0.7, skill):
        correct = random.binomial(gold, share, size=(runs, sentences))
        wrong = random.binomial(2, 0.3, size=(runs, sentences))
        systems.append(np.stack([correct, correct + wrong], axis=-1))
    return systems[0], systems[1], gold


def micro_f1(counts: np.ndarray, gold: np.ndarray) -> float:
    """F1 of one run by precision and recall."""
    correct, predicted = counts.sum(axis=0)
    if not correct:
        return 0.0
    precision, recall = correct / predicted, correct / gold.sum()
    return float(2 * precision * recall / (precision + recall))


def enumerated(first: np.ndarray, second: np.ndarray, gold: np.ndarray) -> float:
    """The share of all 2^N ways to swap sentences whose difference is as large as that found."""

    def difference(a: np.ndarray, b: np.ndarray) -> float:
        means = [np.mean([micro_f1(run, gold) for run in runs]) for runs in (a, b)]
        return abs(float(means[0] - means[1]))

    found, as_large = difference(first, second), 0
    for swaps in product([False, True], repeat=len(gold)):
        swap = np.array(swaps)[None, :, None]
        shuffled = (np.where(swap, second, first), np.where(swap, first, second))
        as_large += difference(*shuffled) >= found - 1e-12
    return as_large / 2 ** len(gold)


@pytest.mark.parametrize(
    ("seed", "runs", "sentences"), [(1, 1, 8), (2, 1, 9), (3, 3, 8), (4, 2, 7), (5, 3, 9)]
)
def test_the_p_value_is_that_of_all_swaps(seed: int, runs: int, sentences: int) -> None:
    systems = draw(seed, runs, sentences)
    expected = enumerated(*systems)
    deviation = np.sqrt(expected * (1 - expected) / 40_000)
    assert abs(randomisation_test(*systems, rounds=40_000) - expected) <= 4 * deviation + 1e-4


def test_one_run_a_system_is_what_scipy_says() -> None:
    first, second, gold = draw(11, 1, 10)

    def difference(a: np.ndarray, b: np.ndarray) -> float:
        places = (a.astype(int), b.astype(int))
        counts = [np.where(side[:, None] == 0, first[0], second[0]) for side in places]
        return abs(micro_f1(counts[0], gold) - micro_f1(counts[1], gold))

    sides = (np.zeros(10), np.ones(10))
    options = {"permutation_type": "samples", "n_resamples": np.inf, "alternative": "greater"}
    expected = permutation_test(sides, difference, vectorized=False, **options).pvalue
    found = randomisation_test(first, second, gold, rounds=40_000)
    assert found == pytest.approx(expected, abs=0.01)
    assert expected == pytest.approx(enumerated(first, second, gold))


def test_runs_are_swapped_together() -> None:
    """Three copies of one run say no more than the run itself."""
    first, second, gold = draw(6, 1, 60, skill=0.45)
    alone = randomisation_test(first, second, gold)
    assert 0.01 < alone < 0.5
    copies = [np.repeat(counts, 3, axis=0) for counts in (first, second)]
    assert randomisation_test(copies[0], copies[1], gold) == alone


def test_equal_systems_have_a_p_value_of_one() -> None:
    first, _, gold = draw(7, 2, 30)
    assert randomisation_test(first, first, gold) == 1.0
    nothing = np.zeros((1, 3, 2), int)
    assert randomisation_test(nothing, nothing, np.zeros(3, int)) == 1.0


def test_a_large_difference_has_the_smallest_p_value_that_the_rounds_can_show() -> None:
    assert randomisation_test(*draw(8, 3, 500, skill=0.1), rounds=999) == 0.001


def test_the_order_of_systems_and_of_sentences_does_not_matter() -> None:
    first, second, gold = draw(9, 2, 50, skill=0.65)
    found = randomisation_test(first, second, gold)
    backwards = randomisation_test(first[:, ::-1], second[:, ::-1], gold[::-1])
    assert backwards == found == randomisation_test(first, second, gold)
    assert randomisation_test(second, first, gold) == pytest.approx(found, abs=0.03)


def test_under_the_null_hypothesis_p_values_are_spread_evenly() -> None:
    found = [randomisation_test(*draw(seed, 1, 80, 0.7), rounds=300) for seed in range(200)]
    assert np.mean(np.array(found) <= 0.1) == pytest.approx(0.1, abs=0.07)
    assert np.mean(found) == pytest.approx(0.5, abs=0.08)


def test_f1_without_spans_is_zero() -> None:
    assert f1_of(np.array([[0, 0], [1, 1]]), np.array([0, 3])).tolist() == [0.0, 0.5]


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0, 1))
def test_holm_rejects_what_its_rule_rejects(p_values: list[float], level: float) -> None:
    rejected = set()
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if (len(p_values) - rank) * p_values[index] > level:
            break
        rejected.add(index)
    assert {i for i, p in enumerate(holm(p_values)) if p <= level} == (
        rejected if level < 1 else set(range(len(p_values)))
    )


def test_one_p_value_stays_and_several_grow() -> None:
    assert holm([0.03]) == [0.03]
    assert holm([0.03, 0.01, 0.04]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []
