"""Scored runs, read from their folders to be compared."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from omegaconf import OmegaConf
from safetensors import SafetensorError, safe_open

from nerlab.evaluation.comparison import TRAINING_DATA, Run
from nerlab.evaluation.files import METRICS, PREDICTIONS, read_predictions
from nerlab.evaluation.predictions import Prediction
from nerlab.evaluation.randomisation import f1_of
from nerlab.evaluation.report import Score, Scores
from nerlab.evaluation.settings import NO_SETTINGS, flat, is_in
from nerlab.paths import read_object
from nerlab.saved_config import read_run_config
from nerlab.sweeps import failures

CONFIG = "config.yaml"
_UNFIT = (TypeError, LookupError, ValueError, AttributeError)


class Found(NamedTuple):
    """The folders of scored runs, and of others what is wrong with them."""

    runs: list[Path]
    left_out: dict[str, str]


def find_runs(paths: Sequence[str], split: str) -> Found:
    """The runs that paths lead to: folders of runs, or of sweeps, each of which counts as all of
    its runs that were scored.

    Raises:
        ValueError: a path leads to no run, or to one that was not scored on the split.
    """
    found: dict[Path, Path] = {}  # by where it really is
    left_out: dict[str, str] = {}
    for path in map(Path, paths):
        if (path / CONFIG).is_file():
            if not is_scored(path, split):
                raise ValueError(
                    f"{path / 'evaluation' / split}: no scores of {split}; "
                    f"python evaluate.py checkpoint={path} split={split}"
                )
            found[path.resolve()] = path
            continue
        failed, runs = failures(path), _runs_in(path)
        if not runs and not failed:
            raise ValueError(f"{path}: expected a run, or a folder of runs; found no {CONFIG}")
        for run in runs:
            if is_scored(run, split):
                found[run.resolve()] = run
            else:
                left_out[run.name] = f"not scored on {split}"
        scored = {run.name for run in found.values()}
        left_out |= {name: why for name, why in failed.items() if name not in scored}
    return Found(list(found.values()), left_out)


def _runs_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    inside = (path for path in folder.iterdir() if not path.is_symlink())
    return sorted(path for path in inside if (path / CONFIG).is_file())


def is_scored(run: Path, split: str) -> bool:
    """Whether a run has the files of a scored split."""
    return all((run / "evaluation" / split / name).exists() for name in (METRICS, PREDICTIONS))


def read_runs(folders: Sequence[Path], split: str) -> list[Run]:
    """Read what the runs scored on a split.

    Raises:
        ValueError: a file is broken, or two runs were scored on different data.
    """
    hashes: dict[str, Path] = {}
    for folder in folders:
        hashes.setdefault(_hash(folder, split), folder)
    if len(hashes) > 1:
        shown = ", ".join(f"{folder} ({digest[:8]})" for digest, folder in hashes.items())
        raise ValueError(
            f"{split} is not the same in all runs, by its SHA-256: {shown}; compare runs that were "
            "scored on the same data"
        )
    names = [folder.name for folder in folders]
    is_clear = len(set(names)) == len(names)
    return [read_run(f, split, f.name if is_clear else str(f)) for f in folders]


def _hash(folder: Path, split: str) -> str:
    path = folder / "evaluation" / split / METRICS
    found = read_object(path).get("sha256")
    if not isinstance(found, str):
        raise ValueError(
            f"{path}: expected the sha256 of the data, which earlier versions did not write; "
            f"python evaluate.py checkpoint={folder} split={split}"
        )
    return found


def read_run(folder: Path, split: str, name: str) -> Run:
    """A run with its scores on a split; ``ValueError`` if a file is broken."""
    evaluation = folder / "evaluation" / split
    counts, gold = counts_of(read_predictions(evaluation / PREDICTIONS))
    config: Any = OmegaConf.to_container(read_run_config(folder / CONFIG), resolve=True)
    settings = flat(config)
    facts = read_object(folder / "run.json") | read_object(folder / "environment.json")
    try:
        scores = scores_of(read_object(evaluation / METRICS))
        if abs(float(f1_of(counts.sum(axis=0), gold.sum())) - scores.total.f1) > 1e-9:
            raise ValueError(f"its F1 is not that of {PREDICTIONS}; score the run again")
    except _UNFIT as error:
        raise ValueError(f"{evaluation / METRICS}: not as a run writes it ({error})") from None
    if not isinstance(settings.get("seed"), int):
        raise ValueError(f"{folder / CONFIG}: expected a seed, a whole number")
    try:
        settings |= _training_data(facts, split)
        choices = _choices(facts, settings)
        # Of a run that was resumed each process has its own.
        seconds = [part.get("seconds") for part in (facts, *facts.get("resumed", []))]
        total = None if None in seconds else float(sum(seconds))
    except _UNFIT as error:
        raise ValueError(f"{folder}: run.json, environment.json: broken ({error})") from None
    return Run(name, settings, choices, scores, counts, gold, _parameters(folder), total)


def counts_of(predictions: Sequence[Prediction]) -> tuple[np.ndarray, np.ndarray]:
    """Of each of N sentences ``(N, 2)`` correct and predicted spans, and ``(N,)`` gold spans."""
    counts = [
        (len({s.span for s in p.predicted} & set(p.gold)), len(p.predicted), len(p.gold))
        for p in predictions
    ]
    found = np.array(counts, dtype=np.int64).reshape(len(counts), 3)
    return found[:, :2], found[:, 2]


def scores_of(metrics: Mapping[str, Any]) -> Scores:
    """The scores in ``metrics.json``; whatever Python raises where it holds something else."""
    per_type = {str(name): _score(found) for name, found in metrics["per_type"].items()}
    return Scores(_score(metrics), per_type)


def _score(found: Mapping[str, Any]) -> Score:
    precision, recall, f1 = (float(found[name]) for name in ("precision", "recall", "f1"))
    return Score(precision, recall, f1, int(found["support"]))


def _training_data(facts: Mapping[str, Any], split: str) -> dict[str, str]:
    """The beginning of the hash of train, and of dev where it chose the checkpoint that was scored
    on something else; nothing if they are unknown."""
    splits = facts.get("splits", {})
    hashes = [splits.get(name, {}).get("sha256") for name in ("train", "dev")]
    if None in hashes:
        return {}
    wanted = hashes[:1] if split == "dev" else hashes
    return {TRAINING_DATA: "+".join(str(digest)[:8] for digest in wanted)}


def _choices(facts: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
    """The overrides of the command that began a run that chose files of ``conf/``."""
    words = [word for word in (facts.get("command") or ())[2:] if word[:1] != "-"]
    typed = dict(word.lstrip("+").partition("=")[::2] for word in words)
    return {
        key: value
        for key, value in typed.items()
        if key not in settings and not is_in(key.replace("/", "."), NO_SETTINGS)
    }


def _parameters(folder: Path) -> int | None:
    """The number of weights in the best checkpoint; None if it is not there."""
    path = folder / "checkpoints" / "best" / "model.safetensors"
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as weights:
            shapes = (weights.get_slice(name).get_shape() for name in weights.keys())  # noqa: SIM118
            return sum(int(np.prod(shape)) for shape in shapes)
    except SafetensorError as error:
        raise ValueError(f"{path}: broken file ({error})") from None
