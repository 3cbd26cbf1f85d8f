"""Runs are read from their folders, and what is wrong with one is said in one line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from scored_runs import sentences, write_run

from nerlab.evaluation.comparison import TRAINING_DATA
from nerlab.reports.runs import find_runs, read_runs
from nerlab.sweeps import FAILED

DATA = sentences(20)


def test_a_run_is_read_as_it_was_scored(tmp_path: Path, run: Path) -> None:
    folder = write_run(tmp_path / "a", DATA, 7, 0.5, command=["model=lstm", "+x/y=z", "seed=7"])
    (found,) = read_runs([folder], "dev")
    metrics = json.loads((folder / "evaluation" / "dev" / "metrics.json").read_text())
    assert found.scores.total._asdict() == {key: metrics[key] for key in found.scores.total._fields}
    assert {x: s.f1 for x, s in found.scores.per_type.items()} == {
        x: s["f1"] for x, s in metrics["per_type"].items()
    }
    assert (found.name, found.seed, found.choices) == ("a", 7, {"model": "lstm", "x/y": "z"})
    assert found.settings["model.encoder.dim"] == 1
    assert found.settings[TRAINING_DATA] == "train"
    assert (found.parameters, found.seconds) == (None, None)
    for seconds, resumed, total in ((1.5, [], 1.5), (1.5, [2.0], 3.5), (1.5, [None], None)):
        facts = {"seconds": seconds, "resumed": [{"seconds": s} for s in resumed]}
        (folder / "environment.json").write_text(json.dumps(facts))
        assert read_runs([folder], "dev")[0].seconds == total
    (trained,) = read_runs([run], "dev")
    assert trained.parameters is not None
    assert f"{trained.parameters:,} parameters" in (run / "train.log").read_text()


def test_a_sweep_counts_as_its_runs_without_links_and_what_failed_is_named(tmp_path: Path) -> None:
    for name in "ab":
        write_run(tmp_path / name, DATA)
    (tmp_path / "latest").symlink_to("a")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "config.yaml").touch()
    lines = [{"run": name, "reason": "why"} for name in ("b", "d")]  # b was resumed
    (tmp_path / FAILED).write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = find_runs([str(tmp_path), str(tmp_path / "latest"), str(tmp_path / "a")], "dev")
    assert sorted(path.name for path in found.runs) == ["a", "b"]
    assert found.left_out == {"c": "not scored on dev", "d": "why"}


def test_runs_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name / "run", DATA) for name in "ab"]
    assert [found.name for found in read_runs(folders, "dev")] == [str(f) for f in folders]


def test_what_is_no_scored_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "none"):
        with pytest.raises(ValueError, match=f"{name}: expected a run, or a folder of runs"):
            find_runs([str(tmp_path / name)], "dev")
    folder = write_run(tmp_path / "run", DATA)
    with pytest.raises(ValueError, match=rf"no scores of test; .*checkpoint={folder} split=test"):
        find_runs([str(folder)], "test")


def test_runs_on_different_data_are_refused_by_name(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, DATA, sha256=name * 64) for name in "aab"]
    folders.append(write_run(tmp_path / "c", DATA, sha256="a" * 64))
    with pytest.raises(
        ValueError, match=r"dev is not the same .*a \(aaaaaaaa\), .*b \(bbbbbbbb\);"
    ):
        read_runs(folders, "dev")


def without_hash(folder: Path) -> None:
    path = folder / "evaluation" / "dev" / "metrics.json"
    metrics = json.loads(path.read_text())
    del metrics["sha256"]
    path.write_text(json.dumps(metrics))


def other_scores(folder: Path) -> None:
    path = folder / "evaluation" / "dev" / "metrics.json"
    metrics = json.loads(path.read_text())
    path.write_text(json.dumps({**metrics, "f1": metrics["f1"] + 0.01}))


def writing(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (without_hash, "metrics.json: expected the sha256 of the data"),
        (other_scores, "metrics.json: not as a run writes it .its F1 is not that of predictions"),
        (writing("evaluation/dev/metrics.json", "[1]"), "metrics.json: expected an object"),
        (writing("evaluation/dev/metrics.json", '{"sha256": "a"}'), "metrics.json: not as a run"),
        (writing("evaluation/dev/predictions.jsonl", "{}\n"), "predictions.jsonl, line 1"),
        (writing("config.yaml", "a: 1\n"), "config.yaml: expected the configuration of a run"),
        (writing("run.json", '{"splits": [1]}'), "run.json, environment.json: broken"),
        (writing("run.json", '{"command": [1, 2, 3]}'), "run.json, environment.json: broken"),
        (writing("run.json", "{"), "run.json: broken file"),
    ],
)
def test_a_broken_file_is_one_line(
    tmp_path: Path, spoil: Callable[[Path], object], expected: str
) -> None:
    folder = write_run(tmp_path / "a", DATA)
    spoil(folder)
    with pytest.raises(ValueError, match=expected) as error:
        read_runs([folder], "dev")
    assert "\n" not in str(error.value)


def test_a_run_without_a_seed_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a", DATA, settings={"seed": "x"})
    with pytest.raises(ValueError, match=r"config.yaml: expected a seed"):
        read_runs([folder], "dev")
