"""Files and folders of any name, wherever one may be given."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from conftest import SMALL_MODEL, Result, run_script
from invariants import refused

NAMES = [
    "two words",
    "it's",
    'a "quoted" name',
    "a=b",
    "${HOME}",
    "\\${data.dir}",
    "\\\\${x",
    "Bakı 北京 القاهرة 👍",
    "back\\slash",
    "ends in backslash\\",
    "new\nline",
    "[1, 2]",
    "{a: b}",
    "null",
    "~",
    "-",
    "#",
    "@x:y",
    "-m",
    "--cfg",
    "*",
]
# A few of them at once; make test-long tries them all.
QUICK = ("it's", "${HOME}", "new\nline", "null")
EACH = [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in NAMES]
# More signs than one name can need.
VERBS_OF_DATA = ("check", "stats", "convert", "subwords")
WORST = 'it\'s "a" = b, [c] {d: e} (f) \\ $g # ~ * ! ; & |\n\te\u0301 北京 '


def well(result: Result) -> None:
    assert (result.status, result.err) == (0, "")


@pytest.mark.parametrize("name", EACH)
def test_a_file_may_have_any_name(run: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    checkpoint = shutil.copytree(run / "checkpoints" / "best", folder / name)
    (folder / f"{name}.txt").write_text("Anna met Eve\n", encoding="utf-8")
    output = folder / f"{name}.jsonl"
    arguments = (f"checkpoint={checkpoint}", f"input={folder / name}.txt", f"output={output}")
    assert run_script("predict", *arguments) == (0, "", "")
    assert json.loads(output.read_text(encoding="utf-8"))["text"] == "Anna met Eve"


@pytest.mark.parametrize("name", EACH)
def test_a_file_that_is_not_there_is_refused_whatever_its_name(
    run: Path, tmp_path: Path, name: str
) -> None:
    refused(run_script("predict", f"checkpoint={run}", f"input={tmp_path}/{name}"))
    refused(run_script("predict", f"checkpoint={tmp_path}/{name}", "text=Eve"))


@pytest.mark.parametrize("key", ["input", "output", "checkpoint"])
def test_a_folder_or_an_impossible_name_is_refused(run: Path, tmp_path: Path, key: str) -> None:
    for path in (str(tmp_path), "x" * 5_000, ""):
        arguments = {"checkpoint": str(run), "text": "Eve", key: path}
        if key == "input":
            del arguments["text"]
        refused(run_script("predict", *(f"{k}={value}" for k, value in arguments.items())))


@pytest.mark.parametrize("name", [WORST, "it's", "new\nline"])
def test_an_export_may_have_any_name(run: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    well(run_script("nerlab/__main__", "export", f"checkpoint={run}", f"output={folder}"))
    well(run_script("predict", f"checkpoint={folder}", "text=Anna met Eve ."))


@pytest.mark.parametrize("name", EACH)
def test_a_corpus_may_have_any_name(
    run: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(shutil.copytree(corpus, tmp_path / name))
    shutil.copy(corpus / "dev.conll", folder / name)
    # A file or folder named null is meant by ./null: null is none.
    folder_name, file = (f"./{name}",) * 2 if name == "null" else (name, name)
    data = (f"data.dir={folder_name}", f"data.dev={file}")
    well(run_script("evaluate", f"checkpoint={run}", *data, f"path={folder}/{name}", "output=out"))
    # Pages take seconds.
    for verb in VERBS_OF_DATA if name in ("it's", "new\nline") else ("check", "convert"):
        output = folder / verb
        result = run_script("nerlab/__main__", verb, "data=conll", *data, f"output={output}")
        assert result.status == 0
        assert output.exists()


@pytest.mark.parametrize("name", [WORST, " lead and trail ", "true"])
def test_a_run_may_have_any_name(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(shutil.copytree(corpus, tmp_path / name))
    for split in ("train", "dev", "test"):
        (folder / f"{split}.conll").rename(folder / f"{split}{name}")
    vectors = "model.embedder.words.indexer.vectors"
    (folder / "vectors").write_text("met " + "1 " * 16 + "\n")
    data = [f"data.{split}={split}{name}" for split in ("train", "dev", "test")]
    arguments = (*SMALL_MODEL, "trainer.epochs=1", f"data.dir={name}", *data)
    well(run_script("train", *arguments, f"{vectors}={name}/vectors", f"run.dir=run{name}"))
    assert (tmp_path / f"run{name}" / "config.yaml").is_file()
    well(run_script("train", f"resume=run{name}"))
    well(run_script("evaluate", f"checkpoint=run{name}"))
    well(run_script("train", *arguments, f"run.root=root{name}", f"run.name={name}"))
    (made,) = (tmp_path / f"root{name}").glob("2*")
    assert made.name.endswith(f"-{name}")


def test_the_runs_of_a_sweep_are_told_apart_by_a_reference(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = (*SMALL_MODEL, "trainer.epochs=1", f"data.dir={corpus}")
    well(run_script("train", "-m", *arguments, "run.dir=it's ${seed}", "seed=1,2"))
    assert sorted(path.name for path in tmp_path.glob("it*")) == ["it's 1", "it's 2"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are text")
def test_a_name_may_hold_bytes_that_are_no_text(run: Path, corpus: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    folder = Path(shutil.copytree(corpus, tmp_path / name))
    (folder / "input").write_text("Anna met Eve")
    paths = (f"input={folder}/input", f"output={folder}/output")
    well(run_script("predict", f"checkpoint={run}", *paths))
    assert (folder / "output").is_file()
    well(run_script("evaluate", f"checkpoint={run}", f"data.dir={folder}", f"output={folder}"))
    for verb in VERBS_OF_DATA:
        data = ("data=conll", f"data.dir={folder}", f"output={folder}/x{verb}")
        assert run_script("nerlab/__main__", verb, *data).status == 0
    arguments = (*SMALL_MODEL, "trainer.epochs=1", f"data.dir={folder}")
    well(run_script("train", *arguments, f"run.dir={tmp_path / 'run'}"))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are text")
@pytest.mark.parametrize("key", ["checkpoint", "resume", "run.dir", "run.root", "run.name"])
def test_weights_in_a_folder_whose_name_is_no_text_are_refused(
    run: Path, tmp_path: Path, key: str
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / os.fsdecode(b"caf\xe9")))
    script = "predict" if key == "checkpoint" else "train"
    assert "bytes that are not UTF-8 in the name" in refused(run_script(script, f"{key}={folder}"))


def test_a_message_is_one_line_whatever_the_name(tmp_path: Path) -> None:
    name = tmp_path / "a\nb\x1b[2J\u2028c"
    name.mkdir()
    message = refused(run_script("predict", "text=Eve", f"checkpoint={name}"))
    assert r"b\x1b[2J" in message
    assert message.strip().isprintable()
