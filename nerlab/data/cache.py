"""Corpora on disk: indexed once, then opened as memory maps.

An entry is a folder with a file an array (``nerlab.data.corpus.ARRAYS``) and ``meta.json``. Its key
is made of everything that the corpus follows from: the bytes of the source files, their names, how
they are read, and the code that reads them. It is written atomically and its checksums are verified
whenever it is opened, so it is never stale or half written, any number of processes may share it,
and it may be deleted at any time.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from platformdirs import user_cache_dir

from nerlab.data.corpus import ARRAYS, Corpus, from_arrays, map_array
from nerlab.files import file_lock, new_folder, sha256_of

_PACKAGE = Path(__file__).parents[1]
_META = "meta.json"
# With the readers, all code that turns files into arrays; a test follows their imports.
_DATA_CODE = ("build", "corpus", "load", "reader_warnings", "sentence", "splits")
_CODE = ("messages", "schemes", "tags", "text")


def cache_folder() -> Path:
    """``$NERLAB_CACHE``, or ``nerlab`` among the user's caches (``~/.cache`` on Linux)."""
    return Path(os.environ.get("NERLAB_CACHE") or user_cache_dir("nerlab", appauthor=False))


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

    Of several processes that ask for the same one, one builds and the others wait for it.

    Args:
        key: from :func:`cache_key`.
        build: writes the arrays into an empty folder.

    Raises:
        OSError: the cache cannot be written.
    """
    entry = cache_folder() / key / "corpus"
    corpus = _open(entry)
    if corpus is None:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(entry.parent, wait=True):
            corpus = _open(entry)  # another process may have built it by now
            if corpus is None:
                corpus = _build(entry, build)
    return corpus


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


def _build(entry: Path, build: Callable[[Path], Corpus]) -> Corpus:
    with new_folder(entry) as part:
        corpus = build(part)
        meta = {
            "labels": corpus.labels,
            "warnings": corpus.warnings,
            "sentences": len(corpus),
            "tokens": len(corpus.tokens),
            "sha256": {name: sha256_of(part / name) for name in ARRAYS},
        }
        (part / _META).write_text(json.dumps(meta, indent=1), "utf-8")
    return corpus  # mapped files stay readable when they are renamed


def _code(package: str) -> Iterator[Path]:
    """What turns files into arrays; a reader that was edited reads other things."""
    yield from sorted((_PACKAGE / "data" / "readers").glob("*.py"))
    yield from (_PACKAGE / "data" / f"{name}.py" for name in _DATA_CODE)
    yield from (_PACKAGE / f"{name}.py" for name in _CODE)
    if package == _PACKAGE.name:
        return
    module = sys.modules[package]
    if file := getattr(module, "__file__", None):  # a package without __init__.py has none
        yield Path(file)
    for folder in getattr(module, "__path__", ()):  # and a single module is in no folder
        yield from sorted(Path(folder).rglob("*.py"))
