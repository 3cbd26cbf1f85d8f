"""Scored splits that no model has made: random spans, some of them as in the gold tags."""

import random
from collections.abc import Sequence

from hypothesis import strategies as st

from nerlab.evaluation.predictions import Prediction, ScoredSpan
from nerlab.evaluation.report import Report
from nerlab.tags import Span, spans_of, tags_of

LABELS = ("LOC", "ORG", "PER")
SCORES = (0.0, 0.05, 0.3, 0.55, 0.72, 0.9, 0.97, 0.999, 1.0)
# Words that would break a page that does not escape them.
NASTY = [
    "</td><script>alert(1)</script>",
    "a&amp;b",
    "'\"",
    "中文",
    "محمد",
    "\u202e",
    "\ud800",
    "\x1b[2J",
    "$x_1$",
]


@st.composite
def predictions(draw: st.DrawFn, most: int = 6) -> list[Prediction]:
    """Some sentences with any spans and scores."""
    found = []
    for number in range(draw(st.integers(0, most))):
        size = draw(st.integers(1, 9))
        gold = draw(spans(size))
        predicted = draw(st.one_of(spans(size), st.just(gold)))
        scored = [ScoredSpan(*span, draw(st.sampled_from(SCORES))) for span in predicted]
        covered = {t for start, end, _ in predicted for t in range(start, end)}
        outside = [
            ScoredSpan(*span, draw(st.sampled_from(SCORES)))
            for span in gold
            if covered.isdisjoint(range(span.start, span.end))
        ]
        words = draw(st.lists(st.sampled_from("abc"), min_size=size, max_size=size))
        found.append(Prediction(number, None, words, gold, scored, outside))
    return found


def spans(size: int) -> st.SearchStrategy[list[Span]]:
    """Spans of a sentence, next to each other or not."""
    tags = st.sampled_from(["O", *(f"{role}-{label}" for role in "BI" for label in LABELS)])
    return st.lists(tags, min_size=size, max_size=size).map(spans_of)


def tags(found: Sequence[Prediction]) -> tuple[list[list[str]], list[list[str]]]:
    """The gold and the predicted tags in IOB2."""
    gold = [tags_of(p.gold, len(p.tokens), "iob2") for p in found]
    return gold, [tags_of((s.span for s in p.predicted), len(p.tokens), "iob2") for p in found]


def made_up_report(
    sentences: int,
    words: Sequence[str] = ("Anna", "saw", "Rome", "and", "the", "sea", "of", "Azov"),
    labels: Sequence[str] = LABELS,
    density: float = 0.2,
    split: str = "dev",
) -> Report:
    """A report in which two of three entities are right; ``density`` is how many tokens begin
    one."""
    rng = random.Random(0)
    tokens, gold, predicted, scores = [], [], [], []
    for _ in range(sentences):
        size = rng.randint(1, 40)
        both: list[list[Span]] = [[], []]
        for found in both:
            start = 0
            while start < size:
                end = min(size, start + rng.choice([1, 1, 2, 3]))
                if rng.random() < density:
                    found.append(Span(start, end, rng.choice(labels)))
                start = end
        if rng.random() < 2 / 3:
            both[1] = both[0]
        tokens.append([rng.choice(words) for _ in range(size)])
        gold.append(tags_of(both[0], size))
        predicted.append(tags_of(both[1], size))
        scores.append([rng.random() ** 0.2 for _ in both[1]])
    documents = [number // 10 for number in range(sentences)]
    return Report(split, tokens, gold, predicted, labels, scores, documents, "0" * 64)
