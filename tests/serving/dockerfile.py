"""Reads a Dockerfile and a .dockerignore, and takes the steps of an image without an engine."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from conftest import ROOT


class Instruction(NamedTuple):
    """``RUN pip check``, its lines joined."""

    name: str
    text: str


class Stage(NamedTuple):
    """What stands from one FROM to the next: what it begins with, its name, its instructions."""

    base: str
    name: str
    instructions: list[Instruction]

    def texts(self, name: str) -> list[str]:
        """Those of the instructions of one name."""
        return [text for other, text in self.instructions if other == name]


def read_stages(path: Path) -> list[Stage]:
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    stages: list[Stage] = []
    for line in filter(str.strip, joined.splitlines()):
        name, _, text = " ".join(line.split()).partition(" ")
        if name == "FROM":
            base, _, alias = text.partition(" AS ")
            stages.append(Stage(base, alias, []))
        else:
            stages[-1].instructions.append(Instruction(name, text))
    return stages


def variables(text: str) -> dict[str, str]:
    """Of ``ENV A=1 B=2``, or of ``ARG A=1``."""
    return dict(word.partition("=")[::2] for word in shlex.split(text))


def admitted(ignore: Path) -> list[Path]:
    """The files of the repository that an engine would be sent, by the rules of a .dockerignore.

    The last rule that fits a path or a folder above it decides.
    """
    text = ignore.read_text("utf-8")
    rules = [line for line in text.splitlines() if line and not line.startswith("#")]

    def is_admitted(path: Path) -> bool:
        kept = True
        above = [folder.as_posix() for folder in (path, *path.parents[:-1])]
        for rule in rules:
            pattern = rule.removeprefix("!")
            anywhere = pattern.removeprefix("**/")
            names = list(path.parts) if anywhere != pattern else above
            if any(fnmatch(name, anywhere) for name in names):
                kept = rule.startswith("!")
        return kept

    found = []
    for folder, folders, files in os.walk(ROOT):
        here = Path(folder).relative_to(ROOT)
        found += [here / name for name in files if is_admitted(here / name)]
        # Else all of a virtual environment would be looked at.
        again = [rule[1:] for rule in rules if rule.startswith("!")]
        folders[:] = [
            name
            for name in folders
            if is_admitted(here / name)
            or any(rule.startswith(f"{(here / name).as_posix()}/") for rule in again)
        ]
    return found


class Machine:
    """One folder that stands for the root of all stages; an absolute path in it is below that.

    RUN is run by a shell with nothing of our environment but how pip finds packages.
    """

    def __init__(self, root: Path, context: Path, own: tuple[str, ...], python: Path) -> None:
        self.root, self._context = root, context
        # Only these folders are the image's own; /usr and the like are those of this machine.
        self._own = re.compile(rf"(?<![\w./])/(?={'|'.join(own)})\b")
        kept = {n: v for n, v in os.environ.items() if n.startswith(("PIP_", "SSL_"))}
        self.environment = {**kept, "PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(root)}
        self._folder = root

    def path(self, name: str) -> Path:
        """Where an absolute path of the image lies, or one from its working directory."""
        return self.root / name[1:] if name.startswith("/") else self._folder / name

    def here(self, text: str) -> str:
        """A text with the folders of the image where they lie."""
        return self._own.sub(f"{self.root}/", text)

    def take(self, stage: Stage, skip: str, arguments: Mapping[str, str]) -> None:
        """Take the steps of a stage but those of RUN that contain ``skip``."""
        for name, text in stage.instructions:
            if name == "RUN" and skip not in text:
                self.run(text)
            elif name == "COPY":
                self._copy(text)
            elif name == "ENV":
                for key, value in variables(text).items():
                    # The PATH of the last stage has not those of the others; here it may.
                    before = value.replace("$PATH", self.environment["PATH"])
                    self.environment[key] = self.here(before)
            elif name == "ARG":
                self.environment |= {**variables(text), **arguments}
            elif name == "WORKDIR":
                self._folder = self.root / text[1:]
                self._folder.mkdir(parents=True, exist_ok=True)

    def run(self, command: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", self.here(command)],
            cwd=self._folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _copy(self, text: str) -> None:
        words = text.split()
        *sources, target = [word for word in words if not word.startswith("--")]
        if words[0].startswith("--from="):
            assert sources == [target]  # there already, since all stages share a root
            assert self.path(target).is_dir()
            return
        for source in sources:
            there = self._context / source
            into = self.path(target)
            if there.is_dir():
                shutil.copytree(there, into, dirs_exist_ok=True)
            else:
                shutil.copy(there, into)


def exec_form(text: str) -> list[str]:
    """The words of ``["nerlab"]``; ``json.JSONDecodeError`` for those that a shell would read."""
    words = json.loads(text)
    assert isinstance(words, list)
    return words
