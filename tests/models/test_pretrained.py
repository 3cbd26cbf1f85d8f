"""Published models in our own code: loading, alignment, windows, and runs that begin with one."""

from pathlib import Path

import pytest
from conftest import run_script
from published_folders import make_folder


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("published") / "bert", "bert", "ForMaskedLM")


def test_a_run_needs_the_folder_only_to_begin(corpus: Path, bert: Path, tmp_path: Path) -> None:
    folder, run = tmp_path / "folder", tmp_path / "run"
    folder.symlink_to(bert)
    keys = ("model=pretrained", f"model.path={folder}", "data=conll", "tracker=none")
    more = ("trainer.epochs=1", f"data.dir={corpus}", f"run.dir={run}", "trainer.batch_tokens=300")
    result = run_script("train", *keys, *more)
    assert result.status == 0, result.err
    assert "pretrained: left out, of another task: cls" in result.out + result.err
    folder.unlink()
    for command in (("evaluate", "split=dev"), ("predict", "text=Anna Smith flew to Berlin .")):
        result = run_script(command[0], f"checkpoint={run}", command[1])
        assert result.status == 0, result.err
