"""Several runs on the same test data: means over seeds, and tests of their differences."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from statistics import mean, stdev
from typing import NamedTuple

import numpy as np

from nerlab.evaluation.randomisation import f1_of, holm, randomisation_test
from nerlab.evaluation.report import Score, Scores
from nerlab.evaluation.settings import (
    NO_SETTINGS,
    Settings,
    differing,
    grouped,
    in_reading_order,
    is_in,
    naming_keys,
    shown_key,
    shown_value,
)

TRAINING_DATA = "training data"  # a setting: the beginning of its hash
_NOTHING = Score(0.0, 0.0, 0.0, 0)


@dataclass(frozen=True, eq=False)
class Run:
    """A scored run: its settings by dotted key, the files of ``conf/`` that were chosen when it was
    begun (``model`` and the like), and what it found in each of the N sentences."""

    name: str
    settings: Settings
    choices: Mapping[str, str]
    scores: Scores
    counts: np.ndarray  # (N, 2) correct and predicted spans
    gold: np.ndarray  # (N,) gold spans
    parameters: int | None = None
    seconds: float | None = None

    @property
    def seed(self) -> int:
        """What its random numbers were drawn from."""
        return int(self.settings["seed"])

    def score(self, label: str | None) -> Score:
        """That of a type, or of all spans together."""
        return self.scores.total if label is None else self.scores.per_type.get(label, _NOTHING)


class Spread(NamedTuple):
    """Mean and standard deviation (n - 1 in the denominator; None for one number) of n numbers."""

    mean: float
    std: float | None
    n: int


def spread(values: Sequence[float | None]) -> Spread | None:
    """That of the numbers that are known; None if there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Spread(mean(known), stdev(known) if len(known) > 1 else None, len(known))


class Group(NamedTuple):
    """Runs that differ in their seed alone, and the settings that tell them from other groups."""

    settings: dict[str, str]
    runs: list[Run]

    @property
    def name(self) -> str:
        """The values of the settings."""
        return ", ".join(self.settings.values()) or "all runs"

    def spread(self, metric: str, label: str | None = None) -> Spread:
        """Of precision, recall or f1, of a type or of all spans together."""
        found = spread([getattr(run.score(label), metric) for run in self.runs])
        assert found is not None
        return found


class PairedTest(NamedTuple):
    """The best group against another: its mean F1 less that of the other over the pairs of runs,
    the p-value, and what it is after Holm's correction for all tests of the comparison."""

    pairs: list[tuple[Run, Run]]
    difference: float
    p: float
    corrected: float


@dataclass(frozen=True)
class Comparison:
    """Groups, the best F1 first, and the test of the best one against each of the others."""

    groups: list[Group]
    tests: list[PairedTest]  # of groups[1:]
    differing: list[str]  # the keys in which groups differ
    labels: list[str]  # the most frequent type first
    sentences: int
    notes: list[str] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        """The settings that tell the groups apart."""
        return list(self.groups[0].settings)


def compare(runs: Sequence[Run], by: Sequence[str] = ()) -> Comparison:
    """Group runs on the same sentences and compare the groups.

    Without ``by`` runs are in one group if their settings are the same but for the seed and what
    changes no result; with it if they agree in these keys or sections. Each group is tested against
    the one with the best mean F1 (:func:`randomisation_test`).

    Raises:
        ValueError: a key of ``by`` is unknown.
    """
    notes: list[str] = []
    configs = [run.settings for run in runs]
    keys = _grouping_keys(configs, by, notes)
    members = [[runs[i] for i in numbers] for numbers in grouped(configs, keys)]
    names = _names([found[0].settings for found in members], keys, members, by)
    groups = [Group(name, found) for name, found in zip(names, members, strict=True)]
    groups.sort(key=lambda group: -group.spread("f1").mean)
    for group in groups:
        group.runs.sort(key=lambda run: run.seed)
        notes += _doubts(group)
    tests = _tests(groups, notes)
    found = {label for run in runs for label in run.scores.per_type}
    labels = sorted(found, key=lambda x: (-max(run.score(x).support for run in runs), x))
    return Comparison(groups, tests, in_reading_order(keys), labels, len(runs[0].gold), notes)


def _grouping_keys(configs: Sequence[Settings], by: Sequence[str], notes: list[str]) -> list[str]:
    differ = differing(configs)
    relevant = [key for key in differ if not is_in(key, NO_SETTINGS)]
    if all(TRAINING_DATA in config for config in configs):
        # However a file is named and read, its hash says whether the data are the same.
        relevant = [key for key in relevant if not is_in(key, ["data"])]
    if not by:
        return relevant
    known = set[str]().union(*configs)
    for section in by:
        if not any(is_in(key, [section]) for key in known):
            sections = {key[:end] for key in known for end in _ends(key)}
            near = get_close_matches(section, sections, n=1, cutoff=0.6)
            advice = f"the nearest is {near[0]}" if near else "config.yaml of a run lists them"
            raise ValueError(f"by={section}: no run has such a key; {advice}")
    if left := [key for key in relevant if not is_in(key, by)]:
        shown = ", ".join(map(shown_key, left[:5])) + ", ..." * (len(left) > 5)
        notes.append(f"runs of one group may differ in more than their seed: {shown}")
    return [key for key in differ if is_in(key, by)]


def _ends(key: str) -> list[int]:
    return [i for i, sign in enumerate(key) if sign == "."] + [len(key)]


def _names(
    settings: Sequence[Settings], keys: list[str], members: list[list[Run]], by: Sequence[str]
) -> list[dict[str, str]]:
    """Of each group what tells it from the others, in the words that were typed if possible."""
    chosen: list[dict[str, str]] = [{} for _ in members]
    for key in sorted({key for found in members for run in found for key in run.choices}):
        values = [{run.choices.get(key, "default") for run in found} for found in members]
        is_asked = not by or is_in(key.replace("/", "."), by)
        if is_asked and all(len(value) == 1 for value in values):
            for group, value in zip(chosen, values, strict=True):
                group[key] = value.pop()
    both = [{**found, **words} for found, words in zip(settings, chosen, strict=True)]
    candidates = [*sorted(chosen[0]), *in_reading_order(keys)]
    naming = naming_keys(both, candidates)
    return [{shown_key(key): shown_value(found, key) for key in naming} for found in both]


def _doubts(group: Group) -> Iterable[str]:
    """Why the standard deviation of a group may say less than it seems."""
    for seed, times in Counter(run.seed for run in group.runs).items():
        if times > 1 and len({run.scores.total for run in group.runs if run.seed == seed}) == 1:
            yield f"{group.name}: {times} runs of seed {seed} with the same score count as {times}"


def _tests(groups: Sequence[Group], notes: list[str]) -> list[PairedTest]:
    best, found = groups[0], list[PairedTest]()
    for other in groups[1:]:
        pairs = paired(best.runs, other.runs)
        left = len(best.runs) + len(other.runs) - 2 * len(pairs)
        if any(a.seed != b.seed for a, b in pairs) or left:
            notes.append(
                f"{best.name} against {other.name}: the seeds are not the same; tested on "
                f"{len(pairs)} pairs of runs"
            )
        first, second = (np.stack([pair[side].counts for pair in pairs]) for side in (0, 1))
        gold = pairs[0][0].gold
        total = int(gold.sum())
        f1 = [f1_of(counts.sum(axis=1), total).mean() for counts in (first, second)]
        p = randomisation_test(first, second, gold)
        found.append(PairedTest(pairs, float(f1[0] - f1[1]), p, p))
    corrected = holm([test.p for test in found])
    return [test._replace(corrected=p) for test, p in zip(found, corrected, strict=True)]


def paired(first: Sequence[Run], second: Sequence[Run]) -> list[tuple[Run, Run]]:
    """Runs of two groups with the same seed; if no seed is in both, runs in order of the seed."""
    pairs = []
    for seed in sorted({run.seed for run in first}):
        both = ([run for run in runs if run.seed == seed] for runs in (first, second))
        pairs += list(zip(*both, strict=False))
    by_seed = (sorted(runs, key=lambda run: run.seed) for runs in (first, second))
    return pairs or list(zip(*by_seed, strict=False))
