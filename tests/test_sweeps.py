"""Runs of a sweep: what they are named, where they lie, and which of them failed."""

import os
import re
import signal
from pathlib import Path

import pytest
from conftest import ROOT, SMALL_MODEL, run_cold, run_script
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import DictConfig
from scored_runs import sentences, write_run

from nerlab.command_line import prepared
from nerlab.process import Interrupted
from nerlab.sweeps import (
    FAILED,
    failures,
    folder_name,
    name_by_what_is_swept,
    place_in_sweep,
)

DATA = sentences(20)


@given(st.text())
@example("model=bilstm,seed=1")
@example("../../etc/passwd")
@example("-m")
@example("a" * 300)
@example("\udcff")
@example("trainer.learning_rate=1e-3,model.embedder.words.indexer.vectors=/a b/GloVe (6B)")
def test_a_folder_of_any_overrides_has_a_short_name_that_needs_no_quotes(overrides: str) -> None:
    name = folder_name(overrides)
    assert re.fullmatch(r"[A-Za-z0-9_+][A-Za-z0-9._+-]*", name)
    assert len(name) <= 100
    value = OverridesParser.create().parse_override(f"runs=[runs/{name},x]").value()
    assert value == [f"runs/{name}", "x"]


def test_long_overrides_that_differ_at_their_end_have_different_names() -> None:
    names = {folder_name(f"data.dir={'x' * 200}{number}") for number in range(3)}
    assert len(names) == 3


def test_only_what_is_swept_is_in_the_names() -> None:
    typed = ["-m", "model=a,b", "data=conll", "seed=1,2", "+trainer.x=1", "tracker=none"]
    assert name_by_what_is_swept(typed) == [
        *typed,
        "hydra.job.config.override_dirname.exclude_keys=['data','trainer.x','tracker']",
    ]
    own = "hydra.job.config.override_dirname.exclude_keys=[data]"
    assert name_by_what_is_swept([*typed, own]) == [*typed, own]
    assert prepared(["-m", "seed=1,2"]) == ["-m", "seed=1,2"]
    assert prepared(["seed=1"]) == ["seed=1"]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs of train.py write a scored run without training; what seeds of 5 and more come to."""

    def run_experiment(config: DictConfig, _: object) -> float:
        if config.seed == 5:
            raise ValueError("data/none.conll: no such file")
        if config.seed == 6:
            raise RuntimeError("broken\nin two")
        if config.seed == 7:
            raise Interrupted(signal.SIGTERM)
        place = place_in_sweep()
        assert place is not None
        digest = ("b" if config.seed == 8 else "a") * 64
        write_run(place, DATA, config.seed, 1 - config.seed / 10, sha256=digest)
        return 0.5

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nerlab.commands.train.run_experiment", run_experiment)


def the_sweep(root: Path) -> Path:
    (sweep,) = (root / "sweeps").iterdir()
    return sweep


def test_a_sweep_of_two_models_ends_with_its_table(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = (*SMALL_MODEL, "trainer.epochs=1", f"data.dir={corpus}", "run.root=all")
    result = run_script("train", "-m", *arguments, "model=bilstm,bilstm_crf,bilstm")
    assert (result.status, result.err) == (0, "")
    sweep = the_sweep(tmp_path / "all")
    names = {path.parent.name for path in sweep.glob("*/config.yaml")}
    assert names == {"model-bilstm", "model-bilstm-2", "model-bilstm_crf"}
    assert (tmp_path / "all" / "latest").resolve() == sweep / "model-bilstm-2"
    table = result.out.partition("3 runs on dev\n")[2].splitlines()
    assert table[0].split()[:2] == ["model", "n"]
    rows = {tuple(line.split()[:2]) for line in table[1:3]}
    assert rows == {("bilstm", "2"), ("bilstm_crf", "1")}
    assert "note: bilstm: 2 runs of seed 1 with the same score count as 2" in result.out
    for kind in ("csv", "html", "md", "tex"):
        assert (sweep / f"comparison.{kind}").is_file()


@pytest.mark.usefixtures("written")
def test_the_jobs_that_failed_are_listed_with_the_reason(tmp_path: Path) -> None:
    result = run_script("train", "-m", "seed=1,5,2,6")
    assert result.status == 1
    assert "2 runs on dev\n" in result.out
    expected = {
        "seed-5": "data/none.conll: no such file",
        "seed-6": "RuntimeError: broken in two",
    }
    assert failures(the_sweep(tmp_path / "runs")) == expected
    for name, reason in expected.items():
        assert f"left out: {name}: {reason}\n" in result.out
        assert f"failed: {name}: {reason}\n" in result.err


@pytest.mark.usefixtures("written")
def test_a_sweep_in_which_all_jobs_failed_has_no_table(tmp_path: Path) -> None:
    result = run_script("train", "-m", "seed=5,5")
    assert result.status == 1
    shown = "left out: seed-5: data/none.conll: no such file\n"
    assert result.out == f"{shown}the runs are not compared: none of them was scored on dev\n"
    compared = run_script("nerlab/__main__", "compare", str(the_sweep(tmp_path / "runs")))
    assert (compared.status, compared.out) == (1, shown)
    assert compared.err == "error: none of them was scored on dev\n"


def test_a_broken_list_of_failures_is_one_line(tmp_path: Path) -> None:
    assert failures(tmp_path) == {}
    (tmp_path / FAILED).write_text('{"run": "a"}\n')
    with pytest.raises(ValueError, match=r"failed.jsonl: broken file \('reason'\)"):
        failures(tmp_path)


@pytest.mark.usefixtures("written")
def test_a_sweep_whose_runs_cannot_be_compared_is_no_failure() -> None:
    result = run_script("train", "-m", "seed=1,8")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("the runs are not compared: dev is not the same in all runs")


@pytest.mark.usefixtures("written")
def test_a_sweep_with_a_wrong_key_makes_nothing() -> None:
    result = run_script("train", "-m", "trainer.epoch=1,2")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("error: trainer.epoch: no such key; the nearest is trainer.epochs")


@pytest.mark.usefixtures("written")
def test_an_interrupted_sweep_leaves_its_runs_to_be_compared(tmp_path: Path) -> None:
    result = run_script("train", "-m", "seed=1,7,3")
    assert (result.status, result.out) == (128 + signal.SIGTERM, "")
    sweep = the_sweep(tmp_path / "runs")
    assert {path.name for path in sweep.iterdir()} == {"multirun.yaml", "seed-1"}
    compared = run_script("nerlab/__main__", "compare", str(sweep))
    assert (compared.status, compared.err) == (0, "")
    assert compared.out.startswith("1 run on dev\n")
    assert (sweep / "comparison.html").is_file()


LAUNCHER = '''
"""Each job in a process of joblib's, as hydra-joblib-launcher has it."""

from hydra.core.config_store import ConfigStore
from hydra.core.singleton import Singleton
from hydra.core.utils import run_job, setup_globals
from hydra.plugins.launcher import Launcher
from joblib import Parallel, delayed


class Processes(Launcher):
    def setup(self, *, hydra_context, task_function, config):
        self.rest = hydra_context, task_function, config

    def launch(self, job_overrides, initial_job_idx):
        jobs = (delayed(execute)(Singleton.get_state(), job, *self.rest) for job in job_overrides)
        return Parallel(n_jobs=2, backend="loky")(jobs)


def execute(state, overrides, context, task, config):
    setup_globals()
    Singleton.set_state(state)
    made = context.config_loader.load_sweep_config(config, list(overrides))
    keys = {"job_dir_key": "hydra.sweep.dir", "job_subdir_key": "hydra.sweep.subdir"}
    return run_job(hydra_context=context, task_function=task, config=made, **keys)


node = {"_target_": f"{__name__}.Processes"}
ConfigStore.instance().store(group="hydra/launcher", name="processes", node=node)
'''


@pytest.mark.long
def test_jobs_in_processes_of_their_own_are_named_compared_and_fail_as_others(
    corpus: Path, tmp_path: Path
) -> None:
    plugin = tmp_path / "plugins" / "hydra_plugins" / "processes"
    plugin.mkdir(parents=True)
    (plugin / "__init__.py").touch()
    (plugin / "launcher.py").write_text(LAUNCHER)
    arguments = ["-m", "hydra/launcher=processes", *SMALL_MODEL, f"data.dir={corpus}"]
    swept = ["trainer.epochs=1", "data.train=none.conll,train.conll", "seed=1,2"]
    path = f"{plugin.parents[1]}{os.pathsep}{ROOT}"
    result = run_cold([str(ROOT / "train.py"), *arguments, *swept], tmp_path, PYTHONPATH=path)
    assert result.status == 1
    assert "2 runs on dev\n" in result.out
    (sweep,) = (tmp_path / "runs" / "sweeps").iterdir()
    runs = {path.parent.name for path in sweep.glob("*/config.yaml")}
    assert runs == {f"data.train-train.conll--seed-{seed}" for seed in (1, 2)}
    assert set(failures(sweep)) == {f"data.train-none.conll--seed-{seed}" for seed in (1, 2)}
    for name in failures(sweep):
        assert f"failed: {name}: " in result.err
        assert f"left out: {name}: " in result.out
