"""Speed and memory of a published model in our own code, against transformers.

    python benchmarks/transformer.py data/conll2003      # the folder with train.txt and valid.txt

Two BERTs of real size with random weights, their WordPiece trained on train.txt; ours reads the
folder that transformers saved. Both have as many threads, float32 (or autocast), and are held to
the same scores first. Decoding is from the words of valid.txt to a tag for each: ours by
CorpusDecoder with softmax and with CRF, theirs by its pipeline as people call it, and by its model
on padded batches of 32 in the order of the file, tokenizing included. A training step is forward,
loss, backward, clipping and AdamW on the same sentences; theirs are tokenized before. What is timed
takes turns; printed are medians of the rounds. Memory is the peak of a process of its own, less
what it has before the model is read.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from published import BATCH, SIZES, Setting, Theirs, make_folder
from torch import Tensor

from nerlab.config import TrainerConfig, register_schemas
from nerlab.data.batch import Batcher
from nerlab.data.build import build_corpus
from nerlab.data.corpus import Corpus
from nerlab.data.load import load_split
from nerlab.data.sentence import Sentence
from nerlab.device import autocast_dtype, choose_device
from nerlab.models.build import build_tagger, fit_vocabulary
from nerlab.models.decoding import CorpusDecoder
from nerlab.models.tagger import Tagger
from nerlab.tags import iobes_tags
from nerlab.training.optimizer import TaggerOptimizer

_CHECKED = 64  # sentences


class Ours:
    """nerlab's tagger."""

    def __init__(
        self, setting: Setting, train: Corpus, valid: Corpus, decoder: str = "softmax"
    ) -> None:
        self.config = _compose(setting, decoder)
        self.device = choose_device(setting.device)
        vocabulary = fit_vocabulary(self.config.model, train)
        torch.manual_seed(0)
        self.tagger: Tagger = build_tagger(self.config.model, vocabulary).to(self.device)
        self.trainer = cast(TrainerConfig, OmegaConf.to_object(self.config.trainer))
        self.tagger.autocast_dtype = autocast_dtype(self.trainer.precision, self.device)
        self.train = Batcher(train, vocabulary, with_tags=True)
        self.valid = Batcher(valid, vocabulary, with_tags=False)

    @cached_property
    def optimizer(self) -> TaggerOptimizer:
        """Made when training begins, for its moments take memory."""
        return TaggerOptimizer(self.tagger, self.trainer, self.device)

    def decode(self) -> np.ndarray:
        """The tag ids of the words of valid.txt."""
        tokens = self.config.trainer.decode_tokens
        return CorpusDecoder(self.tagger.eval(), self.valid, tokens).tags()

    @torch.inference_mode()
    def scores(self, sentences: np.ndarray) -> list[Tensor]:
        """The emissions of the words of each sentence ``(T, K)``."""
        batch = self.valid.collate(sentences).to(self.device)
        emissions = self.tagger.eval().emissions(batch).float().cpu()
        return [e[:n] for e, n in zip(emissions, batch.lengths.tolist(), strict=True)]

    def prepare(self, sentences: np.ndarray, tags: Sequence[np.ndarray]) -> np.ndarray:
        """The inputs of a training step, whose batch is a part of it."""
        return sentences

    def step(self, sentences: np.ndarray) -> float:
        """A training step; the loss before it."""
        optimizer = self.optimizer  # it chooses whose gradients are sparse
        loss = self.tagger.train().loss(self.train.collate(sentences).to(self.device))
        optimizer.backward(loss)
        optimizer.step(optimizer.clip(loss.detach()), 0.0)
        return loss.item()


def _compose(setting: Setting, decoder: str) -> DictConfig:
    register_schemas()
    conf = str(Path(__file__).resolve().parent.parent / "conf")
    given = (
        f"data.dir='{setting.data}'",
        f"model.path='{setting.folder}'",
        f"trainer.precision={setting.precision}",
        "trainer.schedule=constant",
        "trainer.warmup=0.0",
    )
    chosen = ("data=conll2003", "model=pretrained", f"model/decoder={decoder}", "model.dropout=0.1")
    with initialize_config_dir(conf, version_base="1.3"):
        return compose("train", overrides=[*chosen, *given])


def load(setting: Setting) -> tuple[Corpus, Corpus]:
    """train.txt, and as many sentences of valid.txt as are wanted."""
    data = _compose(setting, "softmax").data
    train, valid = load_split(data, "train"), load_split(data, "dev")
    numbers = range(len(valid))[: setting.sentences]
    sentences = [Sentence(valid.sentence_tokens(i), valid.sentence_tags(i)) for i in numbers]
    return train, build_corpus(sentences, "iobes", False, "valid")


def measure(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each in each round, in which they take turns."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - start)
    return times


def report(times: dict[str, list[float]], ours: str, tokens: int, wanted: dict[str, float]) -> None:
    """A line for each: tokens a second, and how many times as fast ours is."""
    for name, seconds in times.items():
        ratios = [a / b for a, b in zip(seconds, times[ours], strict=True)]
        ratio = f"{statistics.median(ratios):.2f}" if name != ours else ""
        target = f"({wanted[name]:g})" if name in wanted else ""
        speed = tokens / statistics.median(seconds)
        print(f"  {name:<44}{speed:>9,.0f}{ratio:>8} {target}", flush=True)


def steps_of(ours: Ours, theirs: Theirs, count: int) -> Iterator[tuple[np.ndarray, Any]]:
    """The same sentences for both."""
    groups = ours.train.shuffled_groups(ours.config.trainer.batch_tokens, np.random.default_rng(0))
    for sentences in groups[:count]:
        batch = ours.train.collate(sentences)
        assert batch.tags is not None
        rows = zip(batch.tags.numpy(), batch.lengths.tolist(), strict=True)
        yield sentences, theirs.prepare(sentences, [tags[:n] for tags, n in rows])


def compare(setting: Setting, rounds: int, steps: int) -> list[np.ndarray]:
    """Hold both to the same scores, measure, print; the sentences of the training steps."""
    torch.set_num_threads(setting.threads)
    train, valid = load(setting)
    ours, crf = (Ours(setting, train, valid, decoder) for decoder in ("softmax", "crf"))
    theirs = Theirs(setting, train, valid)
    for mine in (ours, crf):
        mine.tagger.linear.load_state_dict(theirs.model.classifier.state_dict())
    checked = np.arange(min(_CHECKED, len(valid)))
    tolerance = 1e-4 if setting.precision == "fp32" else 5e-2
    for scores, expected in zip(ours.scores(checked), theirs.scores(checked), strict=True):
        torch.testing.assert_close(scores, expected, rtol=0.0, atol=tolerance)

    times = measure(
        {
            "nerlab, softmax": ours.decode,
            "nerlab, CRF": crf.decode,
            "transformers, pipeline": lambda: theirs.decode_by_pipeline(None),
            f"transformers, pipeline, batch_size={BATCH}": lambda: theirs.decode_by_pipeline(BATCH),
            f"transformers, model on padded batches of {BATCH}": theirs.decode,
        },
        rounds,
    )
    wanted = dict(zip(list(times)[2:], (2.5, 2.5, 1.5), strict=True))
    print(f" decoding {len(valid):,} sentences: words/s, how many times as fast ours is (wanted)")
    report(times, "nerlab, softmax", len(valid.tokens), wanted)

    pairs = list(steps_of(ours, theirs, steps))
    tokens = sum(int(train.lengths[sentences].sum()) for sentences, _ in pairs)
    ours.step(pairs[0][0]), theirs.step(pairs[0][1])  # the optimisers begin
    times = measure(
        {
            "nerlab": lambda: [ours.step(sentences) for sentences, _ in pairs],
            "transformers": lambda: [theirs.step(inputs) for _, inputs in pairs],
        },
        max(rounds, 3),
    )
    print(f" training, {len(pairs)} steps of {tokens / len(pairs):,.0f} tokens")
    report(times, "nerlab", tokens, {"transformers": 1.0})
    return [sentences for sentences, _ in pairs]


def peak_memory(setting: Setting, whose: str, groups: list[np.ndarray] | None) -> float:
    """MiB that a model takes at its peak, decoding, or in training steps on groups of sentences."""
    torch.set_num_threads(setting.threads)
    train, valid = load(setting)
    before = _resident("VmRSS")
    model: Any = (Ours if whose == "nerlab" else Theirs)(setting, train, valid)
    if groups is None:
        model.decode()
    for sentences in groups or []:
        tags = [np.zeros(n, dtype=np.int64) for n in train.lengths[sentences]]
        model.step(model.prepare(sentences, tags))
    if model.device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return _resident("VmHWM") - before


def _resident(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) / 2**10


def compare_memory(setting: Setting, groups: list[np.ndarray]) -> None:
    """The peaks of both, each in a process of its own."""
    print(" peak memory, MiB: nerlab, transformers")
    for work, argument in (("decoding", None), ("training", groups)):
        peaks = []
        for whose in ("nerlab", "transformers"):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                peaks.append(pool.apply(peak_memory, (setting, whose, argument)))
        print(f"  {work:<44}{peaks[0]:>9,.0f}{peaks[1]:>9,.0f}", flush=True)


def main() -> None:
    """Measure and print."""
    arguments = _parse_arguments()
    print(f"{arguments.device}, {arguments.threads} threads, {arguments.precision}")
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
    for name in arguments.sizes.split(","):
        size = SIZES[name]
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "bert"
            setting = Setting(
                str(folder),
                arguments.directory,
                size.sentences if arguments.sentences is None else arguments.sentences,
                arguments.threads,
                arguments.device,
                arguments.precision,
            )
            train, _ = load(setting)
            make_folder(folder, size, train, iobes_tags(sorted(train.labels)))
            print(f"\n{name}: {size.layers} layers, {size.dim} wide", flush=True)
            rounds = size.rounds if arguments.rounds is None else arguments.rounds
            groups = compare(setting, rounds, arguments.steps)
            compare_memory(setting, groups)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", help="folder with train.txt and valid.txt of CoNLL-2003")
    parser.add_argument("--sizes", default="small,base", help="of " + ", ".join(SIZES))
    parser.add_argument("--rounds", type=int, help="default: 3")
    parser.add_argument("--sentences", type=int, help="of valid.txt; default: all, 600 for base")
    parser.add_argument("--steps", type=int, default=5, help="training steps a round")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", help="fp32 or bf16")
    return parser.parse_args()


if __name__ == "__main__":
    main()
