"""Files that are what they should be: checksums, bytes on the disk, whole or not there."""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_BLOCK = 1 << 20


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return sha256_of_stream(file)


def sha256_of_stream(file: BinaryIO) -> str:
    """The SHA-256 of what is left to read of an open file, in hexadecimal."""
    state = hashlib.sha256()
    while block := file.read(_BLOCK):
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
def naming(*paths: Path) -> Iterator[None]:
    """Let an ``OSError`` within the block that names no file, a full disk's, name ``paths``."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        names = ", ".join(map(str, paths))
        raise OSError(error.errno, os.strerror(error.errno), names) from error


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes that ask for the same out of a folder, until the block is left.

    A process that dies keeps nobody out, and neither does a file system without locks.

    Raises:
        ValueError: another process is in it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{folder}: another process is at work in it; wait until it ends, or stop it"
            ) from None
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)


@contextmanager
def new_files(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Names beside ``paths`` to write to; all take their place at the end of the block, together.

    If the block raises, none does, and nothing of it is left.
    """
    parts = [path.with_name(path.name + ".part") for path in paths]
    try:
        with naming(*paths):
            yield parts
        for part, path in zip(parts, paths, strict=True):
            os.replace(part, path)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def write_file(path: Path, text: str) -> None:
    """Write a file whole or not at all; half a surrogate pair is written as it is."""
    with new_files([path]) as (part,):
        part.write_text(text, encoding="utf-8", errors="surrogatepass", newline="\n")
