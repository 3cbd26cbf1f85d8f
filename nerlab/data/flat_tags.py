"""Tags of any scheme to IOBES, for many sentences at once.

What a tag becomes depends on the tags before and after it alone, so sentences are rewritten by
looking up pairs of neighbours in a table. The table holds what :mod:`nerlab.tags` says of each
pair, asked once.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from nerlab.messages import counted
from nerlab.tags import (
    MAX_LABELS,
    OUTSIDE,
    TagError,
    continues,
    is_of_scheme,
    may_follow,
    split_tag,
)

_ASKED, _LEGAL, _CONTINUES = 1, 2, 4  # bits of the table
_BEGIN, _INSIDE, _END, _SINGLE = range(4)  # the order of nerlab.tags.iobes_tags


FEWER_LABELS = (
    "merge the rare ones, or set the key of data.reader that says where the tags stand "
    "(tag_column, say)"
)


def too_many_labels(number: int) -> str:
    """What is said of more than ``MAX_LABELS`` labels."""
    tags = 4 * number + 1
    return (
        f"{counted(number, 'entity type')}, expected {MAX_LABELS:,} at most: they make K = "
        f"{tags:,} tags, and a CRF's transitions and its work for each token grow with K^2 = "
        f"{tags**2:,}"
    )


class TagRewriter:
    """Rewrites the tags of one corpus as ids of ``iobes_tags(labels)``.

    Args:
        scheme: that of the tags, see :mod:`nerlab.tags`.

    Attributes:
        scheme: as given.
        labels: the labels so far, in order of first occurrence.
    """

    def __init__(self, scheme: str) -> None:
        self.labels: list[str] = []
        self._label_numbers: dict[str, int] = {}
        self.scheme = scheme
        self._ids: defaultdict[str, int] = defaultdict()
        self._ids.default_factory = self._ids.__len__
        self._ids[OUTSIDE]  # has the id 0
        self._names: list[str] = []
        self._begins = np.zeros(0, dtype=np.int32)  # (K,) the IOBES id of B with the tag's label
        self._table = np.zeros((0, 0), dtype=np.uint8)  # (K, K) [tag, next tag]

    def rewrite(self, tags: Sequence[str], offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rewrite N tags of S sentences, reading them by the rules of
        :func:`nerlab.tags.spans_of`.

        Args:
            tags: ``(N,)``, one sentence after the other.
            offsets: ``(S + 1,)``; the tags of sentence s are ``tags[offsets[s]:offsets[s + 1]]``.

        Returns:
            The ids ``(N,)`` int32, and which sentences have a sequence that the scheme forbids.

        Raises:
            TagError: a tag is one in no scheme.
            ValueError: there are more than ``MAX_LABELS`` labels.
        """
        ids = np.fromiter(map(self._ids.__getitem__, tags), dtype=np.int64, count=len(tags))
        self._learn_tags(ids)
        # An O stands before each sentence and after the last: borders are pairs like others.
        sentences = np.arange(len(offsets) - 1)
        places = np.arange(len(ids)) + np.repeat(sentences + 1, np.diff(offsets))
        padded = np.zeros(len(ids) + len(offsets), dtype=np.int64)
        padded[places] = ids
        pairs = self._look_up(padded[:-1], padded[1:])  # [p] of padded[p] and padded[p + 1]

        continued = (pairs & _CONTINUES) != 0
        opens, closes = ~continued[places - 1], ~continued[places]
        role = np.where(opens, np.where(closes, _SINGLE, _BEGIN), np.where(closes, _END, _INSIDE))
        rewritten = np.where(ids == 0, 0, self._begins[ids] + role).astype(np.int32)
        illegal = np.flatnonzero((pairs & _LEGAL) == 0)
        owners = np.searchsorted(offsets[:-1] + sentences, illegal, side="right") - 1
        return rewritten, np.unique(owners)

    def _learn_tags(self, ids: np.ndarray) -> None:
        """Take in the tags that were met for the first time in ``ids``."""
        known = len(self._names)
        new = list(self._ids)[known:]
        if not new:
            return
        begins = []
        for number, tag in enumerate(new, start=known):
            try:
                _, label = split_tag(tag)
            except ValueError as error:
                raise TagError(int(np.argmax(ids == number)), str(error)) from None
            if label and label not in self._label_numbers:
                self._label_numbers[label] = len(self.labels)
                self.labels.append(label)
            begins.append(1 + 4 * self._label_numbers[label] if label else 0)
        if len(self.labels) > MAX_LABELS:
            raise ValueError(f"at least {too_many_labels(len(self.labels))}; {FEWER_LABELS}")
        self._names += new
        self._begins = np.append(self._begins, np.array(begins, dtype=np.int32))
        grown = np.zeros((len(self._names),) * 2, dtype=np.uint8)
        grown[:known, :known] = self._table
        self._table = grown

    def _look_up(self, tags: np.ndarray, next_tags: np.ndarray) -> np.ndarray:
        pairs = self._table[tags, next_tags]
        unasked = np.flatnonzero(pairs == 0)
        if len(unasked) == 0:
            return pairs
        distinct = np.unique(tags[unasked] * len(self._names) + next_tags[unasked])
        for tag, next_tag in zip(*divmod(distinct, len(self._names)), strict=True):
            self._table[tag, next_tag] = self._ask(self._names[tag], self._names[next_tag])
        return self._table[tags, next_tags]

    def _ask(self, tag: str, next_tag: str) -> int:
        one, other = split_tag(tag), split_tag(next_tag)
        known = is_of_scheme(tag, self.scheme) and is_of_scheme(next_tag, self.scheme)
        legal = known and may_follow(one, other, self.scheme)
        return _ASKED | (_LEGAL if legal else 0) | (_CONTINUES if continues(one, other) else 0)
