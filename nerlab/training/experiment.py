"""One run, from its configuration to its results."""

import logging
from collections.abc import Mapping
from contextlib import ExitStack, closing, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from nerlab.config import BatchBy, check_values, without_trust
from nerlab.data.batch import Batcher
from nerlab.data.corpus import Corpus
from nerlab.data.documents import DocumentBatcher
from nerlab.data.load import load_split
from nerlab.data.vocabulary import Vocabulary
from nerlab.device import choose_device, use_threads
from nerlab.evaluation.files import write_report
from nerlab.evaluation.pages import WritePages
from nerlab.evaluation.report import Report, examples, flat_metrics, table
from nerlab.files import new_file
from nerlab.instantiation import trusted_packages
from nerlab.messages import counted, escape_controls, make_console, progress_bar
from nerlab.models.build import build_tagger, fit_vocabulary
from nerlab.models.checkpoint import load_own_weights
from nerlab.models.decoding import score
from nerlab.models.loading import Checkpoint, load_checkpoint
from nerlab.models.tagger import Tagger
from nerlab.models.training_split import training_split
from nerlab.modules.transformer import Layers
from nerlab.process import Interrupted, Interruption, on_signals
from nerlab.tags import MANY_LABELS
from nerlab.training.environment import recorded_environment
from nerlab.training.failures import explain
from nerlab.training.loop import Trainer
from nerlab.training.optimizer import TaggerOptimizer
from nerlab.training.recorder import Accumulator, Recorder, RunLog, TrainingState
from nerlab.training.run_directory import new_run_directory
from nerlab.training.summary import log_lines, modules_of
from nerlab.training.trackers import trackers_of

if TYPE_CHECKING:
    from nerlab.training.resume import Resumption

logger = logging.getLogger(__name__)
_EXAMPLES = 5


def run_experiment(config: DictConfig, write_pages: WritePages) -> float:
    """Train as the configuration says, or go on with a run; returns the best span F1 on dev.

    At its end ``write_pages`` shows what came out, on pages and in pictures for the tracker.

    What can be wrong with the configuration or the data is found before the directory is made.

    Raises:
        Interrupted: a signal asked the run to stop; it is saved and can be resumed.
        ValueError: something is wrong with the configuration, the data or the numbers.
    """
    trusted, resumption = trusted_packages(config.trust), None
    with ExitStack() as stack:
        if config.resume is not None:
            from nerlab.training.resume import resumption_of

            resumption = stack.enter_context(resumption_of(config))
        config = without_trust(config if resumption is None else resumption.config)
        check_values("", config)
        threads = use_threads(config.threads)
        config.threads = torch.get_num_threads()
        if config.trainer.deterministic:
            from nerlab.training.determinism import deterministic_algorithms

            stack.enter_context(deterministic_algorithms())
        return _run(config, trusted, threads, resumption, write_pages)


def _run(
    config: DictConfig,
    trusted: tuple[str, ...],
    threads: str,
    resumption: "Resumption | None",
    write_pages: WritePages,
) -> float:
    device, console = choose_device(config.device), make_console()
    names = ("train", "dev", *(["test"] if config.test else []))
    splits = {name: load_split(config.data, name, trusted) for name in names}
    digests = {f"{name}_sha256": splits[name].digest() for name in ("train", "dev")}
    before = None
    if resumption is None or resumption.checkpoint is None:
        if config.init is not None:
            before = load_checkpoint(config.init, torch.device("cpu"), trusted)
        known = before.vocabulary if before is not None else None
        vocabulary = fit_vocabulary(config.model, splits["train"], trusted, known)
    else:
        vocabulary = resumption.vocabulary(digests, trusted)
    batcher = DocumentBatcher if config.trainer.batch_by is BatchBy.document else Batcher
    batchers = {
        name: batcher(corpus, vocabulary, name != "test") for name, corpus in splits.items()
    }
    state = begin_training(config, vocabulary, trusted, device, before)
    before = None  # its weights are copied
    lines = describe(splits)
    lines += (n for i in vocabulary.indexers.values() for n in getattr(i, "notes", ()))
    lines += state.notes
    lines += log_lines(state, modules_of(state.tagger, vocabulary, config.model))
    parameters = sum(p.numel() for p in state.tagger.parameters())
    make_tracker = trackers_of(config.tracker, trusted)

    with nullcontext(resumption.run) if resumption else new_run_directory(config.run) as run:
        if resumption is not None:
            lines += resumption.restore(state)
        # The first file of a run: from now on it can be resumed.
        with new_file(run / "config.yaml") as file:
            OmegaConf.save(config, file, resolve=True)
        environment = recorded_environment(run, device, parameters, splits, digests)
        with closing(RunLog(run / "train.log", console)), environment:
            for line in (f"run {run} on {device}", threads, *lines):
                logger.info(line)
            plain: Any = OmegaConf.to_container(config, resolve=True, enum_to_str=True)
            facts = {**plain, **digests, "parameters": parameters}
            tracker = make_tracker(run, run.name, facts)
            with closing(Recorder(run, tracker, vocabulary, config, digests)) as recorder:
                if state.best_epoch:  # of a run that goes on
                    recorder.log_best({"dev/f1": state.best_f1}, state.best_epoch)
                _train(state, batchers, recorder, console)
                _score_best(state.tagger, batchers, recorder, console, write_pages)
            logger.info("done: %s", run)
    return state.best_f1


def begin_training(
    config: DictConfig,
    vocabulary: Vocabulary,
    trusted: tuple[str, ...],
    device: torch.device,
    before: Checkpoint | None = None,
) -> TrainingState:
    """A tagger with new weights, drawn from the seed, and what trains it; of the weights of
    ``before`` it has those that fit."""
    torch.manual_seed(config.seed)
    tagger = build_tagger(config.model, vocabulary, trusted)
    notes: list[str] = []
    if before is not None:
        from nerlab.training.warm_start import begin_with  # few runs need it

        notes = begin_with(before, tagger, vocabulary)
    tagger = tagger.to(device)
    # Every step reads it, and to read an OmegaConf section takes long.
    trainer_config: Any = OmegaConf.to_object(config.trainer)
    optimizer = TaggerOptimizer(tagger, trainer_config, device)
    tagger.autocast_dtype = optimizer.dtype
    if config.trainer.gradient_checkpointing:
        checkpoint_layers(tagger)
    average = None
    if config.trainer.ema:
        from nerlab.training.averaging import average_weights

        average = average_weights(tagger, config.trainer.ema)
    return TrainingState(tagger, optimizer, Accumulator(device), average, notes=notes)


def checkpoint_layers(tagger: Tagger) -> None:
    """Set ``gradient_checkpointing`` of all :class:`Layers`; ``ValueError`` if there are none."""
    layers = [module for module in tagger.modules() if isinstance(module, Layers)]
    if not layers:
        raise ValueError(
            "trainer.gradient_checkpointing=true: expected a model with transformer layers, found "
            "none; leave it out"
        )
    for module in layers:
        module.gradient_checkpointing = True


def describe(splits: Mapping[str, Corpus]) -> list[str]:
    """What the log says of the splits: sizes, labels, warnings."""
    train, dev = splits["train"], splits["dev"]
    lines = [
        f"{name}: {counted(len(corpus), 'sentence')}, {counted(len(corpus.tokens), 'token')}"
        for name, corpus in (("train", train), ("dev", dev))
    ]
    # Splits of one file have the same warnings of its reader.
    lines += dict.fromkeys(f"warning: {w}" for corpus in splits.values() for w in corpus.warnings)
    if len(train.labels) > MANY_LABELS:
        from nerlab.data.plausibility import cost_of_labels  # few runs need it

        lines += (f"warning: train: {w}" for w in cost_of_labels(len(train.labels)))
    lines.append(f"labels: {' '.join(sorted(train.labels))}")
    if missing := set(dev.labels) - set(train.labels):
        lines.append(f"labels of dev that train lacks, all missed: {' '.join(sorted(missing))}")
    return lines


def _train(
    state: TrainingState, batchers: Mapping[str, Batcher], recorder: Recorder, console: Console
) -> None:
    interruption = Interruption()
    with on_signals(interruption.note), progress_bar(console, "training") as show:
        splits = (batchers["train"], batchers["dev"])
        settings = (state.optimizer.config, recorder.config.seed)
        trainer = Trainer(state, *settings, *splits, recorder, interruption, show)
        try:
            trainer.fit()
            return
        except Interrupted:
            advice = "go on with it: python train.py resume="
            logger.info("stopped after step %d; %s%s", state.step, advice, recorder.run)
            raise
        except Exception as error:
            failure = explain(error, trainer)
            if failure is None:
                raise
    raise failure  # only here the tensors that the error's frames held are free


def _score_best(
    tagger: Tagger,
    batchers: Mapping[str, Batcher],
    recorder: Recorder,
    console: Console,
    write_pages: WritePages,
) -> None:
    """Score the best checkpoint on dev, and once on test if that was asked for."""
    load_own_weights(tagger.eval(), best := recorder.run / "checkpoints" / "best")
    vocabulary, decode_tokens = recorder.vocabulary, recorder.config.trainer.decode_tokens
    written = []
    for name in (name for name in batchers if name != "train"):
        report = score(tagger, vocabulary, batchers[name], name, decode_tokens, True)
        folder = recorder.run / "evaluation" / name
        folder.mkdir(parents=True, exist_ok=True)
        write_report(report, folder)
        written.append((report, folder))
        recorder.log_best(flat_metrics(report))
        recorder.tracker.log_report(report)
        console.print(table(report))
        console.print(f"some sentences of {name}, as tagged:")
        for sentence in examples(report, _EXAMPLES):
            console.print("  " + escape_controls(sentence))
    most = max(len(report.tokens) for report, _ in written)
    batcher = batchers["train"]

    def score_train(corpus: Corpus) -> Report:
        of_corpus = type(batcher)(corpus, vocabulary, with_tags=False)
        return score(tagger, vocabulary, of_corpus, "train", decode_tokens)

    by_document = isinstance(batcher, DocumentBatcher)
    training = training_split(batcher.corpus, most, by_document, score_train)
    recorder.tracker.log_pictures(write_pages(recorder.run, written, training))
    recorder.tracker.log_checkpoint(best)
