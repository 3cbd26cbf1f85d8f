"""What README, docs and the --help texts tell a person to type is understood as it is meant."""

import re
import shlex
from pathlib import Path

import pytest
from conftest import ROOT
from hydra.core.override_parser.overrides_parser import OverridesParser

from nerlab.command_line import prepared

TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [*TEXTS, *sorted((ROOT / "conf").glob("*.yaml"))]
_COMMAND = re.compile(
    r"(?:train|evaluate|predict)\.py|"
    r"nerlab(?= (?:check|stats|convert|compare|explain|summary|serve|export)|$)"
)
_OVERRIDE = re.compile(r"[+~]*[a-z][\w./@]*=.*")


def commands(page: Path) -> list[list[str]]:
    """The words of each command of a page, as a shell hands them on; comments are none."""
    found = []
    for line in page.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if not _COMMAND.search(line):
            continue
        for text in [line] if page.suffix == ".yaml" or "`" not in line else _inline(line):
            lexer = shlex.shlex(text, posix=True, punctuation_chars=";|")
            lexer.whitespace_split = True
            words = list(lexer)
            starts = [i for i, word in enumerate(words) if _COMMAND.search(word)]
            found += [words[start + 1 :] for start in starts]
    return found


def _inline(line: str) -> list[str]:
    return re.findall(r"`([^`]+)`", line)


def value_of(argument: str) -> object:
    override = OverridesParser.create().parse_override(*prepared([argument]))
    return override.sweep_string_iterator if override.is_sweep_override() else override.value()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_understood(page: Path) -> None:
    arguments = [word for words in commands(page) for word in words if _OVERRIDE.fullmatch(word)]
    assert arguments or page.name == "base.yaml"
    for argument in arguments:
        value_of(argument)


def test_every_key_that_the_pages_set_in_a_sentence_is_understood() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in TEXTS)
    inline = [code for line in text.splitlines() for code in _inline(line)]
    arguments = [
        words[0] for code in inline if _OVERRIDE.fullmatch(code) and (words := shlex.split(code))
    ]
    assert "data.reader.comment=#" in arguments
    for argument in arguments:
        value_of(argument)
    assert value_of("data.reader.comment=#") == "#"
