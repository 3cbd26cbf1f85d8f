"""The lock files: each file that pip may install is known by its digest."""

import re
from configparser import ConfigParser

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = ("build.lock", "requirements.lock", "serve.lock", "torch.lock")
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


def test_the_image_of_the_server_has_what_was_tested() -> None:
    """And its tools for tests have not got into it."""
    serve, requirements = pins("serve.lock"), pins("requirements.lock")
    assert serve < requirements
    assert {"pytest", "ruff", "schemathesis", "transformers"}.isdisjoint(dict(serve))


def test_the_image_of_the_server_has_what_setup_cfg_asks_for() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = setup["options.extras_require"]
    texts = (setup["options"]["install_requires"], extras["serve"], extras["pretrained"])
    lines = [line for text in texts for line in text.splitlines() if line and line[0] != "#"]
    found = pins("serve.lock") | pins("torch.lock")
    for wanted in map(Requirement, lines):
        versions = [v for name, v in found if name == canonicalize_name(wanted.name)]
        assert versions, wanted
        assert all(wanted.specifier.contains(version) for version in versions), wanted
