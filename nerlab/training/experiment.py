"""One run from its configuration to its results."""

import logging
import subprocess
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from nerlab.config import instantiate, to_plain
from nerlab.data.batch import Batcher
from nerlab.data.corpus import Corpus
from nerlab.data.load import load_split, split_path
from nerlab.data.vectors import read_vectors
from nerlab.data.vocabulary import Vocabulary, build_vocabulary
from nerlab.device import choose_device
from nerlab.evaluation.report import Report, marked, table, write_report
from nerlab.models.build import build_tagger
from nerlab.models.checkpoint import load_weights, save_checkpoint
from nerlab.models.embedders import Words
from nerlab.models.scoring import score
from nerlab.models.tagger import Tagger
from nerlab.training.optimisation import Optimisation
from nerlab.training.recorder import Recorder, logging_to, make_console
from nerlab.training.run_directory import create_run_directory, point_latest_to
from nerlab.training.tracking import Tracker
from nerlab.training.trainer import fit

logger = logging.getLogger(__name__)
_EXAMPLES = 5


def run_experiment(config: DictConfig) -> Path:
    """Train as the configuration says; returns the run directory.

    Whatever can be wrong with the configuration or the data is found before the directory is made.
    """
    device = choose_device(config.device)
    if config.test:
        split_path(config.data, "test")
    train, dev = load_split(config.data, "train"), load_split(config.data, "dev")
    vocabulary = build_vocabulary(
        train.token_counts(),
        train.labels,
        config.data.lowercase,
        config.data.fold_digits,
        config.data.min_count,
        config.data.max_word_length,
    )
    torch.manual_seed(config.seed)
    tagger = build_tagger(config.model, vocabulary)
    coverage = _load_vectors(tagger, vocabulary, config.data.vectors)
    optimisation = Optimisation(tagger.to(device), config.trainer, device)
    make_tracker = instantiate(config.tracker)

    console = make_console()
    run = create_run_directory(config.run.dir, config.run.root, config.run.name)
    with logging_to(run / "train.log", console):
        OmegaConf.save(config, run / "config.yaml", resolve=True)
        logger.info("run %s on %s", run, device)
        _describe(train, dev, tagger, coverage)
        facts = {"git_commit": _git_commit(), "train_sha256": train.digest()}
        tracker = make_tracker(run, run.name, {**to_plain(config), **facts})
        try:
            _train_and_score(
                config, run, tagger, optimisation, vocabulary, train, dev, tracker, console
            )
        finally:
            tracker.finish()
        logger.info("done: %s", run)
    return run


def _train_and_score(
    config: DictConfig,
    run: Path,
    tagger: Tagger,
    optimisation: Optimisation,
    vocabulary: Vocabulary,
    train: Corpus,
    dev: Corpus,
    tracker: Tracker,
    console: Console,
) -> None:
    decode_tokens = config.trainer.decode_tokens
    dev_batcher = Batcher(dev, vocabulary, with_tags=False)

    def score_dev() -> Report:
        return score(tagger, vocabulary, dev_batcher, "dev", decode_tokens)

    def save(name: str) -> None:
        save_checkpoint(run / "checkpoints" / name, tagger.state_dict(), vocabulary, config)
        if config.run.dir is None:
            point_latest_to(run)

    recorder = Recorder(run / "metrics.jsonl", tracker, console)
    try:
        outcome = fit(
            tagger,
            optimisation,
            Batcher(train, vocabulary, with_tags=True),
            score_dev,
            save,
            recorder,
            config.trainer,
            np.random.default_rng(config.seed),
        )
        logger.info("best: epoch %d, dev F1 %.2f", outcome.best_epoch, 100 * outcome.best_f1)
        load_weights(tagger, run / "checkpoints" / "best")
        reports = [score_dev()]
        if config.test:
            batcher = Batcher(load_split(config.data, "test"), vocabulary, with_tags=False)
            reports.append(score(tagger, vocabulary, batcher, "test", decode_tokens))
        for report in reports:
            write_report(report, run / "evaluation" / report.split)
            tracker.log_report(report)
            console.print(table(report))
    finally:
        recorder.close()
    console.print(f"some sentences of {reports[-1].split}, as tagged:")
    for tokens, tags in _examples(reports[-1]):
        console.print("  " + marked(tokens, tags), markup=False, highlight=False, soft_wrap=True)


def _examples(report: Report) -> list[tuple[list[str], list[str]]]:
    """Evenly spaced sentences of which the model found something in."""
    found = [
        (list(tokens), list(tags))
        for tokens, tags in zip(report.tokens, report.predicted, strict=True)
        if any(tag != "O" for tag in tags) and len(tokens) <= 30
    ]
    return found[:: max(1, len(found) // _EXAMPLES)][:_EXAMPLES]


def _load_vectors(tagger: Tagger, vocabulary: Vocabulary, path: str | None) -> str | None:
    """Put word vectors from a file into the word table; returns what to say about it."""
    if path is None:
        return None
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


def _describe(train: Corpus, dev: Corpus, tagger: Tagger, coverage: str | None) -> None:
    for name, corpus in (("train", train), ("dev", dev)):
        logger.info("%s: %d sentences, %d tokens", name, len(corpus), len(corpus.tokens))
    logger.info("labels: %s", " ".join(sorted(train.labels)))
    if missing := dev.labels - train.labels:
        logger.warning("labels of dev that train lacks, all missed: %s", " ".join(sorted(missing)))
    if coverage:
        logger.info(coverage)
    logger.info("%d parameters", sum(p.numel() for p in tagger.parameters()))


def _git_commit() -> str | None:
    command = ["git", "rev-parse", "HEAD"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=Path(__file__).parent, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
