"""Speed and memory of the way from files to batches.

    python benchmarks/data.py                       # a made-up corpus of 20 million tokens
    python benchmarks/data.py --gmb data/gmb        # and the Groningen Meaning Bank
    python benchmarks/data.py --tokens 2000000      # a smaller one

Every reader reads the same sentences, each in its own format. The large corpus is then indexed
into the cache, and a tagger is trained on it for 200 steps; that happens in a process of its own,
from whose peak memory that of ``import torch`` alone is taken off. Speed from disk and from memory
is measured in turns. Exits with 1 if a figure misses its target.
"""

import argparse
import csv
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import torch
from big_corpus import make_corpus, write_columns
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from pyarrow.parquet import write_table
from throughput import Training

from nerlab.config import register_schemas
from nerlab.data.batch import Batcher
from nerlab.data.corpus import Corpus
from nerlab.data.load import load_split
from nerlab.data.readers import conll, jsonl, parallel, parquet, spans, table
from nerlab.data.sentence import Sentence
from nerlab.models.build import build_tagger, fit_vocabulary
from nerlab.models.tagger import Tagger
from nerlab.tags import spans_of

_BUILD_SPEED = 500_000  # tokens a second, at least
_PEAK_GB = 1.5  # over import torch, at most
_DISK_RATIO = 0.97  # training speed from disk over that from memory, at least
_STEPS = 200


def main() -> None:
    """Measure and print."""
    arguments = _parse_arguments()
    failures = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        os.environ["NERLAB_CACHE"] = str(scratch / "cache")
        if arguments.gmb is not None:
            _measure_readers("gmb", _gmb(arguments.gmb), scratch, arguments.rounds)
        sample = list(make_corpus(min(arguments.tokens, 1_000_000)))
        _measure_readers("made up", sample, scratch, arguments.rounds)
        write_columns(make_corpus(arguments.tokens), scratch / "train.conll")
        for measure in (_build_and_train, _compare_disk_and_memory):
            failures += _in_a_process(measure, scratch, arguments)
    for failure in failures:
        print(f"missed: {failure}")
    sys.exit(1 if failures else 0)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gmb", type=Path, help="folder with ner_dataset.csv or .csv.gz")
    parser.add_argument("--tokens", type=int, default=20_000_000, help="of the made-up corpus")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


# ------------------------------------------------------------------------------------ readers


def _gmb(folder: Path) -> list[Sentence]:
    found = list(folder.glob("ner_dataset.csv*"))
    if not found:
        sys.exit(f"{folder}: no ner_dataset.csv in it")
    return list(table.read(found[0], "Word", "Tag", "Sentence #", ",", "cp1252"))


def _measure_readers(name: str, sentences: Sequence[Sentence], scratch: Path, rounds: int) -> None:
    tokens = sum(len(sentence.tokens) for sentence in sentences)
    readers = _written_for_readers(sentences, scratch)
    speeds: dict[str, list[float]] = {reader: [] for reader in readers}
    for _ in range(rounds):
        for reader, read in readers.items():
            start = time.perf_counter()
            found = sum(len(sentence.tokens) for sentence in read())
            speeds[reader].append(tokens / (time.perf_counter() - start))
            assert found == tokens, reader
    print(f"\nreaders, {name}: {len(sentences):,} sentences, {tokens:,} tokens")
    for reader, values in speeds.items():
        print(f"  {reader:20} {statistics.median(values):12,.0f} tokens/s")


def _written_for_readers(
    sentences: Sequence[Sentence], scratch: Path
) -> dict[str, Callable[[], Iterable[Sentence]]]:
    """The sentences in a file a format, and what reads each."""
    # No format but JSON and Parquet can hold every token.
    write_columns(iter(sentences), scratch / "c.conll")
    with (
        (scratch / "t.csv").open("w", encoding="utf-8", newline="") as csv_file,
        (scratch / "p_words").open("w", encoding="utf-8") as words,
        (scratch / "p_tags").open("w", encoding="utf-8") as tags,
        (scratch / "j.jsonl").open("w", encoding="utf-8") as json_file,
        (scratch / "s.jsonl").open("w", encoding="utf-8") as spans_file,
    ):
        rows = csv.writer(csv_file)
        rows.writerow(["Sentence #", "Word", "Tag"])
        for number, sentence in enumerate(sentences):
            for i, (token, tag) in enumerate(zip(sentence.tokens, sentence.tags, strict=True)):
                rows.writerow([f"Sentence: {number}" if i == 0 else "", token, tag])
            words.write(" ".join(sentence.tokens) + "\n")
            tags.write(" ".join(sentence.tags) + "\n")
            record = {"tokens": sentence.tokens, "tags": sentence.tags}
            json_file.write(json.dumps(record) + "\n")
            spans_file.write(json.dumps(_annotated(sentence)) + "\n")
    columns = {
        "tokens": [sentence.tokens for sentence in sentences],
        "ner_tags": [sentence.tags for sentence in sentences],
    }
    write_table(pyarrow.table(columns), scratch / "q.parquet")
    paths = ("text", "tokens", None, "spans", "start", "end", "label")
    return {
        "columns": lambda: conll.read(scratch / "c.conll", 0, -1, "utf-8"),
        "parallel": lambda: parallel.read(scratch / "p_words", "words", "tags", "utf-8"),
        "table": lambda: table.read(scratch / "t.csv", "Word", "Tag", "Sentence #", ",", "utf-8"),
        "jsonl": lambda: jsonl.read(scratch / "j.jsonl", "lines", "utf-8", "tokens", "tags"),
        "spans": lambda: spans.read(
            scratch / "s.jsonl", "lines", "utf-8", *paths, "characters", "exclusive", "error", True
        ),
        "parquet": lambda: parquet.read(scratch / "q.parquet", "tokens", "ner_tags", "error"),
    }


def _annotated(sentence: Sentence) -> dict[str, Any]:
    """A sentence as annotation tools write it: a text, tokens and spans by their characters."""
    ends = np.cumsum([len(token) + 1 for token in sentence.tokens]) - 1
    tokens = [
        {"start": int(end) - len(token), "end": int(end)}
        for token, end in zip(sentence.tokens, ends, strict=True)
    ]
    spans = [
        {
            "start": tokens[span.start]["start"],
            "end": tokens[span.end - 1]["end"],
            "label": span.label,
        }
        for span in spans_of(sentence.tags)
    ]
    return {"text": " ".join(sentence.tokens), "tokens": tokens, "spans": spans}


# --------------------------------------------------------------------------- the large corpus


def _in_a_process(
    measure: Callable[[Path, argparse.Namespace], list[str]],
    scratch: Path,
    arguments: argparse.Namespace,
) -> list[str]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (scratch, arguments))


def _peak_gb() -> float:
    """The peak resident memory of this process, maps of files included."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1e6


def _peak_of_torch_gb() -> float:
    """That of a process which only imports torch."""
    code = "import torch; print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return int(done.stdout) / 1e6


def _build_and_train(scratch: Path, arguments: argparse.Namespace) -> list[str]:
    base = _peak_of_torch_gb()
    config = _config(scratch)
    start = time.perf_counter()
    corpus = load_split(config.data, "train")
    seconds = time.perf_counter() - start
    tokens = len(corpus.tokens)
    build_speed, build_peak = tokens / seconds, _peak_gb() - base
    start = time.perf_counter()
    load_split(config.data, "train")
    opened = time.perf_counter() - start
    print(f"\nthe large corpus: {len(corpus):,} sentences, {tokens:,} tokens")
    print(f"  distinct tokens      {len(corpus.lexicon):12,}")
    print(f"  building             {build_speed:12,.0f} tokens/s, peak memory {build_peak:.2f} GB")
    print(f"  opening              {opened:12.2f} s")
    tagger, batcher = _tagger_and_batcher(corpus, config)
    training = Training(tagger, batcher, config, torch.device("cpu"))
    speed = training.steps(_STEPS)
    peak = _peak_gb() - base
    print(f"  {_STEPS} steps            {speed:12,.0f} tokens/s, peak memory {peak:.2f} GB in all")
    failures = []
    if build_speed < _BUILD_SPEED:
        failures.append(f"building {build_speed:,.0f} tokens/s, wanted {_BUILD_SPEED:,}")
    if peak > _PEAK_GB:
        failures.append(f"peak memory {peak:.2f} GB, wanted {_PEAK_GB}")
    return failures


def _compare_disk_and_memory(scratch: Path, arguments: argparse.Namespace) -> list[str]:
    """Batching and training in turns, the same batches from disk and from memory."""
    config = _config(scratch)
    mapped = load_split(config.data, "train")
    in_memory = replace(
        mapped,
        tokens=np.array(mapped.tokens),
        tags=np.array(mapped.tags),
        offsets=np.array(mapped.offsets),
        documents=np.array(mapped.documents),
    )
    corpora = {"disk": mapped, "memory": in_memory}
    batching: dict[str, list[float]] = {name: [] for name in corpora}
    training: dict[str, list[float]] = {name: [] for name in corpora}
    loops = {}
    for name, corpus in corpora.items():
        torch.manual_seed(0)
        tagger, batcher = _tagger_and_batcher(corpus, config)
        loops[name] = Training(tagger, batcher, config, torch.device("cpu"))
        loops[name].steps(10)
    for number in range(arguments.rounds):
        for name in list(loops)[:: -1 if number % 2 else 1]:
            loop = loops[name]
            batching[name].append(_batching_speed(loop.batcher, config.trainer.batch_tokens))
            training[name].append(loop.steps(30))
    print("\nfrom disk and from memory, tokens/s")
    failures = []
    for what, speeds in (("batching", batching), ("training", training)):
        disk, memory = (statistics.median(speeds[name]) for name in ("disk", "memory"))
        ratios = [a / b for a, b in zip(speeds["disk"], speeds["memory"], strict=True)]
        ratio = statistics.median(ratios)
        print(f"  {what:20} {disk:12,.0f} {memory:12,.0f}   ratio {ratio:.3f}")
        if what == "training" and ratio < _DISK_RATIO:
            failures.append(f"training from disk {ratio:.3f} of memory, wanted {_DISK_RATIO}")
    return failures


def _batching_speed(batcher: Batcher, batch_tokens: int) -> float:
    generator = np.random.default_rng(0)
    groups = batcher.shuffled_groups(batch_tokens, generator)[:2_000]
    start = time.perf_counter()
    tokens = sum(int(batcher.collate(group).lengths.sum()) for group in groups)
    return tokens / (time.perf_counter() - start)


def _config(scratch: Path) -> DictConfig:
    register_schemas()
    conf = str(Path(__file__).resolve().parent.parent / "conf")
    with initialize_config_dir(conf, version_base="1.3"):
        return compose("train", overrides=["data=conll", f"data.dir={scratch}"])


def _tagger_and_batcher(corpus: Corpus, config: DictConfig) -> tuple[Tagger, Batcher]:
    vocabulary = fit_vocabulary(config.model, corpus)
    return build_tagger(config.model, vocabulary), Batcher(corpus, vocabulary, with_tags=True)


if __name__ == "__main__":
    main()
