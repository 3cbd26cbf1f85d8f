"""Checkpoints that are kept beside the last one."""

import os
import shutil
from pathlib import Path

from nerlab.files import new_folder


def keep_step(last: Path, step: int, number: int) -> None:
    """Keep the checkpoint ``last`` as ``step-<step>`` beside it, and of such only ``number``.

    The files are shared with it where the file system has hard links: they are never written
    again, only replaced. What is later than ``step`` belongs to a run that went on from further
    back, and goes too.
    """
    folder = last.parent
    with new_folder(folder / f"step-{step}") as part:
        for path in last.iterdir():
            _link_or_copy(path, part / path.name)
    steps = [path.name.removeprefix("step-") for path in folder.glob("step-*")]
    past = sorted(int(at) for at in steps if at.isdecimal() and int(at) <= step)
    for at in {*steps} - {*map(str, past[-number:])}:  # and what killed processes have left
        shutil.rmtree(folder / f"step-{at}", ignore_errors=True)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
