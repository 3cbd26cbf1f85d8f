"""``python -m nerlab explain``: which words an entity rests on."""

import sys
from contextlib import nullcontext

import torch
from omegaconf import DictConfig

from nerlab.device import use_threads
from nerlab.inference.explain import explain_entity
from nerlab.messages import escape_controls, make_console
from nerlab.paths import output_file
from nerlab.reports.explanation import as_json, page, show

FORMATS = ("terminal", "json", "html")


def run(config: DictConfig) -> None:
    """Explain an entity of ``config.text`` on the terminal or in the file ``config.output``.

    ``ValueError``: a key has no such value, the text no such entity, or the checkpoint is broken.
    """
    chosen = config.format or ("terminal" if config.output is None else "html")
    if chosen not in FORMATS:
        raise ValueError(f"format={chosen}: expected one of {', '.join(FORMATS)}")
    if chosen == "terminal" and config.output is not None:
        raise ValueError("format=terminal: expected json or html for an output; leave one out")
    use_threads(config.threads)
    with torch.backends.cudnn.flags(enabled=False):  # its LSTM has gradients in training alone
        explanation = explain_entity(config)
    if chosen == "terminal":
        show(explanation, make_console())
        return
    document = page(explanation) if chosen == "html" else as_json(explanation)
    with nullcontext(sys.stdout) if config.output is None else output_file(config.output) as file:
        file.write(document)
    if config.output is not None:
        make_console().print(f"written: {escape_controls(config.output)}")
