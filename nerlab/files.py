"""Atomic writes and file locks: a file or a folder is there whole, or not at all."""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, TextIO

from filelock import lock_descriptor

_BLOCK = 1 << 20


def sha256_of(source: Path | BinaryIO) -> str:
    """The SHA-256 of a file, or of what is left to read of an open one, in hexadecimal."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return sha256_of(file)
    state = hashlib.sha256()
    while block := source.read(_BLOCK):
        state.update(block)
    return state.hexdigest()


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an ``OSError`` within the block that names no file, a full disk's, name ``path``."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


@contextmanager
def file_lock(folder: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a folder until the block is left; ``wait`` until others have released it.

    The folder itself is locked, so the system releases the lock however a process ends, and nothing
    is left behind. On a file system without locks nobody is kept out.

    Raises:
        ValueError: another process holds it, and ``wait`` is false.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            if not lock_descriptor(descriptor, blocking=False):
                problem = f"{folder}: another process is at work in it"
                if not wait:
                    raise ValueError(f"{problem}; wait until it ends, or stop it")
                print(f"{problem}; waiting for it", file=sys.stderr)
                lock_descriptor(descriptor)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """An empty file beside ``path`` to write to; at the end it replaces ``path``, whose mode it
    takes. If the block raises, what was there stays; of two processes the later one wins.

    Raises:
        ValueError: ``path`` is a link, or no regular file.
    """
    part = path.with_name(f"{path.name[:40]}.{token_hex(8)}.part")  # names are 255 bytes at most
    try:
        with naming(path):
            mode = _mode_of(path)
            part.touch(0o666 if mode is None else 0o600, exist_ok=False)
            yield part
            sync(part)
            if mode is not None:
                part.chmod(mode)
        os.replace(part, path)
        with suppress(OSError):  # a folder that cannot be read; the file is there
            sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _mode_of(path: Path) -> int | None:
    """The permissions of a regular file; None if nothing is there."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        found = "found a link, folder or device; remove it"
        raise ValueError(f"{path}: expected a regular file or none, {found}")
    return path.stat().st_mode & 0o777 if path.exists() else None


def write_file(path: Path, text: str) -> None:
    """Write a text file atomically; half a surrogate pair is written as it is."""
    with new_file(path) as part:
        part.write_text(text, "utf-8", "surrogatepass", "\n")


def open_to_append(path: Path) -> TextIO:
    """A text file to write at its end; a link or a named pipe is refused, as in ``new_file``."""
    _mode_of(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o666)
    return open(descriptor, "a", encoding="utf-8", errors="surrogatepass", newline="\n")


def former(folder: Path) -> Path:
    """Where a folder waits while :func:`new_folder` replaces it."""
    return folder.with_name(f"{folder.name}.old")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty folder ``<path>.part`` for files; at the end it replaces ``path``.

    If the block raises, what was there stays; if the process dies between the two renames, in
    :func:`former`. Only one process at a time may do this for a path.
    """
    part, old = path.with_name(f"{path.name}.part"), former(path)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        for file in (*part.iterdir(), part):
            sync(file)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(path, old)
    os.replace(part, path)
    sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)
