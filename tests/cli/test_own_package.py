"""A package of one's own: ``trust=mylab`` admits it, for a run, a checkpoint, a corpus."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, SMALL_MODEL, Result, run_process, run_script
from helpers import reseal
from hypothesis import example, given
from hypothesis import strategies as st
from own_package import importable, write_package

import nerlab
from nerlab.data.load import READERS
from nerlab.instantiation import trusted_packages
from nerlab.models.build import ENCODERS
from nerlab.training.trackers import TRACKERS

TEXT = "Anna Smith flew to Berlin ."
ADVICE = "; trust=mylab admits it, if you trust its author and that of this configuration"
ENCODER = "model.encoder: _target_ 'mylab.encoders.GRU'"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the package lies."""
    folder = tmp_path_factory.mktemp("lab")
    write_package(folder)
    return folder


@pytest.fixture
def in_process(lab: Path) -> Iterator[None]:
    """The package is found in this process, but not trusted unless that is said."""
    with importable(lab):
        yield


def script(lab: Path, name: str, *arguments: str) -> Result:
    """A script of the repository, called as somebody who has the package in PYTHONPATH would."""
    path = os.pathsep.join([str(lab), os.environ.get("PYTHONPATH", "")])
    return run_process([f"{name}.py", *arguments], ROOT, PYTHONPATH=path)


def refusal(result: Result) -> str:
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    return result.err


def train_arguments(lab: Path, corpus: Path, run: Path) -> list[str]:
    small = [key for key in SMALL_MODEL if not key.startswith(("model.encoder", "tracker"))]
    own = ["model/encoder=gru", "data/reader=mine", "tracker=lines"]
    keys = [*small, *own, f"data.dir={corpus}", f"run.dir={run}", "trainer.epochs=4"]
    return [f"--config-dir={lab / 'conf'}", *keys]


@pytest.fixture(scope="module")
def own_run(lab: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose encoder, reader and tracker are the package's; do not write into it."""
    run = tmp_path_factory.mktemp("own") / "run"
    result = script(lab, "train", *train_arguments(lab, corpus, run), "trust=mylab")
    assert (result.status, result.err) == (0, "")
    return run


def test_encoder_reader_and_tracker_of_a_trusted_package_make_a_run(
    own_run: Path, run: Path
) -> None:
    assert (own_run / "lines.txt").read_text() == "begun\ndev\nfinished\n"
    weights = own_run / "checkpoints" / "best" / "model.safetensors"
    assert b"encoder.gru.weight_hh_l0" in weights.read_bytes()
    # Its reader read what ours reads.
    saved = [folder / "checkpoints" / "last" / "training.json" for folder in (own_run, run)]
    assert len({json.loads(path.read_text())["train_sha256"] for path in saved}) == 1


def test_nothing_that_a_run_saves_says_whom_to_trust(own_run: Path) -> None:
    files = [path for path in own_run.rglob("*") if path.suffix in (".yaml", ".json", ".log")]
    assert {"config.yaml", "training.json", "train.log"} <= {path.name for path in files}
    assert [path for path in files if "trust" in path.read_text(encoding="utf-8")] == []


@pytest.mark.usefixtures("in_process")
def test_training_is_refused_where_nobody_trusts_the_package(
    lab: Path, corpus: Path, tmp_path: Path
) -> None:
    arguments = train_arguments(lab, corpus, tmp_path / "run")
    reader, tracker = (f"_target_ 'mylab.{name}'" for name in ("readers.read", "trackers.Lines"))
    for key, line, names in (
        ("data/reader=mine", f"data.reader: {reader}", READERS),
        ("model/encoder=gru", ENCODER, ENCODERS),
        ("tracker=lines", f"tracker: {tracker}", TRACKERS),
    ):
        expected = f"error: {line}: expected one of {', '.join(names)}{ADVICE}\n"
        assert refusal(run_script("train", *arguments)) == expected
        arguments.remove(key)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("in_process")
def test_a_class_can_be_named_on_the_command_line_alone(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    keys = [*SMALL_MODEL, "model.encoder._target_=mylab.encoders.GRU", "trainer.epochs=1"]
    keys += [f"~model.encoder.{key}" for key in ("layers", "dropout", "bidirectional")]
    result = run_script("train", *keys, f"data.dir={corpus}", f"run.dir={run}", "trust=[mylab]")
    assert (result.status, result.err) == (0, "")
    with pytest.raises(ValueError, match="trust=mylab admits it"):
        nerlab.load(run)


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(("name", "key"), [("evaluate", "split=dev"), ("predict", f"text={TEXT}")])
def test_a_checkpoint_needs_it_said_anew(
    own_run: Path, tmp_path: Path, name: str, key: str
) -> None:
    arguments = [f"checkpoint={own_run}", key, f"output={tmp_path / 'output'}"]
    message = refusal(run_script(name, *arguments))
    config = own_run / "checkpoints" / "best" / "config.yaml"
    assert message.startswith(f"error: {config}: {ENCODER}: expected one of nerlab.modules.")
    assert message.endswith(f"{ADVICE}\n")
    assert not (tmp_path / "output").exists()
    result = run_script(name, *arguments, "trust=mylab")
    assert (result.status, result.err) == (0, "")
    if name == "evaluate":
        found, trained = (
            json.loads((folder / "evaluation" / "dev" / "metrics.json").read_text())
            for folder in (tmp_path / "output", own_run)
        )
        assert found == trained
        assert found["f1"] > 0.5
    else:
        (line,) = (tmp_path / "output").read_text(encoding="utf-8").splitlines()
        assert json.loads(line)["text"] == TEXT


@pytest.mark.usefixtures("in_process")
def test_the_reader_of_a_checkpoint_needs_it_too(
    own_run: Path, run: Path, corpus: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(run / "checkpoints" / "best", tmp_path / "checkpoint"))
    config, own = (
        yaml.safe_load((place / "config.yaml").read_text(encoding="utf-8"))
        for place in (folder, own_run)
    )
    config["data"]["reader"] = own["data"]["reader"]
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    reseal(folder)
    assert nerlab.load(folder).predict([TEXT])  # which reads no corpus
    keys = [f"checkpoint={folder}", f"output={tmp_path}"]
    for more in ([], [f"path={corpus / 'dev.conll'}"]):
        message = refusal(run_script("evaluate", *keys, *more))
        assert "data.reader: _target_ 'mylab.readers.read'" in message
        assert "trust=mylab admits it" in message
        result = run_script("evaluate", *keys, *more, "trust=mylab")
        assert (result.status, result.err) == (0, "")
        assert "26 sentences" in result.out


@pytest.mark.usefixtures("in_process")
def test_from_python_it_is_an_argument(own_run: Path) -> None:
    with pytest.raises(ValueError, match="trust=mylab admits it") as caught:
        nerlab.load(own_run)
    assert "\n" not in str(caught.value)
    expected = nerlab.load(own_run, trust="mylab").predict([TEXT])
    assert expected[0]
    assert nerlab.load(own_run, trust=["mylab"]).predict([TEXT]) == expected
    assert nerlab.load(own_run, trust="mylab.encoders").predict([TEXT]) == expected
    with pytest.raises(ValueError, match="trust=mylab admits it"):
        nerlab.load(own_run)  # what was trusted once is not trusted ever after
    with pytest.raises(ValueError, match=ENCODER):
        nerlab.load(own_run, trust="mylab.readers")


@pytest.mark.usefixtures("in_process")
def test_a_run_is_resumed_with_trust_said_anew(own_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(own_run, tmp_path / "run"))
    before = contents(run)
    assert "trust=mylab admits it" in refusal(run_script("train", f"resume={run}"))
    assert "trust=mylab admits it" in refusal(run_script("train", f"resume={run}", "trust=torch"))
    assert contents(run) == before
    result = run_script("train", f"resume={run}", "trust=mylab")
    assert (result.status, result.err) == (0, "")
    assert "resumed after step" in result.out


@pytest.mark.usefixtures("in_process")
def test_resume_auto_needs_it_in_each_start(lab: Path, corpus: Path, tmp_path: Path) -> None:
    keys = [*train_arguments(lab, corpus, tmp_path / "run"), "resume=auto"]
    for start in ("", "resumed after step"):
        result = run_script("train", *keys, "trust=mylab")
        assert (result.status, result.err) == (0, "")
        assert start in result.out
        assert "trust=mylab admits it" in refusal(run_script("train", *keys))


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "command",
    ["check", *(pytest.param(name, marks=pytest.mark.long) for name in ("stats", "convert"))],
)
def test_a_corpus_can_be_looked_at_with_it(
    lab: Path, corpus: Path, tmp_path: Path, command: str
) -> None:
    keys = [f"--config-dir={lab / 'conf'}", "data=conll", f"data.dir={corpus}", "data/reader=mine"]
    output = tmp_path / "output"
    more = {"check": [], "stats": [f"output={output}"], "convert": [f"output={output}", "to=iob2"]}
    keys = ["-m", "nerlab", command, *keys, *more[command]]
    # python -m looks into the folder that it is called in.
    if command == "check":
        refused = run_process(keys, lab, **ours())
        assert refused.status == 1
        assert "trust=mylab admits it" in refused.out + refused.err
    done = run_process([*keys, "trust=mylab"], lab, **ours())
    assert (done.status, done.err) == (0, "")
    if command != "check":
        assert list(output.iterdir())


def ours() -> dict[str, str]:
    """An environment in which a process in any folder finds nerlab."""
    # An empty part would mean the folder that a process is called in.
    folders = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    return {"PYTHONPATH": os.pathsep.join(folders)}


def test_a_script_does_not_look_into_the_folder_that_it_is_called_in(lab: Path) -> None:
    result = run_process([str(ROOT / "train.py"), "trust=mylab"], lab, **ours())
    assert refusal(result) == (
        "error: trust=mylab: cannot be imported (No module named 'mylab'); install it, put it "
        "beside the script, or name the folder that it is in in PYTHONPATH\n"
    )


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
        max_leaves=4,
    )
)
@example("ｏｓ")  # Python reads it as os, if it stands in a program
@example("mylab\n")
@example(["json", None])
@example(b"json")
def test_what_names_no_package_is_refused_in_one_line(value: Any) -> None:
    if value is None or value == []:
        assert trusted_packages(value) == ()
        return
    with pytest.raises(ValueError, match=r"\Atrust=.*\Z"):  # a dot matches within one line
        trusted_packages(value)


@pytest.mark.usefixtures("in_process")
def test_whatever_a_package_raises_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"trust=corrupted: cannot be imported \(two lines\)"):
        trusted_packages("corrupted")


@pytest.mark.parametrize("name", ["train", "evaluate", "predict"])
def test_every_help_says_what_trust_is(name: str) -> None:
    result = run_script(name, "--help")
    assert result.status == 0
    assert "trust: null" in result.out
    explains_trust(result.out.partition("Every key")[0])


@pytest.mark.parametrize("name", ["check", "stats", "convert"])
def test_the_help_of_the_data_commands_says_it_too(name: str) -> None:
    explains_trust((ROOT / "conf" / f"{name}.yaml").read_text(encoding="utf-8"))


def explains_trust(text: str) -> None:
    assert "trust=mylab" in text
    assert "PYTHONPATH" in text.partition("trust=mylab")[2]
