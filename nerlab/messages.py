"""Words of messages, and text from outside as a terminal or a column can hold it."""

import re

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
    return _CONTROL.sub(lambda match: match[0] if match[0] in keep else _spelt(match[0]), text)


def _spelt(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
