"""Paths that a person names, or that lie in a folder which somebody else may have made."""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from nerlab.files import naming, new_file

_LARGEST = 2**20  # bytes of a JSON file of figures


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


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a run, which somebody else may have written; an empty one if the
    file is not there.

    Raises:
        ValueError: it is longer than a megabyte, or holds anything else.
    """
    if not path.exists():
        return {}
    check_file(path, _LARGEST)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: broken file ({error})") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected an object, found a {type(found).__name__}")
    return found


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
