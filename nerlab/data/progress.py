"""A word on standard error while long work goes on."""

from collections.abc import Iterator

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from nerlab.data.sentence import Sentence

_SHOW_EVERY = 5_000


def watched(sentences: Iterator[Sentence], what: str) -> Iterator[Sentence]:
    """The sentences, counted on the terminal as they pass; nothing where there is no terminal."""
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}  {task.completed:,.0f} sentences", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what, total=None)
        for number, sentence in enumerate(sentences, start=1):
            yield sentence
            if number % _SHOW_EVERY == 0:
                bar.update(task, completed=number)
