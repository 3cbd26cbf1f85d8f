"""``python tests/mutants.py [WORD ...]``: faults that a slip would make, and the test that notices.

Each fault of :mod:`mutant_faults` is put into a copy of the working tree, one at a time, and the
quick tests are run there: first the files that should notice, then, if these pass, the others. As
many at once as there are cores. At the end the tests that failed are run without a fault, where
each must pass. Exits with 1 if a fault was noticed by no test, with 2 if one cannot be put into the
code. Words choose the faults that have one of them in their file or description.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

from mutant_faults import FAULTS, Fault
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
_LIMIT_S = 900
_PYTEST = (
    *("-m", "pytest", "-q", "--no-header", "--tb=no", "-rfE", "-p", "no:cacheprovider"),
    *("-p", "no:randomly", "-p", "no:xdist", "-o", "addopts=--strict-markers -m 'not long'"),
)
_NOBODY = "nobody"


class Outcome(NamedTuple):
    """What became of a fault."""

    fault: Fault
    caught_by: str
    seconds: float


def main(words: Sequence[str]) -> int:
    faults = [f for f in FAULTS if not words or any(w in f"{f.file} {f.what}" for w in words)]
    if wrong := [line for fault in faults for line in _misfits(fault)]:
        print(*wrong, sep="\n", file=sys.stderr)
        return 2
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees: Queue[Path] = Queue()
        for number in range(cores or 1):
            trees.put(_copy_tree(Path(folder) / str(number)))

        def examine(fault: Fault) -> Outcome:
            tree = trees.get()
            try:
                outcome = _examine(fault, tree)
            finally:
                trees.put(tree)
            print(f"{outcome.seconds:6.1f} s  {fault.what}: {outcome.caught_by}", flush=True)
            return outcome

        with ThreadPoolExecutor(cores) as pool:
            outcomes = list(pool.map(examine, faults))
        caught = {outcome.caught_by for outcome in outcomes} - {_NOBODY}
        always = _failing(trees.get(), sorted(test for test in caught if "::" in test), True)
    _print(outcomes)
    survivors = [o.fault.what for o in outcomes if o.caught_by == _NOBODY or o.caught_by in always]
    print(f"{len(outcomes)} faults, {len(survivors)} of them noticed by no test")
    for test in always:
        print(f"fails without a fault too: {test}")
    return 1 if survivors else 0


def _misfits(fault: Fault) -> Iterable[str]:
    """Why a fault cannot be put into the code, if so."""
    path = ROOT / fault.file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if text.count(fault.old) != 1:
        yield f"{fault.file}: expected once, found {text.count(fault.old)} times: {fault.old!r}"
        return
    try:
        if path.suffix == ".py":
            ast.parse(text.replace(fault.old, fault.new))
    except SyntaxError as error:
        yield f"{fault.file}: {fault.what}: {error}"
    yield from (f"{test}: no such file" for test in fault.tests if not (ROOT / test).is_file())


def _copy_tree(tree: Path) -> Path:
    """The files of the working tree that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    return tree


def _examine(fault: Fault, tree: Path) -> Outcome:
    """Put the fault into the copy, run the tests until one fails, and take it out again."""
    path = tree / fault.file
    right = path.read_text(encoding="utf-8")
    start = time.monotonic()
    path.write_text(right.replace(fault.old, fault.new), encoding="utf-8")
    try:
        failed = _failing(tree, fault.tests)
        if not failed:
            failed = _failing(tree, [f"--ignore={test}" for test in fault.tests])
    finally:
        path.write_text(right, encoding="utf-8")
    return Outcome(fault, failed[0] if failed else _NOBODY, time.monotonic() - start)


def _failing(tree: Path, arguments: Sequence[str], all_of_them: bool = False) -> list[str]:
    """The first test that fails in a copy of the tree, or all."""
    if all_of_them and not arguments:
        return []
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",  # of two faults in one second the former would be run again
        "COLUMNS": "1000",
    }
    command = [sys.executable, *_PYTEST, *([] if all_of_them else ["-x"]), *arguments]
    process = subprocess.Popen(
        command,
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output, _ = process.communicate(timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return [f"no end within {_LIMIT_S} s"]
    found = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, re.MULTILINE)
    if process.returncode not in (0, 1) or (process.returncode and not found):
        raise SystemExit(f"pytest could not run ({process.returncode}):\n{output[-2000:]}")
    return found


def _print(outcomes: Iterable[Outcome]) -> None:
    table = Table(title="Faults put into the code")
    for name in ("fault", "in", "caught by", "seconds"):
        table.add_column(name, overflow="fold")
    for outcome in outcomes:
        test = outcome.caught_by.removeprefix("tests/").replace("[", r"\[")
        table.add_row(outcome.fault.what, outcome.fault.file, test, f"{outcome.seconds:.0f}")
    Console(width=180).print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
