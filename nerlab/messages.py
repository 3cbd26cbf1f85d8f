"""What a person reads: words, text from outside made safe to show, the terminal and its bar."""

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from rich.console import Console

T = TypeVar("T")
# Takes ``completed=`` and ``total=``, and as ``state=`` a few words to stand beside the bar.
ShowProgress = Callable[..., None]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|])")
# What a line of JSON need not escape, but a terminal obeys, or UTF-8 does not have.
_NOT_IN_JSON = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SHOW_EVERY = 5_000


def counted(number: int, noun: str) -> str:
    """A number with its noun, whose plural ends in s.

    >>> counted(1, "epoch"), counted(1200, "epoch")
    ('1 epoch', '1,200 epochs')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"


def escape_controls(text: str, keep: str = "") -> str:
    r"""The text, with what ends a line, steers a terminal or is no UTF-8 spelt as Python does;
    the characters of ``keep`` are left as they are.

    >>> escape_controls("Bakı\x1b[2J\n"), escape_controls("a\tb", keep="\t")
    ('Bakı\\x1b[2J\\n', 'a\tb')
    """
    if text.isprintable():  # which nearly all is
        return text
    return _CONTROL.sub(lambda m: m[0] if m[0] in keep else ascii(m[0])[1:-1], text)


def visible(text: str, keep: str = "") -> str:
    r"""The text with what cannot be seen or written spelt as ``\x85`` or ``\u200b``; the characters
    of ``keep`` are left as they are.
    """
    if text.isascii() and text.isprintable():
        return text
    spelt = []
    for before, character in zip(f" {text}", text, strict=False):
        stands_alone = before == " " and unicodedata.category(character) in ("Mn", "Me")
        if stands_alone or not (character.isprintable() or character in keep):
            character = character.encode("unicode_escape").decode()
        spelt.append(character)
    return "".join(spelt)


def conll_sentence(*columns: Iterable[str], separator: str = " ") -> str:
    r"""A sentence: a line a token with its value of every column, and a blank line.

    >>> conll_sentence(["New", "York"], ["B-LOC", "I-LOC"])
    'New B-LOC\nYork I-LOC\n\n'
    """
    return "".join(f"{separator.join(row)}\n" for row in zip(*columns, strict=True)) + "\n"


def markdown(text: str) -> str:
    r"""A text within a line of Markdown, as it is.

    >>> print(markdown("a_b|`"))
    a\_b\|\`
    """
    return _MARKDOWN.sub(r"\\\1", escape_controls(text))


def json_line(value: object) -> str:
    r"""Plain data as one line of JSON, any script as it is; control characters are escaped.

    >>> json_line({"text": "Bakı\x85"})
    '{"text": "Bakı\\u0085"}'
    """
    line = json.dumps(value, ensure_ascii=False)
    return _NOT_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", line)


def as_column(text: str) -> str:
    r"""The text as one column of a line; what would end a line or a column is escaped.

    >>> as_column("New York")
    'New\\x20York'
    """
    return escape_controls(text).replace(" ", r"\x20")


class _Console(Console):
    """rich would end the process with status 1 when nobody reads; that is for others to decide."""

    def on_broken_pipe(self) -> None:
        raise


def make_console(stderr: bool = False) -> Console:
    """Standard output or standard error; a text is printed as it is, and no line is broken."""
    file = sys.stderr if stderr else sys.stdout  # None: the process was started without it
    width = None if file is not None and file.isatty() else 120
    as_it_is: Any = {"markup": False, "emoji": False, "highlight": False, "soft_wrap": True}
    return _Console(file=file, stderr=stderr, width=width, **as_it_is)


@contextmanager
def progress_bar(console: Console, description: str) -> Iterator[ShowProgress]:
    """A bar on the terminal within the block; nothing where there is no terminal."""
    from rich import progress  # prediction shows none, and need not wait for it

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=None),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.fields[state]}", markup=False),
        progress.TimeRemainingColumn(),
    )
    disable = not console.is_terminal
    with progress.Progress(*columns, console=console, disable=disable, transient=True) as bar:
        yield partial(bar.update, bar.add_task(description, total=None, state=""))


def counted_on_terminal(items: Iterable[T], description: str, noun: str) -> Iterator[T]:
    """The items, counted on the terminal of standard error as they pass."""
    with progress_bar(make_console(stderr=True), description) as show:
        for number, item in enumerate(items, start=1):
            yield item
            if number % _SHOW_EVERY == 0:
                show(state=f"{number:,} {noun}")
