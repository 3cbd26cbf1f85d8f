"""The terminal: lines of text, and a bar while long work goes on."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

T = TypeVar("T")

_SHOW_EVERY = 5_000


class _Console(Console):
    """rich would end the process with status 1 when nobody reads; that is for others to decide."""

    def on_broken_pipe(self) -> None:
        raise


def make_console(stderr: bool = False) -> Console:
    """Standard output or standard error; without a terminal, lines are as long as they need."""
    file = sys.stderr if stderr else sys.stdout  # None: the process was started without it
    is_terminal = file is not None and file.isatty()
    return _Console(file=file, stderr=stderr, width=None if is_terminal else 120)


class ShowProgress(Protocol):
    """Shows how far the work is; what is None stays as it was."""

    def __call__(
        self, done: float | None = None, total: float | None = None, state: str | None = None
    ) -> None:
        """Show that ``done`` of ``total`` are done, and a few words or numbers beside the bar."""


@contextmanager
def progress_bar(console: Console, description: str) -> Iterator[ShowProgress]:
    """A bar on the terminal within the block; nothing where there is no terminal."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        TimeRemainingColumn(),
    )
    disable = not console.is_terminal
    with Progress(*columns, console=console, disable=disable, transient=True) as bar:
        task = bar.add_task(description, total=None, state="")

        def show(
            done: float | None = None, total: float | None = None, state: str | None = None
        ) -> None:
            fields = {} if state is None else {"state": state}
            bar.update(task, completed=done, total=total, **fields)  # type: ignore[arg-type]

        yield show


def counted_on_terminal(items: Iterable[T], description: str, noun: str) -> Iterator[T]:
    """The items, counted on the terminal of standard error as they pass."""
    with progress_bar(make_console(stderr=True), description) as show:
        for number, item in enumerate(items, start=1):
            yield item
            if number % _SHOW_EVERY == 0:
                show(state=f"{number:,} {noun}")
