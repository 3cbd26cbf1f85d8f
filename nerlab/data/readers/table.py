"""CSV and TSV with a header: a token a row, and a column that tells the sentences apart."""

import csv
from collections.abc import Iterator
from pathlib import Path

from nerlab.data.readers.lines import open_text
from nerlab.data.readers.messages import check_columns, shown
from nerlab.data.sentence import Sentence
from nerlab.messages import counted

_OPTIONS = "token_column, .tag_column, .sentence_column, .document_column and .delimiter"


def read(
    path: str | Path,
    token_column: str,
    tag_column: str,
    sentence_column: str | None,
    delimiter: str,
    encoding: str,
    document_column: str | None = None,
) -> Iterator[Sentence]:
    """Yield the sentences of a table, as the Groningen Meaning Bank is published on Kaggle.

    Fields may be quoted, and may then hold delimiters and doubled quotes. Nothing is stripped or
    guessed: ``None`` and the no-break space are tokens.

    A sentence begins where the cell of the sentence column is filled and differs from the cell of
    the row above. So the column may be filled on the first row of each sentence alone, or on
    every row; an empty cell continues the sentence, and a value that comes back after another one
    begins a new sentence. An empty row ends a sentence too, and so does the end of a document.

    What the options mean stands in ``conf/data/reader/table.yaml``.

    Raises:
        ValueError: a column is not there or stands twice, a row is too short, has no token or
            cannot be parsed, or a byte does not decode.
    """
    if len(delimiter) != 1 or delimiter in '\0\r\n"':
        raise ValueError(
            "data.reader.delimiter: expected one character, no quote and no line break, found "
            f"{shown(delimiter)}"
        )
    columns = (token_column, tag_column, sentence_column, document_column)
    named = [column for column in columns if column is not None]
    tokens: list[str] = []
    tags: list[str] = []
    start, found = 1, False
    above = ""  # the cell of the sentence column in the row above
    document, document_name = None if document_column is None else 0, ""
    with open_text(path, encoding, newline="") as file:
        rows = csv.reader(file, delimiter=delimiter)
        try:
            header = next(rows, [])
            check_columns(named, header, f"{path}:1", _OPTIONS)
            indices = [None if column is None else header.index(column) for column in columns]
            needed = 1 + max(header.index(column) for column in named)
            for row in rows:
                if row and len(row) < needed:
                    raise ValueError(
                        f"{path}:{rows.line_num}: expected {counted(len(header), 'field')}, found "
                        f"{len(row)}: {delimiter.join(row)[:60]!r}; fix the row, or set "
                        "data.reader.delimiter"
                    )
                token, tag, sentence, name = _cells(row, indices)
                begins_document = name not in ("", document_name)
                if tokens and (not row or begins_document or sentence not in ("", above)):
                    found = True
                    yield Sentence(tokens, tags, document, start)
                    tokens, tags = [], []
                above = sentence
                if not row:
                    continue
                if begins_document and document is not None:
                    document += found
                    document_name = name
                if not token:
                    raise ValueError(
                        f"{path}:{rows.line_num}: no token in the column {token_column!r}; fix or "
                        "remove the row"
                    )
                if not tokens:
                    start = rows.line_num
                tokens.append(token)
                tags.append(tag)
        except csv.Error as error:
            raise ValueError(
                f"{path}:{rows.line_num}: {error}; expected rows of {delimiter!r}-separated fields"
            ) from None
    if tokens:
        yield Sentence(tokens, tags, document, start)


def _cells(row: list[str], indices: list[int | None]) -> list[str]:
    """The cells of some columns; empty in an empty row, and where no column is named."""
    return ["" if index is None or not row else row[index] for index in indices]
