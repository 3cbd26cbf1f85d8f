"""A file becomes a corpus, which is kept in the cache."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from nerlab.config import DataConfig
from nerlab.data.build import build_corpus
from nerlab.data.corpus import ARRAYS, LEXICON, META, Corpus, open_corpus
from nerlab.data.load import Source
from nerlab.data.plausibility import warnings_of_corpus
from nerlab.data.reader_options import check_options
from nerlab.data.readers.messages import collected_warnings
from nerlab.data.sentence import Sentence
from nerlab.data.splits import select
from nerlab.data.vocabulary import to_json
from nerlab.files import file_lock, new_folder, sha256_of
from nerlab.messages import counted_on_terminal


def index(
    data: DataConfig, source: Source, digests: list[tuple[str, str]], entry: Path | None
) -> Corpus:
    """Read a source into arrays, and keep them in an entry of the cache; None: in memory.

    Of several processes that ask for the same entry, one builds and the others wait for it. Where
    it cannot be written, the corpus is held in memory and says so among its warnings. If the files
    no longer have their ``digests`` at the end, ``ValueError`` is raised.
    """
    if entry is None:
        return _read(data, source, digests)
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(entry.parent, wait=True):
            corpus = open_corpus(entry)  # another process may have built it by now
            if corpus is None:
                with new_folder(entry) as folder:
                    corpus = _read(data, source, digests, folder)
                    _describe(corpus, folder)
        return corpus  # mapped files stay readable when they are renamed
    except OSError as error:
        corpus = _read(data, source, digests)  # if the source cannot be read, this says so
        warning = (
            f"{entry.parents[1]}: {error.strerror or error}: the corpus is held in memory; set "
            "NERLAB_CACHE to a folder that can be written, or data.cache=false"
        )
        return replace(corpus, warnings=[*corpus.warnings, warning])


def sentences_of(source: Source) -> Iterator[Sentence]:
    """The sentences, as the file has them; ``ValueError`` says what is wrong with it."""
    check_options(source.read)
    sentences = iter(source.read(source.path))
    first = next(sentences, None)
    if first is None:
        raise ValueError(
            f"{source.path}: no sentence found; set data/reader to the format of the file, and the "
            "keys of data.reader to what stands where in it"
        )
    sentences = chain([first], sentences)
    return sentences if source.selection is None else select(sentences, source.selection)


def _read(
    data: DataConfig, source: Source, digests: list[tuple[str, str]], folder: Path | None = None
) -> Corpus:
    path = source.path
    try:
        with collected_warnings() as warnings:
            shown = counted_on_terminal(sentences_of(source), f"indexing {path.name}", "sentences")
            corpus = build_corpus(shown, data.scheme.value, data.repair, str(path), folder)
    except MemoryError:
        raise ValueError(
            f"{path}: does not fit into memory; cut its longest lines, or free some memory"
        ) from None
    if source.digests() != digests:
        raise ValueError(f"{path}: changed while it was read; run again when it is whole")
    name = f"{path}, {source.selection.split}" if source.selection else path
    warnings += (f"{name}: {warning}" for warning in warnings_of_corpus(corpus))
    return replace(corpus, warnings=warnings)


def _describe(corpus: Corpus, folder: Path) -> None:
    (folder / LEXICON).write_bytes(to_json(corpus.lexicon))
    meta = {
        "labels": corpus.labels,
        "warnings": corpus.warnings,
        "sentences": len(corpus),
        "tokens": len(corpus.tokens),
        "sha256": {name: sha256_of(folder / name) for name in (*ARRAYS, LEXICON)},
    }
    (folder / META).write_text(json.dumps(meta, indent=1), "utf-8")
