"""A file is fetched whole or not at all, whatever the server, the network and the disk do."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
from conftest import ROOT
from file_server import CONTENT, WAIT_S, Answer, Server, files, serving, sha256
from hypothesis import given, settings
from hypothesis import strategies as st

from nerlab.data import download
from nerlab.data.download import fetch

CHANGED = CONTENT[::-1]
HALF = len(CONTENT) // 2


@pytest.fixture(autouse=True, scope="module")
def _no_pause() -> Iterator[None]:
    """Between two attempts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda seconds: None))
        yield


def get(server: Server, path: Path, content: bytes = CONTENT) -> None:
    fetch(server.url, sha256(content), path)


def fails(server: Server, path: Path) -> str:
    """The one line that is said of a failure, without which there is no file."""
    with pytest.raises(OSError, match="by hand") as caught:
        get(server, path)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(server.url + ": ")
    assert line.endswith(f"try again, or put that file at {path} by hand")
    assert not path.exists()
    return line


def test_a_file_is_asked_for_once_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "file"
    with serving(Answer()) as server:
        for _ in range(2):
            get(server, path)
    assert path.read_bytes() == CONTENT
    assert files(path.parent) == ["file"]
    assert server.asked == 1


def test_whoever_may_read_a_file_of_this_user_may_read_it(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    with serving(Answer()) as server:
        get(server, tmp_path / "file")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


@settings(max_examples=30)
@given(
    content=st.binary(min_size=1, max_size=40),
    stops=st.lists(st.integers(0, 40), max_size=3),
)
def test_wherever_it_breaks_off_the_file_is_whole(content: bytes, stops: list[int]) -> None:
    bad = [Answer(content, stop=stop) for stop in stops]
    with TemporaryDirectory() as folder, serving(*bad, Answer(content)) as server:
        get(server, Path(folder) / "file", content)
        assert (Path(folder) / "file").read_bytes() == content
        assert files(Path(folder)) == ["file"]


def test_a_file_that_always_breaks_off_is_no_file(tmp_path: Path) -> None:
    with serving(Answer(stop=HALF)) as server:
        assert f"{HALF} bytes read" in fails(server, tmp_path / "file")
    assert files(tmp_path) == []


def test_a_wrong_digest_is_said_and_nothing_kept(tmp_path: Path) -> None:
    with serving(Answer(CHANGED)) as server:
        line = fails(server, tmp_path / "file")
    assert sha256(CONTENT) in line
    assert sha256(CHANGED) in line
    assert files(tmp_path) == []


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_a_refusal_names_its_status(tmp_path: Path, status: int) -> None:
    with serving(Answer(status=status)) as server:
        assert f": {status} " in fails(server, tmp_path / "file")
    assert files(tmp_path) == []


def test_a_server_in_trouble_is_asked_again(tmp_path: Path) -> None:
    with serving(Answer(status=503), Answer()) as server:
        get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_redirection_is_followed(tmp_path: Path) -> None:
    with serving(Answer()) as there, serving(Answer(status=302, location=there.url)) as server:
        get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_where_nothing_answers_that_is_said(tmp_path: Path) -> None:
    with serving(Answer()) as server:
        pass
    assert "Connection refused" in fails(server, tmp_path / "file")
    assert files(tmp_path) == []


def test_an_answer_that_is_not_http_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:  # closed
                    return
                connection.sendall(b"220 mail.example ESMTP\r\n")
                connection.close()

        threading.Thread(target=greet, daemon=True).start()
        url = f"http://localhost:{listener.getsockname()[1]}/file"
        with pytest.raises(OSError, match=r"^http://localhost\S+: .*; try again, or put that"):
            fetch(url, sha256(CONTENT), tmp_path / "file")
        listener.shutdown(socket.SHUT_RDWR)
    assert files(tmp_path) == []


def test_a_server_that_falls_silent_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pooch.downloaders.DEFAULT_TIMEOUT", 0.1)
    with serving(Answer(stop=HALF, goes_on=True), Answer()) as server:
        get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    with serving(Answer(stop=0, goes_on=True)) as server:
        assert "timed out" in fails(server, tmp_path / "other")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with serving(Answer()) as server:
        assert str(tmp_path / "taken") in fails(server, tmp_path / "taken" / "file")
    assert server.asked == 0


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("this user may write everywhere")
    with serving(Answer()) as server:
        assert "Permission denied" in fails(server, tmp_path / "file")


def process(server: Server, path: Path, before: str = "") -> "subprocess.Popen[str]":
    """A process that fetches; without what nerlab imports, which would bring torch."""
    code = f"""
import sys
from pathlib import Path
from types import ModuleType
for name in ("nerlab", "nerlab.data"):
    package = sys.modules[name] = ModuleType(name)
    package.__path__ = [str(Path({str(ROOT)!r}, *name.split(".")))]
from nerlab.data.download import fetch
{before}
fetch({server.url!r}, {sha256(CONTENT)!r}, Path({str(path)!r}))
"""
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_killed_process_keeps_nobody_out_and_its_half_file_is_never_taken(
    tmp_path: Path,
) -> None:
    with serving(Answer(stop=HALF, goes_on=True), Answer()) as server:
        child = process(server, tmp_path / "file")
        wait_for(lambda: server.asked == 1)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert not (tmp_path / "file").exists()
        get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_of_two_processes_one_fetches_and_the_other_waits(tmp_path: Path) -> None:
    with serving(Answer(stop=HALF, goes_on=True)) as server:
        first = process(server, tmp_path / "file")
        wait_for(lambda: server.asked == 1)
        second = process(server, tmp_path / "file")
        assert second.stderr is not None
        assert "another process is at work in it; waiting" in second.stderr.readline()
        server.released.set()
        for child in (first, second):
            child.communicate(timeout=WAIT_S)
            assert child.returncode == 0
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert files(tmp_path) == ["file"]
    assert server.asked == 1


def test_whoever_waited_for_one_that_failed_fetches_itself(tmp_path: Path) -> None:
    refusals = [Answer(status=503)] * (1 + download._RETRIES)
    with serving(*refusals, Answer()) as server, ThreadPoolExecutor(2) as pool:
        both = [pool.submit(get, server, tmp_path / "file") for _ in range(2)]
        errors = [future.exception(WAIT_S) for future in both]
    assert [type(error) for error in errors if error] == [OSError]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_threads_that_start_at_once_ask_once(tmp_path: Path) -> None:
    with serving(Answer()) as server, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: get(server, tmp_path / "f"), range(8)))
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert files(tmp_path) == ["f"]
    assert server.asked == 1


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    limit = (
        "import resource, sys; sys.dont_write_bytecode = True; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    )
    with serving(Answer()) as server:
        child = process(server, tmp_path / "file", limit)
        last = child.communicate(timeout=WAIT_S)[1].splitlines()[-1]
    assert last.startswith(f"OSError: {server.url}: ")
    assert "File too large" in last
    assert files(tmp_path) == []


@pytest.mark.parametrize("terminal", [False, True])
def test_that_it_fetches_is_said_on_the_terminal(
    tmp_path: Path,
    terminal: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rich.console.Console.is_terminal", terminal)
    with serving(Answer(stop=HALF), Answer()) as server:
        get(server, tmp_path / "file")
    out, err = capsys.readouterr()
    assert out == ""
    assert ("fetching file" in err) == terminal
