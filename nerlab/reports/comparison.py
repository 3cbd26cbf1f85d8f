"""A comparison of runs as tables: in the terminal, CSV, Markdown and LaTeX."""

import csv
import re
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import NamedTuple

from rich.table import Table

from nerlab.evaluation.comparison import Comparison, Group, Spread, spread
from nerlab.evaluation.randomisation import ROUNDS
from nerlab.messages import counted, escape_controls, markdown

_MOST_GROUPS = 6  # side by side in the table of types
_METRICS = ("precision", "recall", "f1")
_COLUMNS = ((1, "f1"), (2, "precision"), (3, "recall"))  # behind the columns of words
_LATEX = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "–": "--",
}


class Grid(NamedTuple):
    """A table of texts: the first ``words`` columns are words, the others numbers; the numbers of
    the cells ``bold`` (row, column) are the best."""

    title: str
    header: list[str]
    rows: list[list[str]]
    words: int
    bold: set[tuple[int, int]]


def grids(comparison: Comparison, split: str) -> list[Grid]:
    """The groups with their scores, and the F1 of each type."""
    return [_groups(comparison, split), _types(comparison)]


def method(comparison: Comparison) -> list[str]:
    """What the numbers are, a sentence a line."""
    sentences = counted(comparison.sentences, "sentence")
    lines = [f"F1, precision, recall: percent, mean ± standard deviation of n runs; {sentences}."]
    if tests := len(comparison.tests):
        holm = f", Holm's correction for {tests} tests" * (tests > 1)
        lines.append(
            "p: paired approximate randomisation of the difference in F1 to the first row, "
            f"{ROUNDS:,} rounds{holm}."
        )
        lines.append("p is about the choice of sentences; how much the seed matters, ± says.")
    return lines


def _groups(comparison: Comparison, split: str) -> Grid:
    keys = comparison.keys or ["group"]
    header = [*keys, "n", "F1", "precision", "recall"]
    header += [name for name, found in costs(comparison).items() if any(found)]
    header += ["p"] * bool(comparison.tests)
    rows = []
    for i, (group, p) in enumerate(zip(comparison.groups, p_values(comparison), strict=True)):
        scores = (group.spread(metric) for metric in ("f1", "precision", "recall"))
        cells = [str(len(group.runs)), *map(percent, scores)]
        cells += [_cost(found[i]) for found in costs(comparison).values() if any(found)]
        cells += ["" if p is None else f"{p:.4f}"] * bool(comparison.tests)
        rows.append([*(group.settings.values() or [group.name]), *cells])
    best = {(n, len(keys) + i) for i, name in _COLUMNS for n in _best(comparison.groups, name)}
    runs = counted(sum(len(group.runs) for group in comparison.groups), "run")
    return Grid(f"{runs} on {split}", header, rows, len(keys), best if len(rows) > 1 else set())


def _best(groups: Sequence[Group], metric: str, label: str | None = None) -> list[int]:
    means = [group.spread(metric, label).mean for group in groups]
    return [number for number, mean in enumerate(means) if mean == max(means)]


def _types(comparison: Comparison) -> Grid:
    shown = comparison.groups[:_MOST_GROUPS]
    rows = []
    for label in comparison.labels:
        support = max(run.score(label).support for group in shown for run in group.runs)
        cells = [percent(group.spread("f1", label)) for group in shown]
        rows.append([label, f"{support:,}", *cells])
    best = {(row, 2 + n) for row, x in enumerate(comparison.labels) for n in _best(shown, "f1", x)}
    which = f", the {len(shown)} best" * (len(shown) < len(comparison.groups))
    header = ["type", "entities", *(group.name for group in shown)]
    return Grid(f"F1 of each type{which}", header, rows, 1, best if len(shown) > 1 else set())


def percent(found: Spread) -> str:
    """In percent; the standard deviation where there is one."""
    deviation = "" if found.std is None else f" ± {100 * found.std:.2f}"
    return f"{100 * found.mean:.2f}{deviation}"


def p_values(comparison: Comparison) -> list[float | None]:
    """That of each group, None for the one that the others are tested against."""
    return [None, *(test.corrected for test in comparison.tests)]


def costs(comparison: Comparison) -> dict[str, list[Spread | None]]:
    """Parameters and seconds of each group, as far as they are known."""
    return {
        name: [spread([getattr(run, name) for run in group.runs]) for group in comparison.groups]
        for name in ("parameters", "seconds")
    }


def _cost(found: Spread | None) -> str:
    if found is None:
        return "–"
    return f"{found.mean:,.{int(found.mean < 10)}f}"  # seconds; no model has so few parameters


def for_terminal(grid: Grid) -> Table:
    """The table as rich prints it."""
    table = Table(title=grid.title, title_justify="left", box=None, pad_edge=False)
    for number, name in enumerate(grid.header):
        table.add_column(escape_controls(name), justify="left" if number < grid.words else "right")
    for row in grid.rows:
        table.add_row(*map(escape_controls, row))
    return table


def as_csv(comparison: Comparison) -> str:
    """A line a group and type, ``all`` for all together; fractions, not percent."""
    text = StringIO()
    measured = [f"{metric}_{of}" for metric in _METRICS for of in ("mean", "std")]
    tested = ("difference", "pairs", "p", "p_holm")
    header = [
        *comparison.keys,
        "n",
        "seeds",
        "type",
        "entities",
        *measured,
        *costs(comparison),
        *tested,
    ]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(escape_controls, header))
    for row in _records(comparison):
        writer.writerow("" if cell is None else escape_controls(str(cell)) for cell in row)
    return text.getvalue()


def _records(comparison: Comparison) -> Iterator[list[object]]:
    tests = [None, *comparison.tests]
    for i, (group, test) in enumerate(zip(comparison.groups, tests, strict=True)):
        seeds = " ".join(str(run.seed) for run in group.runs)
        whole: list[object] = [spreads[i] for spreads in costs(comparison).values()]
        whole = [found.mean if isinstance(found, Spread) else None for found in whole]
        whole += [None] * 4
        if test is not None:
            whole[2:] = [test.difference, len(test.pairs), test.p, test.corrected]
        for label in (None, *comparison.labels):
            support = max(run.score(label).support for run in group.runs)
            spreads = [group.spread(metric, label) for metric in _METRICS]
            numbers = [number for found in spreads for number in found[:2]]
            row = [*group.settings.values(), len(group.runs), seeds, label or "all", support]
            yield [*row, *numbers, *(whole if label is None else [None] * len(whole))]


def as_markdown(comparison: Comparison, split: str) -> str:
    """Two tables, with what their numbers are."""
    blocks = []
    for grid in grids(comparison, split):
        marks = ["---" if i < grid.words else "---:" for i in range(len(grid.header))]
        rows = [[markdown(cell) for cell in row] for row in [grid.header, *grid.rows]]
        for row, column in grid.bold:
            rows[row + 1][column] = f"**{rows[row + 1][column]}**"
        lines = [f"| {' | '.join(cells)} |" for cells in [rows[0], marks, *rows[1:]]]
        blocks.append(f"{markdown(grid.title)}\n\n" + "\n".join(lines))
    return "\n\n".join([*blocks, *(markdown(line) for line in notes(comparison))]) + "\n"


def as_latex(comparison: Comparison, split: str) -> str:
    r"""Two tables for ``\usepackage{booktabs}``."""
    tables = []
    for grid in grids(comparison, split):
        columns = "l" * grid.words + "r" * (len(grid.header) - grid.words)
        rows = [[latex(cell) for cell in row] for row in [grid.header, *grid.rows]]
        for row, column in grid.bold:
            rows[row + 1][column] = rf"\textbf{{{rows[row + 1][column]}}}"
        header, *body = (" & ".join(cells) + r" \\" for cells in rows)
        lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", header, r"\midrule", *body]
        lines += [r"\bottomrule", r"\end{tabular}"]
        tables.append("\n".join([f"% {escape_controls(grid.title)}", *lines]))
    comments = [f"% {escape_controls(line)}" for line in notes(comparison)]
    return "\n\n".join([*tables, "\n".join(comments)]) + "\n"


def latex(text: str) -> str:
    r"""A text within a line of LaTeX, as it is.

    >>> print(latex("a_b 50 %"))
    a\_b 50 \%
    """
    return re.sub(r"[&%$#_{}\\~^<>|±–]", lambda m: _LATEX[m[0]], escape_controls(text))


def notes(comparison: Comparison) -> Sequence[str]:
    """What the numbers are, and what to be careful about."""
    return [*method(comparison), *(f"note: {note}" for note in comparison.notes)]
