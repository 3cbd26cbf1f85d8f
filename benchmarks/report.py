"""How long the report of a large split takes, and how large its page is.

``python benchmarks/report.py [SENTENCES]``: sentences of about 20 tokens are made up, and every
tenth entity is predicted with another border or type, not at all, or where there is none.
"""

import random
import sys
import tempfile
import time
from collections import Counter
from itertools import islice
from pathlib import Path

from big_corpus import make_corpus

from nerlab.evaluation.files import write_report
from nerlab.evaluation.pages import TrainingSplit
from nerlab.evaluation.report import Report
from nerlab.reports.report import write_report_pages
from nerlab.tags import Span, spans_of, tags_of


def with_errors(spans: list[Span], size: int, rng: random.Random) -> list[Span]:
    """The spans, one in ten of them wrong in one way or another."""
    found: list[Span] = []
    for span in spans:
        first = found[-1].end if found else 0
        kind = rng.choice(("border", "type", "missed", "moved")) if rng.random() < 0.1 else ""
        if kind == "border" and span.end - span.start > 1:
            found.append(span._replace(end=span.end - 1))
        elif kind == "moved" and first < span.start:
            found.append(Span(first, span.start, span.label))
        elif kind == "type":
            found.append(span._replace(label=rng.choice(("PER", "LOC", "ORG"))))
        elif kind != "missed":
            found.append(span)
    return found


def main(sentences: int) -> None:
    """Print seconds and bytes."""
    rng = random.Random(0)
    made = list(islice(make_corpus(25 * sentences), sentences))
    tokens = [list(sentence.tokens) for sentence in made]
    spans = [spans_of(sentence.tags) for sentence in made]
    predicted = [with_errors(s, len(t), rng) for s, t in zip(spans, tokens, strict=True)]
    scores = [[rng.random() ** 0.1 for _ in found] for found in predicted]
    gold, wrong = (
        [tags_of(s, len(t)) for s, t in zip(side, tokens, strict=True)]
        for side in (spans, predicted)
    )
    report = Report("dev", tokens, gold, wrong, ["PER", "LOC", "ORG", "MISC"], scores)
    forms = {
        t[s.start]: Counter([s.label]) for t, of in zip(tokens, spans, strict=True) for s in of
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        start = time.perf_counter()
        write_report(report, path)
        middle = time.perf_counter()
        write_report_pages(path, [(report, path)], TrainingSplit(forms, sentences, report))
        end = time.perf_counter()
        sizes = {file.name: file.stat().st_size for file in sorted(path.iterdir())}
    print(f"{len(made):,} sentences, {sum(map(len, tokens)):,} tokens")
    print(f"metrics.json, predictions: {middle - start:.1f} s; the report: {end - middle:.1f} s")
    print(*(f"{size / 1e6:8.2f} MB  {name}" for name, size in sizes.items()), sep="\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
