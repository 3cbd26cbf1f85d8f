"""CoNLL columns: a token a line, its tag in one of the columns, a blank line between sentences."""

import re
from collections.abc import Iterator
from pathlib import Path

from nerlab.data.readers.lines import fields, numbered_lines, open_text
from nerlab.data.readers.messages import check_columns
from nerlab.data.sentence import Sentence
from nerlab.messages import counted

DOCUMENT_MARK = "-DOCSTART-"
_BLOCK = 1 << 20  # characters


def read(
    path: str | Path,
    token_column: int | str,
    tag_column: int | str,
    encoding: str,
    comment: str | None = None,
    token_pattern: str | None = None,
) -> Iterator[Sentence]:
    """Yield the sentences of a file of columns.

    Columns stand apart by spaces or tabs, any number of them; no other character separates
    (``\\x85`` and the no-break space may be part of a token). A line of white space alone is
    blank. A ``-DOCSTART-`` line begins a new document and is no sentence; what comes before the
    first is a document too, and a file without any marks no documents. A byte order mark, CRLF
    and a missing last newline are taken as they come.

    What the options mean stands in ``conf/data/reader/columns.yaml``. A column that is a name is
    looked up in the first line of the file.

    Raises:
        ValueError: a line has too few columns, a token does not match, or a byte does not decode.
    """
    lines = numbered_lines(path, encoding)
    if isinstance(token_column, str) or isinstance(tag_column, str):
        header = next((names for _, line in lines if (names := fields(line))), [])
        named = [column for column in (token_column, tag_column) if isinstance(column, str)]
        check_columns(named, header, f"{path}:1", "token_column and .tag_column")
        token_column, tag_column = (
            header.index(column) if isinstance(column, str) else column
            for column in (token_column, tag_column)
        )
    pattern = _compiled(token_pattern)
    needed = max(_columns_for(token_column), _columns_for(tag_column), 2)
    tokens: list[str] = []
    tags: list[str] = []
    document = 0 if _marks_documents(path, encoding) else None
    start = 1
    for number, line in lines:
        if comment is not None and line.startswith(comment):
            continue
        columns = fields(line)
        if columns and columns[0] != DOCUMENT_MARK:
            if len(columns) < needed:
                raise ValueError(
                    f"{path}:{number}: expected {counted(needed, 'column')} or more, found "
                    f"{len(columns)}: {line[:60]!r}; fix the line, or set "
                    "data.reader.token_column and .tag_column, or .comment to what comments begin "
                    "with"
                )
            if not tokens:
                start = number
            token = columns[token_column]
            tokens.append(token if pattern is None else _first_group(pattern, token, path, number))
            tags.append(columns[tag_column])
            continue
        if tokens:
            yield Sentence(tokens, tags, document, start)
            tokens, tags = [], []
        if columns and document is not None:
            document += 1
    if tokens:
        yield Sentence(tokens, tags, document, start)


def _marks_documents(path: str | Path, encoding: str) -> bool:
    text = ""
    with open_text(path, encoding, newline="") as file:
        while block := file.read(_BLOCK):
            text = text[1 - len(DOCUMENT_MARK) :] + block
            if DOCUMENT_MARK in text:
                return True
    return False


def _columns_for(column: int) -> int:
    return column + 1 if column >= 0 else -column


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"data.reader.token_pattern: {pattern!r}: {error}") from None
    if compiled.groups != 1:
        raise ValueError(
            f"data.reader.token_pattern: expected one group, the token, found {compiled.groups} in "
            f"{pattern!r}"
        )
    return compiled


def _first_group(pattern: re.Pattern[str], text: str, path: str | Path, number: int) -> str:
    match = pattern.fullmatch(text)
    if match is None or not match[1]:
        raise ValueError(
            f"{path}:{number}: {text[:60]!r} does not match data.reader.token_pattern, "
            f"{pattern.pattern!r}; fix the line or the pattern"
        )
    return match[1]
