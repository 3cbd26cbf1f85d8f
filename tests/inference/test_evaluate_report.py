"""``evaluate.py report=true``: the report of a checkpoint on any split or file."""

import json
from pathlib import Path

import pytest
from conftest import run_script

from nerlab.evaluation.files import read_predictions

ALWAYS = {"metrics.json", "predictions.conll", "predictions.jsonl"}
REPORT = {"analysis.json", "report.html", "report.txt"}


def evaluate(run: Path, output: Path, *arguments: str) -> Path:
    """The folder that holds the splits."""
    result = run_script("evaluate", f"checkpoint={run}", f"output={output}", *arguments)
    assert (result.status, result.err) == (0, "")
    return output / "evaluation"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_report_is_written_on_request(run: Path, tmp_path: Path) -> None:
    assert names(evaluate(run, tmp_path) / "dev") == ALWAYS
    assert names(evaluate(run, tmp_path, "report=true") / "dev") == ALWAYS | REPORT


def test_the_report_is_that_of_the_end_of_training(run: Path, tmp_path: Path) -> None:
    folder = evaluate(run, tmp_path, "report=true") / "dev"
    for name in ("metrics.json", "predictions.jsonl", "analysis.json", "report.txt"):
        ours = (folder / name).read_text(encoding="utf-8")
        assert ours == (run / "evaluation" / "dev" / name).read_text(encoding="utf-8")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page == (run / "evaluation" / "dev" / "report.html").read_text(encoding="utf-8")
    assert "Dev, percent" in page
    numbers = json.loads((folder / "analysis.json").read_text())
    assert list(numbers["splits"]) == ["train", "dev"]
    assert numbers["splits"]["train"]["scored"] < numbers["splits"]["train"]["sentences"] == 40
    assert numbers["groups"]["seen"]
    data = json.loads((run / "environment.json").read_text())["splits"]["dev"]["sha256"]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["sha256"] == numbers["sha256"] == data


def test_without_the_training_split_the_page_says_why(run: Path, tmp_path: Path) -> None:
    folder = evaluate(run, tmp_path, "report=true", "data.train=gone.conll") / "dev"
    numbers = json.loads((folder / "analysis.json").read_text())
    assert "gone.conll" in numbers["without_training"]
    assert list(numbers["groups"]) == ["entity_length", "sentence_length"]
    for name in ("report.html", "report.txt"):
        assert "gone.conll" in (folder / name).read_text(encoding="utf-8")


@pytest.mark.long
def test_all_splits_stand_side_by_side_on_each_page(run: Path, tmp_path: Path) -> None:
    folder = evaluate(run, tmp_path, "report=true", "split=all")
    for split in ("train", "dev", "test"):
        numbers = json.loads((folder / split / "analysis.json").read_text())
        assert numbers["split"] == split
        assert list(numbers["splits"]) == ["train", "dev", "test"]
        assert numbers["splits"]["train"]["scored"] == 40


def test_predictions_have_the_documents_of_the_file(
    run: Path, tmp_path: Path, corpus: Path
) -> None:
    two = (corpus / "dev.conll").read_text(encoding="utf-8") * 2
    (tmp_path / "two.conll").write_text(two, encoding="utf-8")
    folder = evaluate(run, tmp_path, f"path={tmp_path / 'two.conll'}") / "two"
    found = read_predictions(folder / "predictions.jsonl")
    half = len(found) // 2
    number = found[0].document
    assert number is not None
    assert [one.document for one in found] == [number] * half + [number + 1] * half
