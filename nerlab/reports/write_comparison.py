"""Runs compared: the tables printed, and written with the page."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from nerlab.evaluation.comparison import compare
from nerlab.files import write_file
from nerlab.messages import escape_controls, make_console
from nerlab.process import lasting_output
from nerlab.reports.comparison import as_csv, as_latex, as_markdown, for_terminal, grids, notes
from nerlab.reports.comparison_page import page
from nerlab.reports.runs import find_runs, read_runs
from nerlab.sweeps import failures


def write_comparison(
    paths: Sequence[str], split: str, by: Sequence[str], output: Path, console: Console
) -> None:
    """Compare the runs that paths lead to: print the tables, and write ``comparison.csv``,
    ``.md``, ``.tex`` and ``.html`` into a folder.

    Raises:
        ValueError: there are no such runs, they are broken, or were scored on different data.
    """
    found = find_runs(paths, split)
    for name, reason in found.left_out.items():
        console.print(escape_controls(f"left out: {name}: {reason}"))
    if not found.runs:
        raise ValueError(f"none of them was scored on {split}")
    runs = read_runs(found.runs, split)
    folders = {run.name: folder for run, folder in zip(runs, found.runs, strict=True)}
    comparison = compare(runs, by)
    contents = {
        "html": page(comparison, split, folders, output),
        "csv": as_csv(comparison),
        "md": as_markdown(comparison, split),
        "tex": as_latex(comparison, split),
    }
    output.mkdir(parents=True, exist_ok=True)
    for kind, content in contents.items():
        write_file(output / f"comparison.{kind}", content)
    for grid in grids(comparison, split):
        console.print(for_terminal(grid))
        console.print()
    for line in notes(comparison):
        console.print(escape_controls(line))
    console.print(escape_controls(f"written: {output / 'comparison'}.{', .'.join(contents)}"))


def compare_sweep(folder: Path) -> None:
    """Compare the runs of a sweep on dev; the files go to its folder. That they cannot be compared,
    because their data differ say, is no failure of the sweep."""
    if not any(folder.glob("*/config.yaml")) and not failures(folder):
        return  # Hydra refused the configuration before the first job
    with lasting_output():
        try:
            write_comparison([str(folder)], "dev", [], folder, make_console())
        except (ValueError, OSError) as error:
            print(f"the runs are not compared: {escape_controls(str(error))}")
