"""The directory of a run, made for it alone."""

import logging
import os
from datetime import datetime
from pathlib import Path

_MAX_ATTEMPTS = 1000


def create_run_directory(directory: str | None, root: str, name: str) -> Path:
    """Make the directory of a new run and return it.

    Without ``directory`` it is ``<root>/<date-time>-<name>``; runs that start in the same second
    are numbered. Making the directory is what reserves it, so two never share one.

    Raises:
        ValueError: ``directory`` exists and is not empty.
    """
    if directory is not None:
        path = Path(directory)
        if path.exists():
            check_empty(path)
        path.mkdir(parents=True, exist_ok=True)
        return path
    stem = f"{datetime.now():%Y-%m-%d_%H-%M-%S}-{name}"
    Path(root).mkdir(parents=True, exist_ok=True)
    for attempt in range(1, _MAX_ATTEMPTS):
        path = Path(root) / (stem if attempt == 1 else f"{stem}-{attempt}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise ValueError(f"{root}/{stem}: all of {_MAX_ATTEMPTS} names are taken; set run.name")


def check_empty(path: Path) -> None:
    """Raise ``ValueError`` unless it is a folder in which no whole file is."""
    if not path.is_dir() or any(file.suffix != ".part" for file in path.iterdir()):
        raise ValueError(
            f"run.dir={path}: expected a directory that is new or empty; "
            "choose another name, or remove what is there"
        )


def point_latest_to(run: Path) -> None:
    """Let the link ``latest`` beside a run lead to it."""
    link = run.parent / "latest"
    part = run.parent / f".latest-{os.getpid()}"
    try:
        part.symlink_to(run.name, target_is_directory=True)
        os.replace(part, link)
    except OSError as error:  # a file system without links; the run itself is unharmed
        part.unlink(missing_ok=True)
        logging.getLogger(__name__).warning("%s: no link made: %s", link, error.strerror)
