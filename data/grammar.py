"""Reads the sentence templates and name lists of a corpus folder.

The notation is explained at the head of `data/demo/templates.txt`; the endings that may stand
behind a word, as in `Bakı+gen`, are those of `azerbaijani.py`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeVar

from azerbaijani import unknown_ending

SETTINGS = {  # the value that holds where `== settings` gives no other
    "seed": "1",  # any text
    "train": "3000",  # sentences wanted; the last document is finished
    "dev": "500",
    "test": "500",
    "held-names": "20",  # percent of a name list kept for dev, and as many for test
    "held-templates": "8",  # the same for the templates of a section marked `split`
    "use-held-names": "45",  # percent of the draws of dev and test that take a kept one
    "use-held-templates": "20",
    "casing": "",  # pairs of a small and a capital letter that differ from the usual: "iİ ıI"
}
CHOICE = re.compile(r"\[([^][]*)\]")
CALL = re.compile(r"<([a-z][\w-]*)(?:@(\w+))?(?:\.(\w+))?>|<(\d+)-(\d+)>")
NESTED = re.compile(r"\[[^][{}<>]*\]|\{[A-Z]+: [^][{}<>]*\}")
PLAN = re.compile(r"([a-z][\w-]*)(\?|\{(\d+)-(\d+)\})?")
HEADER = re.compile(r"== ([a-z][\w-]*)((?: \w+(?::\d+)?)*)")
Item = TypeVar("Item")


@dataclass
class Section:
    """Templates with their weights; those for one split only stand in `held`."""

    place: str
    flags: dict[str, str]
    weights: dict[str, float] = field(default_factory=dict)
    held: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class NameList:
    """Names as tuples of forms, by the split they are kept for."""

    forms: list[str]
    held: dict[str, list[tuple[str, ...]]]


def fail(place: str, problem: str) -> NoReturn:
    """Raise a one-line error about a place (`file:line`) in the resources."""
    raise ValueError(f"{place}: {problem}")


def hold_out(items: Sequence[Item], percent: int, seed: str) -> dict[str, list[Item]]:
    """Keep a share of the items for dev and one for test; the rest, under train, is for all."""
    rng = random.Random(seed)
    order = list(items)
    for last in range(len(order) - 1, 0, -1):
        other = int(rng.random() * (last + 1))
        order[last], order[other] = order[other], order[last]
    count = (len(order) * percent + 50) // 100
    return {"dev": order[:count], "test": order[count : 2 * count], "train": order[2 * count :]}


def resource_lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a file that are neither empty nor comments, each with its place."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield f"{path}:{number}", line.strip()


def read_names(path: Path, settings: dict[str, str]) -> NameList:
    """Read a name list: perhaps `% form form=usual ...`, then lines `name | second form | ...`.

    A form that a line leaves out is the usual one of the header above it, else the name itself.
    """
    forms, usual, names = ["name"], [""], []
    for place, line in resource_lines(path):
        if line.startswith("%"):
            forms, _, usual = zip(*(form.partition("=") for form in line[1:].split()), strict=True)
            continue
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > len(forms) or not cells[0]:
            fail(place, f"expected a name and at most {len(forms)} forms")
        if wrong := unknown_ending(line):
            fail(place, f"unknown ending '{wrong}'")
        cells += usual[len(cells) :]
        names.append(tuple(cell or cells[0] for cell in cells))
    if not names:
        fail(f"{path}:1", "no names")
    seed = f"{settings['seed']} {path.stem}"
    return NameList(
        list(forms), hold_out(list(dict.fromkeys(names)), int(settings["held-names"]), seed)
    )


class Grammar:
    """The settings, document plans, sections and name lists of a corpus folder."""

    def __init__(self, folder: Path) -> None:
        self.settings = dict(SETTINGS)
        self.sections: dict[str, Section] = {}
        self.plans: dict[str, float] = {}
        templates = list(self._read_templates(folder / "templates.txt"))
        self.names = {
            path.stem: read_names(path, self.settings)
            for path in sorted((folder / "names").glob("*.txt"))
        }
        for place, template in templates:
            self._check(place, template)
        for name, section in self.sections.items():
            if not section.weights:
                fail(section.place, f"section '{name}' is empty")
            percent = int(self.settings["held-templates"]) if "split" in section.flags else 0
            seed = f"{self.settings['seed']} == {name}"
            section.held = hold_out(list(section.weights), percent, seed)

    def _read_templates(self, path: Path) -> Iterator[tuple[str, str]]:
        """Store the lines of a template file; yield each template and plan with its place."""
        current = ""
        for place, line in resource_lines(path):
            weight, body = re.fullmatch(r"(?:\*(\d+) )?(.*)", line).groups()
            if header := HEADER.fullmatch(line):
                current = header[1]
                flags = dict((flag + ":").split(":")[:2] for flag in header[2].split())
                self.sections.setdefault(current, Section(place, flags))
            elif not current or line.startswith("=="):
                fail(place, "expected a header '== name flag flag:number'")
            elif current == "settings":
                name, _, value = line.partition(" ")
                if name not in SETTINGS:
                    fail(place, f"unknown setting '{name}'")
                if SETTINGS[name].isdigit() and name != "seed" and not value.strip().isdigit():
                    fail(place, f"setting '{name}' takes a whole number")
                self.settings[name] = value.strip()
            elif current == "documents":
                if not all(PLAN.fullmatch(part) for part in body.split()):
                    fail(place, f"cannot read the plan '{body}'")
                self.plans[body] = float(weight or 1)
                yield place, " ".join(f"<{match[1]}>" for match in PLAN.finditer(body))
            else:
                self.sections[current].weights[body] = float(weight or 1)
                yield place, body
        for name in ("settings", "documents"):
            if self.sections.pop(name, None) is None:
                fail(f"{path}:1", f"no section '{name}'")

    def _check(self, place: str, template: str) -> None:
        """Complain about unknown slots and brackets that do not match."""
        for name, _, form, low, _ in CALL.findall(template):
            known = self.names[name].forms if name in self.names else ["full", "short"]
            if not low and name not in self.names and name not in self.sections:
                fail(place, f"unknown slot '{name}'")
            if form and form not in known:
                fail(place, f"'{name}' has no form '{form}'")
        if wrong := unknown_ending(template):
            fail(place, f"unknown ending '{wrong}'")
        rest, before = CALL.sub("", template).replace("=>", "|"), ""
        while rest != before:
            rest, before = NESTED.sub("", rest), rest
        if wrong := re.search(r"[][{}<>|]", rest):
            fail(place, f"cannot read the '{wrong[0]}' in '{rest.strip()}'")

    def recase(self, text: str, upper: bool) -> str:
        """The text in capitals or in small letters, by the rules of the language."""
        pairs = self.settings["casing"].split()
        table = {ord(pair[1 - upper]): pair[upper] for pair in pairs}
        return text.translate(table).upper() if upper else text.translate(table).lower()
