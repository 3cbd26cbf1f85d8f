"""``report.txt``: the report for a terminal."""

import io
from collections.abc import Iterator
from functools import partial

from rich import table as rich_table
from rich.console import Console, RenderableType

from nerlab.evaluation.analysis import Analysis
from nerlab.evaluation.errors import ERRORS
from nerlab.messages import counted, visible
from nerlab.reports import tables
from nerlab.reports.excerpts import Tagged, excerpt
from nerlab.reports.tables import Table

_CONTRADICTIONS = 20
_WIDTH = 110
# Words as they are written, but for what cannot be seen; joiners are Persian spelling.
_shown = partial(visible, keep="\u200c\u200d")


def report_text(analysis: Analysis) -> str:
    """The tables of the report, and the most confident contradictions of the gold tags."""
    file = io.StringIO()
    as_it_is = {"markup": False, "emoji": False, "highlight": False, "soft_wrap": True}
    console = Console(file=file, width=_WIDTH, color_system=None, **as_it_is)  # type: ignore[arg-type]
    for part in _parts(analysis):
        console.print(part)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def _parts(analysis: Analysis) -> Iterator[RenderableType]:
    report, numbers = analysis.report, analysis.numbers
    size = counted(len(report.tokens), "sentence")
    yield f"{_shown(report.split)}: {size}, scores in percent"
    yield from _part("Scores by type", tables.scores(analysis))
    yield from _part("Splits", tables.splits(analysis))
    yield from _part("Errors", tables.errors(analysis))
    yield "\n".join(f"  {kind}: {meaning}" for kind, meaning in ERRORS.items())
    yield from _part("Errors by type", tables.errors_by_type(analysis))
    yield from _part("Confusions (gold in rows)", tables.confusions(analysis)[0])
    for found in tables.groups(analysis):
        yield from _part(f"By {found.header[0]}", found)
    if numbers["without_training"]:
        reason = _shown(numbers["without_training"])
        yield f"\nwithout the training split, which cannot be read: {reason}"
    ece = numbers["calibration"]["ece"]
    if ece is not None:
        error = f"expected calibration error {tables.percent(ece)}"
        yield from _part(f"Calibration of the scores: {error}", tables.reliability(analysis))
    yield from _part("Above a score", tables.thresholds(analysis))
    yield from _contradictions(analysis)
    yield from _part("Scores of tokens, for other projects' tables", tables.tokens(analysis))


def _part(title: str, table: Table) -> Iterator[RenderableType]:
    yield f"\n{title}"
    result = rich_table.Table(box=None, pad_edge=False)
    for name in table.header:
        result.add_column(_shown(name), justify="right", no_wrap=True)
    result.columns[0].justify = "left"
    for row in table.rows:
        result.add_row(*map(_shown, row))
    yield result


def _contradictions(analysis: Analysis) -> Iterator[str]:
    found = analysis.numbers["contradictions"]
    yield (
        f"\nPredicted with a score of {found['least_score']} or more against the gold tags: "
        f"{found['count']:,}. Errors of the annotation are often among them; the most certain:"
    )
    for pair in analysis.contradictions[:_CONTRADICTIONS]:
        shown = excerpt(analysis.predictions[pair.sentence], pair)
        where = f"{pair.score:.3f}  sentence {pair.sentence}"
        yield _shown(f"  {where:<21} gold: {_marked(shown.gold)}")
        yield _shown(f"  {'':<16} predicted: {_marked(shown.predicted)}")


def _marked(side: Tagged) -> str:
    """The words with the entity in question in brackets."""
    text, number = "", -1
    for piece in side.pieces:
        number += piece.label is not None
        is_focus = piece.label is not None and number == side.focus
        text += f"[{piece.text} {piece.label}]" if is_focus else piece.text
    return text
