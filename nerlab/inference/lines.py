"""The texts that predict.py is given, a line each."""

import select
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import BinaryIO

from nerlab.text import wide_encoding

_CHUNK = 1 << 16
# Seconds until a pipe counts as empty: a writer that is only waiting for its turn comes in between.
_PAUSE = 0.01


class Lines:
    """The lines of a file in UTF-8, or of a pipe; ``\\n`` or ``\\r\\n`` ends a line, nothing else.

    ``file`` has no buffer of its own; ``name`` is that of the file, for messages.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._whole: deque[bytes] = deque()
        self._begun = bytearray()  # the line that has no end yet
        self._at_end = False

    def __iter__(self) -> Iterator[str]:
        numbers = count(1)
        while self._whole or not self._at_end:
            if not self._whole:
                self._read()
            while self._whole:
                yield self._decoded(self._whole.popleft(), next(numbers))

    def is_ready(self) -> bool:
        """Whether the next line, or the end, is to be had without waiting for the writer."""
        while not self._whole and not self._at_end:
            if not select.select([self._file], [], [], _PAUSE)[0]:
                return False
            self._read()
        return True

    def _read(self) -> None:
        select.select([self._file], [], [])  # a descriptor may be set not to block
        chunk = self._file.read(_CHUNK)
        self._begun += chunk
        if b"\n" in chunk:
            *whole, self._begun = self._begun.split(b"\n")
            self._whole.extend(bytes(line).removesuffix(b"\r") for line in whole)
        self._at_end = not chunk
        if self._at_end and self._begun:
            self._whole.append(bytes(self._begun))

    def _decoded(self, raw: bytes, number: int) -> str:
        if number == 1 and (found := wide_encoding(raw)):
            raise ValueError(
                f"{self._name}: expected UTF-8, found what is {found} by its first bytes; convert "
                f"the file to UTF-8 (iconv -f {found} -t utf-8)"
            )
        try:
            return raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{self._name}:{number}: byte 0x{raw[error.start]:02x} is not UTF-8; convert the "
                "file to UTF-8 (iconv -f cp1252 -t utf-8, say)"
            ) from None


@contextmanager
def opened(source: str) -> Iterator[Lines]:
    """The lines of a file, a named pipe or, for ``-``, of standard input."""
    if source == "-" and sys.stdin is None:
        raise ValueError("input=-: standard input is closed")
    file_or_path = sys.stdin.fileno() if source == "-" else source
    with open(file_or_path, "rb", buffering=0, closefd=source != "-") as file:
        yield Lines(file, source)
