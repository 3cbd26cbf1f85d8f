"""Coverage-guided fuzzing of all that reads input from outside: ``make fuzz``.

    python tests/faults/fuzz.py                              every target, three minutes each
    python tests/faults/fuzz.py --seconds 600 columns jsonl  these two, ten minutes each

The targets are in ``fuzz_targets.py``, and what must hold of them in ``tests/invariants.py``.
Inputs that reach something new are kept in ``.fuzz/``, and the next run begins with them.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEPT = HERE.parents[1] / ".fuzz"
# One input: seconds, MiB, bytes. Size is the matter of test_sizes.py.
LIMITS = ("-timeout=30", "-rss_limit_mb=4096", "-max_len=4096")
TARGETS = (
    *("columns", "parallel", "table", "jsonl", "spans", "parquet"),
    *("prodigy", "doccano", "spacy", "label_studio"),
    *("vectors", "tokens", "checkpoint", "state", "predict", "overrides", "commands"),
)


def main() -> None:
    """Fuzz one target after the other; exit status 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=180, help="for each of them")
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - set(TARGETS):
        sys.exit(f"error: {unknown.pop()}: no such target; expected {', '.join(TARGETS)}")
    if find_spec("atheris") is None:
        sys.exit("error: fuzzing needs atheris, which comes for Linux alone: pip install atheris")
    results = [fuzz(name, arguments.seconds) for name in arguments.targets or TARGETS]
    sys.exit(0 if all(results) else 1)


def fuzz(name: str, seconds: int) -> bool:
    """Fuzz one target in a process of its own, and say in a line what came of it."""
    kept, log = KEPT / name, KEPT / f"{name}.log"
    kept.mkdir(parents=True, exist_ok=True)
    limits = (*LIMITS, f"-max_total_time={seconds}", "-print_final_stats=1")
    script = str(HERE / "fuzz_one.py")
    command = [sys.executable, script, name, str(kept), f"-artifact_prefix={kept}-", *limits]
    with tempfile.TemporaryDirectory() as scratch, log.open("w") as file:
        environment = {"TMPDIR": scratch, "NERLAB_CACHE": scratch, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, stdout=file, stderr=file, env={**os.environ, **environment})
    text = log.read_text(encoding="utf-8", errors="replace")
    number = re.search(r"stat::number_of_executed_units:\s*(\d+)", text)
    count = f"{int(number[1]):,}" if number else "no"
    if done.returncode == 0:
        print(f"{name}: {count} executions, nothing found", flush=True)
        return True
    written = re.search(r"Test unit written to (\S+)", text)
    again = f"; again: {sys.executable} {script} {name} {written[1]}" if written else ""
    print(f"{name}: broken after {count} executions, see {log}{again}", flush=True)
    return False


if __name__ == "__main__":
    main()
