"""One run from its configuration to its results."""

import logging
import os
import subprocess
from collections.abc import Callable
from contextlib import closing, nullcontext
from inspect import signature
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from nerlab.config import check_numbers, to_plain, without_trust
from nerlab.console import make_console
from nerlab.data.batch import Batcher
from nerlab.device import deterministic_algorithms
from nerlab.evaluation.report import Report, marked, table, write_report
from nerlab.files import file_lock, new_file
from nerlab.instantiation import instantiate, trusted_packages
from nerlab.messages import counted, escape_controls
from nerlab.models.checkpoint import State, load_state, load_weights, save_checkpoint, verify
from nerlab.models.scoring import score
from nerlab.process import Interrupted, Interruption
from nerlab.threads import Threads, use_threads
from nerlab.training.not_finite import NotFinite, explain
from nerlab.training.preparation import Parts, prepare
from nerlab.training.recorder import Recorder, logging_to
from nerlab.training.resume import Resumption, find_place, read_resumption
from nerlab.training.run_directory import (
    check_empty,
    create_run_directory,
    keep_step,
    point_latest_to,
)
from nerlab.training.state import whole
from nerlab.training.tracking import Tracker
from nerlab.training.trainer import Trainer

logger = logging.getLogger(__name__)
_EXAMPLES = 5
# What the tracker may be, beside what trusted packages define.
TRACKERS = ("nerlab.training.tracking.NoTracker", "nerlab.training.wandb_tracker.WandbTracker")


def run_experiment(config: DictConfig) -> Path:
    """Train as the configuration says, or go on with a run; returns the run directory.

    What can be wrong with the configuration or the data is found before the directory is made.

    Raises:
        Interrupted: a signal asked the run to stop; it is saved and can be resumed.
        ValueError: something is wrong with the configuration, the data or the numbers.
    """
    trusted = trusted_packages(config.trust)
    place = find_place(config)
    # Locked before it is read: another process may be about to go on with the same run.
    with nullcontext() if place is None else file_lock(place.run):
        resumption = None if place is None else read_resumption(place, config)
        wanted_threads = config.threads
        config = without_trust(config) if resumption is None else resumption.config
        check_numbers("", config)
        threads = _use_threads(wanted_threads, resumption)
        config.threads = threads.number
        with deterministic_algorithms(config.trainer.deterministic):
            return _run(config, resumption, trusted, threads)


def _use_threads(wanted: object, resumption: Resumption | None) -> Threads:
    """As many as the run was begun with, for the same bits, unless another number is given."""
    begun = "auto" if resumption is None else resumption.config.get("threads", "auto")
    if begun == "auto":  # or a run of an earlier version
        return use_threads(wanted)
    if wanted in ("auto", begun):
        return use_threads(begun)._replace(reason="as the run was begun")
    reason = f"as given; the run was begun with {begun}, from here on its bits are other ones"
    return use_threads(wanted)._replace(reason=reason)


def _run(
    config: DictConfig,
    resumption: Resumption | None,
    trusted: tuple[str, ...],
    threads: Threads,
) -> Path:
    checkpoint = None if resumption is None else resumption.checkpoint
    parts = prepare(config, trusted, checkpoint)
    make_tracker = _tracker_of(config, trusted)
    console = make_console()
    run = (
        create_run_directory(config.run.dir, config.run.root, config.run.name)
        if resumption is None
        else resumption.run
    )
    with file_lock(run) if resumption is None else nullcontext():
        if resumption is None:
            check_empty(run)  # another process may have begun a run in it, and ended
        # The first file of a run: from now on it can be resumed.
        with new_file(run / "config.yaml") as file:
            OmegaConf.save(config, file, resolve=True)
        state = _take_up(run, checkpoint, parts)
        with logging_to(run / "train.log", console):
            logger.info("run %s on %s", run, parts.optimisation.device)
            logger.info(threads)
            for remark in parts.remarks:
                logger.info(remark)
            facts = {"git_commit": _git_commit(), **parts.digests}
            tracker = make_tracker(run, run.name, {**to_plain(config), **facts})
            with closing(Recorder(run / "metrics.jsonl", tracker, console)) as recorder:
                _train(config, parts, run, recorder, state)
                for report in _score(config, parts, run):
                    tracker.log_report(report)
                    _show(report, console)
            logger.info("done: %s", run)
    return run


def _tracker_of(config: DictConfig, trusted: tuple[str, ...]) -> Callable[..., Tracker]:
    """What makes the tracker of a run directory, a name and a configuration."""
    try:
        make_tracker = instantiate(config.tracker, TRACKERS, trusted)
        signature(make_tracker).bind(Path(), "", {})
    except (ValueError, TypeError) as error:
        raise ValueError(f"tracker: {error}") from None
    return make_tracker


def _take_up(run: Path, checkpoint: Path | None, parts: Parts) -> State | None:
    """Put the weights and the metrics of a run back to where its checkpoint stands."""
    metrics = run / "metrics.jsonl"
    if checkpoint is None:
        metrics.write_bytes(b"")
        return None
    _, state = load_state(checkpoint)
    try:
        size = whole(state.values, "metrics_bytes")
    except ValueError as error:
        raise ValueError(
            f"{checkpoint}: no training can go on from it ({error}); begin a new run"
        ) from None
    found = metrics.stat().st_size
    if found < size:
        raise ValueError(
            f"{metrics}: expected at least the {size} bytes that were there when {checkpoint} was "
            f"saved, found {found}; put the whole file back, or begin a new run"
        )
    load_weights(parts.tagger, checkpoint)
    os.truncate(metrics, size)
    return state


def _train(
    config: DictConfig,
    parts: Parts,
    run: Path,
    recorder: Recorder,
    state: State | None,
) -> None:
    tagger, vocabulary = parts.tagger, parts.vocabulary
    dev = Batcher(parts.dev, vocabulary, with_tags=False)

    def save(name: str, now: State | None) -> None:
        if now is not None:
            facts = {"metrics_bytes": recorder.sync()}
            now = State(now.tensors, {**now.values, **facts, **parts.digests})
        folder = run / "checkpoints" / name
        save_checkpoint(folder, tagger.state_dict(), vocabulary, config, now)
        if name == "last" and config.trainer.keep_last > 1:
            keep_step(folder, trainer.step, config.trainer.keep_last)
        if config.run.dir is None:
            point_latest_to(run)

    interruption = Interruption()
    train = Batcher(parts.train, vocabulary, with_tags=True)
    trainer = Trainer(
        tagger,
        parts.optimisation,
        train,
        lambda: score(tagger, vocabulary, dev, "dev", config.trainer.decode_tokens),
        save,
        recorder,
        config.trainer,
        np.random.default_rng(config.seed),
        interruption,
    )
    if state is not None:
        try:
            trainer.restore(state)
        except ValueError as error:
            raise ValueError(
                f"{run}: the state of its training does not fit it ({error}); begin a new run"
            ) from error
        logger.info("resumed after step %d, %s done", trainer.step, counted(trainer.epoch, "epoch"))
        if trainer.is_finished():
            logger.info("the run is finished: its best checkpoint is scored again, no more")
    try:
        with interruption.listening():
            trainer.fit()
    except Interrupted:
        logger.info(
            "stopped after step %d; go on with it: python train.py resume=%s", trainer.step, run
        )
        raise
    except NotFinite as found:
        raise explain(found, run, tagger, train) from None


def _score(config: DictConfig, parts: Parts, run: Path) -> list[Report]:
    """The best checkpoint on dev, and once on test if that was asked for."""
    tagger, vocabulary = parts.tagger, parts.vocabulary
    best = run / "checkpoints" / "best"
    verify(best)
    load_weights(tagger, best)
    reports = []
    for split, corpus in (("dev", parts.dev), ("test", parts.test)):
        if corpus is None:
            continue
        batcher = Batcher(corpus, vocabulary, with_tags=False)
        reports.append(score(tagger, vocabulary, batcher, split, config.trainer.decode_tokens))
        folder = run / "evaluation" / split
        folder.mkdir(parents=True, exist_ok=True)
        write_report(reports[-1], folder)
    return reports


def _show(report: Report, console: Console) -> None:
    """The table, and evenly spaced sentences in which the model found something."""
    console.print(table(report))
    found = [
        marked(tokens, tags)
        for tokens, tags in zip(report.tokens, report.predicted, strict=True)
        if any(tag != "O" for tag in tags) and len(tokens) <= 30
    ]
    console.print(f"some sentences of {report.split}, as tagged:")
    for sentence in found[:: max(1, len(found) // _EXAMPLES)][:_EXAMPLES]:
        line = "  " + escape_controls(sentence)
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _git_commit() -> str | None:
    command = ["git", "rev-parse", "HEAD"]
    here = Path(__file__).parent
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=here, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
