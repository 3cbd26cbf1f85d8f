"""The work of predict.py: texts in, tagged texts out."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from omegaconf import DictConfig

from nerlab.inference.lines import check_source, opened
from nerlab.inference.output import FORMATS
from nerlab.inference.predictor import load
from nerlab.paths import output_file


def run_prediction(config: DictConfig) -> None:
    """Tag ``text``, or each line of ``input``, and write the result to ``output``.
    ``ValueError``: the format is unknown, a file is missing, or there is nothing to tag."""
    if config.format not in FORMATS:
        raise ValueError(f"format={config.format}: expected one of {', '.join(FORMATS)}")
    if (config.text is None) == (config.input is None):
        raise ValueError("expected text=... or input=FILE (input=- reads standard input)")
    if config.input is not None:
        check_source(config.input)
    predictor = load(config.checkpoint, config.device, config.trust)
    output = FORMATS[config.format]
    with _writer(config.output) as file:
        if config.text is not None:
            file.writelines(output(predictor.stream([config.text], config.document)))
            return
        with opened(config.input, before_waiting=file.flush) as lines:
            file.writelines(output(predictor.stream(lines, config.document, lines.is_ready)))


@contextmanager
def _writer(path: str | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears under its name only when it is whole."""
    if path not in (None, "-", "/dev/stdout"):
        with output_file(path) as file:
            yield file
        return
    if isinstance(sys.stdout, TextIO) or hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    yield sys.stdout
    sys.stdout.flush()
