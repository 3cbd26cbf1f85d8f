"""What the pages about a scored model are made of: what training and evaluate.py hand on."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nerlab.evaluation.report import Report


class TrainingSplit(NamedTuple):
    """What a report says of the training split.

    Attributes:
        labels_by_form: how often each entity, its tokens joined by spaces, has each label.
        sentences: how many there are.
        sample: some of them, or all, scored.
    """

    labels_by_form: Mapping[str, Counter[str]]
    sentences: int
    sample: Report


Pictures = Callable[[], Mapping[str, bytes]]
"""Draws pictures, PNG by name."""

WritePages = Callable[[Path, Sequence[tuple[Report, Path]], TrainingSplit | str], Pictures]
"""Writes the pages of a run directory with some scored splits, each into its folder; of the
training split there may be no more than the reason why it cannot be read."""
