"""One fuzzer: ``python tests/faults/fuzz_one.py TARGET FOLDER_OR_FILE [option of libFuzzer ...]``.

A folder holds inputs to begin with, and gets those that reach something new; a file is one input,
to be tried again.
"""

import hashlib
import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
with atheris.instrument_imports(include=["nerlab"]):
    from fuzz_targets import TARGETS


def main() -> None:
    """Fuzz until libFuzzer ends the process."""
    name, place, *options = sys.argv[1:]
    target = TARGETS[name](Path(tempfile.mkdtemp()))
    if Path(place).is_dir():
        for seed in target.seeds:
            (Path(place) / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    atheris.Setup([sys.argv[0], place, *options], target.survive)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
