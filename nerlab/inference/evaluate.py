"""The work of evaluate.py: a checkpoint scored on files."""

import logging
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from nerlab.data.corpus import Corpus
from nerlab.data.load import SPLITS, load_file, load_split, splits_of
from nerlab.device import choose_device
from nerlab.evaluation.files import write_report
from nerlab.evaluation.pages import TrainingSplit, WritePages
from nerlab.evaluation.report import Report
from nerlab.instantiation import trusted_packages
from nerlab.messages import escape_controls
from nerlab.models.decoding import report_of
from nerlab.models.ensemble import decoder_of, load_checkpoints
from nerlab.models.training_split import training_split
from nerlab.paths import make_folder
from nerlab.saved_config import data_config

logger = logging.getLogger(__name__)


def evaluate(config: DictConfig, write_pages: WritePages) -> list[tuple[Report, Path]]:
    """Score a checkpoint, or an ensemble of several, on a split, on all of them, or on a file.

    How the data is read is what the first checkpoint says, but for what ``config.data`` overrides.
    Each report is written to ``evaluation/<split>/`` in the run directory (or in ``output``) and
    returned with that folder; ``config.report`` adds the pages that ``write_pages`` writes.
    ``ValueError``: what is named is unknown, missing or broken.
    """
    if config.split not in (*SPLITS, "all"):
        raise ValueError(f"split={config.split}: expected one of {', '.join(SPLITS)}, all")
    trusted = trusted_packages(config.trust)
    checkpoints = load_checkpoints(config.checkpoint, choose_device(config.device), trusted)
    if len(checkpoints) > 1 and config.output is None:
        raise ValueError("checkpoint=[...]: expected output=FOLDER for the results of an ensemble")
    first = checkpoints[0]
    base = Path(config.output or first.run)
    data = data_config(first.config.data, config.data)
    decode_tokens = int(first.config.trainer.decode_tokens)
    path = None if config.path is None else Path(config.path)
    if path is not None:
        names = [f"file-{path.stem}" if path.stem in SPLITS else path.stem]
    else:
        names = splits_of(data) if config.split == "all" else [config.split]

    def score(corpus: Corpus, name: str, is_written: bool = False) -> Report:
        decoder = decoder_of(checkpoints, corpus, decode_tokens)
        return report_of(decoder, first.vocabulary, corpus, name, is_written)

    results = []
    for name in names:
        corpus = load_split(data, name, trusted) if path is None else load_file(data, path, trusted)
        for warning in corpus.warnings:
            logger.warning(escape_controls(warning))
        report = score(corpus, name, is_written=True)
        directory = make_folder(base, "evaluation", name)
        write_report(report, directory)
        results.append((report, directory))
    if config.report:
        most = max(len(report.tokens) for report, _ in results)
        by_document = any(checkpoint.by_document for checkpoint in checkpoints)
        try:
            corpus = load_split(data, "train", trusted)
            training: TrainingSplit | str = training_split(
                corpus, most, by_document, partial(score, name="train")
            )
        except ValueError as error:
            training = str(error)
        write_pages(first.run if len(checkpoints) == 1 else base, results, training)
    return results
