"""The work of predict.py: texts in, tagged texts out."""

import sys
from contextlib import nullcontext
from io import TextIOWrapper
from pathlib import Path

from omegaconf import DictConfig

from nerlab.inference.lines import opened
from nerlab.inference.output import FORMATS
from nerlab.inference.predictor import load
from nerlab.paths import output_file


def run_prediction(config: DictConfig) -> None:
    """Tag ``text``, or each line of ``input``, and write the result to ``output``.

    A file appears under its name only when it is whole.
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
    to_stdout = config.output in (None, "-", "/dev/stdout")
    with nullcontext(sys.stdout) if to_stdout else output_file(config.output) as file:
        if isinstance(file, TextIOWrapper):
            # Whoever waits for the answer to a line has it at once.
            file.reconfigure(encoding="utf-8", line_buffering=True)
        if source is None:
            file.writelines(output(predictor.stream([config.text], config.document)))
        else:
            with opened(source) as lines:
                file.writelines(output(predictor.stream(lines, config.document, lines.is_ready)))
