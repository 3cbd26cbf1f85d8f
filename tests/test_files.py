"""A file or a folder is there whole or not at all, and a lock holds as long as its process."""

import errno
import os
import shutil
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from nerlab.files import file_lock, former, naming, new_file, new_folder, write_file


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o440, 0o666])
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    path.chmod(mode)
    with new_file(path) as part:
        assert part.stat().st_mode & 0o077 == 0  # nobody else reads it meanwhile
        part.write_text("after")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("after", mode)


def test_a_new_file_has_the_mode_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_file(tmp_path / "file", "text")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_of_two_that_write_one_file_the_later_wins_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with new_file(path) as first:
        first.write_text("first")
        with new_file(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    path = tmp_path / ("ə" * 127)
    write_file(path, "text")
    assert path.read_text() == "text"


def test_an_error_of_the_system_without_a_name_gets_one(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as found, new_file(tmp_path / "file"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert found.value.filename == str(tmp_path / "file")
    with pytest.raises(OSError, match="full") as found, naming(tmp_path):
        raise OSError(errno.ENOSPC, "full", "its own")
    assert found.value.filename == "its own"
    assert list(tmp_path.iterdir()) == []


def test_any_string_of_python_can_be_written(tmp_path: Path) -> None:
    write_file(tmp_path / "file", "ə \ud800\n")
    assert (tmp_path / "file").read_bytes() == "ə \ud800\n".encode("utf-8", "surrogatepass")


def write_new(path: Path) -> None:
    """Replace a file, or a folder of two files."""
    if path.name == "file":
        write_file(path, "new")
        return
    with new_folder(path) as part:
        (part / "a").write_text("new")
        (part / "b").write_text("new")


def read(path: Path) -> set[str]:
    """What is in a file, or in all files of a folder or of its former state."""
    if path.name == "file":
        return {path.read_text()}
    there = path if path.exists() else former(path)
    assert sorted(file.name for file in there.iterdir()) == ["a", "b"]
    return {file.read_text() for file in there.iterdir()}


def killed_at_call(number: int, path: Path) -> bool:
    """Whether a process that writes dies at its n-th call of the system; else it is done."""
    child = os.fork()
    if child == 0:
        calls = 0

        def counted(call: Callable[..., object]) -> Callable[..., object]:
            def die_or_call(*arguments: object, **options: object) -> object:
                nonlocal calls
                calls += 1
                if calls == number:
                    os._exit(9)
                return call(*arguments, **options)

            return die_or_call

        for name in ("open", "replace", "fsync", "unlink", "mkdir", "rmdir"):
            setattr(os, name, counted(getattr(os, name)))
        write_new(path)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("name", ["file", "folder"])
def test_whenever_a_process_is_killed_the_old_or_the_new_is_whole(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    seen: list[str] = []
    for number in count(1):
        for rest in tmp_path.iterdir():
            shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
        write_new(path)
        for file in [path] if name == "file" else path.iterdir():
            file.write_text("old")
        was_killed = killed_at_call(number, path)
        (content,) = read(path)
        seen.append(content)
        write_new(path)  # the next writer is not hindered
        assert read(path) == {"new"}
        assert name == "file" or list(tmp_path.iterdir()) == [path]
        if not was_killed:
            break
    assert seen == sorted(seen, reverse=True)  # first "old", then "new"
    assert set(seen) == {"old", "new"}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc")
@pytest.mark.parametrize("name", ["file", "folder"])
def test_what_is_written_is_on_the_disk_before_it_takes_its_place(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a machine that loses its power would leave an empty file under the right name."""
    calls: list[str] = []
    sync, replace = os.fsync, os.replace

    def traced_sync(descriptor: int) -> None:
        calls.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")
        sync(descriptor)

    def traced_replace(source: Path, target: Path) -> None:
        calls.append(f"replace {source.name} {target.name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", traced_sync)
    monkeypatch.setattr(os, "replace", traced_replace)
    write_new(tmp_path / name)
    *written, replaced, folder = calls
    part = replaced.split()[1]
    wanted = [f"sync {part}"] if name == "file" else ["sync a", "sync b", f"sync {part}"]
    assert sorted(written) == wanted
    assert replaced == f"replace {part} {name}"
    assert folder == f"sync {tmp_path.name}"


def test_a_folder_that_is_not_finished_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    write_new(path)
    with suppress(KeyboardInterrupt), new_folder(path) as part:
        (part / "a").write_text("half")
        raise KeyboardInterrupt
    assert read(path) == {"new"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_keeps_others_out_until_it_is_released_and_leaves_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        with file_lock(tmp_path):
            with pytest.raises(ValueError, match=f"{tmp_path}: another process is at work in it"):
                file_lock(tmp_path).__enter__()
            assert list(tmp_path.iterdir()) == []


def test_who_waits_gets_the_lock_when_it_is_released(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = []

    def wait() -> None:
        with file_lock(tmp_path, wait=True):
            order.append("second")

    with file_lock(tmp_path):
        waiter = threading.Thread(target=wait)
        waiter.start()
        waiter.join(0.1)
        order.append("first")
    waiter.join()
    assert order == ["first", "second"]
    assert (
        capsys.readouterr().err == f"{tmp_path}: another process is at work in it; waiting for it\n"
    )


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[int]:
    """A process that holds the lock of a folder."""
    ready, signal_ready = os.pipe()
    child = os.fork()
    if child == 0:
        with file_lock(tmp_path):
            os.write(signal_ready, b".")
            signal.pause()
    os.read(ready, 1)
    yield child
    os.close(ready)
    os.close(signal_ready)


def test_a_process_that_is_killed_keeps_nobody_out(tmp_path: Path, holder: int) -> None:
    with pytest.raises(ValueError, match="another process"):
        file_lock(tmp_path).__enter__()
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    with file_lock(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_locked_all_the_same(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with file_lock(tmp_path), pytest.raises(ValueError, match="another process"):
        file_lock(tmp_path).__enter__()


def test_without_locks_nobody_is_kept_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with file_lock(tmp_path), file_lock(tmp_path, wait=True):
        pass
