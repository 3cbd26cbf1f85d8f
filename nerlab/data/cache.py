"""Corpora on disk: indexed once, then opened as memory maps.

An entry is a folder with a file an array (``nerlab.data.corpus.ARRAYS``) and ``meta.json``. It is
found by a key made of everything that the corpus follows from: the bytes of the source files,
their names, how they are read, and the code that reads them. An entry is written beside and
renamed when it is whole; its checksums are verified whenever it is opened. So it is never stale
or half written, any number of processes may share the folder, and it may be deleted at any time.
"""

import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from nerlab.data.arrays import map_array
from nerlab.data.corpus import ARRAYS, Corpus, from_arrays
from nerlab.files import sha256_of, sync

_PACKAGE = Path(__file__).parents[1]
_META = "meta.json"
_PART = ".part"
_ABANDONED = 24 * 3600  # seconds after which a part is abandoned, where there are no locks


def cache_folder() -> Path:
    """``$NERLAB_CACHE``, or ``nerlab`` among the user's caches (``~/.cache`` on Linux)."""
    if chosen := os.environ.get("NERLAB_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nerlab"


def cache_key(sources: list[Path], options: dict[str, Any], package: str) -> str:
    """The key of what the sources become, read with these options by the code as it is now.

    Args:
        sources: the files.
        options: how they are read.
        package: the imported package whose code the reader is.
    """
    state = hashlib.sha256(json.dumps([options, ARRAYS], sort_keys=True).encode())
    for path in [*_code(package), *sources]:
        state.update(json.dumps(path.name).encode())
        state.update(sha256_of(path).encode())
    return state.hexdigest()


def cached(key: str, build: Callable[[Path], Corpus]) -> Corpus:
    """The corpus of a key, opened if it is there whole, else built and kept.

    Args:
        key: from :func:`cache_key`.
        build: writes the arrays into an empty folder.

    Raises:
        OSError: the cache cannot be written.
    """
    entry = cache_folder() / key
    _remove_abandoned(entry.parent)
    corpus = _open(entry)
    if corpus is not None:
        return corpus
    entry.parent.mkdir(parents=True, exist_ok=True)
    with _new_part(entry) as part:
        try:
            corpus = build(part)
            _write_meta(part, corpus)
            shutil.rmtree(entry, ignore_errors=True)  # there is none, or a damaged one
            os.rename(part, entry)
        except BaseException as error:
            # Files that are mapped stay readable when they are removed.
            shutil.rmtree(part, ignore_errors=True)
            if corpus is None or not _was_first(entry, error):
                raise
    return corpus


def _was_first(entry: Path, error: BaseException) -> bool:
    """Whether another process put the entry there in the meantime."""
    return isinstance(error, OSError) and _open(entry) is not None


def _open(entry: Path) -> Corpus | None:
    """The corpus in a folder; None if it is not there or not whole."""
    try:
        meta = json.loads((entry / _META).read_text(encoding="utf-8"))
        if any(sha256_of(entry / name) != meta["sha256"][name] for name in ARRAYS):
            return None
        arrays = {name: map_array(entry / name, dtype) for name, dtype in ARRAYS.items()}
        return from_arrays(arrays, list(meta["labels"]), list(meta["warnings"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _write_meta(part: Path, corpus: Corpus) -> None:
    meta = {
        "labels": corpus.labels,
        "warnings": corpus.warnings,
        "sentences": len(corpus),
        "tokens": len(corpus.tokens),
        "sha256": {name: sha256_of(part / name) for name in ARRAYS},
    }
    with (part / _META).open("x", encoding="utf-8") as file:
        json.dump(meta, file, indent=1)
    sync(part / _META)


@contextmanager
def _new_part(entry: Path) -> Iterator[Path]:
    """An empty folder beside an entry, locked within the block: so it is seen to be in use."""
    while True:
        part = entry.with_name(f"{entry.name}.{uuid4().hex}{_PART}")
        part.mkdir()
        descriptor = os.open(part, os.O_RDONLY)
        try:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if part.is_dir():  # not taken for abandoned before it was locked
                yield part
                return
        finally:
            os.close(descriptor)


def _remove_abandoned(folder: Path) -> None:
    """Remove the parts of processes that died: nobody holds their locks."""
    for part in folder.glob(f"*{_PART}"):
        try:
            descriptor = os.open(part, os.O_RDONLY)
        except OSError:
            continue  # finished just now
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_abandoned = True
        except BlockingIOError:
            is_abandoned = False
        except OSError:  # a file system without locks
            is_abandoned = time.time() - os.fstat(descriptor).st_mtime > _ABANDONED
        try:
            if is_abandoned:
                shutil.rmtree(part, ignore_errors=True)
        finally:
            os.close(descriptor)


def _code(package: str) -> Iterator[Path]:
    """What turns files into arrays; a reader that was edited reads other things."""
    yield from sorted((_PACKAGE / "data").rglob("*.py"))
    yield from (_PACKAGE / "tags.py", _PACKAGE / "text.py")
    if package == _PACKAGE.name:
        return
    module = sys.modules[package]
    if file := getattr(module, "__file__", None):  # a package without __init__.py has none
        yield Path(file)
    for folder in getattr(module, "__path__", ()):  # and a single module is in no folder
        yield from sorted(Path(folder).rglob("*.py"))
