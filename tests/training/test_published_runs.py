"""Runs of train.py that fine-tune a small BERT, and those of conf/experiment."""

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from composed import CONF, compose
from conftest import Result, run_script
from helpers import one_in
from omegaconf import OmegaConf
from published_folders import make_folder, write_tokenizer
from safetensors.torch import load_file, save_file
from torch import Tensor

from nerlab.config import Optimizer
from nerlab.data.readers.conll import read
from nerlab.data.sentence import Sentence
from nerlab.data.vocabulary import to_json
from nerlab.training.recorder import Recorder, TrainingState

EXPERIMENTS = {
    "bert_conll2003": "bert",
    "distilbert_conll2003": "distilbert",
    "roberta_gmb": "roberta",
    "xlmr_azerbaijani": "xlm-roberta",
    "mbert_azerbaijani": "bert",
}


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small BERT, written without transformers, which takes seconds to import."""
    folder = tmp_path_factory.mktemp("bert")
    num_pieces = write_tokenizer(folder, "bert")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    more = {"intermediate_size": 24, "max_position_embeddings": 40, "vocab_size": num_pieces}
    (folder / "config.json").write_bytes(to_json({"model_type": "bert", **sizes, **more}))
    shapes: dict[str, tuple[int, ...]] = {"embeddings.LayerNorm": (16,)}
    for name, rows in (("word", num_pieces), ("position", 40), ("token_type", 2)):
        shapes[f"embeddings.{name}_embeddings"] = (rows, 16)
    for layer in (f"encoder.layer.{number}" for number in range(2)):
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            shapes[f"{layer}.attention.{name}"] = (16, 16)
        shapes |= {f"{layer}.{name}.LayerNorm": (16,) for name in ("attention.output", "output")}
        shapes |= {f"{layer}.intermediate.dense": (24, 16), f"{layer}.output.dense": (16, 24)}
    generator = torch.Generator().manual_seed(1)
    tensors = {}
    for name, shape in shapes.items():
        center = 1.0 if len(shape) == 1 else 0.0
        weight = torch.empty(shape).normal_(center, 0.3, generator=generator)
        tensors[f"{name}.weight"] = weight
        if not name.endswith("_embeddings"):
            tensors[f"{name}.bias"] = torch.zeros(shape[0])
    save_file(tensors, folder / "model.safetensors")
    return folder


def of(bert: Path, corpus: Path, run: Path, *more: str) -> list[str]:
    """The arguments of a run that fine-tunes the small BERT."""
    files = [f"data.dir={corpus}", "data.test=null", f"run.dir={run}"]
    trainer = ["trainer.epochs=3", "trainer.batch_tokens=80", "trainer.save_every_steps=2"]
    model = ["model=pretrained", f"model.path={bert}"]
    return [*model, "data=conll", *files, "tracker=none", *trainer, *more]


def train(*arguments: str) -> Result:
    result = run_script("train", *arguments)
    assert result.status == 0, result.err
    return result


def tensors(run: Path, name: str) -> dict[str, Tensor]:
    found: dict[str, Tensor] = load_file(run / "checkpoints" / "last" / f"{name}.safetensors")
    return found


def metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, timings apart."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    timings = ("train/tokens_per_second", "dev/seconds")
    return [{key: line[key] for key in line if key not in timings} for line in lines]


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def test_weights_frozen_for_good_are_those_of_the_folder_and_the_head_learns(
    bert: Path, corpus: Path, tmp_path: Path
) -> None:
    frozen, free = tmp_path / "frozen", tmp_path / "free"
    train(*of(bert, corpus, frozen, "trainer.frozen_epochs=3"))
    train(*of(bert, corpus, free))
    name, there = "embedder.embedder.layers.layers.0.feedforward.0.weight", "encoder.layer.0"
    published = load_file(bert / "model.safetensors")[f"{there}.intermediate.dense.weight"]
    assert torch.equal(tensors(frozen, "model")[name], published)
    assert not torch.equal(tensors(free, "model")[name], published)
    saved = tensors(frozen, "training")
    learned = [tensor.shape for key, tensor in saved.items() if key.endswith("exp_avg")]
    assert sorted(learned) == sorted(
        tensor.shape for key, tensor in tensors(frozen, "model").items() if "embedder" not in key
    )


@pytest.mark.parametrize("steps", one_in(2, [2, 6]))  # while frozen, and after
def test_a_run_killed_while_frozen_or_after_goes_on_bit_for_bit(
    steps: int, bert: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, run = tmp_path / "expected", tmp_path / "run"
    more = ["trainer.frozen_epochs=1", "trainer.head_learning_rate=1e-2", "trainer.ema=0.9"]
    more += ["resume=auto", "model.embedder.layer_decay=0.9"]
    train(*of(bert, corpus, expected, *more))
    save, saves = Recorder.save_last, iter(range(100))

    def save_and_die(recorder: Recorder, state: TrainingState) -> None:
        save(recorder, state)
        if state.step >= steps and next(saves) == 0:
            raise KeyError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "save_last", save_and_die)
        with pytest.raises(KeyError, match="killed"):
            run_script("train", *of(bert, corpus, run, *more))
    assert "resumed after step" in train(*of(bert, corpus, run, *more)).out
    assert metrics(run) == metrics(expected)
    for name in ("model", "training"):
        assert same(tensors(run, name), tensors(expected, name))


@pytest.mark.long
def test_gradient_checkpointing_and_bf16_train_a_published_model(
    bert: Path, corpus: Path, tmp_path: Path
) -> None:
    runs = {}
    for name in ("plain", "checkpointing"):
        more = [f"trainer.gradient_checkpointing={name == 'checkpointing'}"]
        rates = ["trainer.learning_rate=1e-2", "trainer.epochs=6"]
        runs[name] = tmp_path / name
        train(*of(bert, corpus, runs[name], *more, *rates, "trainer.precision=bf16"))
    assert same(*(tensors(run, "model") for run in runs.values()))
    losses = [line["train/loss"] for line in metrics(runs["plain"]) if "train/loss" in line]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("model", ["bilstm_crf", "transformer_crf"])
def test_what_there_is_not_cannot_be_frozen_or_checkpointed(model: str, corpus: Path) -> None:
    keys = ["trainer.frozen_epochs=1"]
    keys += ["trainer.gradient_checkpointing=true"] if model == "bilstm_crf" else []
    for key in keys:
        result = run_script("train", f"model={model}", "data=conll", f"data.dir={corpus}", key)
        assert result.status == 1
        assert re.fullmatch(f"error: {key}: expected a .*\n", result.err)


@pytest.mark.parametrize("name", sorted(EXPERIMENTS))
def test_an_experiment_is_a_published_model_fine_tuned_and_what_is_typed_wins(name: str) -> None:
    config = compose("train", [f"experiment={name}", "model.path=x", "run.name=x"])
    assert OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert config.model.embedder._target_ == "nerlab.models.pretrained.Pretrained"
    assert config.model.decoder._target_ == "nerlab.modules.softmax.Softmax"
    assert config.trainer.optimizer == Optimizer.adamw
    assert 1e-5 <= config.trainer.learning_rate <= 5e-5
    typed = ["trainer.epochs=9", "model/decoder=crf", "data=conll", "model.dropout=0.3"]
    config = compose("train", [f"experiment={name}", *typed])
    assert (config.trainer.epochs, config.data.dev, config.model.dropout) == (9, "dev.conll", 0.3)
    assert config.model.decoder._target_ == "nerlab.modules.crf.CRF"


def test_all_experiments_are_tested_and_listed() -> None:
    assert {path.stem for path in (CONF / "experiment").glob("*.yaml")} == EXPERIMENTS.keys()
    assert f"experiment: {', '.join(sorted(EXPERIMENTS))}\n" in run_script("train", "--help").out


def write_conll2003(sentences: Sequence[Sentence], folder: Path) -> None:
    text = "-DOCSTART- -X- -X- O\n\n"
    for sentence in sentences:
        rows = zip(sentence.tokens, sentence.tags, strict=True)
        text += "".join(f"{token} NN I-NP {tag}\n" for token, tag in rows) + "\n"
    for name in ("train.txt", "valid.txt", "test.txt"):
        (folder / name).write_text(text, encoding="ascii", errors="replace")


def write_gmb(sentences: Sequence[Sentence], folder: Path) -> None:
    out = io.StringIO()
    rows = csv.writer(out, quoting=csv.QUOTE_ALL)
    rows.writerow(["Sentence #", "Word", "POS", "Tag"])
    for number, sentence in enumerate(sentences, start=1):
        for i, (token, tag) in enumerate(zip(sentence.tokens, sentence.tags, strict=True)):
            rows.writerow([f"Sentence: {number}" * (i == 0), token, "NN", tag])
    (folder / "ner_dataset.csv").write_bytes(out.getvalue().encode("cp1252", "replace"))


def write_localdoc(sentences: Sequence[Sentence], folder: Path) -> None:
    tags = [["7" if tag != "O" else "0" for tag in sentence.tags] for sentence in sentences]
    tokens = [str(list(sentence.tokens)) for sentence in sentences]
    table = pa.table({"index": range(len(tags)), "tokens": tokens, "ner_tags": map(str, tags)})
    pq.write_table(table, folder / "train-00000-of-00001.parquet")


WRITERS: dict[str, Callable[[Sequence[Sentence], Path], None]] = {
    "conll2003": write_conll2003,
    "gmb": write_gmb,
    "azerbaijani": write_localdoc,
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.long] * (n != "bert_conll2003")) for n in EXPERIMENTS],
)
def test_an_experiment_runs_with_its_one_command(
    name: str, bert: Path, corpus: Path, tmp_path: Path
) -> None:
    """But for the split of gmb, which is one of 47,959 sentences."""
    few = list(read(corpus / "train.conll", 0, -1, "utf-8"))
    sentences = [  # distinct ones, as splits are chosen by what is in them
        Sentence([*sentence.tokens, str(number)], [*sentence.tags, "O"])
        for number, sentence in enumerate(few * 3)
    ]
    WRITERS[name.partition("_")[2]](sentences, tmp_path)
    family, run = EXPERIMENTS[name], tmp_path / "run"
    folder = bert if family == "bert" else make_folder(tmp_path / "model", family)
    more = ["data.split=hash"] if name == "roberta_gmb" else []
    where = [f"model.path={folder}", f"data.dir={tmp_path}", f"run.dir={run}"]
    train(f"experiment={name}", *where, *more, "tracker=none", "test=true")
    assert (run / "evaluation" / "test" / "metrics.json").is_file()


def test_a_run_that_begins_with_a_fine_tuned_model_needs_no_folder_of_a_published_one(
    bert: Path, corpus: Path, tmp_path: Path
) -> None:
    train(*of(bert, corpus, tmp_path / "first"))
    keys = ["model.path=null", f"init={tmp_path / 'first'}", "trainer.learning_rate=0"]
    train(*of(bert, corpus, tmp_path / "second", *keys, "trainer.epochs=1"))
    best = load_file(tmp_path / "first" / "checkpoints" / "best" / "model.safetensors")
    assert same(tensors(tmp_path / "second", "model"), best)
    assert "indexer.embedder.vocab.txt" in (
        path.name for path in (tmp_path / "second" / "checkpoints" / "last").iterdir()
    )
