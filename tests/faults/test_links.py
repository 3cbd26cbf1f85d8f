"""Links, devices and files of others where nerlab writes: nothing outside is touched."""

import os
import shutil
import stat
import threading
from pathlib import Path

import pytest
from conftest import run_script
from invariants import refused

from nerlab.files import open_to_append
from nerlab.paths import make_folder, output_file
from nerlab.training.wandb_tracker import WandbTracker


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file outside of the run."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "victim").write_text("precious")
    return folder / "victim"


@pytest.fixture
def folder(run: Path, tmp_path: Path) -> Path:
    """A run of one's own."""
    return Path(shutil.copytree(run, tmp_path / "run"))


def replace_by_link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def untouched(victim: Path) -> None:
    assert [path.name for path in victim.parent.iterdir()] == ["victim"]
    assert victim.read_text() == "precious"


REPORT = [f"evaluation/dev/{name}" for name in ("metrics.json", "predictions.jsonl")]
FILES = [
    *REPORT,
    "train.log",
    "metrics.jsonl",
    "config.yaml",
    "environment.json",
    "checkpoints/last/labels.json",
]


@pytest.mark.parametrize("name", FILES)
def test_a_linked_file_in_a_run_is_refused_and_not_followed(
    folder: Path, victim: Path, name: str
) -> None:
    replace_by_link(folder / name, victim)
    messages = [refused(run_script("train", f"resume={folder}"))]
    if name in REPORT:
        messages.append(refused(run_script("evaluate", f"checkpoint={folder}")))
    for message in messages:
        assert message.startswith(f"error: {folder / name}: ")
    untouched(victim)


@pytest.mark.parametrize("name", ["evaluation", "evaluation/dev", "checkpoints/best"])
def test_a_linked_folder_in_a_run_is_refused(folder: Path, victim: Path, name: str) -> None:
    replace_by_link(folder / name, victim.parent)
    message = refused(run_script("train", f"resume={folder}"))
    assert f"{folder / name}: expected a file or a folder, found a link; remove it" in message
    if name != "checkpoints/best":
        assert "found a link" in refused(run_script("evaluate", f"checkpoint={folder}"))
    untouched(victim)


def test_a_link_of_a_guessed_temporary_name_is_not_followed(folder: Path, victim: Path) -> None:
    for name in REPORT:
        (folder / f"{name}.part").symlink_to(victim)
    result = run_script("evaluate", f"checkpoint={folder}")
    assert (result.status, result.err) == (0, "")
    untouched(victim)


@pytest.mark.parametrize("name", ["train.log", "metrics.jsonl", "evaluation/dev/metrics.json"])
def test_a_pipe_in_a_run_is_refused_and_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert f"{folder}" in refused(run_script("train", f"resume={folder}"))
    assert stat.S_ISFIFO((folder / name).stat().st_mode)


def test_a_run_is_named_by_a_link_all_the_same(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(folder)
    result = run_script("evaluate", f"checkpoint={tmp_path / 'latest'}")
    assert (result.status, result.err) == (0, "")


def test_what_is_appended_to_is_no_link_and_no_pipe(victim: Path) -> None:
    link, pipe = victim.parent.parent / "link", victim.parent.parent / "pipe"
    link.symlink_to(victim)
    os.mkfifo(pipe)
    for path in (link, pipe):
        with pytest.raises(ValueError, match="expected a regular file or none"):
            open_to_append(path)
    with open_to_append(victim) as file:
        file.write("!")
    assert victim.read_text() == "precious!"


def predicted(run: Path, output: str, *more: str) -> None:
    keys = (f"checkpoint={run}", *(more or ("text=Anna met Eve",)), f"output={output}")
    assert run_script("predict", *keys) == (0, "", "")


def test_a_linked_output_is_written_through_to_its_target(run: Path, victim: Path) -> None:
    first, second = victim.parent.parent / "first", victim.parent.parent / "second"
    first.symlink_to(second)
    second.symlink_to(victim)
    predicted(run, str(first))
    assert first.is_symlink()
    assert second.is_symlink()
    assert '"text": "Anna met Eve"' in victim.read_text()
    victim.unlink()
    predicted(run, str(first))
    assert "Anna" in victim.read_text()


def test_a_device_stays_one(run: Path, tmp_path: Path) -> None:
    device = tmp_path / "null"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        device.open("w").close()
    except OSError:
        pytest.skip("this user may not make a device")
    predicted(run, str(device))
    assert stat.S_ISCHR(device.stat().st_mode)
    (tmp_path / "link").symlink_to(device)
    predicted(run, str(tmp_path / "link"))
    assert stat.S_ISCHR(device.stat().st_mode)


def test_the_report_of_check_is_written_to_a_device(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/null")
    arguments = ("check", "data=conll", f"data.dir={corpus}", f"output={tmp_path}/link")
    assert run_script("nerlab/__main__", *arguments).status == 0
    assert (tmp_path / "link").is_symlink()


def test_a_pipe_is_written_to(run: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    predicted(run, str(pipe))
    reader.join()
    assert "Anna" in found[0]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_standard_output_by_its_other_name(run: Path) -> None:
    result = run_script("predict", f"checkpoint={run}", "text=Eve", "output=/dev/stdout")
    assert (result.status, result.err) == (0, "")
    assert '"text": "Eve"' in result.out


def test_a_descriptor_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before ")
    with path.open("a") as file, output_file(f"/dev/fd/{file.fileno()}") as output:
        output.write("after")
    assert path.read_text() == "before after"


def test_a_file_that_is_named_as_a_temporary_one_stays(run: Path, tmp_path: Path) -> None:
    output, own = tmp_path / "x", tmp_path / "x.part"
    own.write_text("Anna met Eve\nOmar flew to Rome\n")
    predicted(run, str(output), f"input={own}")
    assert own.read_text() == "Anna met Eve\nOmar flew to Rome\n"
    assert output.read_text().count("\n") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "x.part"]


def test_a_folder_below_a_link_is_not_made(victim: Path, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "link").symlink_to(victim.parent)
    with pytest.raises(ValueError, match="found a link"):
        make_folder(tmp_path / "base", "link", "more")
    untouched(victim)


def test_an_output_that_is_cut_short_leaves_what_was_there(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(texts: object) -> list[str]:
        raise ValueError("it fails")

    (tmp_path / "x").write_text("before")
    monkeypatch.setattr("nerlab.reports.prediction.jsonl", fails)
    refused(run_script("predict", f"checkpoint={run}", "text=Eve", f"output={tmp_path / 'x'}"))
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_text() == "before"


def test_wandb_does_not_write_through_a_linked_folder(
    victim: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "wandb").symlink_to(victim.parent)
    WandbTracker(tmp_path, "name", {}, project="nerlab", init_timeout=1.0).finish()
    assert "found a link; remove it); the run goes on without it" in caplog.text
    untouched(victim)
