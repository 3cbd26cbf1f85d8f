"""The work of evaluate.py: a checkpoint scored on files."""

import logging
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from nerlab.config import DataConfig
from nerlab.data.batch import Batcher
from nerlab.data.corpus import Corpus
from nerlab.data.documents import DocumentBatcher
from nerlab.data.load import SPLITS, load_file, load_split, splits_of
from nerlab.device import choose_device
from nerlab.evaluation.files import write_report
from nerlab.evaluation.pages import TrainingSplit, WritePages
from nerlab.evaluation.report import Report
from nerlab.instantiation import trusted_packages
from nerlab.messages import escape_controls
from nerlab.models.decoding import score
from nerlab.models.loading import Checkpoint, load_checkpoint
from nerlab.models.training_split import training_split
from nerlab.paths import make_folder
from nerlab.saved_config import data_config

logger = logging.getLogger(__name__)


def evaluate(config: DictConfig, write_pages: WritePages) -> list[tuple[Report, Path]]:
    """Score a checkpoint on a split, on all of them, or on a file.

    How the data is read is what the checkpoint says, but for what ``config.data`` overrides. Each
    report is written to ``evaluation/<split>/`` in the run directory (or in ``output``) and
    returned with that folder; ``config.report`` adds the pages that ``write_pages`` writes.
    ``ValueError``: what is named is unknown, missing or broken.
    """
    if config.split not in (*SPLITS, "all"):
        raise ValueError(f"split={config.split}: expected one of {', '.join(SPLITS)}, all")
    trusted = trusted_packages(config.trust)
    checkpoint = load_checkpoint(config.checkpoint, choose_device(config.device), trusted)
    data = data_config(checkpoint.config.data, config.data)
    decode_tokens = int(checkpoint.config.trainer.decode_tokens)
    path = None if config.path is None else Path(config.path)
    if path is not None:
        names = [f"file-{path.stem}" if path.stem in SPLITS else path.stem]
    else:
        names = splits_of(data) if config.split == "all" else [config.split]
    results = []
    for name in names:
        corpus = load_split(data, name, trusted) if path is None else load_file(data, path, trusted)
        for warning in corpus.warnings:
            logger.warning(escape_controls(warning))
        batcher = _batcher(checkpoint, corpus)
        report = score(checkpoint.tagger, checkpoint.vocabulary, batcher, name, decode_tokens, True)
        directory = make_folder(Path(config.output or checkpoint.run), "evaluation", name)
        write_report(report, directory)
        results.append((report, directory))
    if config.report:
        write_pages(checkpoint.run, results, _training_split(data, trusted, checkpoint, results))
    return results


def _training_split(
    data: DataConfig,
    trusted: tuple[str, ...],
    checkpoint: Checkpoint,
    results: Sequence[tuple[Report, Path]],
) -> TrainingSplit | str:
    """What a report says of the training split, or why it cannot be read any more."""
    try:
        corpus = load_split(data, "train", trusted)
        batcher = _batcher(checkpoint, corpus)
    except ValueError as error:
        return str(error)
    most = max(len(report.tokens) for report, _ in results)
    decode_tokens = int(checkpoint.config.trainer.decode_tokens)
    return training_split(checkpoint.tagger, checkpoint.vocabulary, batcher, most, decode_tokens)


def _batcher(checkpoint: Checkpoint, corpus: Corpus) -> Batcher:
    make_batcher = DocumentBatcher if checkpoint.by_document else Batcher
    return make_batcher(corpus, checkpoint.vocabulary, with_tags=False)
