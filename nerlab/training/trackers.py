"""The trackers of a run, as the configuration names them: none of them can stop it."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from nerlab.evaluation.pages import Pictures
from nerlab.evaluation.report import Report
from nerlab.instantiation import instantiate
from nerlab.training.recorder import Tracker

logger = logging.getLogger(__name__)
# What a tracker may be, beside what trusted packages define.
TRACKERS = (
    "nerlab.training.recorder.Tracker",
    "nerlab.training.wandb_tracker.WandbTracker",
    "nerlab.training.tensorboard_tracker.TensorBoardTracker",
)
MakeTracker = Callable[[Path, str, Mapping[str, Any]], Tracker]


class Trackers(Tracker):
    """Several trackers by name, or one. One that raises is left out from then on: that costs one
    warning, and neither the run nor the others. What a tracker has no method for it is not told."""

    def __init__(
        self,
        makers: Mapping[str, MakeTracker],
        run_directory: Path,
        name: str,
        config: Mapping[str, Any],
    ) -> None:
        self._trackers: dict[str, Tracker] = {}
        for key, make in makers.items():
            try:
                self._trackers[key] = make(run_directory, name, config)
            except Exception as error:
                _warn(key, error)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Numbers that belong to a step, to each."""
        self._tell("log", metrics, step)

    def log_summary(self, values: Mapping[str, float]) -> None:
        """Numbers of the run as a whole, to each."""
        self._tell("log_summary", values)

    def log_report(self, report: Report) -> None:
        """A scored split, to each."""
        self._tell("log_report", report)

    def log_pictures(self, draw: Pictures) -> None:
        """Pictures, to each."""
        self._tell("log_pictures", draw)

    def log_checkpoint(self, folder: Path) -> None:
        """The best checkpoint, to each."""
        self._tell("log_checkpoint", folder)

    def finish(self) -> None:
        """End the run of each."""
        self._tell("finish")

    def _tell(self, method: str, *arguments: Any) -> None:
        for key, tracker in list(self._trackers.items()):
            if (call := getattr(tracker, method, None)) is None:
                continue
            try:
                call(*arguments)
            except Exception as error:
                del self._trackers[key]
                _warn(key, error)


def _warn(key: str, error: Exception) -> None:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    logger.warning("%s failed (%s); the run goes on without it", key, reason)


def trackers_of(section: DictConfig, trusted: tuple[str, ...]) -> MakeTracker:
    """What makes the trackers of a run directory, a name and a configuration: those of a section
    of several by name, or the one that it is itself.

    Raises:
        ValueError: one of them does not exist, may not be named here, or refuses its options.
    """
    is_single = not isinstance(section, DictConfig) or not section or "_target_" in section
    makers = {}
    for key, node in [("", section)] if is_single else section.items():
        where = f"tracker.{key!s}".removesuffix(".")
        try:
            make = instantiate(node, TRACKERS, trusted)
            signature(make).bind(Path(), "", {})
        except (ValueError, TypeError) as error:
            raise ValueError(f"{where}: {error}") from None
        makers[where] = make
    return partial(Trackers, makers)
