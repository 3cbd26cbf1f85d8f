"""The work of evaluate.py: a checkpoint scored on files."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from nerlab.data.batch import Batcher
from nerlab.data.documents import DocumentBatcher
from nerlab.data.load import SPLITS, load_file, load_split, splits_of
from nerlab.device import choose_device
from nerlab.evaluation.report import Report, write_report
from nerlab.instantiation import trusted_packages
from nerlab.messages import escape_controls
from nerlab.models.decoding import score
from nerlab.models.loading import load_checkpoint
from nerlab.paths import make_folder
from nerlab.saved_config import data_config

logger = logging.getLogger(__name__)


def evaluate(config: DictConfig) -> list[tuple[Report, Path]]:
    """Score a checkpoint on a split, on all of them, or on a file.

    How the data is read is what the checkpoint says, but for what ``config.data`` overrides. Each
    report is written to ``evaluation/<split>/`` in the run directory (or in ``output``) and
    returned with that folder. ``ValueError``: what is named is unknown, missing or broken.
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
        make_batcher = DocumentBatcher if checkpoint.by_document else Batcher
        batcher = make_batcher(corpus, checkpoint.vocabulary, with_tags=False)
        report = score(checkpoint.tagger, checkpoint.vocabulary, batcher, name, decode_tokens)
        directory = make_folder(Path(config.output or checkpoint.run), "evaluation", name)
        write_report(report, directory)
        results.append((report, directory))
    return results
