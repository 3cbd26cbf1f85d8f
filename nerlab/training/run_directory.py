"""The directory of a run: made for it alone, and the link ``latest`` to it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path

from nerlab.config import RunDirectory
from nerlab.files import file_lock
from nerlab.sweeps import place_in_sweep

logger = logging.getLogger(__name__)


@contextmanager
def new_run_directory(config: RunDirectory) -> Iterator[Path]:
    """Make the directory of a new run; it is locked within the block.

    It is ``run.dir``, which must be new or empty, or ``<root>/<date-time>-<name>``, or in a sweep
    ``<folder of the sweep>/<overrides>``; runs that would have the same are numbered. Making the
    directory is what reserves it, so two never share one.
    """
    if config.dir is not None:
        run = Path(config.dir)
        with suppress(FileExistsError):
            run.mkdir(parents=True)
    else:
        alone = Path(config.root) / f"{datetime.now():%Y-%m-%d_%H-%M-%S}-{config.name}"
        first = run = place_in_sweep() or alone
        run.parent.mkdir(parents=True, exist_ok=True)
        for number in count(2):
            try:
                run.mkdir()
                break
            except FileExistsError:
                run = first.with_name(f"{first.name}-{number}")
    with file_lock(run):
        if not run.is_dir() or any(file.suffix != ".part" for file in run.iterdir()):
            raise ValueError(
                f"run.dir={run}: expected a directory that is new or empty; choose another name, "
                "or remove what is there"
            )
        yield run


def point_latest_to(run: Path, root: Path) -> None:
    """Let the link ``latest`` lead to a run: in ``root`` if it lies there, however deep, else
    beside it."""
    run = run.absolute()
    place = root.absolute() if root.absolute() in run.parents else run.parent
    link, part = place / "latest", place / f".latest-{os.getpid()}"
    try:
        part.symlink_to(run.relative_to(place), target_is_directory=True)
        os.replace(part, link)
    except OSError as error:  # a file system without links; the run itself is unharmed
        part.unlink(missing_ok=True)
        logger.warning("%s: no link made: %s", link, error.strerror)
