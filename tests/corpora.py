"""Published corpora: where they lie, and how train.py would read them.

They lie in the folder that NERLAB_DATA names, else in ``../shared/data`` beside the repository.
"""

import os
from pathlib import Path

import pytest
from composed import compose

from nerlab.config import DataConfig

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("NERLAB_DATA") or ROOT.parent / "shared" / "data")


def real(name: str) -> Path:
    """A file of the data folder; without it the test is skipped."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"needs {path}; set NERLAB_DATA to the folder of the corpora")
    return path


def compose_data(*overrides: str) -> DataConfig:
    """What ``python train.py`` would take for its data."""
    data: DataConfig = compose("train", overrides).data
    return data
