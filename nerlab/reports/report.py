"""The report of a scored split: a page, a text, ``analysis.json``, and pictures."""

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Template

from nerlab.evaluation.analysis import Analysis, analyse
from nerlab.evaluation.errors import ERRORS, Pair
from nerlab.evaluation.pages import Pictures, TrainingSplit
from nerlab.evaluation.report import Report
from nerlab.files import write_file
from nerlab.reports import charts, tables
from nerlab.reports.charts import Chart, Line, chart
from nerlab.reports.curves import curves
from nerlab.reports.excerpts import Excerpt, excerpt
from nerlab.reports.look import colors_of, environment
from nerlab.reports.text import report_text

logger = logging.getLogger(__name__)
_EXAMPLES = 100  # of a kind of errors
_FIRST = 8  # contradictions that are open at once
_MARKS = 2_500  # entities that are marked in these


def write_report_pages(
    run: Path, written: Sequence[tuple[Report, Path]], training: TrainingSplit | str
) -> Pictures:
    """Write the report of each split into its folder; what is returned draws pictures of them."""
    reports = [report for report, _ in written]
    analyses = []
    for report, folder in written:
        analysis = analyse(report, reports, training)
        write_file(folder / "analysis.json", json.dumps(analysis.numbers, indent=1) + "\n")
        write_file(folder / "report.txt", report_text(analysis))
        write_file(folder / "report.html", report_page(analysis, run.name, curves(run)))
        analyses.append(analysis)
        logger.info("report: %s", folder / "report.html")

    @cache
    def pictures() -> Mapping[str, bytes]:
        from nerlab.reports.pictures import draw  # which loads matplotlib

        return {
            f"best/{analysis.report.split}/{name}": picture
            for analysis in analyses
            for name, picture in draw(analysis).items()
        }

    return pictures


def report_page(analysis: Analysis, run: str, learning: Sequence[Chart]) -> str:
    """The page of a split of a run."""
    report = analysis.report
    confusions, shares = tables.confusions(analysis)
    return _template().render(
        title=f"Report of {report.split}: {run}",
        report=report,
        numbers=analysis.numbers,
        analysis=analysis,
        tables=tables,
        confusions=confusions,
        shares=shares,
        colors=colors_of(tables.label_name(label) for label in report.scores.per_type),
        learning=learning,
        calibration=_calibration(analysis),
        size=charts,
        kinds=ERRORS,
        examples={kind: _examples(analysis, kind) for kind in ERRORS},
        contradictions=list(_excerpts(analysis, analysis.contradictions)),
        first=_FIRST,
    )


@cache
def _template() -> Template:
    return environment().get_template("report.html")


def _calibration(analysis: Analysis) -> list[Chart]:
    found = analysis.numbers["calibration"]
    bins = [(b["score"], b["right"]) for b in found["bins"] if b["spans"]]
    lines = [
        Line(
            "as it should be", [(0.0, 0.0), (1.0, 1.0)] if bins else [], "var(--soft)", dashed=True
        ),
        Line("share that is right", bins, "var(--strong)"),
    ]
    kept = [row for row in found["thresholds"] if row["predicted"]]
    above = [
        Line(name, [(row["threshold"], row[name.lower()]) for row in kept], color)
        for name, color in (
            ("precision", "var(--good)"),
            ("recall", "var(--bad)"),
            ("F1", "var(--strong)"),
        )
    ]
    whole = (0.0, 1.0)
    made = [
        chart("Reliability", "score", lines, whole, whole),
        chart("Entities above a score", "score at least", above, whole, whole),
    ]
    return [found for found in made if found is not None]


def _examples(analysis: Analysis, kind: str) -> list[dict[str, Any]]:
    """Examples of a kind of errors, at even distances over the split, by their types, the commonest
    first; each with how many there are."""
    found = [pair for pair in analysis.pairs if pair.kind == kind]
    counts = Counter(pair.labels for pair in found)
    chosen = defaultdict[Any, list[Excerpt]](list)
    for shown in _excerpts(analysis, found[:: -(-len(found) // _EXAMPLES) or 1]):
        chosen[shown.pair.labels].append(shown)
    return [
        {"labels": labels, "count": count, "excerpts": chosen[labels]}
        for labels, count in counts.most_common()
        if labels in chosen
    ]


def _excerpts(analysis: Analysis, pairs: Iterable[Pair]) -> Iterator[Excerpt]:
    """Errors in context, until so many entities are marked that a page of more would be large."""
    room = _MARKS
    for pair in pairs:
        shown = excerpt(analysis.predictions[pair.sentence], pair)
        room -= sum(
            piece.label is not None for piece in (*shown.gold.pieces, *shown.predicted.pieces)
        )
        if room < 0:
            return
        yield shown
