"""A file is fetched whole or not at all, whatever the server, the network and the disk do."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from file_server import CONTENT, WAIT_S, Answer, Server, files, serving, sha256
from hypothesis import given, settings
from hypothesis import strategies as st

from nerlab.data import download
from nerlab.data.download import fetch

CHANGED = CONTENT[::-1]
HALF = len(CONTENT) // 2


@pytest.fixture(autouse=True, scope="module")
def _no_pause() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "_PAUSE_S", 0.0)
        yield


def get(server: Server, path: Path, content: bytes = CONTENT) -> None:
    fetch(server.url, sha256(content), path)


def fails(server: Server, path: Path, kind: type[Exception] = OSError) -> str:
    """The one line that is said of a failure, without which there is no file."""
    with pytest.raises(kind) as caught:
        get(server, path)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(server.url + ": ")
    assert line.endswith(f"try again, or put that file at {path} by hand")
    assert not path.exists()
    return line


def part_of(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def test_a_file_is_asked_for_once_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "file"
    with serving(Answer()) as server:
        get(server, path)
    assert path.read_bytes() == CONTENT
    assert files(path.parent) == ["file"]
    assert server.asked == [(None, None)]


@settings(max_examples=60)
@given(
    content=st.binary(min_size=1, max_size=40),
    before=st.one_of(st.binary(max_size=50), st.integers(0, 40)),
    stops=st.lists(st.integers(0, 40), max_size=3),
    ranges=st.booleans(),
    shift=st.integers(0, 3),
    etag=st.sampled_from([None, '"1"', 'W/"1"']),
)
def test_whatever_was_left_and_wherever_it_breaks_off_the_file_is_whole(
    content: bytes,
    before: bytes | int,
    stops: list[int],
    ranges: bool,
    shift: int,
    etag: str | None,
) -> None:
    good = Answer(content, etag=etag, ranges=ranges)
    bad = [Answer(content, etag=etag, ranges=ranges, shift=shift, stop=stop) for stop in stops]
    with TemporaryDirectory() as folder, serving(*bad, good) as server:
        path = Path(folder) / "file"
        part_of(path).write_bytes(content[:before] if isinstance(before, int) else before)
        get(server, path, content)
        assert path.read_bytes() == content
        assert files(path.parent) == ["file"]


def test_after_an_interruption_only_the_rest_is_asked_for(tmp_path: Path) -> None:
    with serving(Answer(stop=1000), Answer(stop=HALF), Answer()) as server:
        get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000-", f"bytes={1000 + HALF}-"]


def test_what_an_earlier_call_left_is_gone_on_from(tmp_path: Path) -> None:
    with serving(Answer(stop=HALF), *[Answer(stop=0)] * 3, Answer()) as server:
        line = fails(server, tmp_path / "file")
        assert f"the connection ended after {HALF} of {len(CONTENT)} bytes" in line
        assert files(tmp_path) == ["file.part"]
        get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == [None, *[f"bytes={HALF}-"] * 4]


def test_a_partial_file_that_is_whole_is_not_asked_for_again(tmp_path: Path) -> None:
    part_of(tmp_path / "file").write_bytes(CONTENT)
    with serving(Answer()) as server:
        get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.asked == []


@pytest.mark.parametrize(
    ("left", "answer", "asked"),
    [
        (HALF, Answer(ranges=False), [f"bytes={HALF}-"]),
        (HALF, Answer(CHANGED), [f"bytes={HALF}-", None]),
        (len(CONTENT), Answer(CHANGED), [f"bytes={len(CONTENT)}-", None]),
    ],
    ids=["no ranges", "changed", "nothing beyond"],
)
def test_what_cannot_be_gone_on_from_is_fetched_anew(
    tmp_path: Path, left: int, answer: Answer, asked: list[str | None]
) -> None:
    part_of(tmp_path / "file").write_bytes(CONTENT[:left])
    with serving(answer) as server:
        get(server, tmp_path / "file", answer.content)
    assert (tmp_path / "file").read_bytes() == answer.content
    assert server.ranges == asked


def test_a_file_that_changes_between_two_attempts_is_known_by_its_tag(tmp_path: Path) -> None:
    old, new = Answer(etag='"old"', stop=HALF), Answer(CHANGED, etag='"new"')
    with serving(old, new) as server:
        get(server, tmp_path / "file", CHANGED)
    assert (tmp_path / "file").read_bytes() == CHANGED
    assert server.asked == [(None, None), (f"bytes={HALF}-", '"old"')]


def test_a_weak_tag_is_no_condition_for_bytes(tmp_path: Path) -> None:
    with serving(Answer(etag='W/"1"', stop=HALF), Answer(etag='W/"1"')) as server:
        get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.asked == [(None, None), (f"bytes={HALF}-", None)]


def test_a_file_is_renamed_once_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_disk: list[bytes] = []
    part = part_of(tmp_path / "file")
    monkeypatch.setattr(os, "fsync", lambda _: on_disk.append(part.read_bytes()))
    with serving(Answer()) as server:
        get(server, tmp_path / "file")
    assert on_disk == [CONTENT]


@pytest.mark.parametrize("left", [0, HALF])
def test_a_wrong_digest_is_said_and_nothing_kept(tmp_path: Path, left: int) -> None:
    if left:
        part_of(tmp_path / "file").write_bytes(CONTENT[:left])
    with serving(Answer(CHANGED)) as server:
        line = fails(server, tmp_path / "file", ValueError)
    assert f"expected SHA-256 {sha256(CONTENT)}, found {sha256(CHANGED)};" in line
    assert files(tmp_path) == []
    assert server.ranges[-1] is None


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (403, 1), (500, 4), (503, 4)], ids=str)
def test_a_refusal_names_its_status(tmp_path: Path, status: int, attempts: int) -> None:
    with serving(Answer(status=status)) as server:
        assert f"HTTP Error {status}: " in fails(server, tmp_path / "file")
    assert len(server.asked) == attempts
    assert files(tmp_path) == []


def test_a_server_in_trouble_is_asked_again(tmp_path: Path) -> None:
    with serving(Answer(status=503), Answer()) as server:
        get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_where_nothing_answers_that_is_said_at_once(tmp_path: Path) -> None:
    with serving(Answer()) as server:
        pass
    assert "Connection refused" in fails(server, tmp_path / "file")
    assert files(tmp_path) == []


def test_an_answer_that_is_not_http_is_one_line(tmp_path: Path) -> None:
    greeted: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            while len(greeted) < download._ATTEMPTS:
                connection, (host, _) = listener.accept()
                greeted.append(host)
                connection.sendall(b"220 mail.example ESMTP\r\n")
                connection.close()

        threading.Thread(target=greet, daemon=True).start()
        url = f"http://localhost:{listener.getsockname()[1]}/file"
        with pytest.raises(OSError, match=r"^http://localhost\S+: .*; try again, or put that"):
            fetch(url, sha256(CONTENT), tmp_path / "file")
    assert len(greeted) == download._ATTEMPTS
    assert files(tmp_path) == []


def test_a_server_that_falls_silent_is_asked_again_for_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_TIMEOUT_S", 0.1)
    silent = Answer(stop=HALF, goes_on=True)
    with serving(silent, Answer()) as server:
        get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={HALF}-"]
    with serving(Answer(stop=0, goes_on=True)) as server:
        assert "timed out" in fails(server, tmp_path / "other")
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    "url",
    ["http://example.org/file", "file:///etc/hostname", "ftp://localhost/file", "//x", "file"],
)
def test_only_secure_addresses_are_asked(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(url)}: expected an https address$"):
        fetch(url, sha256(CONTENT), tmp_path / "file")
    assert files(tmp_path) == []


def test_a_redirection_is_followed_to_secure_addresses_alone(tmp_path: Path) -> None:
    with serving(Answer()) as there:
        with serving(Answer(status=302, location=there.url)) as server:
            get(server, tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == CONTENT
        with serving(Answer(status=302, location="http://example.org/x")) as server:
            pattern = r"^http://example\.org/x: expected an https address$"
            with pytest.raises(ValueError, match=pattern):
                get(server, tmp_path / "other")
    assert files(tmp_path) == ["file"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with serving(Answer()) as server:
        assert str(tmp_path / "taken") in fails(server, tmp_path / "taken" / "file")
    assert server.asked == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("this user may write everywhere")
    with serving(Answer()) as server:
        assert "Permission denied" in fails(server, tmp_path / "file")


def process(server: Server, path: Path, before: str = "") -> "subprocess.Popen[str]":
    """A process that fetches; it takes the one module, for the package would bring torch."""
    code = f"""
import sys
sys.path.append({str(Path(download.__file__).parent)!r})
from pathlib import Path
from download import fetch
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


def test_a_killed_process_leaves_what_the_next_one_goes_on_from(tmp_path: Path) -> None:
    part = part_of(tmp_path / "file")
    with serving(Answer(stop=HALF, goes_on=True), Answer()) as server:
        child = process(server, tmp_path / "file")
        wait_for(lambda: part.is_file() and part.stat().st_size > HALF // 2)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        left = part.stat().st_size
        assert files(tmp_path) == ["file.part"]
        assert 0 < left <= HALF
        get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert files(tmp_path) == ["file"]
    assert server.ranges == [None, f"bytes={left}-"]


def test_of_two_processes_one_fetches_and_the_other_waits(tmp_path: Path) -> None:
    with serving(Answer(stop=HALF, goes_on=True)) as server:
        first = process(server, tmp_path / "file")
        wait_for(lambda: len(server.asked) == 1)
        second = process(server, tmp_path / "file")
        assert second.stderr is not None
        assert "waiting for another process" in second.stderr.readline()
        server.released.set()
        for child in (first, second):
            child.communicate(timeout=WAIT_S)
            assert child.returncode == 0
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert files(tmp_path) == ["file"]
    assert len(server.asked) == 1


def test_whoever_waited_for_a_process_that_failed_fetches_itself(tmp_path: Path) -> None:
    wrong = Answer(CHANGED, stop=HALF, goes_on=True)
    with serving(wrong, Answer()) as server:
        first = process(server, tmp_path / "file")
        wait_for(lambda: len(server.asked) == 1)
        second = process(server, tmp_path / "file")
        assert second.stderr is not None
        assert "waiting for another process" in second.stderr.readline()
        server.released.set()
        assert "ValueError" in first.communicate(timeout=WAIT_S)[1]
        second.communicate(timeout=WAIT_S)
    assert (first.returncode, second.returncode) == (1, 0)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert files(tmp_path) == ["file"]
    assert server.ranges == [None, None]


def test_threads_that_start_at_once_ask_once(tmp_path: Path) -> None:
    with serving(Answer()) as server:
        threads = [threading.Thread(target=get, args=(server, tmp_path / "f")) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert files(tmp_path) == ["f"]
    assert len(server.asked) == 1


def test_a_full_disk_is_one_line_and_keeps_what_there_is(tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    with serving(Answer()) as server:
        child = process(server, tmp_path / "file", limit)
        last = child.communicate(timeout=WAIT_S)[1].splitlines()[-1]
        assert last.startswith(f"OSError: {server.url}: ")
        assert "File too large" in last
        assert files(tmp_path) == ["file.part"]
        left = part_of(tmp_path / "file").stat().st_size
        assert left <= 100_000
        get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={left}-"


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_goes_to_stderr(
    tmp_path: Path,
    terminal: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rich.console.Console.is_terminal", terminal)
    with serving(Answer()) as server:
        get(server, tmp_path / "file")
    out, err = capsys.readouterr()
    assert out == ""
    if terminal:
        assert "fetching file" in err
        assert "400.0/400.0 kB" in err
    else:
        assert err == f"fetching {server.url} to {tmp_path / 'file'}\n"
