"""Words of messages, and text from outside as a terminal or a column of a file can hold it."""

import re
from collections.abc import Iterable

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def counted(number: int, noun: str) -> str:
    """A number with its noun, whose plural ends in s.

    >>> counted(1, "epoch"), counted(1200, "epoch")
    ('1 epoch', '1,200 epochs')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"


def escape_controls(text: str, keep: str = "") -> str:
    r"""The text, with what ends a line, steers a terminal or is no UTF-8 spelt as Python does.

    Everything else is left as it is, in whatever script; so are the characters of ``keep``.

    >>> escape_controls("Bakı\x1b[2J\n"), escape_controls("a\tb", keep="\t")
    ('Bakı\\x1b[2J\\n', 'a\tb')
    """
    if text.isprintable():  # which nearly all is
        return text

    def spelt(match: re.Match[str]) -> str:
        return match[0] if match[0] in keep else ascii(match[0])[1:-1]

    return _CONTROL.sub(spelt, text)


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
