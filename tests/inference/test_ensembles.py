"""Several checkpoints as one: on the command line and from Python."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import SMALL_MODEL, run_script
from invariants import refused

import nerlab

TEXTS = ["Anna Smith flew to Berlin .", "In Bakı Aygün Əliyeva met Eve.", "Nothing at all ."]


@pytest.fixture(scope="module")
def other(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of another model on the same corpus, worse than the first."""
    run = tmp_path_factory.mktemp("other") / "run, too"
    keys = [*SMALL_MODEL, f"data.dir={corpus}", "seed=2", "trainer.epochs=2", "model=lstm"]
    assert run_script("train", *keys, f"run.dir={run}").status == 0
    return run


def test_members_are_named_on_the_command_line(run: Path, other: Path) -> None:
    both = f"checkpoint=['{run}', '{other}']"
    result = run_script("predict", both, f"text={TEXTS[0]}", "format=jsonl")
    assert (result.status, result.err) == (0, "")
    tagger = nerlab.load([run, other])
    (expected,) = tagger.predict(TEXTS[:1])
    entities = json.loads(result.out)["entities"]
    assert [(e["text"], e["label"]) for e in entities] == [(e.text, e.label) for e in expected]
    assert str(run) in repr(tagger)
    assert str(other) in repr(tagger)


def test_scores_are_the_means_of_the_members(run: Path, other: Path) -> None:
    tagger, *members = nerlab.load([run, other]), nerlab.load(run), nerlab.load(other)
    tokens = [text.split() for text in TEXTS]
    found = [member.marginals(tokens) for member in (tagger, *members)]
    for mean, one, two in zip(*found, strict=True):
        assert mean == pytest.approx((one + two) / 2, abs=1e-5)
    assert any(abs(one - two).max() > 0.01 for _, one, two in zip(*found, strict=True))


def test_how_often_a_single_tagger_is_named_changes_nothing(run: Path) -> None:
    for one, two in zip(
        nerlab.load([run] * 2).predict(TEXTS), nerlab.load([run] * 3).predict(TEXTS), strict=True
    ):
        assert [e[:4] for e in one] == [e[:4] for e in two]
        assert [e.score for e in one] == pytest.approx([e.score for e in two], abs=1e-5)


def test_an_ensemble_is_scored_into_a_folder(run: Path, other: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "a")
    shutil.copytree(other, tmp_path / "b")
    both = f"checkpoint=[{tmp_path}/a, {tmp_path}/b]"
    output = tmp_path / "both"
    result = run_script("evaluate", both, f"output={output}", "report=true")
    assert (result.status, result.err) == (0, "")
    folder = output / "evaluation" / "dev"
    f1 = json.loads((folder / "metrics.json").read_text())["f1"]
    assert f"{100 * f1:.2f}" in result.out
    assert "Report of dev: both" in (folder / "report.html").read_text()
    assert "expected output=FOLDER" in refused(run_script("evaluate", both))


@pytest.mark.long
def test_three_seeds_together_are_not_worse_than_their_mean(corpus: Path, tmp_path: Path) -> None:
    keys = [*SMALL_MODEL, f"data.dir={corpus}"]
    runs, scores = [tmp_path / str(seed) for seed in range(3)], []
    for seed, run in enumerate(runs):
        assert run_script("train", *keys, f"seed={seed}", f"run.dir={run}").status == 0
        metrics = run / "evaluation" / "dev" / "metrics.json"
        scores.append(json.loads(metrics.read_text())["f1"])
    together = f"checkpoint=[{','.join(map(str, runs))}]"
    assert run_script("evaluate", together, f"output={tmp_path / 'all'}").status == 0
    metrics = tmp_path / "all" / "evaluation" / "dev" / "metrics.json"
    assert 0.2 < max(scores) < 1, scores
    assert json.loads(metrics.read_text())["f1"] >= sum(scores) / 3, scores


def test_members_that_know_other_labels_are_refused(run: Path, tmp_path: Path) -> None:
    for split in ("train", "dev"):
        (tmp_path / f"{split}.conll").write_text("Eve B-X\nmet O\n\nTom B-PER\n\n" * 8)
    keys = [*SMALL_MODEL, f"data.dir={tmp_path}", "data.test=null", "trainer.epochs=1"]
    assert run_script("train", *keys, f"run.dir={tmp_path / 'run'}").status == 0
    result = run_script("predict", f"checkpoint=[{run},{tmp_path / 'run'}]", "text=Eve")
    assert result.status == 1
    assert result.err == (
        f"error: {tmp_path / 'run'}: expected the labels LOC PER, as {run} has them, found PER X; "
        "the members of an ensemble must know the same\n"
    )
    refused(run_script("predict", "checkpoint=[]", "text=Eve"))
    with pytest.raises(ValueError, match="expected at least one run directory"):
        nerlab.load([])


@pytest.mark.parametrize("verb", ["export", "explain"])
def test_a_command_that_takes_one_checkpoint_refuses_several(run: Path, verb: str) -> None:
    arguments = {"export": "output=tagger", "explain": "text=Eve"}[verb]
    result = run_script("nerlab/__main__", verb, f"checkpoint=[{run},{run}]", arguments)
    assert result.status == 1
    assert "expected one run directory or checkpoint folder, found 2" in result.err
