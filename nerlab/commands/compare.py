"""``python -m nerlab compare``: runs on the same test data, side by side."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from nerlab.data.load import SPLITS
from nerlab.messages import make_console
from nerlab.reports.write_comparison import write_comparison


def run(config: DictConfig) -> None:
    """Compare the runs that ``config`` names. ``ValueError``: there are none, one is broken, was
    not scored or was scored on other data, or a key makes no sense."""
    if config.split not in SPLITS:
        raise ValueError(f"split={config.split}: expected one of {', '.join(SPLITS)}")
    paths, by = _words("runs", config.runs), _words("by", config.by)
    if not paths:
        raise ValueError("expected folders of runs: python -m nerlab compare RUN RUN ...")
    is_sweep = len(paths) == 1 and not (Path(paths[0]) / "config.yaml").is_file()
    output = config.output or (paths[0] if is_sweep else "comparison")
    write_comparison(paths, config.split, by, Path(output), make_console())


def _words(key: str, value: Any) -> list[str]:
    """The words of a key that takes one or a list; none for null."""
    words = list(value) if isinstance(value, ListConfig) else [value] * (value is not None)
    if not all(isinstance(word, str) for word in words):
        raise ValueError(f"{key}={value}: expected a name, or a list of names")
    return words
