"""What the model of ``make train`` does with text that no template wrote."""

import json
from pathlib import Path

import pytest
from conftest import run_cold, run_script
from corpora import real
from seqeval.metrics import f1_score

from nerlab.data.readers.conll import read
from nerlab.tags import spans_of

DATA = Path(__file__).resolve().parents[1] / "data"
PLAIN = DATA / "plain.conll"
LABELS = {"PER", "LOC", "ORG", "DATE", "MISC"}


def names_of_lists() -> set[str]:
    """Every name and form of the lists of the demonstration corpus, in small letters."""
    files = (DATA / "demo" / "names").glob("*.txt")
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    cells = [cell for line in lines if line[:1] not in "#%" for cell in line.split("|")]
    return {cell.strip().lower() for cell in cells}


def test_half_of_the_names_of_the_plain_sentences_stand_in_no_list() -> None:
    sentences = list(read(PLAIN, 0, -1, "utf-8"))
    assert len(sentences) == 200
    spans = [(it.tokens, span) for it in sentences for span in spans_of(it.tags)]
    assert {span.label for _, span in spans} == LABELS
    names = {
        (" ".join(tokens[span.start : span.end]).lower(), span.label)
        for tokens, span in spans
        if span.label != "DATE"
    }
    listed = names_of_lists()
    known = {
        (name, label)
        for name, label in names
        if name in listed or (label == "PER" and set(name.split()) <= listed)
    }
    assert len(known) <= len(names) / 2


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of ``python train.py``, with the presets as shipped."""
    run = tmp_path_factory.mktemp("demo") / "run"
    command = ["train.py", f"run.dir={run}", "tracker=none", "device=cpu", "threads=1"]
    done = run_cold(command, cwd=DATA.parent)
    assert done.status == 0, done.err
    return run


def predictions(run: Path, file: Path, output: Path) -> tuple[Path, float]:
    """Where evaluate.py puts what it predicts for a file of columns, and the span F1."""
    done = run_script("evaluate", f"checkpoint={run}", f"path={file}", f"output={output}")
    assert (done.status, done.err) == (0, "")
    [metrics] = output.glob("**/metrics.json")
    return metrics.with_name("predictions.conll"), json.loads(metrics.read_text())["f1"]


@pytest.mark.long
def test_ordinary_sentences_are_tagged_rightly(trained: Path, tmp_path: Path) -> None:
    assert predictions(trained, PLAIN, tmp_path)[1] >= 0.85


@pytest.mark.long
def test_newswire_that_was_never_trained_on(trained: Path, tmp_path: Path) -> None:
    file, _ = predictions(trained, real("conll2003/valid.txt"), tmp_path)
    common = {"PER", "LOC", "ORG"}
    blocks = file.read_text(encoding="utf-8").split("\n\n")
    rows = [[line.split()[-2:] for line in it.splitlines()] for it in blocks if it.strip()]
    rows = [it for it in rows if len(it[0]) == 2]
    gold, found = (
        [[row[side] if row[side][2:] in common else "O" for row in it] for it in rows]
        for side in (0, 1)
    )
    assert f1_score(gold, found) >= 0.65


@pytest.mark.long
@pytest.mark.parametrize(
    ("text", "entities"),
    [
        (
            "Angela Merkel flew from Berlin to Paris on Friday.",
            [("Angela Merkel", "PER"), ("Berlin", "LOC"), ("Paris", "LOC"), ("Friday", "DATE")],
        ),
        (
            "Maria Garcia works for IBM in Madrid.",
            [("Maria Garcia", "PER"), ("IBM", "ORG"), ("Madrid", "LOC")],
        ),
    ],
)
def test_the_examples_of_the_documentation(
    text: str, entities: list[tuple[str, str]], trained: Path
) -> None:
    done = run_script("predict", f"checkpoint={trained}", f'text="{text}"', "format=jsonl")
    found = json.loads(done.out)["entities"]
    assert [(it["text"], it["label"]) for it in found] == entities
