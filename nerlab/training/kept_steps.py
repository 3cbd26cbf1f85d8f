"""Checkpoints that are kept beside the last one."""

import os
import shutil
from pathlib import Path


def keep_step(last: Path, step: int, number: int) -> None:
    """Keep the checkpoint ``last`` as ``step-<step>`` beside it, and of such only ``number``.

    The files are shared with it where the file system has hard links: they are never written
    again, only replaced. What is later than ``step`` belongs to a run that went on from further
    back, and goes too.
    """
    folder = last.parent
    part, kept = folder / "step.part", folder / f"step-{step}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for path in last.iterdir():
        _link_or_copy(path, part / path.name)
    shutil.rmtree(kept, ignore_errors=True)
    os.replace(part, kept)
    found = {int(path.name[5:]): path for path in folder.glob("step-*")}
    wanted = sorted(at for at in found if at <= step)[-number:]
    for at in found.keys() - wanted:
        shutil.rmtree(found[at], ignore_errors=True)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
