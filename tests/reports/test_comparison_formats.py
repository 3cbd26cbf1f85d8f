"""A comparison says the same numbers in the terminal, in every format and on its page."""

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from browser import dom_of, overflow_of
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scored_runs import sentences, write_run
from seqeval.metrics import f1_score

from nerlab.evaluation.comparison import Comparison, compare
from nerlab.evaluation.differences import differences
from nerlab.evaluation.files import read_predictions
from nerlab.evaluation.predictions import Prediction, ScoredSpan
from nerlab.reports.comparison import as_csv, as_latex, as_markdown, for_terminal, grids, latex
from nerlab.reports.comparison_page import page
from nerlab.reports.runs import find_runs, read_runs
from nerlab.reports.write_comparison import write_comparison
from nerlab.tags import Span, tags_of

HOSTILE = "<b>&\"'|\\_$%\u202e\x1b[2J\n"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models and three seeds; do not write into it."""
    folder, data = tmp_path_factory.mktemp("sweep"), sentences(150)
    for model, skill in (("bilstm", 0.6), ("transformer", 0.8)):
        for seed in (1, 2, 3):
            write_run(
                folder / f"model-{model}--seed-{seed}",
                data,
                seed,
                skill + seed / 100,
                {"model.encoder.dim": 1 + (model == "bilstm")},
                [f"model={model}", f"seed={seed}"],
            )
    return folder


@pytest.fixture(scope="module")
def comparison(sweep: Path) -> Comparison:
    return compare(read_runs(find_runs([str(sweep)], "dev").runs, "dev"))


def html_of(sweep: Path, comparison: Comparison) -> str:
    folders = {run.name: sweep / run.name for group in comparison.groups for run in group.runs}
    return page(comparison, "dev", folders, sweep)


def expected_f1(sweep: Path, model: str) -> list[float]:
    """F1 of the runs of a model, by seqeval."""
    found = []
    for folder in sorted(sweep.glob(f"model-{model}--*")):
        predictions = read_predictions(folder / "evaluation" / "dev" / "predictions.jsonl")
        lengths = [len(p.tokens) for p in predictions]
        gold = [tags_of(p.gold, n, "iob2") for p, n in zip(predictions, lengths, strict=True)]
        tags = [[s.span for s in p.predicted] for p in predictions]
        given = [tags_of(spans, n, "iob2") for spans, n in zip(tags, lengths, strict=True)]
        found.append(float(f1_score(gold, given)))
    return found


def test_means_and_deviations_are_those_of_seqeval(sweep: Path, comparison: Comparison) -> None:
    assert [group.name for group in comparison.groups] == ["transformer", "bilstm"]
    for group in comparison.groups:
        f1 = expected_f1(sweep, group.name)
        assert group.spread("f1")[:2] == pytest.approx((np.mean(f1), np.std(f1, ddof=1)))
    assert comparison.tests[0].p < 0.01


def test_every_format_says_the_same(sweep: Path, comparison: Comparison) -> None:
    console = Console(file=io.StringIO(), width=200)
    for grid in grids(comparison, "dev"):
        console.print(for_terminal(grid))
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    texts = [printed, as_markdown(comparison, "dev"), html_of(sweep, comparison)]
    texts.append(as_latex(comparison, "dev").replace(r"$\pm$", "±"))
    records = list(csv.DictReader(io.StringIO(as_csv(comparison))))
    for group in comparison.groups:
        f1 = expected_f1(sweep, group.name)
        wanted = f"{100 * np.mean(f1):.2f} ± {100 * np.std(f1, ddof=1):.2f}"
        assert all(wanted in text and group.name in text for text in texts)
        (record,) = (r for r in records if (r["model"], r["type"]) == (group.name, "all"))
        assert float(record["f1_mean"]) == pytest.approx(np.mean(f1))
        assert float(record["f1_std"]) == pytest.approx(np.std(f1, ddof=1))
        assert (record["n"], record["seeds"]) == ("3", "1 2 3")
        for label in ("PER", "LOC"):
            (record,) = (r for r in records if (r["model"], r["type"]) == (group.name, label))
            mean = 100 * float(record["f1_mean"])
            assert all(
                f"{mean:.2f} ± {100 * float(record['f1_std']):.2f}" in text for text in texts
            )
    p = f"{comparison.tests[0].corrected:.4f}"
    assert all(p in text for text in texts)
    assert float(records[3]["p_holm"]) == comparison.tests[0].corrected


def test_the_browser_shows_the_figures_and_the_page_fits_a_phone(
    sweep: Path, comparison: Comparison, tmp_path: Path
) -> None:
    path = tmp_path / "comparison.html"
    path.write_text(html_of(sweep, comparison), encoding="utf-8")
    dom = dom_of(path)
    mean, deviation = comparison.groups[0].spread("f1")[:2]
    assert deviation is not None
    assert f"<b>{100 * mean:.2f} ± {100 * deviation:.2f}</b>" in dom
    assert f">{comparison.tests[0].corrected:.4f}</td>" in dom
    first, second = (
        read_predictions(sweep / run.name / "evaluation" / "dev" / "predictions.jsonl")
        for run in comparison.tests[0].pairs[0]
    )
    found = differences(first, second)
    only_first = sum(difference.kind == 0 for difference in found)
    assert f"only A is right: {only_first}<" in dom
    right = {name: dom.count(f'<span class="who">gold, {name}</span>') for name in "AB"}
    assert right == {"A": only_first, "B": sum(difference.kind == 1 for difference in found)}
    assert overflow_of(path, 390) <= 0


def test_names_of_any_sign_are_shown_as_they_are(tmp_path: Path) -> None:
    data = [([HOSTILE, "b"], [Span(0, 1, "PER")]), (["c", "d"], [Span(1, 2, "LOC")])]
    for name, skill in ((HOSTILE.replace("/", ""), 1.0), ("b", 0.0)):
        write_run(tmp_path / name, data, 1, skill, {"x": name})
    runs = find_runs([str(tmp_path)], "dev").runs
    comparison = compare(read_runs(runs, "dev"))
    html = page(comparison, "dev", dict(zip([r.name for r in runs], runs, strict=True)), tmp_path)
    assert '<b>&"' not in html
    assert "\x1b" not in html + as_csv(comparison) + as_latex(comparison, "dev")
    assert r"<b>&\"" not in as_markdown(comparison, "dev")
    assert r"\textless{}b\textgreater{}\&" in as_latex(comparison, "dev")


@given(st.text())
def test_any_text_is_one_line_of_latex_without_commands_of_its_own(text: str) -> None:
    found = latex(text)
    assert "\n" not in found
    bare = re.sub(r"\\(?:[&%$#_{}]|text[a-z]+\{\})|\$\\pm\$", "", found)
    assert not re.search(r"[&%$#_{}~^\\]", bare)


@pytest.mark.long
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_the_tables_are_latex(comparison: Comparison, tmp_path: Path) -> None:
    head = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    (tmp_path / "x.tex").write_text(head + as_latex(comparison, "dev") + r"\end{document}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "x.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def prediction(tokens: str, gold: list[Span], predicted: list[Span]) -> Prediction:
    return Prediction(0, None, tokens.split(), gold, [ScoredSpan(*span, 0.5) for span in predicted])


def test_sentences_that_differ_are_of_three_kinds_and_the_largest_difference_is_first() -> None:
    a, b, c = Span(0, 1, "A"), Span(1, 2, "A"), Span(2, 3, "B")
    gold = [[a], [a], [a], [a, b], [], [a]]
    ours = [[a], [b], [b], [a, b], [c], []]
    theirs = [[a], [a], [c], [c], [c], [b]]
    pairs = [
        [prediction("x y z", g, found) for g, found in zip(gold, side, strict=True)]
        for side in (ours, theirs)
    ]
    numbered = [[p._replace(sentence=i) for i, p in enumerate(side)] for side in pairs]
    found = differences(*numbered)
    assert [(d.sentence, d.kind, d.errors) for d in found] == [
        (3, 0, (0, 3)),
        (1, 1, (2, 0)),
        (5, 2, (1, 2)),
        (2, 2, (2, 2)),
    ]
    with pytest.raises(ValueError, match="sentence 0 is not the same"):
        differences(numbered[0][:1], [numbered[1][0]._replace(gold=[b])])


@pytest.mark.long
def test_fifty_thousand_sentences_make_a_page_of_some_hundred_kilobytes(tmp_path: Path) -> None:
    data = sentences(50_000)
    for skill in (0.7, 0.8):
        for seed in (1, 2, 3):
            write_run(tmp_path / f"{skill}-{seed}", data, seed, skill, {"x": skill})
    console = Console(file=io.StringIO())
    write_comparison([str(tmp_path)], "dev", [], tmp_path, console)
    assert (tmp_path / "comparison.html").stat().st_size < 1_000_000
