"""Words of messages."""

import re
from pathlib import Path

import pytest
from conftest import ROOT

from nerlab.messages import counted

FILES = [*ROOT.glob("*.py"), *(ROOT / "nerlab").rglob("*.py")]
# Of these nouns a program may count a single one.
_NOUNS = "epochs|steps|sentences|tokens|tags|parameters|fields|columns"
_NEVER_ONE = (
    *("task.completed", "tokens_per_second", "_BLAWOK_SENTENCES", "{T}", "{length}", "{long}"),
    *("{sentences:,}", "{tokens:,}", "{largest:,}"),
)


def test_a_number_and_its_noun_agree() -> None:
    found = [counted(n, "epoch") for n in (0, 1, 2, 1200)]
    assert found == ["0 epochs", "1 epoch", "2 epochs", "1,200 epochs"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_message_counts_one_of_a_plural(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = re.findall(rf"(?:\{{[^{{}}]*\}}|%d) (?:{_NOUNS})\b", text)
    assert [words for words in found if not any(name in words for name in _NEVER_ONE)] == []
