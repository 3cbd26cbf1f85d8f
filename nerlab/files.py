"""Files that are what they should be: checksums, bytes on the disk, whole or not there."""

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, TextIO, cast

_BLOCK = 1 << 20
_SHOWN_CHARACTERS = 40  # of a name in the name of a temporary file


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
    """Empty files beside ``paths`` to write to; all take their place at the end, together.

    If the block raises, none does, and nothing of it is left. Their names are random: nobody's
    file is in their way, and of two processes the later one wins. A file that is replaced hands
    its mode on.

    Raises:
        ValueError: what stands under one of the names is a link, or no regular file.
    """
    parts: list[Path] = []
    try:
        with naming(*paths):
            modes = [_mode_of(path) for path in paths]
            for path, mode in zip(paths, modes, strict=True):
                parts.append(_create_beside(path, 0o666 if mode is None else 0o600))
            yield parts
            for part, mode in zip(parts, modes, strict=True):
                sync(part)
                if mode is not None:
                    part.chmod(mode)
        for part, path in zip(parts, paths, strict=True):
            os.replace(part, path)
        for folder in {path.parent for path in paths}:
            with suppress(OSError):  # one that cannot be read; the files are there
                sync(folder)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _mode_of(path: Path) -> int | None:
    """The permissions of a regular file; None if nothing is there."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path}: expected a regular file or none, found {_kind(mode)}; remove it")
    return stat.S_IMODE(mode)


def _kind(mode: int) -> str:
    kinds = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _create_beside(path: Path, mode: int) -> Path:
    """A new file in the same folder, whose name says what it becomes."""
    part = path.with_name(f"{path.name[:_SHOWN_CHARACTERS]}.{token_hex(8)}.part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    return part


def write_file(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with new_files([path]) as (part,), _open_text(part, "w") as file:
        file.write(text)


@contextmanager
def output_file(name: str) -> Iterator[TextIO]:
    """The text file that a person has named for output, which is written whole or not at all.

    A link is followed, and what it leads to is replaced. What is no regular file (a device, a
    named pipe, ``/dev/stderr``) is written to as it is.
    """
    path = Path(name)
    is_descriptor = name.startswith(("/dev/std", "/dev/fd/", "/proc/self/fd/"))
    if is_descriptor or (path.exists() and not path.is_file()):
        with naming(path), _open_text(path, "a" if is_descriptor else "w") as file:
            yield file
        return
    target = Path(os.path.realpath(path))
    with new_files([target]) as (part,), _open_text(part, "w") as file:
        yield file


def _open_text(file: Path | int, mode: str) -> TextIO:
    """Half a surrogate pair is written as it is."""
    return cast(TextIO, open(file, mode, encoding="utf-8", errors="surrogatepass", newline="\n"))


def open_to_append(path: Path) -> TextIO:
    """A text file of a run, to write at its end.

    Raises:
        ValueError: it is a link, or no regular file.
    """
    _mode_of(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
    return _open_text(os.open(path, flags, 0o666), "a")


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
