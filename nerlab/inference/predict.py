"""The work of predict.py: texts in, tagged texts out."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from omegaconf import DictConfig

from nerlab.inference.lines import opened
from nerlab.inference.output import FORMATS
from nerlab.inference.predictor import load
from nerlab.paths import output_file


def run_prediction(config: DictConfig) -> None:
    """Tag ``text``, or each line of ``input``, and write the result to ``output``.
    ``ValueError``: the format is unknown, a file is missing, or there is nothing to tag."""
    source = config.input
    if config.format not in FORMATS:
        raise ValueError(f"format={config.format}: expected one of {', '.join(FORMATS)}")
    if (config.text is None) == (source is None):
        raise ValueError("expected text=... or input=FILE (input=- reads standard input)")
    if source not in (None, "-") and (not Path(source).exists() or Path(source).is_dir()):
        raise ValueError(f"input={source}: no such file")
    predictor = load(config.checkpoint, config.device, config.trust)
    output = FORMATS[config.format]
    with _writer(config.output) as file:
        if isinstance(file, TextIOWrapper):
            file.reconfigure(line_buffering=True)  # whoever waits for an answer has it at once
        if source is None:
            file.writelines(output(predictor.stream([config.text], config.document)))
            return
        with opened(source) as lines:
            file.writelines(output(predictor.stream(lines, config.document, lines.is_ready)))


@contextmanager
def _writer(path: str | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears under its name only when it is whole."""
    if path not in (None, "-", "/dev/stdout"):
        with output_file(path) as file:
            yield file
        return
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    yield sys.stdout
    sys.stdout.flush()
