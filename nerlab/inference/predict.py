"""The work of predict.py: texts in, tagged texts out."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TextIO

from omegaconf import DictConfig

from nerlab.files import new_files
from nerlab.inference.output import FORMATS
from nerlab.inference.predictor import load


def run_prediction(config: DictConfig) -> None:
    """Tag ``text``, or each line of ``input``, and write the result to ``output``.

    Raises:
        ValueError: the format is unknown, a file is missing, or there is nothing to tag.
    """
    if config.format not in FORMATS:
        raise ValueError(f"format={config.format}: expected one of {', '.join(FORMATS)}")
    if (config.text is None) == (config.input is None):
        raise ValueError("expected text=... or input=FILE (input=- reads standard input)")
    if config.input not in (None, "-") and not Path(config.input).is_file():
        raise ValueError(f"input={config.input}: no such file")
    predictor = load(config.checkpoint, config.device, config.trust)
    texts = iter([config.text]) if config.text is not None else _lines(config.input)
    with _writer(config.output) as file:
        for line in FORMATS[config.format](predictor.stream(texts)):
            file.write(line)


def _lines(source: str) -> Iterator[str]:
    """The lines of a UTF-8 file or of standard input; only ``\\n`` and ``\\r\\n`` end a line."""
    with nullcontext(sys.stdin.buffer) if source == "-" else open(source, "rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{source}:{number}: byte 0x{raw[error.start]:02x} is not UTF-8; convert the "
                    "file to UTF-8 (iconv -f cp1252 -t utf-8, say)"
                ) from None
            yield line[:-2] if line.endswith("\r\n") else line.removesuffix("\n")


@contextmanager
def _writer(path: str | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears under its name only when it is whole."""
    if path is None or path == "-":
        if isinstance(sys.stdout, TextIO) or hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        yield sys.stdout
        sys.stdout.flush()
        return
    with new_files([Path(path)]) as (part,), part.open("w", encoding="utf-8") as file:
        yield file
