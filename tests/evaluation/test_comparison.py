"""Runs are grouped by their settings, and the groups have the right numbers and names."""

import statistics
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerlab.evaluation.comparison import (
    TRAINING_DATA,
    Comparison,
    Run,
    compare,
    paired,
    spread,
)
from nerlab.evaluation.randomisation import holm, randomisation_test
from nerlab.evaluation.report import Score, Scores
from nerlab.evaluation.settings import differing, flat, grouped, naming_keys

LSTM = {"model.encoder._target_": "nerlab.modules.lstm.LSTM", "model.encoder.hidden_dim": 32}
TRANSFORMER = {"model.encoder._target_": "nerlab.x.Transformer", "model.encoder.layers": 2}
BASE = {"trainer.epochs": 3, "tracker.project": "x", "run.root": "runs", "data.dir": "data"}


def make_run(
    skill: float,
    settings: Mapping[str, Any] = LSTM,
    seed: int = 1,
    choices: Mapping[str, str] | None = None,
    **more: Any,
) -> Run:
    """A run that finds so many of the spans of 60 sentences."""
    random = np.random.default_rng([seed, int(100 * skill)])
    gold = np.arange(60) % 4
    correct = random.binomial(gold, skill)
    counts = np.stack([correct, correct + random.binomial(1, 0.4, 60)], axis=-1)
    right, given = map(int, counts.sum(axis=0))
    number = int(gold.sum())
    total = Score(right / given, right / number, 2 * right / (number + given), number)
    scores = Scores(total, {"PER": total, "LOC": Score(0.5, 0.5, 0.5, 7)})
    name = f"{skill}-{seed}"
    return Run(
        name, {**BASE, **settings, "seed": seed}, choices or {}, scores, counts, gold, **more
    )


def names(comparison: Comparison) -> list[str]:
    return [group.name for group in comparison.groups]


def test_runs_that_differ_in_their_seed_and_place_alone_are_one_group() -> None:
    runs = [make_run(0.8, seed=seed) for seed in (3, 1, 2)]
    for number, run in enumerate(runs):
        run.settings.update({"run.root": str(number), "data.dir": str(number), "device": number})  # type: ignore[attr-defined]
    comparison = compare(runs)
    (group,) = comparison.groups
    assert [run.seed for run in group.runs] == [1, 2, 3]
    assert (comparison.keys, comparison.tests, comparison.notes) == ([], [], [])
    f1 = [run.scores.total.f1 for run in runs]
    found = group.spread("f1")
    assert found.mean == pytest.approx(statistics.mean(f1))
    assert found.std == pytest.approx(np.std(f1, ddof=1))
    assert found.n == 3


def test_the_groups_are_in_the_order_of_their_f1_and_each_is_tested_against_the_best() -> None:
    runs = [
        make_run(s, {**LSTM, "trainer.lr": s}, seed) for s in (0.5, 0.9, 0.8) for seed in (1, 2)
    ]
    comparison = compare(runs)
    assert comparison.keys == ["trainer.lr"]
    assert names(comparison) == ["0.9", "0.8", "0.5"]
    best = np.stack([run.counts for run in comparison.groups[0].runs])
    expected = []
    for group, test in zip(comparison.groups[1:], comparison.tests, strict=True):
        counts = np.stack([run.counts for run in group.runs])
        assert test.p == randomisation_test(best, counts, runs[0].gold)
        means = [group.spread("f1").mean for group in (comparison.groups[0], group)]
        assert test.difference == pytest.approx(means[0] - means[1])
        expected.append(test.p)
    assert [test.corrected for test in comparison.tests] == holm(expected)


def test_groups_are_named_by_what_was_typed_else_by_the_fewest_settings() -> None:
    configs = [{**LSTM, "trainer.lr": 1}, {**LSTM, "trainer.lr": 2}, TRANSFORMER]
    typed: list[dict[str, str]] = [{"model": "bilstm"}, {"model": "bilstm"}, {}]
    runs = [make_run(0.9 - i / 10, config, 1) for i, config in enumerate(configs)]
    assert [group.settings for group in compare(runs).groups] == [
        {"model.encoder": "LSTM", "trainer.lr": "1"},
        {"model.encoder": "LSTM", "trainer.lr": "2"},
        {"model.encoder": "Transformer", "trainer.lr": "–"},
    ]
    assert [group.settings for group in compare(runs[::2]).groups] == [
        {"model.encoder": "LSTM"},
        {"model.encoder": "Transformer"},
    ]
    runs = [make_run(0.9 - i / 10, configs[i], 1, typed[i]) for i in range(3)]
    assert compare(runs).keys == ["model", "trainer.lr"]
    assert names(compare(runs[::2])) == ["bilstm", "default"]


def test_by_makes_the_groups_of_keys_and_sections_and_says_what_it_mixes() -> None:
    configs = [{**c, "trainer.lr": lr} for c in (LSTM, TRANSFORMER) for lr in (1, 2)]
    runs = [make_run(0.9 - i / 10, config) for i, config in enumerate(configs)]
    for by, expected in (
        (["model.encoder"], ["LSTM", "Transformer"]),
        (["model"], ["LSTM", "Transformer"]),
        (["trainer.lr"], ["1", "2"]),
        (["trainer", "model.encoder._target_"], ["LSTM, 1", "LSTM, 2", "Transformer, 1"]),
        (["trainer.epochs"], ["all runs"]),
    ):
        assert names(compare(runs, by))[:3] == expected
    (note, *_) = compare(runs, ["model"]).notes
    assert note == "runs of one group may differ in more than their seed: trainer.lr"
    seeds = [make_run(0.5, seed=seed) for seed in (1, 2)]
    assert sorted(names(compare(seeds, ["seed"]))) == ["1", "2"]


def test_an_unknown_key_of_by_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"by=model.encodr: .* the nearest is model.encoder$"):
        compare([make_run(0.5)], ["model.encodr"])


def test_training_data_differ_by_their_hash_not_by_the_names_of_files() -> None:
    runs = [make_run(0.9, {"data.train": name}) for name in "ab"]
    assert len(compare(runs).groups) == 2
    for run in runs:
        run.settings[TRAINING_DATA] = "0123"  # type: ignore[index]
    assert len(compare(runs).groups) == 1
    runs[1].settings[TRAINING_DATA] = "4567"  # type: ignore[index]
    assert sorted(names(compare(runs))) == ["0123", "4567"]


def test_doubts_are_said() -> None:
    twice = [make_run(0.8), make_run(0.8)]
    (note,) = compare(twice).notes
    assert note == "all runs: 2 runs of seed 1 with the same score count as 2"
    others = [make_run(0.9, {"x": 1}, 1), make_run(0.9, {"x": 1}, 2), make_run(0.5, {"x": 2}, 1)]
    (note,) = compare(others).notes
    assert note == "1 against 2: the seeds are not the same; tested on 1 pairs of runs"


def test_runs_are_paired_by_seed_else_in_order() -> None:
    a, b = (
        [make_run(s, seed=seed) for seed in seeds]
        for s, seeds in ((0.9, (1, 2, 3)), (0.8, (3, 4, 1)))
    )
    assert [(x.seed, y.seed) for x, y in paired(a, b)] == [(1, 1), (3, 3)]
    c = [make_run(0.7, seed=seed) for seed in (9, 8)]
    assert [(x.seed, y.seed) for x, y in paired(a, c)] == [(1, 8), (2, 9)]


def test_a_type_that_a_run_neither_has_nor_finds_counts_as_zero() -> None:
    runs = [make_run(0.9), make_run(0.9, seed=2)]
    del runs[0].scores.per_type["LOC"]
    assert compare(runs).groups[0].spread("f1", "LOC").mean == 0.25
    assert compare(runs).labels == ["PER", "LOC"]


def test_what_is_unknown_is_left_out_of_a_spread() -> None:
    assert spread([None, None]) is None
    assert spread([None, 2.0]) == (2.0, None, 1)
    assert spread([1.0, None, 3.0]) == pytest.approx((2.0, 2**0.5, 2))


values = st.one_of(st.none(), st.booleans(), st.integers(0, 2), st.just("1"))
settings = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)


@given(st.lists(settings, min_size=1, max_size=6))
def test_groups_are_the_classes_of_equal_settings_and_their_names_differ(
    configs: list[dict[str, Any]],
) -> None:
    def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
        return a == b and all(type(a[key]) is type(b[key]) for key in a)

    groups = grouped(configs, differing(configs))
    assert sorted(i for group in groups for i in group) == list(range(len(configs)))
    for i, a in enumerate(configs):
        for j, b in enumerate(configs):
            together = any({i, j} <= set(group) for group in groups)
            assert together == same(a, b)
    firsts = [configs[group[0]] for group in groups]
    keys = naming_keys(firsts, "abcd")
    assert len(grouped(firsts, keys)) == len(groups)
    for number in range(len(keys)):
        assert len(grouped(firsts, keys[:number])) < len(grouped(firsts, keys[: number + 1]))


def test_sections_are_opened_to_dotted_keys() -> None:
    assert flat({"a": {"b": 1, "c": {"d": [1, {"e": 2}]}}, "f": None, "g": {}}) == {
        "a.b": 1,
        "a.c.d": [1, {"e": 2}],
        "f": None,
    }
