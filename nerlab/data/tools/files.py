"""Files that appear under their name only when they are whole."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_files(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Names beside ``paths`` to write to; all take their place at the end of the block, together.

    If the block raises, none does, and nothing of it is left.
    """
    parts = [path.with_name(path.name + ".part") for path in paths]
    try:
        yield parts
        for part, path in zip(parts, paths, strict=True):
            os.replace(part, path)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def write_file(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with new_files([path]) as (part,):
        part.write_text(text, encoding="utf-8", newline="\n")
