"""Text files as numbered lines, with errors that say where and what to do."""

import codecs
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from nerlab.text import wide_encoding

_BEGINNING = 1 << 12  # bytes that show what a file is encoded in


def fields(line: str) -> list[str]:
    """What stands between spaces and tabs; no other white space separates."""
    columns = line.replace("\t", " ").split(" ")
    return [column for column in columns if column] if "" in columns else columns


def numbered_lines(path: str | Path, encoding: str) -> Iterator[tuple[int, str]]:
    """The lines from 1 on, without their ends; only ``\\n``, ``\\r\\n`` and ``\\r`` end a line.

    A byte order mark is no part of the text, and a file named ``….gz`` is unpacked.

    Raises:
        ValueError: the encoding is unknown, a byte of the file is not of it, the file is UTF-16
            and the encoding another one, or a line does not fit into memory.
    """
    with open_text(path, encoding, newline=None) as file:
        for number, line in enumerate(file, start=1):
            yield number, line.strip("\r\n")


@contextmanager
def open_text(path: str | Path, encoding: str, newline: str | None) -> Iterator[TextIO]:
    """Open a file for reading; errors of decoding within the block are those of
    :func:`numbered_lines`."""
    try:
        "".encode(encoding)
    except (LookupError, ValueError) as error:  # base64, say, is a codec, but none of text
        problem = " ".join(str(error).split())
        raise ValueError(f"{path}: {problem}; set data.reader.encoding") from None
    name = codecs.lookup(encoding).name
    if name == "utf-8":
        encoding = "utf-8-sig"
    try:
        with opener(path)(path, "rb") as raw:
            found = wide_encoding(raw.peek(_BEGINNING)[:_BEGINNING])
            if found is not None and not name.startswith(("utf-16", "utf-32")):
                raise ValueError(
                    f"{path}: expected {name}, found what is {found} by its first bytes; set "
                    f"data.reader.encoding={found}"
                )
            with io.TextIOWrapper(raw, encoding=encoding, newline=newline) as file:
                yield file
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{_undecodable_place(path, encoding)}: byte 0x{error.object[error.start]:02x} is not "
            f"{encoding.removesuffix('-sig')}; set data.reader.encoding to "
            "the encoding of the file (cp1252, say)"
        ) from None
    except UnicodeError as error:  # UTF-16 without its mark
        raise ValueError(f"{path}: {error}; set data.reader.encoding") from None
    except MemoryError:
        raise ValueError(
            f"{path}: a line of it does not fit into memory; expected a sentence or a record on a "
            "line, cut it into such"
        ) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: {error}; expected a whole gzip file") from None


def opener(path: str | Path) -> Callable[..., Any]:
    """``open``, or ``gzip.open`` for a file named ``….gz``."""
    return gzip.open if str(path).endswith(".gz") else open


def _undecodable_place(path: str | Path, encoding: str) -> str:
    """The decoder reads ahead in blocks: decode up to the byte and count lines."""
    try:
        with opener(path)(path, "rb") as file:
            file.read().decode(encoding)
    except UnicodeDecodeError as error:
        with suppress(UnicodeError):  # some codecs can only be strict
            before = error.object[: error.start].decode(encoding, "ignore")
            line = before.count("\n") + before.replace("\r\n", "\n").count("\r") + 1
            return f"{path}:{line}"
    except UnicodeError:
        pass
    return str(path)
