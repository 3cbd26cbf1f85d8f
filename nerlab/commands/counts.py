"""What is counted in one pass over the sentences of a split."""

import heapq
from collections import Counter
from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import NamedTuple

from nerlab.data.sentence import Sentence
from nerlab.tags import OUTSIDE, Span

LONGEST = 5


class LabelledForm(NamedTuple):
    """The tokens of an entity joined by spaces, and its label."""

    form: str
    label: str


class SplitCounts:
    """Counts of a split; memory grows with the distinct words and entities, not the sentences.

    Words and tags are counted as they are written; ``outside`` counts the words with the tag O.
    ``lengths`` and ``entities_per_sentence`` count sentences, ``widths`` entities by their label
    and number of tokens, ``pairs`` the sentences in which two labels occur, the lesser first, of a
    label with itself those in which it occurs. ``longest`` is a heap of (tokens, -line).
    """

    def __init__(self) -> None:
        self.words: Counter[str] = Counter()
        self.outside: Counter[str] = Counter()
        self.tags: Counter[str] = Counter()
        self.lengths: Counter[int] = Counter()
        self.entities: Counter[LabelledForm] = Counter()
        self.widths: Counter[tuple[str, int]] = Counter()
        self.entities_per_sentence: Counter[int] = Counter()
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.longest: list[tuple[int, int]] = []
        self._documents: set[int | None] = set()

    def add(self, sentence: Sentence, spans: Sequence[Span]) -> None:
        """Count a sentence and the entities in it; it may lack tags if it has no entities."""
        tokens, tags = sentence.tokens, sentence.tags
        self.words.update(tokens)
        self.tags.update(tags)
        pairs = zip(tokens, tags, strict=False)
        self.outside.update([token for token, tag in pairs if tag == OUTSIDE])
        self.lengths[len(tokens)] += 1
        self.entities_per_sentence[len(spans)] += 1
        for start, end, label in spans:
            self.entities[LabelledForm(" ".join(tokens[start:end]), label)] += 1
            self.widths[label, end - start] += 1
        labels = sorted({span.label for span in spans})
        self.pairs.update(combinations_with_replacement(labels, 2))
        self._documents.add(sentence.document)
        keep = heapq.heappush if len(self.longest) < LONGEST else heapq.heappushpop
        keep(self.longest, (len(tokens), -sentence.line))

    @property
    def sentences(self) -> int:
        """How many sentences there are."""
        return self.lengths.total()

    @property
    def documents(self) -> int | None:
        """How many documents there are; None where the file marks none."""
        return None if self._documents <= {None} else len(self._documents)

    @property
    def labels(self) -> Counter[str]:
        """How many entities each label has."""
        labels: Counter[str] = Counter()
        for (label, _), count in self.widths.items():
            labels[label] += count
        return labels


def by_frequency(counts: Counter[str]) -> dict[str, int]:
    """The counts, largest first, equal ones in the order of their names."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def labels_by_form(entities: Counter[LabelledForm]) -> dict[str, Counter[str]]:
    """The labels of each surface form, the most frequent form first."""
    labels: dict[str, Counter[str]] = {}
    for (form, label), count in entities.items():
        labels.setdefault(form, Counter())[label] = count
    return dict(sorted(labels.items(), key=lambda item: (-item[1].total(), item[0])))
