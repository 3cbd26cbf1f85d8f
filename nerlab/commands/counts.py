"""What is counted in one pass over the sentences of a split; check and stats follow from it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations_with_replacement

from nerlab.data.sentence import Sentence
from nerlab.tags import OUTSIDE, Span

LONGEST = 5
_EXAMPLES = 3  # sentences a label
_MOST_TOKENS = 60  # of an example


class SplitCounts:
    """Counts of the split in ``file``; memory grows with the distinct words and entities alone.

    Words and tags are counted as they are written; ``outside`` counts the words with the tag O.
    For each label, ``forms`` counts its entities by their tokens, joined by spaces, and ``widths``
    by their number of tokens. ``lengths`` and ``entities_per_sentence`` count sentences, as
    ``pairs`` does by two labels that occur in them, the lesser first, of a label with itself those
    in which it occurs. ``longest`` has (tokens, -line) of the longest sentences. ``examples`` are
    the first sentences with each label, with their spans.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.words: Counter[str] = Counter()
        self.outside: Counter[str] = Counter()
        self.tags: Counter[str] = Counter()
        self.lengths: Counter[int] = Counter()
        self.forms = defaultdict[str, Counter[str]](Counter)
        self.widths = defaultdict[str, Counter[int]](Counter)
        self.entities_per_sentence: Counter[int] = Counter()
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.longest: list[tuple[int, int]] = []
        self.examples: list[tuple[list[str], list[Span]]] = []
        self._shown: Counter[str] = Counter()
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
            self.forms[label][" ".join(tokens[start:end])] += 1
            self.widths[label][end - start] += 1
        labels = sorted({span.label for span in spans})
        self.pairs.update(combinations_with_replacement(labels, 2))
        if any(self._shown[label] < _EXAMPLES for label in labels) and len(tokens) <= _MOST_TOKENS:
            self.examples.append((list(tokens), list(spans)))
            self._shown.update(labels)
        self._documents.add(sentence.document)
        candidates = [*self.longest, (len(tokens), -sentence.line)]
        self.longest = sorted(candidates, reverse=True)[:LONGEST]

    def figures(self) -> dict[str, str | int | None]:
        """The plain figures; ``documents`` is None where the file marks none."""
        return {
            "file": self.file,
            "sentences": self.lengths.total(),
            "documents": None if self._documents <= {None} else len(self._documents),
            "tokens": self.words.total(),
            "distinct_tokens": len(self.words),
            "entities": self.labels.total(),
        }

    @property
    def labels(self) -> Counter[str]:
        """How many entities each label has."""
        return Counter({label: widths.total() for label, widths in self.widths.items()})


def by_frequency(counts: Counter[str]) -> dict[str, int]:
    """The counts, largest first, equal ones in the order of their names."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def labels_by_form(splits: Iterable[SplitCounts]) -> dict[str, Counter[str]]:
    """The labels of each form in all splits together, the most frequent form first."""
    labels: dict[str, Counter[str]] = {}
    for counts in splits:
        for label, forms in counts.forms.items():
            for form, count in forms.items():
                labels.setdefault(form, Counter())[label] += count
    return dict(sorted(labels.items(), key=lambda item: (-item[1].total(), item[0])))
