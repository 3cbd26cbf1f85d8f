"""What a run is made of, before it begins."""

from pathlib import Path
from typing import NamedTuple

import torch
from omegaconf import DictConfig

from nerlab.data.corpus import Corpus
from nerlab.data.load import load_split
from nerlab.data.plausibility import cost_of_labels, warnings_of_corpus
from nerlab.data.vectors import read_vectors
from nerlab.data.vocabulary import Vocabulary, build_vocabulary
from nerlab.device import choose_device
from nerlab.messages import counted
from nerlab.models.build import build_tagger
from nerlab.models.checkpoint import check_shapes, load_state
from nerlab.models.embedders import Words
from nerlab.models.tagger import Tagger
from nerlab.training.optimisation import Optimisation


class Parts(NamedTuple):
    """What a run is made of before it begins.

    Attributes:
        train, dev, test: the splits; test only where it is to be scored.
        digests: :meth:`nerlab.data.corpus.Corpus.digest` of the splits that training depends on,
            ``train_sha256`` and ``dev_sha256``.
        vocabulary, tagger: as they begin.
        optimisation: what changes the tagger's weights.
        remarks: for the run's log.
    """

    train: Corpus
    dev: Corpus
    test: Corpus | None
    digests: dict[str, str]
    vocabulary: Vocabulary
    tagger: Tagger
    optimisation: Optimisation
    remarks: list[str]


def prepare(config: DictConfig, trusted: tuple[str, ...], checkpoint: Path | None) -> Parts:
    """Read the data, build the tagger and its optimisation.

    Args:
        config: the whole configuration of a run.
        trusted: packages beside nerlab that may be named in it.
        checkpoint: is loaded into the tagger: it has to fit, and no word vectors are needed.

    Raises:
        ValueError: something is wrong with the configuration or the data.
    """
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
    digests = {"train_sha256": train.digest(), "dev_sha256": dev.digest()}
    if checkpoint is not None:
        _check_splits(digests, checkpoint)
        check_shapes(config.model, vocabulary, trusted, checkpoint)
    torch.manual_seed(config.seed)
    tagger = build_tagger(config.model, vocabulary, trusted)
    remarks = [
        f"{name}: {counted(len(corpus), 'sentence')}, {counted(len(corpus.tokens), 'token')}"
        for name, corpus in (("train", train), ("dev", dev))
    ]
    splits = {"train": train, "dev": dev} | ({} if test is None else {"test": test})
    # Splits of one file have the same warnings.
    remarks += dict.fromkeys(warning for corpus in splits.values() for warning in corpus.warnings)
    warnings = [(name, w) for name, corpus in splits.items() for w in warnings_of_corpus(corpus)]
    warnings += [("train", w) for w in cost_of_labels(len(vocabulary.labels))]
    remarks += [f"warning: {name}: {w.message}; {w.remedy}" for name, w in warnings]
    remarks.append(f"labels: {' '.join(vocabulary.labels)}")
    if missing := set(dev.labels) - set(train.labels):
        remarks.append(f"labels of dev that train lacks, all missed: {' '.join(sorted(missing))}")
    if config.data.vectors is not None and checkpoint is None:
        remarks.append(_load_vectors(tagger, vocabulary, config.data.vectors))
    remarks.append(counted(sum(p.numel() for p in tagger.parameters()), "parameter"))
    optimisation = Optimisation(tagger.to(device), config.trainer, device)
    return Parts(train, dev, test, digests, vocabulary, tagger, optimisation, remarks)


def _check_splits(digests: dict[str, str], checkpoint: Path) -> None:
    """Raise ``ValueError`` unless the splits are those that the run was begun with."""
    _, state = load_state(checkpoint)
    # Runs of earlier versions have not kept that of dev.
    for name, digest in digests.items():
        if state.values.get(name, digest) != digest:
            raise ValueError(
                f"{checkpoint.parent.parent}: the {name.partition('_')[0]} split is not the one "
                "that the run was begun with; put that one back, set data.dir to where it is, or "
                "begin a new run"
            )


def _load_vectors(tagger: Tagger, vocabulary: Vocabulary, path: str) -> str:
    """Put word vectors from a file into the word table; returns what to say about it."""
    words = next((m for m in tagger.modules() if isinstance(m, Words)), None)
    if words is None:
        raise ValueError("data.vectors: the model has no word embedder to put them in")
    vectors = read_vectors(path, vocabulary, words.output_dim)
    words.table.weight.data[torch.from_numpy(vectors.ids)] = torch.from_numpy(vectors.values)
    if not len(vectors.ids):
        return (
            f"warning: vectors: none of the {len(vocabulary.words)} words of train is found in "
            f"{path}; set data.vectors to a file of words of this language, in UTF-8"
        )
    share = len(vectors.ids) / max(len(vocabulary.words), 1)
    return (
        f"vectors: {len(vectors.ids)} of {len(vocabulary.words)} words of train found "
        f"({share:.1%}), {vectors.exact} in their exact form"
    )
