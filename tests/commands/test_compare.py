"""``python -m nerlab compare`` as a person calls it."""

from pathlib import Path

import pytest
from conftest import Result, run_script
from hypothesis import given
from hypothesis import strategies as st
from scored_runs import sentences, write_run

from nerlab.command_line import prepared, split_words

DATA = sentences(40)
KINDS = ("csv", "html", "md", "tex")


def compare(folder: Path, *arguments: str) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return run_script("nerlab/__main__", "compare", *arguments)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name, skill in (("a, b", 0.9), ("it's ${x} [1]=\\", 0.4)):
        write_run(folder / "sweep" / name, DATA, 1, skill, {"model.encoder.dim": round(skill * 10)})
    return folder


def test_runs_are_words_and_the_tables_are_printed_and_written(runs: Path, tmp_path: Path) -> None:
    folders = sorted((runs / "sweep").iterdir())
    result = compare(tmp_path, *map(str, folders), "output=of two, runs")
    assert (result.status, result.err) == (0, "")
    lines = [line.split() for line in result.out.splitlines()]
    assert [line[:2] for line in lines[2:4]] == [["9", "1"], ["4", "1"]]
    assert lines[1][:3] == ["model.encoder.dim", "n", "F1"]
    names = {path.name for path in (tmp_path / "of two, runs").iterdir()}
    assert names == {f"comparison.{kind}" for kind in KINDS}


def test_the_folder_of_a_sweep_gets_its_own_comparison(runs: Path, tmp_path: Path) -> None:
    result = compare(runs, "sweep", "by=model.encoder.dim")
    assert (result.status, result.err) == (0, "")
    for kind in KINDS:
        written = runs / "sweep" / f"comparison.{kind}"
        assert written.is_file()
        written.unlink()
    result = compare(tmp_path, f"runs={runs}/sweep", "by=[model]", "output=.")
    assert (result.status, result.err) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == {f"comparison.{kind}" for kind in KINDS}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "runs=... is needed"),
        (("runs=null",), "expected folders of runs: python -m nerlab compare RUN RUN ..."),
        (("nowhere",), "nowhere: expected a run, or a folder of runs; found no config.yaml"),
        (("sweep", "split=dve"), "split=dve: expected one of train, dev, test"),
        (("sweep", "by=modl"), "by=modl: no run has such a key; the nearest is model"),
        (("sweep", "by={a: 1}"), "by={'a': 1}: expected a name, or a list of names"),
        (("sweep", "bye=model"), "bye: no such key; the nearest is by"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    runs: Path, arguments: tuple[str, ...], expected: str
) -> None:
    result = compare(runs, *arguments)
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(f"error: {expected}")
    assert result.err.count("\n") == 1


paths = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(st.lists(paths.map(lambda text: f"./{text}"), min_size=1, max_size=4))
def test_folders_of_any_name_come_through_as_they_are(names: list[str]) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    (argument, rest) = prepared([*names, "split=test"], words="runs")
    override = OverridesParser.create().parse_override(argument)
    value = OmegaConf.create({"runs": override.value()}).runs
    assert (override.key_or_group, list(value), rest) == ("runs", names, "split=test")


def test_options_their_values_and_keys_are_no_words() -> None:
    typed = ["runs/a", "--cfg", "job", "by=x", "runs/x=1", "b", "--help", "hydra.verbose=true"]
    rest = ["--cfg", "job", "by=x", "--help", "hydra.verbose=true"]
    assert split_words(typed) == (rest, ["runs/a", "runs/x=1", "b"])
