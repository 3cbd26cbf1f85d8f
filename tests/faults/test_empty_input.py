"""Nothing where something is expected: tagged, trained on, or refused in one line."""

import itertools
from pathlib import Path

import pytest
from conftest import SMALL_MODEL, run_script
from formats import FORMATS, TOOLS
from helpers import one_in
from invariants import read_or_refuse, refused

import nerlab

SOME = "Ada B-X\nwrote O\n\nEve B-X\n"
NOTHING = ["", "\n", " \t\r\n\n", "\ufeff", "\ufeff\n", "-DOCSTART- O\n\n"]


@pytest.mark.parametrize("name", FORMATS | TOOLS)
@pytest.mark.parametrize("content", ["", "\n", "\ufeff", "{}", "[]", "[{}]", "null", '""'])
def test_a_file_of_nothing_has_no_sentence(tmp_path: Path, name: str, content: str) -> None:
    for file in ("words", "tags"):
        (tmp_path / file).write_text(content)
    found = read_or_refuse((FORMATS | TOOLS)[name].read, tmp_path / "words")
    if name == "parallel" and content.strip("\ufeff\n"):
        assert found == [[(content, content)]]
    else:
        assert found == [] or isinstance(found, str)


def arguments(folder: Path, **splits: str) -> tuple[str, ...]:
    """Those of a run on splits of this content."""
    for split, content in splits.items():
        (folder / f"{split}.conll").write_text(content)
    return (*SMALL_MODEL, "trainer.epochs=1", f"data.dir={folder}", f"run.dir={folder / 'run'}")


@pytest.mark.parametrize(
    ("split", "content"), one_in(4, itertools.product(["train", "dev", "test"], NOTHING))
)
def test_a_split_without_a_sentence_is_refused(tmp_path: Path, split: str, content: str) -> None:
    splits = {"train": SOME, "dev": SOME, "test": SOME, split: content}
    result = run_script("train", *arguments(tmp_path, **splits), "test=true")
    assert f"{split}.conll: no sentence found" in refused(result)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("seed", range(3))
def test_a_split_that_no_sentence_of_a_file_falls_into_is_refused(
    tmp_path: Path, seed: int
) -> None:
    options = ("data.split=hash", "data.dev=null", "data.test=null", f"data.split_seed={seed}")
    result = run_script("train", *arguments(tmp_path, train="Ada B-X\n"), *options)
    assert "train.conll: no sentence of it falls into" in refused(result)


@pytest.mark.parametrize(
    ("train", "dev", "test", "decoder"),
    [
        ("a O\nb O\n", SOME, SOME, "crf"),
        pytest.param(SOME, "a O\nb O\n", SOME, "crf", marks=pytest.mark.long),
        pytest.param(SOME, SOME, "a O\nb O\n", "crf", marks=pytest.mark.long),
        ("a O\n", "a O\n", "a O\n", "crf"),
        pytest.param("a O\n", "a O\n", "a O\n", "softmax", marks=pytest.mark.long),
        pytest.param("a B-X\n", "a B-X\n", "a B-X\n", "crf", marks=pytest.mark.long),
    ],
)
def test_a_corpus_of_next_to_nothing_is_trained_on(
    tmp_path: Path, train: str, dev: str, test: str, decoder: str
) -> None:
    command = arguments(tmp_path, train=train, dev=dev, test=test)
    result = run_script("train", *command, "test=true", f"model/decoder={decoder}")
    assert (result.status, result.err) == (0, "")
    run = tmp_path / "run"
    result = run_script("evaluate", f"checkpoint={run}", "split=all")
    assert result.status == 0
    # So little looks as if it came from another column.
    assert all("set the key of data.reader" in line for line in result.err.splitlines())
    result = run_script("predict", f"checkpoint={run}", "text=a", "format=conll")
    assert (result.status, result.err) == (0, "")
    assert result.out.split()[0] == "a"


@pytest.mark.parametrize("content", NOTHING)
def test_a_file_without_a_sentence_is_not_scored(run: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "file").write_text(content)
    result = run_script(
        "evaluate", f"checkpoint={run}", f"path={tmp_path}/file", f"output={tmp_path}"
    )
    assert "no sentence found" in refused(result)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


NO_ENTITY = {"jsonl": '{"text": "", "entities": []}\n', "conll": "", "table": "\n"}


@pytest.mark.parametrize("form", NO_ENTITY)
def test_an_empty_text_has_no_entity(run: Path, tmp_path: Path, form: str) -> None:
    line = NO_ENTITY[form]
    result = run_script("predict", f"checkpoint={run}", "text=", f"format={form}")
    assert result == (0, line, "")
    for content, expected in ((b"", ""), (b"\n", line), (b"\xef\xbb\xbf\r\n\n", 2 * line)):
        (tmp_path / "input").write_bytes(content)
        paths = (f"input={tmp_path}/input", f"output={tmp_path}/output")
        assert run_script("predict", f"checkpoint={run}", *paths, f"format={form}") == (0, "", "")
        assert (tmp_path / "output").read_text() == expected


def test_no_text_is_no_result(run: Path) -> None:
    predictor = nerlab.load(run)
    assert predictor.predict([]) == []
    assert predictor.predict([""]) == [[]]
    (found,) = predictor.predict(["Anna met Eve"])
    assert predictor.predict(["", "Anna met Eve", " "]) == [[], found, []]
