"""Trackers: where the numbers of a run go beside its own metrics.jsonl."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from nerlab.evaluation.report import Report


class Tracker(Protocol):
    """The contract. A tracker never raises: no run is lost because of it.

    It is built with ``(run_directory, name, config)``, ``config`` as plain data.
    """

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Take numbers that belong to a step; steps never fall."""

    def log_report(self, report: Report) -> None:
        """Take a scored split: its confusion matrix and its examples."""

    def finish(self) -> None:
        """End the run and say how it can be looked at."""


class NoTracker:
    """Keeps nothing."""

    def __init__(self, run_directory: Path, name: str, config: Mapping[str, Any]) -> None:
        pass

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Drop the numbers."""

    def log_report(self, report: Report) -> None:
        """Drop the report."""

    def finish(self) -> None:
        """Do nothing."""
