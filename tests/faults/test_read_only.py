"""A folder that cannot be written costs one line, and nothing that was there."""

import shutil
from pathlib import Path

import pytest
import torch
from conftest import SMALL_MODEL, Result, run_script
from invariants import refused
from permissions import read_only

from nerlab.models.loading import load_checkpoint
from nerlab.training.recorder import Recorder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "read-only"
    folder.mkdir()
    return folder


def content(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def denied(result: Result) -> str:
    message = refused(result)
    assert "Permission denied" in message
    return message


def test_what_is_read_only_cannot_be_written(folder: Path) -> None:
    (folder / "file").write_text("kept")
    with read_only(folder):
        with pytest.raises(PermissionError):
            (folder / "new").touch()
        with pytest.raises(PermissionError):
            (folder / "file").write_text("lost")
        with pytest.raises(PermissionError):
            (folder / "file").unlink()
    (folder / "new").touch()


@pytest.mark.parametrize("key", ["run.root={}", "run.root={}/new", "run.dir={}", "run.dir={}/new"])
def test_a_run_in_it_is_not_begun(corpus: Path, folder: Path, key: str) -> None:
    arguments = (*SMALL_MODEL, f"data.dir={corpus}", key.format(folder))
    with read_only(folder):
        assert denied(run_script("train", *arguments)).startswith(f"error: {folder}")
    assert content(folder) == {}


def test_a_run_that_cannot_save_any_more_ends_with_the_checkpoint_before(
    corpus: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    checkpoints = run / "checkpoints"
    arguments = (*SMALL_MODEL, f"data.dir={corpus}", f"run.dir={run}", "trainer.epochs=1000")
    kept: dict[Path, bytes | None] = {}
    log = Recorder.log

    with pytest.MonkeyPatch.context() as patch, read_only():

        def lose_permission(*values: object) -> None:
            log(*values)  # type: ignore[arg-type]
            if not kept and (checkpoints / "last" / "manifest.json").exists():
                kept.update(content(checkpoints))
                checkpoints.chmod(0o555)

        patch.setattr(Recorder, "log", lose_permission)
        result = run_script("train", *arguments)
        checkpoints.chmod(0o755)
    assert result.status == 1
    assert result.err.startswith(f"error: {checkpoints}/")
    assert "no checkpoint was written, the one before stays" in result.err
    assert result.err.count("\n") == 1
    assert kept
    assert content(checkpoints) == kept
    load_checkpoint(checkpoints / "last", torch.device("cpu"))


def test_a_run_in_it_does_not_go_on(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    before = content(copy)
    with read_only(copy):
        assert str(copy) in denied(run_script("train", f"resume={copy}"))
    assert content(copy) == before


def test_a_report_goes_elsewhere(run: Path, tmp_path: Path, folder: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    before = content(copy)
    with read_only(copy, folder):
        assert str(copy) in denied(run_script("evaluate", f"checkpoint={copy}"))
        denied(run_script("evaluate", f"checkpoint={copy}", f"output={folder}"))
        result = run_script("evaluate", f"checkpoint={copy}", f"output={tmp_path / 'elsewhere'}")
        assert (result.status, result.err) == (0, "")
    assert content(copy) == before


def test_the_output_before_stays(run: Path, folder: Path) -> None:
    output = folder / "output"
    output.write_text("before")
    with read_only(folder):
        message = denied(run_script("predict", f"checkpoint={run}", "text=Eve", f"output={output}"))
    assert str(output) in message
    assert content(folder) == {output: b"before"}


def test_a_corpus_that_cannot_be_cached_is_held_in_memory(
    corpus: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NERLAB_CACHE", str(folder))
    arguments = (*SMALL_MODEL, f"data.dir={corpus}", f"run.dir={tmp_path / 'run'}")
    with read_only(folder):
        result = run_script("train", *arguments, "trainer.epochs=1")
    assert (result.status, result.err) == (0, "")
    assert f"{folder}: Permission denied: the corpus is held in memory" in result.out
    assert content(folder) == {}
