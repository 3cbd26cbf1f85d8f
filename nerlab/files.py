"""Files that are what they should be: checksums, bytes on the disk, whole or not there."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_BLOCK = 1 << 20


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    state = hashlib.sha256()
    with path.open("rb") as file:
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
def new_files(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Names beside ``paths`` to write to; all take their place at the end of the block, together.

    If the block raises, none does, and nothing of it is left.
    """
    parts = [path.with_name(path.name + ".part") for path in paths]
    try:
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
