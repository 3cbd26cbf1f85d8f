"""An uninterrupted run, to compare others with."""

from pathlib import Path

import pytest
from conftest import run_script
from processes import arguments


@pytest.fixture(scope="session")
def finished(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of :mod:`processes`; do not write into it."""
    run = tmp_path_factory.mktemp("finished") / "run"
    assert run_script("train", *arguments(corpus, run)).status == 0
    return run
