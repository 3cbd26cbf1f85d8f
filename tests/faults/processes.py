"""Training in processes of its own, to be killed."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import ROOT, SMALL_MODEL
from fork_server import Process, start_python

_RUN = (
    *SMALL_MODEL,
    "data.test=null",
    "trainer.epochs=4",
    "trainer.batch_tokens=30",
    "trainer.save_every_steps=3",
    "trainer.log_every=5",
)
VARIANTS = {
    "plain": (),
    "averaged": ("trainer.ema=0.95", "trainer.accumulate=2"),
    "sgd": ("trainer.optimizer=sgd", "trainer.momentum=0.9", "trainer.schedule=cosine"),
}


def arguments(corpus: Path, run: Path, *more: str) -> list[str]:
    """Those of train.py for a small run that begins or goes on."""
    return [*_RUN, f"data.dir={corpus}", f"run.dir={run}", "resume=auto", *more]


def start(corpus: Path, run: Path, *more: str) -> Process:
    """Start that run."""
    return start_python(["train.py", *arguments(corpus, run, *more)], ROOT)


def wait_until(process: Process, reached: Callable[[], bool]) -> None:
    """Until something is reached, or the process has ended."""
    while process.poll() is None and not reached():
        time.sleep(0.001)


def wait_for_step(run: Path, step: int, process: Process) -> None:
    """Until the checkpoint of a step is there, or the process has ended."""

    def reached() -> bool:
        try:
            saved = json.loads((run / "checkpoints" / "last" / "training.json").read_text())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return False
        return bool(saved["progress"]["step"] >= step)

    wait_until(process, reached)


def metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, timings apart."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    timings = ("train/tokens_per_second", "dev/seconds")
    return [{name: line[name] for name in line if name not in timings} for line in lines]


def content(run: Path) -> dict[str, object]:
    """Everything in a run that must not depend on how often it was stopped."""
    files = [
        *(f"checkpoints/{name}/model.safetensors" for name in ("best", "last")),
        "checkpoints/last/training.safetensors",
        "evaluation/dev/metrics.json",
        "evaluation/dev/predictions.conll",
    ]
    return {"metrics": metrics(run), **{name: (run / name).read_bytes() for name in files}}
