"""SIGKILL at any moment: of training, of writing a checkpoint, of building the cache."""

import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, run_script
from fork_server import Process, start_python
from processes import VARIANTS, arguments, content, start, wait_for_step, wait_until

_LOAD = """
import sys
from hydra import compose, initialize_config_dir
from nerlab.config import register_schemas
from nerlab.data.load import load_split
register_schemas()
with initialize_config_dir(sys.argv[1], version_base="1.3"):
    data = compose("train", overrides=["data=conll", *sys.argv[2:]]).data
print(load_split(data, "train").digest())
"""


def _kill_until_done(corpus: Path, run: Path, kills: int, *more: str) -> int:
    """Kill a run so many times, before its first checkpoint, then every other time while it
    writes one; then let it end.

    Returns how many kills met a process that was alive.
    """
    rng = np.random.default_rng()
    part = run / "checkpoints" / "last.part"
    met, step = 0, 0
    for number in range(kills):
        step += int(rng.integers(1, 5))
        process = start(corpus, run, *more)
        if number == 0:
            wait_until(process, (run / "config.yaml").exists)
        else:
            wait_for_step(run, step, process)
        if number % 2:
            wait_until(process, part.exists)
        else:
            time.sleep(float(rng.uniform(0, 0.1)))
        process.kill()
        met += process.wait() == -signal.SIGKILL
        process.communicate()
    result = run_script("train", *arguments(corpus, run, *more))
    assert result.status == 0, result.err
    return met


def _index(folder: Path, cache: Path, *more: str) -> Process:
    command = ["-c", _LOAD, str(ROOT / "conf"), f"data.dir={folder}", *more]
    return start_python(command, ROOT, {"NERLAB_CACHE": str(cache)})


def _written(cache: Path) -> list[int]:
    """When the unfinished entries of the cache were last written to."""
    with suppress(FileNotFoundError):  # finished just now
        return [part.stat().st_mtime_ns for part in cache.glob("*/corpus.part")]
    return []


def _kill_while_indexing(folder: Path, cache: Path, kills: int) -> int:
    """Kill a process that builds the cache so many times; then it must be whole and right."""
    rng = np.random.default_rng()
    met = 0
    for _ in range(kills):
        before = _written(cache)
        process = _index(folder, cache)
        wait_until(process, lambda before=before: _written(cache) not in ([], before))  # type: ignore[misc]
        time.sleep(float(rng.uniform(0, 0.15)))
        process.kill()
        met += process.wait() == -signal.SIGKILL
        process.communicate()
    found = [_index(folder, cache).communicate(timeout=120)[0] for _ in range(2)]
    memory = _index(folder, cache, "data.cache=false").communicate(timeout=120)[0]
    assert memory
    assert found == [memory, memory]
    return met


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A folder with a training file that takes half a second to index."""
    rows = [f"w{i % 4999} {'B-X' if i % 7 == 0 else 'O'}\n" for i in range(400_000)]
    text = "".join(row + "\n" * (i % 20 == 19) for i, row in enumerate(rows))
    (tmp_path / "train.conll").write_text(text)
    return tmp_path


def test_a_killed_builder_of_the_cache_leaves_nothing_that_is_trusted(
    large: Path, tmp_path: Path
) -> None:
    _kill_while_indexing(large, tmp_path / "cache", 1)


@pytest.mark.long
@pytest.mark.parametrize("variant", VARIANTS)
def test_fourteen_kills_and_nothing_is_lost(variant: str, corpus: Path, tmp_path: Path) -> None:
    more = ("trainer.epochs=12", *VARIANTS[variant])
    expected, run = tmp_path / "expected", tmp_path / "run"
    assert run_script("train", *arguments(corpus, expected, *more)).status == 0
    met = _kill_until_done(corpus, run, 14, *more)
    assert content(run) == content(expected)
    print(f"training, {variant}: {met} kills, 0 losses")
    assert met >= 12


@pytest.mark.long
def test_ten_kills_of_the_builder_of_the_cache(large: Path, tmp_path: Path) -> None:
    met = _kill_while_indexing(large, tmp_path / "cache", 10)
    print(f"cache: {met} kills, 0 losses")
    assert met >= 8
