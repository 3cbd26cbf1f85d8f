"""One file from the web, whole or not at all."""

import fcntl
import hashlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

_TIMEOUT_S = 30.0  # for a connection, and for each block that is read
_ATTEMPTS = 4
_PAUSE_S = 1.0  # before the second attempt; twice and three times as long before the next ones
_BLOCK = 1 << 16
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

_Show = Callable[[int, int | None], None]


def fetch(url: str, sha256: str, path: Path) -> None:
    """Bring a file to ``path`` if its content has the digest ``sha256``, in hexadecimal.

    It grows in ``<path>.part`` and is renamed once it is on the disk and its digest is right. What
    an earlier call left in that file is gone on from; should the whole turn out wrong, because the
    server's file has changed since then, it is fetched anew from the beginning.

    Of several processes that call this at once, one fetches and the others wait for it: they lock
    the partial file itself. The system frees such a lock however a process ends, so none is ever
    left behind, as a lock by the mere existence of a file would be. On a file system that knows
    no locks, two at once may spoil the partial file, which the digest shows.

    Raises:
        ValueError: the address is not secure, or the server's file has another digest.
        OSError: the server could not be reached, or the file not be written.
    """
    _check_secure(url)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone_with(part) as file:
            if path.is_file():
                return  # another process was first
            with _progress(url, path) as show:
                found = _fill(file, url, sha256, show)
            if found == sha256:
                file.flush()
                os.fsync(file.fileno())
                os.replace(part, path)
                return
            file.truncate(0)
    except (OSError, HTTPException) as error:
        raise OSError(f"{url}: {_reason(error)}; {_by_hand(path)}") from None
    raise ValueError(f"{url}: expected SHA-256 {sha256}, found {found}; {_by_hand(path)}")


def _by_hand(path: Path) -> str:
    return f"try again, or put that file at {path} by hand"


def _reason(error: OSError | HTTPException) -> str:
    cause = error.reason if type(error) is URLError else error
    return " ".join(str(cause).split()) or type(cause).__name__


def _check_secure(url: str) -> None:
    address = urlsplit(url)
    if address.scheme != "https" and (address.scheme, address.hostname) not in [
        ("http", host) for host in _LOOPBACK
    ]:
        raise ValueError(f"{url}: expected an https address")


@contextmanager
def _alone_with(part: Path) -> Iterator[BinaryIO]:
    """The partial file, open to be read and appended to; it is removed if it is empty in the end.

    Whoever held the lock before may have renamed or removed the file: then it is another one by
    now, and locked anew.
    """
    while True:
        with part.open("a+b") as file:
            _lock(file, part)
            try:
                same = os.path.samestat(os.fstat(file.fileno()), part.stat())
            except FileNotFoundError:
                same = False
            if not same:
                continue
            try:
                yield file
            finally:
                if not os.fstat(file.fileno()).st_size:
                    part.unlink(missing_ok=True)
            return


def _lock(file: BinaryIO, part: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"{part}: waiting for another process that fetches it", file=sys.stderr)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        pass  # a file system without locks


def _fill(file: BinaryIO, url: str, sha256: str, show: _Show) -> str:
    """Write what the partial file lacks; the digest of the whole."""
    found = _digest(file)
    if found == sha256:
        return found  # the process before us ended just before it renamed the file
    joined = _transfer(file, url, show)
    found = _digest(file)
    if joined and found != sha256:
        file.truncate(0)
        _transfer(file, url, show)
        found = _digest(file)
    return found


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _transfer(file: BinaryIO, url: str, show: _Show) -> bool:
    """Append what the server has beyond the end of the file, in several attempts if need be.

    Returns:
        Whether the file was put together from more than one answer.
    """
    etag = None
    for attempt in range(_ATTEMPTS):
        time.sleep(attempt * _PAUSE_S)
        try:
            with _request(url, file.seek(0, os.SEEK_END), etag) as answer:
                etag = answer.headers.get("ETag")
                begin = _begin(answer, file)
                _append(answer, file, begin, show)
                return begin > 0
        except (HTTPError, HTTPException, ConnectionError, TimeoutError) as error:
            if isinstance(error, HTTPError) and error.code == 416:
                file.truncate(0)  # the server's file is no longer than ours
            elif isinstance(error, HTTPError) and error.code < 500:
                raise
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def _request(url: str, offset: int, etag: str | None) -> HTTPResponse:
    """Ask for the file from byte ``offset`` on, or for the whole if its ``etag`` is another now."""
    request = Request(url)
    if offset:
        request.add_header("Range", f"bytes={offset}-")
        if etag is not None and not etag.startswith("W/"):  # weak ones say nothing about bytes
            request.add_header("If-Range", etag)
    answer: HTTPResponse = build_opener(_SecureRedirects).open(request, timeout=_TIMEOUT_S)
    return answer


class _SecureRedirects(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        _check_secure(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _begin(answer: HTTPResponse, file: BinaryIO) -> int:
    """Where in the file the content of an answer belongs; what stands there and beyond goes."""
    begin = 0
    if answer.status == 206:
        found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        begin = int(found[1]) if found else -1
    if begin not in (0, file.tell()):
        file.truncate(0)
        raise ConnectionError("the server sent another part of the file than was asked for")
    file.truncate(begin)
    return begin


def _append(answer: HTTPResponse, file: BinaryIO, begin: int, show: _Show) -> None:
    done, total = begin, None if answer.length is None else begin + answer.length
    while block := answer.read1(_BLOCK):  # what there is, however slowly it comes
        file.write(block)
        done += len(block)
        show(done, total)
    if total is not None and done < total:
        raise ConnectionError(f"the connection ended after {done} of {total} bytes")


@contextmanager
def _progress(url: str, path: Path) -> Iterator[_Show]:
    """A bar on a terminal, else one line; ``show`` takes the bytes that are there and their sum."""
    console = Console(stderr=True)
    if not console.is_terminal:
        print(f"fetching {url} to {path}", file=sys.stderr)
        yield lambda done, total: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"fetching {path.name}", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
