"""What a run says while it goes on: metrics.jsonl, train.log, the terminal, the tracker."""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from nerlab.files import naming, open_to_append
from nerlab.messages import escape_controls
from nerlab.training.tracking import Tracker

logger = logging.getLogger("nerlab")


class Recorder:
    """Writes each line of metrics at once, whatever becomes of the tracker or the terminal.

    Args:
        path: ``metrics.jsonl``.
        tracker: gets the same numbers.
        console: where the progress bar is drawn, if it is a terminal.
    """

    def __init__(self, path: Path, tracker: Tracker, console: Console) -> None:
        self._path = path
        self._file = open_to_append(path)
        self._tracker = tracker
        self._console = console

    def log(self, metrics: Mapping[str, float], step: int, epoch: int) -> None:
        """Record numbers that belong to a step."""
        with naming(self._path):
            self._file.write(json.dumps({"step": step, "epoch": epoch, **metrics}) + "\n")
            self._file.flush()
        self._tracker.log({"epoch": epoch, **metrics}, step)

    def sync(self) -> int:
        """Wait until all lines are on the disk; returns how many bytes they take."""
        with naming(self._path):
            os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file and end the tracker's run."""
        try:
            with naming(self._path):
                self._file.close()
        finally:
            self._tracker.finish()

    @contextmanager
    def progress(self, epochs: int) -> Iterator["ProgressBar"]:
        """A bar with loss, speed and time left; nothing where there is no terminal."""
        columns = (
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[state]}"),
            TimeRemainingColumn(),
        )
        disable = not self._console.is_terminal
        with Progress(*columns, console=self._console, disable=disable, transient=True) as bar:
            task = bar.add_task("", total=1.0, epoch=1, epochs=epochs, state="")
            yield ProgressBar(bar, int(task))


class ProgressBar:
    """The bar of :meth:`Recorder.progress`."""

    def __init__(self, bar: Progress, task: int) -> None:
        self._bar, self._task = bar, task

    def update(self, done: float, epoch: int) -> None:
        """Show the share of training that is done."""
        self._bar.update(self._task, completed=done, epoch=epoch)  # type: ignore[arg-type]

    def show(self, loss: float, tokens_per_second: float) -> None:
        """Show the latest numbers."""
        state = f"loss {loss:.4f}  {tokens_per_second:,.0f} tokens/s"
        self._bar.update(self._task, state=state)  # type: ignore[arg-type]


@contextmanager
def logging_to(path: Path, console: Console) -> Iterator[None]:
    """Send what nerlab logs to a file and to the terminal."""
    file_handler = _FileHandler(path)
    file_handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handlers = [file_handler, _ConsoleHandler(console)]
    level = logger.level
    logger.setLevel(logging.INFO)
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        logger.setLevel(level)
        for handler in handlers:
            logger.removeHandler(handler)
        file_handler.close()


class _FileHandler(logging.StreamHandler[TextIO]):
    """Raises what logging would print among the lines of the terminal: the disk is full."""

    def __init__(self, path: Path) -> None:
        super().__init__(open_to_append(path))
        self._path = path

    def format(self, record: logging.LogRecord) -> str:
        return escape_controls(super().format(record))

    def emit(self, record: logging.LogRecord) -> None:
        with naming(self._path):
            super().emit(record)

    def close(self) -> None:
        with naming(self._path):
            self.stream.close()
        super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        raise


class _ConsoleHandler(logging.Handler):
    """Prints through rich, so that a line never lands in the middle of a progress bar."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        line = escape_controls(record.getMessage())
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
