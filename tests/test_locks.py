"""The lock files: each file that pip may install is known by its digest."""

import re

import pytest
from conftest import ROOT

LOCKS = ("build.lock", "requirements.lock", "torch.lock")
ENTRY = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[\w.]+)(?: ; [^;\\]+)?(?: --hash=sha256:[0-9a-f]{64})+"
)


def pins(lock: str) -> set[tuple[str, str]]:
    """Name and version of each entry; a package may have one version for each Python."""
    text = (ROOT / lock).read_text("utf-8").replace(" \\\n   ", "")
    found = set()
    for line in text.splitlines():
        if not line.startswith("#"):
            entry = ENTRY.fullmatch(line)
            assert entry, f"{lock}: not one version with its digests: {line[:80]}"
            found.add((entry["name"], entry["version"]))
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_each_entry_is_one_version_with_its_digests(lock: str) -> None:
    assert pins(lock)


def test_build_tools_and_requirements_agree() -> None:
    """Else the second installation would replace what the first has checked."""
    build, requirements = pins("build.lock"), pins("requirements.lock")
    names = {name for name, _ in build} & {name for name, _ in requirements}
    assert "setuptools" in names
    assert {pin for pin in build if pin[0] in names} <= requirements
