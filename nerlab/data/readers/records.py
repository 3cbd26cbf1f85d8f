"""JSON files as numbered records, and what stands in a record under a dotted path."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from nerlab.data.readers.lines import numbered_lines, open_text
from nerlab.data.readers.messages import shown

T = TypeVar("T")
Layout = Literal["lines", "array"]

_DECODER = json.JSONDecoder()
_WHITE_SPACE = re.compile(r"[ \t\n\r]*")
_NAMES: dict[object, str] = {
    str: "a string",
    int: "a whole number",
    list: "a list",
    (int, str): "a whole number or a string",
}


class Record(NamedTuple):
    """A JSON object, the line that it begins on, and ``file:line`` for messages."""

    value: dict[str, Any]
    line: int
    where: str


def records(path: str | Path, layout: Layout, encoding: str) -> Iterator[Record]:
    """Yield the records of a file: with the layout ``lines`` an object a line, blank ones passed
    over; with ``array`` the items of one JSON array, whose text is held in memory.

    Raises:
        ValueError: a record is no JSON or no object, or a byte does not decode.
    """
    for line, value in (_lines if layout == "lines" else _items)(path, encoding):
        where = f"{path}:{line}"
        if not isinstance(value, dict):
            raise ValueError(
                f"{where}: expected a JSON object, found {shown(value)}; fix it, or set "
                "data.reader.layout to lines (an object a line) or array (one list of objects)"
            )
        yield Record(value, line, where)


def _lines(path: str | Path, encoding: str) -> Iterator[tuple[int, Any]]:
    for number, line in numbered_lines(path, encoding):
        start = _skip(line, 0)
        if start == len(line):
            continue
        value, end = _decoded(line, start, path, number)
        if _skip(line, end) < len(line):
            raise ValueError(
                f"{path}:{number}: expected one JSON object, found {shown(line[end:])} after it; "
                "put each on a line of its own"
            )
        yield number, value


def _items(path: str | Path, encoding: str) -> Iterator[tuple[int, Any]]:
    """The items of an array, decoded one after the other: so their lines are known."""
    with open_text(path, encoding, newline=None) as file:
        text = file.read()
    position = _skip(text, _expected("[", text, _skip(text, 0), path))
    line, counted = 1, 0
    more = not text.startswith("]", position)
    while more:
        line += text.count("\n", counted, position)
        counted = position
        value, end = _decoded(text, position, path, 1)
        yield line, value
        position = _skip(text, end)
        more = text.startswith(",", position)
        if more:
            position = _skip(text, position + 1)
    _expected("", text, _skip(text, _expected("]", text, position, path)), path)


def _expected(mark: str, text: str, position: int, path: str | Path) -> int:
    """The position behind a mark of an array, which must stand here; an empty one is the end."""
    if text[position : position + 1] == mark:
        return position + 1
    line = 1 + text.count("\n", 0, position)
    raise ValueError(
        f"{path}:{line}: expected one JSON array of objects, found {shown(text[position:])}; fix "
        "the file, or set data.reader.layout=lines if an object stands on each line"
    )


def _skip(text: str, start: int) -> int:
    match = _WHITE_SPACE.match(text, start)
    assert match is not None
    return match.end()


def _decoded(text: str, start: int, path: str | Path, first_line: int) -> tuple[Any, int]:
    """The value that begins at a position of a text, and the position behind it."""
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        problem = f"{error.msg} at column {error.colno}, {shown(text[error.pos : error.pos + 30])}"
    except (RecursionError, ValueError) as error:  # or a number of thousands of digits
        line = first_line + text.count("\n", 0, start)
        problem = "nested too deep" if isinstance(error, RecursionError) else str(error)
    raise ValueError(
        f"{path}:{line}: no JSON: {problem}; fix it, or set data.reader.layout to lines (an "
        "object a line) or array (one list of objects)"
    )


def look_up(value: Any, path: str | int) -> Any:
    """What stands under a dotted path: keys of objects, numbers (from 0) of items in lists.

    >>> look_up({"annotations": [{"result": "yes"}]}, "annotations.0.result")
    'yes'

    Raises:
        KeyError: nothing does.
    """
    for name in str(path).split("."):
        if isinstance(value, dict):
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            raise KeyError(name)
    return value


def fetch(
    value: Any, path: str | int, expected: type[T] | tuple[type[T], ...], option: str, where: str
) -> T:
    """What stands under a path, which ``data.reader.<option>`` names.

    Raises:
        ValueError: nothing does, or something of another type.
    """
    try:
        found = look_up(value, path)
        if isinstance(found, expected) and not isinstance(found, bool):
            return found
        problem = shown(found)
    except KeyError:
        problem = "nothing"
    raise ValueError(
        f"{where}: expected {_NAMES[expected]} under {str(path)!r}, found {problem}; fix the "
        f"record, or set data.reader.{option} to where it stands"
    )


def has(value: Any, path: str | int) -> bool:
    """Whether anything but null stands under a path."""
    try:
        return look_up(value, path) is not None
    except KeyError:
        return False


def matches(value: Any, wanted: Mapping[str, Any]) -> bool:
    """Whether each path of ``wanted`` is there and its value the wanted one."""
    try:
        return all(look_up(value, path) == expected for path, expected in wanted.items())
    except KeyError:
        return False
