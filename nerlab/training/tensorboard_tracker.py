"""TensorBoard: the one file that imports it, where it is asked for."""

import logging
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from nerlab.evaluation.pages import Pictures
from nerlab.evaluation.report import Report, marked
from nerlab.evaluation.settings import flat, is_in
from nerlab.messages import escape_controls
from nerlab.paths import make_folder
from nerlab.training.recorder import Tracker

try:
    from torch.utils.tensorboard import SummaryWriter
except ImportError:  # no ImportError, which who looks up a name of this file takes for its absence
    needed = "the library tensorboard is needed"
    raise ValueError(f"{needed}; pip install 'nerlab[tensorboard]'") from None

logger = logging.getLogger(__name__)
_EXAMPLES = 50
_COMPARED = ("model", "trainer", "data.dir", "seed", "parameters")


class TensorBoardTracker(Tracker):
    """Write a run for TensorBoard into the folder ``tensorboard`` of its directory.

    Numbers become scalars, pictures images, the report and examples text, and settings
    hyperparameters beside the numbers of the whole run. A run that was resumed hides what it logged
    beyond its checkpoint.
    """

    def __init__(self, run_directory: Path, name: str, config: Mapping[str, Any]) -> None:
        self._folder = make_folder(run_directory, "tensorboard")
        self._hyperparameters, self._summary = _hyperparameters(config), dict[str, float]()
        self._writer: SummaryWriter | None = None
        self._step = 0

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Write scalars."""
        self._step = step
        # What an earlier process has written of this step and later ones is hidden.
        writer = self._open(purge_step=step)
        for name, value in metrics.items():
            writer.add_scalar(name, value, step)

    def log_summary(self, values: Mapping[str, float]) -> None:
        """Keep the numbers that stand beside the hyperparameters."""
        self._summary.update(values)

    def log_report(self, report: Report) -> None:
        """Write sentences as tagged, as text."""
        every = max(1, len(report.tokens) // _EXAMPLES)
        columns = (report.tokens[::every], report.gold[::every], report.predicted[::every])
        lines = [
            f"gold       {marked(tokens, gold)}\npredicted  {marked(tokens, predicted)}\n"
            for tokens, gold, predicted in zip(*columns, strict=True)
        ]
        self._write_text(f"best/{report.split}/examples", "\n".join(lines))

    def log_pictures(self, draw: Pictures) -> None:
        """Write pictures."""
        from matplotlib.image import imread

        for name, png in draw().items():
            pixels = imread(BytesIO(png), format="png")
            self._open().add_image(name, pixels, self._step, dataformats="HWC")

    def finish(self) -> None:
        """Write the reports and the hyperparameters, and say how to look at the run."""
        for path in sorted(self._folder.parent.glob("evaluation/*/report.txt")):
            self._write_text(f"best/{path.parent.name}/report", path.read_text(encoding="utf-8"))
        writer = self._open()
        writer.add_hparams(self._hyperparameters, self._summary, run_name=".")
        writer.close()
        logger.info("look at the run: tensorboard --logdir %s", self._folder)

    def _open(self, purge_step: int | None = None) -> SummaryWriter:
        """The writer, which is made when it is needed first."""
        if self._writer is None:
            self._writer = SummaryWriter(str(self._folder), purge_step=purge_step)
        return self._writer

    def _write_text(self, name: str, text: str) -> None:
        """Write a text as it is: TensorBoard reads Markdown, where indented lines are code."""
        lines = (f"    {escape_controls(line)}" for line in text.split("\n"))
        self._open().add_text(name, "\n".join(lines), self._step)


def _hyperparameters(config: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """What of a configuration people compare runs by."""
    settings = {key: value for key, value in flat(config).items() if is_in(key, _COMPARED)}
    return {
        key: value if isinstance(value, bool | int | float | str) else str(value)
        for key, value in settings.items()
        if value is not None and not key.endswith("._partial_")
    }
