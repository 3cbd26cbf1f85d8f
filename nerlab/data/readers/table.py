"""CSV and TSV with a header: a token a row, and a column that tells the sentences apart."""

import csv
from collections.abc import Iterator
from pathlib import Path

from nerlab.data.readers.lines import open_text
from nerlab.data.readers.messages import check_columns, shown
from nerlab.data.sentence import Sentence
from nerlab.messages import counted


def read(
    path: str | Path,
    token_column: str,
    tag_column: str,
    sentence_column: str | None,
    delimiter: str,
    encoding: str,
) -> Iterator[Sentence]:
    """Yield the sentences of a table, as the Groningen Meaning Bank is published on Kaggle.

    Fields may be quoted, and may then hold delimiters and doubled quotes. Nothing is stripped or
    guessed: ``None`` and the no-break space are tokens.

    A sentence begins where the cell of the sentence column is filled and differs from the cell of
    the row above. So the column may be filled on the first row of each sentence alone, or on
    every row; an empty cell continues the sentence, and a value that comes back after another one
    begins a new sentence. An empty row ends a sentence too.

    Args:
        path: the file, its first row naming the columns; ``….gz`` is unpacked.
        token_column: name of the column of the tokens.
        tag_column: name of the column of the tags.
        sentence_column: name of the column that tells the sentences apart; None: only empty rows
            stand between sentences.
        delimiter: what stands between fields.
        encoding: name of the file's encoding.

    Raises:
        ValueError: a column is not there or stands twice, a row is too short, has no token or
            cannot be parsed, a byte does not decode, or there is no sentence.
    """
    if len(delimiter) != 1 or delimiter in '\0\r\n"':
        raise ValueError(
            "data.reader.delimiter: expected one character, no quote and no line break, found "
            f"{shown(delimiter)}"
        )
    named = [token_column, tag_column, *([] if sentence_column is None else [sentence_column])]
    tokens: list[str] = []
    tags: list[str] = []
    start, found = 1, False
    above: list[str] = []  # the cell of the sentence column in the row above, if there is one
    with open_text(path, encoding, newline="") as file:
        rows = csv.reader(file, delimiter=delimiter)
        try:
            header = next(rows, [])
            places = _places(named, header, path)
            for row in rows:
                if row and len(row) <= max(places):
                    raise ValueError(
                        f"{path}:{rows.line_num}: expected {counted(len(header), 'field')}, found "
                        f"{len(row)}: {delimiter.join(row)[:60]!r}; mend the row, or set "
                        "data.reader.delimiter"
                    )
                token, tag, *sentence = [row[place] for place in places] if row else ["", "", ""]
                if tokens and (not row or (any(sentence) and sentence != above)):
                    found = True
                    yield Sentence(tokens, tags, line=start)
                    tokens, tags = [], []
                above = sentence
                if not row:
                    continue
                if not token:
                    raise ValueError(
                        f"{path}:{rows.line_num}: no token in the column {token_column!r}; mend or "
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
        yield Sentence(tokens, tags, line=start)
    elif not found:
        raise ValueError(f"{path}: no sentence found; expected rows of a token and its tag")


def _places(named: list[str], header: list[str], path: str | Path) -> list[int]:
    check_columns(
        named, header, f"{path}:1", "token_column, .tag_column, .sentence_column and .delimiter"
    )
    return [header.index(name) for name in named]
