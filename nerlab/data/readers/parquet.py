"""Parquet files, a sentence a row: columns of lists, or of strings that spell Python lists."""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from nerlab.data.readers.messages import Tally, check_columns, shown, warn
from nerlab.data.readers.tagged import ClassNames, RowError, tokens_and_tags
from nerlab.data.sentence import Sentence

_BATCH_ROWS = 1_000
# A longer one is no sentence, and Python's parser takes a hundred times its memory.
_LITERAL_CHARACTERS = 100_000
_OPTIONS = "token_column, .tag_column and .document_column"
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_KNOWN_ESCAPES = "\n\\'\"abfnrtvxNuU01234567"


def read(
    path: str | Path,
    token_column: str,
    tag_column: str,
    bad_rows: Literal["error", "skip"],
    labels: Sequence[str] | None = None,
    document_column: str | None = None,
) -> Iterator[Sentence]:
    """Yield the sentences of a file, a row each. Rows without tokens are passed over.

    A row of either column is a list, or a string that spells a Python list (as LocalDoc publishes
    its Azerbaijani corpus). Rows that are null, unequal in length or otherwise broken are bad.

    What the options mean stands in ``conf/data/reader/parquet.yaml``.

    Raises:
        ValueError: pyarrow is not installed, the file is no whole Parquet file or lacks a column,
            or a row is bad.
    """
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ValueError(
            f'{path}: a Parquet file needs pyarrow; pip install -e ".[parquet]"'
        ) from None
    bad = Tally()
    row, document, last = 0, None, None
    try:
        with ParquetFile(path) as file:
            schema = file.schema_arrow
            columns = [token_column, tag_column]
            columns += [] if document_column is None else [document_column]
            check_columns(columns, schema.names, str(path), _OPTIONS)
            stored = _stored_names(schema.metadata, tag_column) if labels is None else labels
            names = None if stored is None else ClassNames(stored)
            for row, (token_cell, tag_cell, *mark) in enumerate(_rows(file, columns), start=1):
                if mark:
                    name = mark[0].as_py()
                    document = 0 if document is None else document + (name != last)
                    last = name
                try:
                    words, tags = tokens_and_tags(_listed(token_cell), _listed(tag_cell), names)
                except RowError as error:
                    if bad_rows == "error":
                        raise ValueError(
                            f"{path}:{row}: {error}; fix the row, or set data.reader.bad_rows=skip"
                        ) from None
                    bad.add(error.kind, f"row {row}: {error}")
                    continue
                if words:
                    yield Sentence(words, tags, document, row, lines_a_token=0)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise ValueError(f"{path}: {problem}; expected a whole Parquet file") from None
    if bad:
        message = f"{path}: data.reader.bad_rows=skip: of {row} rows {bad}"
        if len(bad) == row:
            raise ValueError(message)
        warn(message)


def _rows(file: Any, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    for batch in file.iter_batches(_BATCH_ROWS, columns=columns, use_threads=False):
        yield from zip(*map(batch.column, columns), strict=True)


def _stored_names(metadata: Mapping[bytes, bytes] | None, tag_column: str) -> Any:
    """The class names of a column as the ``datasets`` library writes them into a schema."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return features[tag_column]["feature"]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def _listed(cell: Any) -> list[object]:
    """The list in a cell of a column; ``cell`` is a scalar of Arrow's."""
    try:
        value = cell.as_py()
    except UnicodeDecodeError:
        raise RowError("that are not UTF-8", "a text is not UTF-8") from None
    if value is None:
        raise RowError("that are null", "null")
    if isinstance(value, str):
        value = _literal(value)
    if not isinstance(value, list):
        raise RowError("that hold no list", f"expected a list, found {shown(value)}")
    return value


def _literal(text: str) -> object:
    if len(text) > _LITERAL_CHARACTERS:
        raise RowError(
            "that are too long", f"{len(text)} characters, more than {_LITERAL_CHARACTERS}"
        )
    try:
        return ast.literal_eval(_ESCAPE.sub(_known_escape, text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise RowError("that hold no list", f"expected a list, found {shown(text)}") from None


def _known_escape(match: re.Match[str]) -> str:
    """A backslash that begins no escape is one; spelt twice, Python does not warn of it."""
    return match[0] if match[1] in _KNOWN_ESCAPES else "\\" + match[0]
