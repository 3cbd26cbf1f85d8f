"""Atomic writes and file locks: what is seen at any moment, whoever else writes."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nerlab.files import file_lock, former, new_file, new_folder, open_to_append, sha256_of
from nerlab.files import write_file as write


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the system is asked for: ``sync NAME`` and ``replace NAME``, in its order."""
    seen: list[str] = []
    sync, replace = os.fsync, os.replace

    def traced_sync(descriptor: int) -> None:
        seen.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")
        sync(descriptor)

    def traced_replace(source: Path, target: Path) -> None:
        seen.append(f"replace {target.name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", traced_sync)
    monkeypatch.setattr(os, "replace", traced_replace)
    return seen


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc")
def test_a_file_is_on_the_disk_before_it_takes_its_place(tmp_path: Path, events: list[str]) -> None:
    with new_file(tmp_path / "file") as part:
        part.write_text("text")
    assert events == [f"sync {part.name}", "replace file", f"sync {tmp_path.name}"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc")
def test_a_folder_is_on_the_disk_before_it_takes_its_place(
    tmp_path: Path, events: list[str]
) -> None:
    with new_folder(tmp_path / "folder") as part:
        for name in ("a", "b"):
            (part / name).write_text(name)
    *first, replace, last = events
    assert sorted(first) == ["sync a", "sync b", "sync folder.part"]
    assert (replace, last) == ("replace folder", f"sync {tmp_path.name}")


def fill_file(path: Path) -> None:
    with new_file(path) as part:
        part.write_text("half")
        raise ValueError("broken")


def fill_folder(path: Path) -> None:
    with new_folder(path) as part:
        (part / "new").write_text("half")
        raise ValueError("broken")


@pytest.mark.parametrize("fill", [fill_file, fill_folder])
def test_what_was_there_stays_where_writing_fails(
    tmp_path: Path, fill: Callable[[Path], None]
) -> None:
    path = tmp_path / "target"
    if fill is fill_file:
        write(path, "older")
    else:
        with new_folder(path) as part:
            (part / "older").write_text("older")
    before = [path, *path.rglob("*")]
    with pytest.raises(ValueError, match="broken"):
        fill(path)
    assert [path, *path.rglob("*")] == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_replaced_waits_until_the_new_one_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder"
    for text in ("one", "two"):
        with new_folder(path) as part:
            (part / "file").write_text(text)
    assert (path / "file").read_text() == "two"
    assert list(tmp_path.iterdir()) == [path]

    real = os.replace

    def dies(source: Path, target: Path) -> None:
        if target == path:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", dies)
    with pytest.raises(KeyboardInterrupt), new_folder(path) as part:
        (part / "file").write_text("three")
    assert (former(path) / "file").read_text() == "two"


def test_a_lock_keeps_others_out_until_it_is_released(tmp_path: Path) -> None:
    with file_lock(tmp_path):
        with pytest.raises(ValueError, match=f"{tmp_path}: another process"), file_lock(tmp_path):
            pass
        assert list(tmp_path.iterdir()) == []
    with file_lock(tmp_path):
        pass


def test_nothing_is_appended_through_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("mine")
    link.symlink_to(target)
    with pytest.raises(ValueError, match="expected a regular file"):
        open_to_append(link)
    with open_to_append(target) as file:
        file.write(" and yours")
    assert target.read_text() == "mine and yours"


def test_a_digest_is_that_of_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(3 << 20))
    first = sha256_of(path)
    with path.open("rb") as file:
        file.read(5)
        assert sha256_of(file) != first
    path.write_bytes(bytes((3 << 20) - 1) + b"\1")
    assert sha256_of(path) != first
