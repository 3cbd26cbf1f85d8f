"""One run from its configuration to its results."""

import logging
import os
import subprocess
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from nerlab.config import check_data, check_run, check_trainer, to_plain
from nerlab.data.batch import Batcher
from nerlab.data.corpus import Corpus
from nerlab.data.load import load_split
from nerlab.data.vectors import read_vectors
from nerlab.data.vocabulary import Vocabulary, build_vocabulary
from nerlab.device import choose_device
from nerlab.evaluation.report import Report, marked, table, write_report
from nerlab.instantiation import instantiate, trusted_packages
from nerlab.models.build import build_tagger
from nerlab.models.checkpoint import State, load_weights, save_checkpoint
from nerlab.models.embedders import Words
from nerlab.models.scoring import score
from nerlab.models.tagger import Tagger
from nerlab.saved_config import without_trust
from nerlab.training.interruption import Interrupted, Interruption
from nerlab.training.optimisation import Optimisation
from nerlab.training.recorder import Recorder, logging_to, make_console
from nerlab.training.resume import Resumption, find_resumption
from nerlab.training.run_directory import create_run_directory, point_latest_to
from nerlab.training.tracking import Tracker
from nerlab.training.trainer import Trainer

logger = logging.getLogger(__name__)
_EXAMPLES = 5


class _Parts(NamedTuple):
    """What a run is made of before it begins; ``remarks`` are for its log."""

    train: Corpus
    dev: Corpus
    test: Corpus | None
    vocabulary: Vocabulary
    tagger: Tagger
    optimisation: Optimisation
    remarks: list[str]


def run_experiment(config: DictConfig) -> Path:
    """Train as the configuration says, or go on with a run; returns the run directory.

    What can be wrong with the configuration or the data is found before the directory is made.

    Raises:
        Interrupted: a signal asked the run to stop; it is saved and can be resumed.
    """
    trusted = trusted_packages(config.trust)
    resumption = find_resumption(config)
    config = without_trust(config) if resumption is None else resumption.config
    parts = _prepare(config, trusted)
    make_tracker = instantiate(config.tracker, "nerlab.training", *trusted)
    console = make_console()
    run = (
        create_run_directory(config.run.dir, config.run.root, config.run.name)
        if resumption is None
        else resumption.run
    )
    digest = parts.train.digest()
    if resumption is not None:
        _take_up(resumption, parts, digest)
    with logging_to(run / "train.log", console):
        OmegaConf.save(config, run / "config.yaml", resolve=True)
        logger.info("run %s on %s", run, parts.optimisation.device)
        for remark in parts.remarks:
            logger.info(remark)
        facts = {"git_commit": _git_commit(), "train_sha256": digest}
        tracker: Tracker = make_tracker(run, run.name, {**to_plain(config), **facts})
        with closing(Recorder(run / "metrics.jsonl", tracker, console)) as recorder:
            _train(config, parts, run, recorder, digest, resumption)
            for report in _score(config, parts, run):
                tracker.log_report(report)
                _show(report, console)
        logger.info("done: %s", run)
    return run


def _take_up(resumption: Resumption, parts: _Parts, digest: str) -> None:
    """Put the weights and the metrics of a run back to where its checkpoint stands."""
    values = resumption.state.values
    if values["train_sha256"] != digest:
        raise ValueError(
            f"{resumption.run}: the training split is not the one that the run was begun with; "
            "put that one back, or begin a new run"
        )
    load_weights(parts.tagger, resumption.checkpoint)
    os.truncate(resumption.run / "metrics.jsonl", values["metrics_bytes"])


def _prepare(config: DictConfig, trusted: tuple[str, ...]) -> _Parts:
    check_run(config)
    check_trainer(config.trainer)
    check_data(config.data)
    device = choose_device(config.device)
    test = load_split(config.data, "test", trusted) if config.test else None
    train, dev = (load_split(config.data, split, trusted) for split in ("train", "dev"))
    vocabulary = build_vocabulary(
        train.token_counts(),
        train.labels,
        config.data.lowercase,
        config.data.fold_digits,
        config.data.turkic_i,
        config.data.min_count,
        config.data.max_word_length,
    )
    torch.manual_seed(config.seed)
    tagger = build_tagger(config.model, vocabulary, trusted)
    remarks = [
        f"{name}: {len(corpus)} sentences, {len(corpus.tokens)} tokens"
        for name, corpus in (("train", train), ("dev", dev))
    ]
    corpora = [train, dev, *([] if test is None else [test])]
    # Splits of one file have the same remarks.
    remarks += dict.fromkeys(remark for corpus in corpora for remark in corpus.remarks)
    remarks.append(f"labels: {' '.join(vocabulary.labels)}")
    if missing := set(dev.labels) - set(train.labels):
        remarks.append(f"labels of dev that train lacks, all missed: {' '.join(sorted(missing))}")
    if config.data.vectors is not None:
        remarks.append(_load_vectors(tagger, vocabulary, config.data.vectors))
    remarks.append(f"{sum(p.numel() for p in tagger.parameters())} parameters")
    optimisation = Optimisation(tagger.to(device), config.trainer, device)
    return _Parts(train, dev, test, vocabulary, tagger, optimisation, remarks)


def _train(
    config: DictConfig,
    parts: _Parts,
    run: Path,
    recorder: Recorder,
    digest: str,
    resumption: Resumption | None,
) -> None:
    tagger, vocabulary = parts.tagger, parts.vocabulary
    dev = Batcher(parts.dev, vocabulary, with_tags=False)

    def save(name: str, state: State | None) -> None:
        if state is not None:
            facts = {"metrics_bytes": recorder.sync(), "train_sha256": digest}
            state = State(state.tensors, {**state.values, **facts})
        folder = run / "checkpoints" / name
        save_checkpoint(folder, tagger.state_dict(), vocabulary, config, state)
        if config.run.dir is None:
            point_latest_to(run)

    interruption = Interruption()
    trainer = Trainer(
        tagger,
        parts.optimisation,
        Batcher(parts.train, vocabulary, with_tags=True),
        lambda: score(tagger, vocabulary, dev, "dev", config.trainer.decode_tokens),
        save,
        recorder,
        config.trainer,
        np.random.default_rng(config.seed),
        interruption,
    )
    if resumption is not None:
        trainer.restore(resumption.state)
        logger.info("resumed after step %d, %d epochs done", trainer.step, trainer.epoch)
    try:
        with interruption.listening():
            trainer.fit()
    except Interrupted:
        logger.info(
            "stopped after step %d; go on with it: python train.py resume=%s", trainer.step, run
        )
        raise


def _score(config: DictConfig, parts: _Parts, run: Path) -> list[Report]:
    """The best checkpoint on dev, and once on test if that was asked for."""
    tagger, vocabulary = parts.tagger, parts.vocabulary
    load_weights(tagger, run / "checkpoints" / "best")
    reports = []
    for split, corpus in (("dev", parts.dev), ("test", parts.test)):
        if corpus is None:
            continue
        batcher = Batcher(corpus, vocabulary, with_tags=False)
        reports.append(score(tagger, vocabulary, batcher, split, config.trainer.decode_tokens))
        write_report(reports[-1], run / "evaluation" / split)
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
        console.print("  " + sentence, markup=False, highlight=False, soft_wrap=True)


def _load_vectors(tagger: Tagger, vocabulary: Vocabulary, path: str) -> str:
    """Put word vectors from a file into the word table; returns what to say about it."""
    words = next((m for m in tagger.modules() if isinstance(m, Words)), None)
    if words is None:
        raise ValueError("data.vectors: the model has no word embedder to put them in")
    vectors = read_vectors(path, vocabulary, words.output_dim)
    words.table.weight.data[torch.from_numpy(vectors.ids)] = torch.from_numpy(vectors.values)
    share = len(vectors.ids) / max(len(vocabulary.words), 1)
    return (
        f"vectors: {len(vectors.ids)} of {len(vocabulary.words)} words of train found "
        f"({share:.1%}), {vectors.exact} in their exact form"
    )


def _git_commit() -> str | None:
    command = ["git", "rev-parse", "HEAD"]
    here = Path(__file__).parent
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=here, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
