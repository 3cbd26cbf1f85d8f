"""A file becomes a corpus, which is kept in the cache."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nerlab.config import DataConfig
from nerlab.data.build import build_corpus
from nerlab.data.corpus import ARRAYS, META, Corpus, open_corpus
from nerlab.data.plausibility import warnings_of_corpus
from nerlab.data.reader_warnings import collected_warnings
from nerlab.files import file_lock, new_folder, sha256_of
from nerlab.messages import counted_on_terminal

if TYPE_CHECKING:
    from nerlab.data.load import Source


def index(
    source: "Source", data: DataConfig, states: list[tuple[int, int]], entry: Path | None
) -> Corpus:
    """Read a source into arrays, and keep them in an entry of the cache; None: in memory.

    Of several processes that ask for the same entry, one builds and the others wait for it. Where
    it cannot be written, the corpus is held in memory and says so among its warnings. If the
    source is no longer in its former ``states``, ``ValueError`` is raised.
    """
    if entry is None:
        return _read(source, data, states, None)
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(entry.parent, wait=True):
            corpus = open_corpus(entry)  # another process may have built it by now
            if corpus is None:
                with new_folder(entry) as folder:
                    corpus = _read(source, data, states, folder)
                    _describe(corpus, folder)
        return corpus  # mapped files stay readable when they are renamed
    except OSError as error:
        corpus = _read(source, data, states, None)  # if the source cannot be read, this says so
        warning = (
            f"{entry.parents[1]}: {error.strerror or error}: the corpus is held in memory; set "
            "NERLAB_CACHE to a folder that can be written, or data.cache=false"
        )
        return replace(corpus, warnings=[*corpus.warnings, warning])


def _read(
    source: "Source", data: DataConfig, states: list[tuple[int, int]], folder: Path | None
) -> Corpus:
    path, split = source.path, source.selection and source.selection.split
    sentences = counted_on_terminal(source.sentences(), f"indexing {path.name}", "sentences")
    try:
        with collected_warnings() as warnings:
            corpus = build_corpus(sentences, data.scheme.value, data.repair, str(path), folder)
    except MemoryError:
        raise ValueError(
            f"{path}: does not fit into memory; cut its longest lines, or free some memory"
        ) from None
    if source.states() != states:
        raise ValueError(f"{path}: changed while it was read; run again when it is whole")
    name = f"{path}, {split}" if split else path
    warnings += (f"{name}: {warning}" for warning in warnings_of_corpus(corpus))
    return replace(corpus, warnings=warnings)


def _describe(corpus: Corpus, folder: Path) -> None:
    meta = {
        "labels": corpus.labels,
        "warnings": corpus.warnings,
        "sentences": len(corpus),
        "tokens": len(corpus.tokens),
        "sha256": {name: sha256_of(folder / name) for name in ARRAYS},
    }
    (folder / META).write_text(json.dumps(meta, indent=1), "utf-8")
