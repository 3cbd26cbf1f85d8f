"""Writing the column format of the CoNLL shared tasks."""

from collections.abc import Iterable

from nerlab.messages import escape_controls


def conll_sentence(*columns: Iterable[str], separator: str = " ") -> str:
    r"""A sentence: a line a token with its value of every column, and a blank line.

    >>> conll_sentence(["New", "York"], ["B-LOC", "I-LOC"])
    'New B-LOC\nYork I-LOC\n\n'
    """
    return "".join(f"{separator.join(row)}\n" for row in zip(*columns, strict=True)) + "\n"


def as_column(text: str) -> str:
    r"""The text as one column of a line; what would end a line or a column is escaped.

    >>> as_column("New York")
    'New\\x20York'
    """
    return escape_controls(text).replace(" ", r"\x20")
