"""A comparison of runs as one HTML page."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from nerlab import tags
from nerlab.evaluation.comparison import Comparison
from nerlab.evaluation.differences import KINDS, Difference, differences
from nerlab.evaluation.files import PREDICTIONS, read_predictions
from nerlab.evaluation.predictions import Prediction
from nerlab.evaluation.settings import shown_key, shown_value
from nerlab.reports.comparison import grids, notes
from nerlab.reports.look import Piece, Span, colors_of, cut_tokens, environment
from nerlab.reports.tables import label_name

_MOST_PAIRS = 8
_MOST_SENTENCES = 240  # on a page, over all pairs
_MOST_CHARACTERS = 400_000  # in them
_LONGEST = 2_000  # characters of a sentence


class Shown(NamedTuple):
    """A sentence on the page: its number, and it as gold and both runs, A and B, have it."""

    sentence: int
    versions: dict[str, list[Piece]]


class Pair(NamedTuple):
    """Two runs, how many sentences are of each kind of difference, and some of them by kind."""

    names: tuple[str, str]
    groups: tuple[str, str]
    counts: list[int]
    shown: list[list[Shown]]
    left: int


def page(comparison: Comparison, split: str, folders: Mapping[str, Path], output: Path) -> str:
    """The page, for a file in the folder ``output``; ``folders`` are those of the runs by name."""
    runs = [run for group in comparison.groups for run in group.runs]
    scores = [run.scores.total.f1 for run in runs]
    low, high = min(scores), max(scores)
    return (
        environment()
        .get_template("comparison.html")
        .render(
            title=f"Comparison on {split}",
            comparison=comparison,
            split=split,
            grids=grids(comparison, split),
            notes=notes(comparison),
            best=comparison.groups[0],
            low=low,
            high=high,
            position=lambda f1: 100 * (f1 - low) / (high - low) if high > low else 50.0,
            differing=_differing(comparison),
            links={run.name: _link(folders[run.name], split, output) for run in runs},
            pairs=_pairs(comparison, split, folders),
            kinds=KINDS,
            colors=colors_of(map(label_name, comparison.labels)),
        )
    )


def _differing(comparison: Comparison) -> dict[str, list[str]]:
    """The settings in which any two groups differ, each with its value in every group."""
    settings = [group.runs[0].settings for group in comparison.groups]
    return {shown_key(key): [shown_value(s, key) for s in settings] for key in comparison.differing}


def _link(run: Path, split: str, output: Path) -> str | None:
    """Where the report of a run lies, as the page links to it; None if there is none."""
    report = run / "evaluation" / split / "report.html"
    return quote(os.path.relpath(report, output)) if report.is_file() else None


def _pairs(comparison: Comparison, split: str, folders: Mapping[str, Path]) -> list[Pair]:
    """Of each test the first pair of runs; of many tests those of the best groups."""

    @lru_cache(maxsize=1)  # of the best group nearly always the same run
    def read(name: str) -> list[Prediction]:
        return read_predictions(folders[name] / "evaluation" / split / PREDICTIONS)

    number = min(len(comparison.tests), _MOST_PAIRS)
    pairs = []
    for test, group in zip(comparison.tests[:number], comparison.groups[1:], strict=False):
        first, second = test.pairs[0]
        found = differences(read(first.name), read.__wrapped__(second.name))
        shown = _shown(found, _MOST_SENTENCES // number, _MOST_CHARACTERS // number)
        counts = Counter(difference.kind for difference in found)
        pairs.append(
            Pair(
                (first.name, second.name),
                (comparison.groups[0].name, group.name),
                [counts[kind] for kind in range(len(KINDS))],
                shown,
                len(found) - sum(map(len, shown)),
            )
        )
    return pairs


def _shown(found: Sequence[Difference], most: int, characters: int) -> list[list[Shown]]:
    """Sentences by kind, as many of each as there is room for."""
    result: list[list[Shown]] = []
    for kind in range(len(KINDS)):
        room, chosen = characters // len(KINDS), list[Shown]()
        for difference in found:
            length = sum(map(len, difference.tokens)) + len(difference.tokens)
            fits = length <= min(room, _LONGEST) and len(chosen) < most // len(KINDS)
            if difference.kind == kind and fits:
                room -= length
                chosen.append(Shown(difference.sentence, _versions(difference)))
        result.append(chosen)
    return result


def _versions(difference: Difference) -> dict[str, list[Piece]]:
    """What is the same as in gold is shown once."""
    names: dict[tuple[tags.Span, ...], list[str]] = {}
    found = {"gold": difference.gold, "A": difference.first, "B": difference.second}
    for name, spans in found.items():
        names.setdefault(tuple(sorted(spans)), []).append(name)
    return {
        ", ".join(who): cut_tokens(difference.tokens, map(_span, spans))
        for spans, who in names.items()
    }


def _span(span: tags.Span) -> Span:
    return Span(span.start, span.end, label_name(span.label))
