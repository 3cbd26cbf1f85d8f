"""CoNLL columns: a token a line, its tag in one of the columns, a blank line between sentences."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from nerlab.data.sentence import Sentence

DOCUMENT_MARK = "-DOCSTART-"


def read(path: str | Path, token_column: int, tag_column: int, encoding: str) -> Iterator[Sentence]:
    """Yield the sentences of a file of columns.

    Columns stand apart by spaces or tabs, any number of them; no other character separates
    (``\\x85`` and the no-break space may be part of a token). A line of white space alone is
    blank. A ``-DOCSTART-`` line begins a new document and is no sentence. A byte order mark,
    CRLF and a missing last newline are taken as they come.

    Args:
        path: the file.
        token_column: which column holds the token, from 0; negative counts from the end.
        tag_column: which column holds the tag.
        encoding: name of the file's encoding.

    Raises:
        ValueError: a line has too few columns, a byte does not decode, or nothing is there.
    """
    if not isinstance(token_column, int) or not isinstance(tag_column, int):
        raise ValueError(
            f"data.reader: expected column numbers, found {token_column!r} and {tag_column!r}"
        )
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        raise ValueError(f"{path}: {error}; set data.reader.encoding") from None
    needed = max(_columns_for(token_column), _columns_for(tag_column), 2)
    tokens: list[str] = []
    tags: list[str] = []
    document, start, found = 0, 1, False
    for number, line in _lines(path, encoding):
        columns = [column for column in line.replace("\t", " ").split(" ") if column]
        if columns and columns[0] != DOCUMENT_MARK:
            if len(columns) < needed:
                raise ValueError(
                    f"{path}:{number}: expected {needed} columns or more, found "
                    f"{len(columns)}: {line[:60]!r}; mend the line, or set "
                    "data.reader.token_column and data.reader.tag_column"
                )
            if not tokens:
                start = number
            tokens.append(columns[token_column])
            tags.append(columns[tag_column])
            continue
        if tokens:
            found = True
            yield Sentence(tokens, tags, document, start)
            tokens, tags = [], []
        if columns:
            document += 1
    if tokens:
        yield Sentence(tokens, tags, document, start)
    elif not found:
        raise ValueError(f"{path}: no sentence found; expected lines of a token and its tag")


def _columns_for(column: int) -> int:
    return column + 1 if column >= 0 else -column


def _lines(path: str | Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Numbered lines without their ends; only ``\\n``, ``\\r\\n`` and ``\\r`` end a line."""
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        encoding = "utf-8-sig"
    with open(path, encoding=encoding) as file:
        try:
            for number, line in enumerate(file, start=1):
                yield number, line.strip("\r\n")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}:{_undecodable_line(path, encoding)}: byte "
                f"0x{error.object[error.start]:02x} is not {encoding.removesuffix('-sig')}; set "
                "data.reader.encoding to the encoding of the file (cp1252, say)"
            ) from None
        except UnicodeError as error:  # UTF-16 without its mark
            raise ValueError(f"{path}: {error}; set data.reader.encoding") from None


def _undecodable_line(path: str | Path, encoding: str) -> int:
    """The decoder reads ahead in blocks: decode up to the byte and count."""
    try:
        Path(path).read_bytes().decode(encoding)
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(encoding, "ignore")
        return before.count("\n") + before.replace("\r\n", "\n").count("\r") + 1
    raise AssertionError("the file changed while it was read")
