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
        try:
            shutil.copytree(last, part, copy_function=os.link, dirs_exist_ok=True)
        except OSError:  # there are no hard links
            shutil.copytree(last, part, dirs_exist_ok=True)
    steps = [path.name.removeprefix("step-") for path in folder.glob("step-*")]
    past = sorted(int(at) for at in steps if at.isdecimal() and int(at) <= step)
    for at in {*steps} - {*map(str, past[-number:])}:  # and what killed processes have left
        shutil.rmtree(folder / f"step-{at}", ignore_errors=True)
