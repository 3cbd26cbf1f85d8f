"""Speed of training and decoding, against the textbook and stage by stage.

    python benchmarks/throughput.py data/conll2003      # the folder with train.txt and valid.txt

Sizes are the field's: words 100, characters 30 to 50 filters of width 3, LSTM 200 in both
directions together, batches of 500 tokens, about 32 sentences. nerlab and the textbook baseline
take turns in one run; what is printed are medians of the rounds. Reading the files is not counted,
making the batches is.
"""

import argparse
import itertools
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import textbook
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from torch import nn

from nerlab.config import register_schemas
from nerlab.data.batch import Batcher
from nerlab.data.corpus import Corpus
from nerlab.data.load import load_split
from nerlab.data.vocabulary import Vocabulary
from nerlab.device import choose_device
from nerlab.models.build import build_tagger, fit_vocabulary
from nerlab.models.decoding import CorpusDecoder
from nerlab.models.tagger import Tagger
from nerlab.training.optimizer import TaggerOptimizer

_SIZES = [
    "model/embedder=words_characters",
    "model.embedder.words.dim=100",
    "model.embedder.characters.dim=30",
    "model.embedder.characters.filters=50",
    "model.embedder.characters.widths=[3]",
    "model.encoder.hidden_dim=200",
    "model.dropout=0.5",
]
_TEXTBOOK_BATCH = 32


class Training:
    """nerlab's training steps, endlessly, and the seconds that each stage of them took."""

    def __init__(
        self, tagger: Tagger, batcher: Batcher, config: DictConfig, device: torch.device
    ) -> None:
        trainer: Any = OmegaConf.to_object(config.trainer)
        self.optimizer = TaggerOptimizer(tagger, trainer, device)
        tagger.autocast_dtype = self.optimizer.dtype
        self.tagger, self.batcher, self.config, self.device = tagger, batcher, config, device
        self.generator = np.random.default_rng(0)
        self.groups = self._endless_groups()
        self.seconds: dict[str, float] = defaultdict(float)

    def _endless_groups(self) -> Iterator[np.ndarray]:
        while True:
            yield from self.batcher.shuffled_groups(
                self.config.trainer.batch_tokens, self.generator
            )

    def step(self) -> int:
        """Make a step as the training loop does; returns its tokens."""
        sentences = next(self.groups)
        loss = self.tagger.loss(self.batcher.collate(sentences).to(self.device))
        self.optimizer.backward(loss)
        self.optimizer.step(self.optimizer.clip(loss.detach()), 0.0)
        return int(self.batcher.corpus.lengths[sentences].sum())

    def steps(self, count: int) -> float:
        """Make some steps; returns tokens a second."""
        self.tagger.train()
        start = time.perf_counter()
        tokens = sum(self.step() for _ in range(count))
        _wait(self.device)
        return tokens / (time.perf_counter() - start)

    def profile(self, count: int) -> None:
        """Make some steps stage by stage; each stage counts its forward and backward pass."""
        tagger = self.tagger
        for sentences in itertools.islice(self.groups, count):
            with self._stage("make the batch"):
                batch = self.batcher.collate(sentences).to(self.device)
            with tagger.autocast():
                with self._stage("embed"):
                    embedded = tagger.dropout(tagger.embedder(batch))
                x = embedded.detach().requires_grad_()
                with self._stage("encode"):
                    encoded = tagger.dropout(tagger.stages["encoder"](x, batch.lengths))
                hidden = encoded.detach().requires_grad_()
                assert batch.tags is not None
                with self._stage("linear layer and CRF"):
                    nll = tagger.decoder.nll(tagger.linear(hidden), batch.lengths, batch.tags)
                    loss = nll.sum() / batch.lengths.sum()
            with self._stage("linear layer and CRF"):
                self.optimizer.backward(loss)
            with self._stage("encode"):
                encoded.backward(hidden.grad)
            with self._stage("embed"):
                embedded.backward(x.grad)
            with self._stage("clip and update"):
                self.optimizer.step(self.optimizer.clip(loss.detach()), 0.0)

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        _wait(self.device)
        self.seconds[name] += time.perf_counter() - start


class TextbookTraining:
    """The baseline's training steps, endlessly."""

    def __init__(
        self, corpus: Corpus, vocabulary: Vocabulary, device: torch.device, sentences: int
    ) -> None:
        self.tagger = textbook.TextbookTagger(vocabulary, dropout=0.5).to(device)
        self.optimizer = torch.optim.Adam(self.tagger.parameters(), lr=2e-3)
        self.examples = textbook.examples_of(corpus, vocabulary)
        self.device = device
        self.batches = self._endless_batches(sentences)

    def _endless_batches(self, sentences: int) -> Iterator[textbook.Batch]:
        while True:
            yield from textbook.batches(self.examples, sentences, shuffle=True)

    def steps(self, count: int) -> float:
        """Make some steps; returns tokens a second."""
        tokens = 0
        self.tagger.train()
        start = time.perf_counter()
        for words, characters, tags, lengths in itertools.islice(self.batches, count):
            self.optimizer.zero_grad()
            loss = self.tagger.loss(
                words.to(self.device), characters.to(self.device), tags.to(self.device), lengths
            )
            loss.backward()
            nn.utils.clip_grad_norm_(self.tagger.parameters(), 5.0)
            self.optimizer.step()
            tokens += int(lengths.sum())
        _wait(self.device)
        return tokens / (time.perf_counter() - start)


def decoding_speed(tagger: Tagger, batcher: Batcher, batch_tokens: int) -> float:
    """Tokens a second of decoding a whole corpus."""
    start = time.perf_counter()
    CorpusDecoder(tagger.eval(), batcher, batch_tokens).tags()
    return len(batcher.corpus.tokens) / (time.perf_counter() - start)


def textbook_decoding_speed(
    tagger: textbook.TextbookTagger,
    examples: list[textbook.Example],
    device: torch.device,
    shuffle: bool,
) -> float:
    """The same of the baseline, in random batches as in training or in the order of the file."""
    tokens = 0
    tagger.eval()
    start = time.perf_counter()
    with torch.no_grad():
        for words, characters, _, lengths in textbook.batches(examples, _TEXTBOOK_BATCH, shuffle):
            paths = tagger.decode(words.to(device), characters.to(device), lengths)
            tokens += sum(map(len, paths))
    return tokens / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    arguments = _parse_arguments()
    device = choose_device(arguments.device)
    config = compose_config(arguments.directory, arguments.precision, arguments.batch_tokens)
    train, valid = load_split(config.data, "train"), load_split(config.data, "dev")
    vocabulary = fit_vocabulary(config.model, train)
    torch.manual_seed(0)
    tagger = build_tagger(config.model, vocabulary).to(device)
    training = Training(tagger, Batcher(train, vocabulary, with_tags=True), config, device)
    sentences = round(_TEXTBOOK_BATCH * arguments.batch_tokens / 500)
    baseline = TextbookTraining(train, vocabulary, device, sentences)
    valid_examples = textbook.examples_of(valid, vocabulary)
    valid_batcher = Batcher(valid, vocabulary, with_tags=False)
    print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"precision {str(training.optimizer.dtype).removeprefix('torch.')}")

    speeds: dict[str, list[float]] = defaultdict(list)
    baseline_speeds: dict[str, list[float]] = defaultdict(list)
    training.steps(arguments.steps), baseline.steps(5)  # warm-up
    for _ in range(arguments.rounds):
        speeds["training"].append(training.steps(arguments.steps))
        baseline_speeds["training"].append(baseline.steps(max(arguments.steps // 5, 1)))
        decode_tokens = config.trainer.decode_tokens
        speeds["decoding"].append(decoding_speed(tagger, valid_batcher, decode_tokens))
        speeds["decoding, baseline in file order"].append(speeds["decoding"][-1])
        for name, shuffle in (("decoding", True), ("decoding, baseline in file order", False)):
            speed = textbook_decoding_speed(baseline.tagger, valid_examples, device, shuffle)
            baseline_speeds[name].append(speed)
    print(f"\n{'tokens/s':<30}{'nerlab':>10}{'textbook':>10}{'times':>8}   (wanted)")
    for work, wanted in (
        ("training", 6),
        ("decoding", 12),
        ("decoding, baseline in file order", 12),
    ):
        ratios = [a / b for a, b in zip(speeds[work], baseline_speeds[work], strict=True)]
        own, other = statistics.median(speeds[work]), statistics.median(baseline_speeds[work])
        ratio = statistics.median(ratios)
        print(f"{work:<30}{own:>10,.0f}{other:>10,.0f}{ratio:>8.1f}   ({wanted})")

    tagger.train()
    training.profile(arguments.steps)
    total = sum(training.seconds.values())
    print("\nshare of a training step")
    for stage, seconds in training.seconds.items():
        each = 1e3 * seconds / arguments.steps
        print(f"{stage:<22}{seconds / total:>6.1%}{each:>8.2f} ms")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", help="folder with train.txt and valid.txt of CoNLL-2003")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32", help="fp32, bf16 or fp16")
    parser.add_argument("--batch-tokens", type=int, default=500, help="of a training batch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100, help="training steps a round")
    return parser.parse_args()


def compose_config(directory: str, precision: str, batch_tokens: int) -> DictConfig:
    """The configuration of train.py with the field's sizes, for a folder of CoNLL-2003."""
    register_schemas()
    conf = str(Path(__file__).resolve().parent.parent / "conf")
    given = (
        f"data.dir='{directory}'",
        f"trainer.precision={precision}",
        f"trainer.batch_tokens={batch_tokens}",
    )
    with initialize_config_dir(conf, version_base="1.3"):
        return compose("train", overrides=["data=conll2003", *_SIZES, *given])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
