"""Whether the options of a reader are there, and of the types that it asks for."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints

from nerlab.data.readers.messages import shown
from nerlab.data.sentence import Sentence

# The types that an option may ask for, by the names of their YAML.
_KINDS: dict[object, str] = {
    str: "a string",
    int: "a whole number",
    bool: "true or false",
    NoneType: "null",
    Sequence: "a list",
    Mapping: "a section",
}


def check_options(read: partial[Iterator[Sentence]]) -> None:
    """Raise ``ValueError`` if an option is missing or unknown, or not of the type of its
    annotation; what has other annotations is a reader of one's own, which knows what it takes."""
    try:
        inspect.signature(read.func).bind(Path(), *read.args, **read.keywords)
    except TypeError as error:
        raise ValueError(f"data.reader: {error}") from None
    try:
        hints = get_type_hints(read.func)
    except NameError:  # types for the type checker alone
        return
    for option, value in read.keywords.items():
        hint = hints.get(option, object)
        choices = get_args(hint) if get_origin(hint) in (Union, UnionType, Literal) else (hint,)
        if get_origin(hint) is Literal:
            fits, names = value in choices, list(map(str, choices))
        else:
            kinds = [get_origin(kind) or kind for kind in choices]
            if not all(kind in _KINDS for kind in kinds):
                continue
            # To Python, true is a number.
            fits = isinstance(value, tuple(kinds)) and (
                bool in kinds or not isinstance(value, bool)
            )
            names = [_KINDS[kind] for kind in kinds]
        if not fits:
            expected = " or ".join(names)
            raise ValueError(f"data.reader.{option}: expected {expected}, found {shown(value)}")
