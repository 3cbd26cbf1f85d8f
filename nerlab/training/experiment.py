"""One run, from its configuration to its results."""

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, nullcontext, suppress
from inspect import signature
from pathlib import Path
from subprocess import DEVNULL, SubprocessError, check_output
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from nerlab.config import BatchBy, check_numbers, without_trust
from nerlab.data.batch import Batcher
from nerlab.data.corpus import Corpus
from nerlab.data.documents import DocumentBatcher
from nerlab.data.load import load_split
from nerlab.data.plausibility import MANY_LABELS, cost_of_labels
from nerlab.device import Threads, autocast_dtype, choose_device, use_threads
from nerlab.evaluation.report import examples, table, write_report
from nerlab.files import new_file
from nerlab.instantiation import instantiate, trusted_packages
from nerlab.memory import is_out_of_memory
from nerlab.messages import counted, escape_controls, make_console, progress_bar
from nerlab.models.build import build_tagger, fit_vocabulary
from nerlab.models.checkpoint import load_own_weights
from nerlab.models.decoding import score
from nerlab.models.tagger import Tagger
from nerlab.process import Interrupted, Interruption, on_signals
from nerlab.training.failures import NotFinite, explain_memory, explain_not_finite
from nerlab.training.loop import Trainer
from nerlab.training.optimizer import TaggerOptimizer
from nerlab.training.recorder import Accumulator, Recorder, Tracker, logging_to
from nerlab.training.run_directory import Checkpoints, TrainingState, new_run_directory

if TYPE_CHECKING:
    from nerlab.training.resume import Resumption

logger = logging.getLogger(__name__)
_EXAMPLES = 5
# What the tracker may be, beside what trusted packages define.
TRACKERS = ("nerlab.training.recorder.NoTracker", "nerlab.training.wandb_tracker.WandbTracker")


def run_experiment(config: DictConfig) -> float:
    """Train as the configuration says, or go on with a run; returns the best span F1 on dev.

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
        if resumption is None:
            config, threads = without_trust(config), use_threads(config.threads)
        else:
            config, threads = resumption.config, resumption.use_threads(config.threads)
        check_numbers("", config)
        config.threads = threads.number
        if config.trainer.deterministic:
            from nerlab.training.determinism import deterministic_algorithms

            stack.enter_context(deterministic_algorithms())
        return _run(config, trusted, threads, resumption)


def _run(
    config: DictConfig, trusted: tuple[str, ...], threads: Threads, resumption: "Resumption | None"
) -> float:
    device, console = choose_device(config.device), make_console()
    splits = {
        name: load_split(config.data, name, trusted)
        for name in ("train", "dev", *(["test"] if config.test else []))
    }
    digests = {f"{name}_sha256": splits[name].digest() for name in ("train", "dev")}
    if resumption is None or resumption.checkpoint is None:
        vocabulary = fit_vocabulary(config.model, splits["train"], trusted)
    else:
        vocabulary = resumption.vocabulary(digests, trusted)
    batcher = DocumentBatcher if config.trainer.batch_by is BatchBy.document else Batcher
    batchers = {
        name: batcher(corpus, vocabulary, name == "train") for name, corpus in splits.items()
    }
    torch.manual_seed(config.seed)
    tagger = build_tagger(config.model, vocabulary, trusted).to(device)
    tagger.autocast_dtype = autocast_dtype(config.trainer.precision, device)
    average = None
    if config.trainer.ema:
        from nerlab.training.averaging import average_weights

        average = average_weights(tagger, config.trainer.ema)
    # Every step reads it, and to read an OmegaConf section takes long.
    trainer_config: Any = OmegaConf.to_object(config.trainer)
    optimizer = TaggerOptimizer(tagger, trainer_config, device)
    state = TrainingState(tagger, optimizer, Accumulator(device), average)
    lines = describe(splits)
    lines += (n for i in vocabulary.indexers.values() for n in getattr(i, "notes", ()))
    lines.append(counted(sum(p.numel() for p in tagger.parameters()), "parameter"))
    make_tracker = _tracker_of(config, trusted)

    directory = nullcontext(resumption.run) if resumption else new_run_directory(config.run)
    with directory as run:
        if resumption is not None:
            resumption.restore(state)
        # The first file of a run: from now on it can be resumed.
        with new_file(run / "config.yaml") as file:
            OmegaConf.save(config, file, resolve=True)
        with logging_to(run / "train.log", console):
            for line in (f"run {run} on {device}", threads, *lines):
                logger.info(line)
            plain: Any = OmegaConf.to_container(config, resolve=True, enum_to_str=True)
            facts = {**plain, "git_commit": _git_commit(), **digests}
            tracker = make_tracker(run, run.name, facts)
            with closing(Recorder(run / "metrics.jsonl", tracker)) as recorder:
                if resumption is not None:
                    resumption.log(state)
                checkpoints = Checkpoints(run, vocabulary, config, digests, recorder)
                _train(state, batchers, checkpoints, console)
                _score_best(tagger, batchers, checkpoints, tracker, console)
            logger.info("done: %s", run)
    return state.best_f1


def _tracker_of(config: DictConfig, trusted: tuple[str, ...]) -> Callable[..., Tracker]:
    """What makes the tracker of a run directory, a name and a configuration."""
    try:
        make_tracker = instantiate(config.tracker, TRACKERS, trusted)
        signature(make_tracker).bind(Path(), "", {})
    except (ValueError, TypeError) as error:
        raise ValueError(f"tracker: {error}") from None
    return make_tracker


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
        lines += (f"warning: train: {w}" for w in cost_of_labels(len(train.labels)))
    lines.append(f"labels: {' '.join(sorted(train.labels))}")
    if missing := set(dev.labels) - set(train.labels):
        lines.append(f"labels of dev that train lacks, all missed: {' '.join(sorted(missing))}")
    return lines


def _train(
    state: TrainingState,
    batchers: Mapping[str, Batcher],
    checkpoints: Checkpoints,
    console: Console,
) -> None:
    config, train, dev = checkpoints.config, batchers["train"], batchers["dev"]
    interruption, failure = Interruption(), None
    with on_signals(interruption.note), progress_bar(console, "training") as show:
        settings = state.optimizer.config
        trainer = Trainer(state, settings, config.seed, train, dev, checkpoints, interruption, show)
        try:
            trainer.fit()
        except Interrupted:
            advice = "go on with it: python train.py resume="
            logger.info("stopped after step %d; %s%s", state.step, advice, checkpoints.run)
            raise
        except NotFinite as found:
            failure = explain_not_finite(found, checkpoints.run, state.tagger, train)
        except Exception as error:
            if not (trainer.step_batches and is_out_of_memory(error)):
                raise
            failure = explain_memory(trainer.step_batches, train.corpus)
    if failure is not None:  # only here the tensors that the error's frames held are free
        raise failure


def _score_best(
    tagger: Tagger,
    batchers: Mapping[str, Batcher],
    checkpoints: Checkpoints,
    tracker: Tracker,
    console: Console,
) -> None:
    """Score the best checkpoint on dev, and once on test if that was asked for."""
    load_own_weights(tagger.eval(), checkpoints.run / "checkpoints" / "best")
    decode_tokens = checkpoints.config.trainer.decode_tokens
    for name in (name for name in batchers if name != "train"):
        report = score(tagger, checkpoints.vocabulary, batchers[name], name, decode_tokens)
        folder = checkpoints.run / "evaluation" / name
        folder.mkdir(parents=True, exist_ok=True)
        write_report(report, folder)
        tracker.log_report(report)
        console.print(table(report))
        console.print(f"some sentences of {name}, as tagged:")
        for sentence in examples(report, _EXAMPLES):
            console.print("  " + escape_controls(sentence))


def _git_commit() -> str | None:
    command, here = ["git", "rev-parse", "HEAD"], Path(__file__).parent
    with suppress(OSError, SubprocessError):
        return check_output(command, cwd=here, stderr=DEVNULL, text=True, timeout=5).strip()
    return None
