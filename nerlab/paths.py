"""Paths that a person names, or that lie in a folder which somebody else may have made."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, cast

from nerlab.files import naming, new_file


def check_file(path: Path, largest: int) -> None:
    """Raise ``ValueError`` unless a path is a regular file of at most so many bytes."""
    try:
        found = path.lstat()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path}: expected a regular file, found {_kind(found.st_mode)}")
    if found.st_size > largest:
        raise ValueError(f"{path}: expected at most {largest:,} bytes, found {found.st_size:,}")


def check_plain(path: Path) -> None:
    """Raise ``ValueError`` if a path, or anything in a folder, is neither file nor folder."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        for entry in sorted(path.iterdir()):
            check_plain(entry)
    elif not stat.S_ISREG(mode):
        raise ValueError(f"{path}: expected a file or a folder, found {_kind(mode)}; remove it")


def make_folder(base: Path, *names: str) -> Path:
    """The folder ``base/names``, made where it is not there.

    Raises:
        ValueError: a part of it below ``base`` is a link, or no folder.
    """
    base.mkdir(parents=True, exist_ok=True)
    for name in names:
        base = base / name
        base.mkdir(exist_ok=True)
        if not stat.S_ISDIR(mode := base.lstat().st_mode):
            raise ValueError(f"{base}: expected a folder, found {_kind(mode)}; remove it")
    return base


@contextmanager
def output_file(name: str) -> Iterator[TextIO]:
    """The text file that a person has named for output, which is written atomically.

    A link is followed, and what it leads to is replaced. What is no regular file (a device, a
    named pipe, ``/dev/stderr``) is written to as it is.
    """
    path = Path(name)
    is_descriptor = name.startswith(("/dev/std", "/dev/fd/", "/proc/self/fd/"))
    if is_descriptor or (path.exists() and not path.is_file()):
        with naming(path), _open_text(path, "a" if is_descriptor else "w") as file:
            yield file
        return
    with new_file(Path(os.path.realpath(path))) as part, _open_text(part, "w") as file:
        yield file


def _open_text(path: Path, mode: str) -> TextIO:
    """Half a surrogate pair is written as it is."""
    return cast(TextIO, path.open(mode, encoding="utf-8", errors="surrogatepass", newline="\n"))


def _kind(mode: int) -> str:
    kinds = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe"}
    return kinds.get(stat.S_IFMT(mode), "a device")
