"""The sentences in which two systems found different entities."""

from collections.abc import Sequence
from typing import NamedTuple

from nerlab.evaluation.predictions import Prediction
from nerlab.tags import Span

KINDS = ("only the first is right", "only the second is right", "both are wrong")


class Difference(NamedTuple):
    """A sentence whose entities by gold, by the first system and by the second are not all equal;
    ``kind`` is an index of ``KINDS``, ``errors`` are the missed and spurious spans of each."""

    kind: int
    sentence: int
    tokens: Sequence[str]
    gold: list[Span]
    first: list[Span]
    second: list[Span]
    errors: tuple[int, int]


def differences(first: Sequence[Prediction], second: Sequence[Prediction]) -> list[Difference]:
    """Those of two systems on the same sentences: first where one makes many more errors.

    Raises:
        ValueError: the sentences are not the same.
    """
    found = []
    for ours, theirs in zip(first, second, strict=True):
        if ours.tokens != theirs.tokens or ours.gold != theirs.gold:
            raise ValueError(f"sentence {ours.sentence} is not the same in both files")
        gold = list(ours.gold)
        a, b = ([scored.span for scored in p.predicted] for p in (ours, theirs))
        if set(a) == set(b):
            continue
        errors = (len({*gold} ^ {*a}), len({*gold} ^ {*b}))
        kind = 2 if all(errors) else int(errors[0] > 0)
        found.append(Difference(kind, ours.sentence, ours.tokens, gold, a, b, errors))
    return sorted(found, key=lambda d: (-abs(d.errors[0] - d.errors[1]), d.sentence))
