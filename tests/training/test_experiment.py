"""One run from its configuration to its directory."""

import json
from pathlib import Path

import pytest
import torch
from conftest import SMALL_MODEL, Result, run_script
from helpers import one_in
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import load_file

from nerlab.data.readers.conll import read
from nerlab.evaluation.pages import WritePages
from nerlab.evaluation.report import score_spans
from nerlab.training.determinism import deterministic_algorithms
from nerlab.training.experiment import run_experiment
from nerlab.training.recorder import Recorder


def train(corpus: Path, run: Path, *overrides: str) -> Result:
    """Train the small model, one epoch long unless the overrides say more."""
    arguments = (*SMALL_MODEL, "trainer.epochs=1", f"data.dir={corpus}", f"run.dir={run}")
    return run_script("train", *arguments, *overrides)


def weights(run: Path, name: str = "best") -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / name / "model.safetensors")


def lines(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_directory_is_laid_out_as_the_contract_says(run: Path) -> None:
    found = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    checkpoint = (
        *("model.safetensors", "config.yaml", "labels.json", "manifest.json"),
        *("indexer.words.words.json", "indexer.characters.characters.json"),
    )
    predictions = ("predictions.conll", "predictions.jsonl")
    evaluation = ("metrics.json", *predictions, "analysis.json", "report.html", "report.txt")
    assert found == {
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "train.log",
        *(f"checkpoints/{name}/{file}" for name in ("best", "last") for file in checkpoint),
        *(f"checkpoints/last/training.{kind}" for kind in ("json", "safetensors")),
        *(f"evaluation/dev/{file}" for file in evaluation),
    }


def test_the_configuration_is_written_resolved(run: Path, corpus: Path) -> None:
    config = OmegaConf.load(run / "config.yaml")
    assert config == OmegaConf.load(run / "checkpoints" / "best" / "config.yaml")
    assert "${" not in (run / "config.yaml").read_text()
    assert config.data.dir == str(corpus)
    assert config.trainer.epochs == 6
    assert config.data.scheme == "iob2"
    assert config.model.encoder.dropout == config.model.dropout
    assert config.run.name == "bilstm_crf-conll"


def test_the_small_model_learns_something(run: Path) -> None:
    found = json.loads((run / "evaluation" / "dev" / "metrics.json").read_text())
    assert 0.5 < found["f1"] < 1


def test_metrics_are_a_line_a_window_and_a_line_an_epoch(run: Path) -> None:
    found = lines(run)
    steps, devs = ([line for line in found if key in line] for key in ("train/loss", "dev/f1"))
    assert len(steps) + len(devs) == len(found)
    for line in steps:
        assert line.keys() == {
            *("step", "epoch", "lr", "grad_norm", "train/loss", "train/tokens_per_second"),
            "train/skipped_steps",
        }
        assert min(line.values()) >= 0
    for line in devs:
        assert line.keys() >= {"step", "epoch", "dev/f1", "dev/precision", "dev/recall"}
        assert line.keys() >= {"dev/PER/f1", "dev/LOC/f1", "dev/loss"}
    assert [line["epoch"] for line in devs] == [1, 2, 3, 4, 5, 6]
    order = [(line["step"], line["epoch"]) for line in found]
    assert order == sorted(order)
    assert steps[-1]["train/loss"] < steps[0]["train/loss"]


def test_the_best_checkpoint_is_the_one_that_is_scored_at_the_end(run: Path) -> None:
    best = max(line["dev/f1"] for line in lines(run) if "dev/f1" in line)
    found = json.loads((run / "evaluation" / "dev" / "metrics.json").read_text())
    assert found["f1"] == best
    path = run / "evaluation" / "dev" / "predictions.conll"
    gold, predicted = (list(read(path, 0, column, "utf-8")) for column in (1, 2))
    scores = score_spans([s.tags for s in gold], [s.tags for s in predicted])
    assert scores.total.f1 == best
    corpus = OmegaConf.load(run / "config.yaml").data.dir
    dev = list(read(Path(corpus) / "dev.conll", 0, 1, "utf-8"))
    assert [(s.tokens, s.tags) for s in gold] == [(s.tokens, s.tags) for s in dev]


def test_the_log_says_what_was_done(run: Path) -> None:
    log = (run / "train.log").read_text(encoding="utf-8")
    for said in (
        "train: 40 sentences",
        "labels: LOC PER",
        "epoch 6",
        "best: epoch",
        f"done: {run}",
    ):
        assert said in log


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    corpus: Path, tmp_path: Path
) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        assert train(corpus, tmp_path / name, f"seed={seed}").status == 0
    a, b, c = (weights(tmp_path / name) for name in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not all(torch.equal(a[name], c[name]) for name in a)


@pytest.mark.parametrize("model", ["bilstm_crf", "transformer_crf", "transformer"])
def test_deterministic_algorithms_are_there_for_the_models(
    model: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    arguments = (f"model={model}", "data=conll", f"data.dir={corpus}", "tracker=none")
    short = ("trainer.epochs=1", "trainer.batch_tokens=400", "trainer.deterministic=true")
    result = run_script("train", *arguments, *short, f"run.dir={tmp_path / 'run'}")
    assert result.status == 0, result.err
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_operation_without_a_deterministic_algorithm_is_one_line() -> None:
    def work() -> None:
        with deterministic_algorithms():
            assert torch.are_deterministic_algorithms_enabled()
            raise RuntimeError("foo does not have a deterministic implementation, but\nyou set")

    with pytest.raises(ValueError, match=r"^trainer\.deterministic=true: not possible") as refusal:
        work()
    assert "\n" not in str(refusal.value)
    assert not torch.are_deterministic_algorithms_enabled()


def test_patience_stops_a_run_that_gets_no_better(corpus: Path, tmp_path: Path) -> None:
    still = ("trainer.learning_rate=1e-12", "trainer.epochs=9", "trainer.patience=2")
    result = train(corpus, tmp_path / "run", *still)
    assert result.status == 0
    assert max(line["epoch"] for line in lines(tmp_path / "run")) == 3
    assert "best: epoch 1," in result.out


def test_best_and_last_are_what_they_say(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    wild = ("trainer.epochs=6", "trainer.learning_rate=0.3", "trainer.schedule=constant")
    assert train(corpus, run, *wild).status == 0
    scores = [line["dev/f1"] for line in lines(run) if "dev/f1" in line]
    for name, score in (("best", max(scores)), ("last", scores[-1])):
        arguments = (f"checkpoint={run}/checkpoints/{name}", f"output={tmp_path / name}")
        assert run_script("evaluate", *arguments).status == 0
        found = json.loads((tmp_path / name / "evaluation" / "dev" / "metrics.json").read_text())
        assert found["f1"] == score


@pytest.mark.parametrize("content", [None, "broken\n"])
def test_training_never_reads_the_test_split(
    corpus: Path, tmp_path: Path, content: str | None
) -> None:
    folder = with_test_file(corpus, tmp_path, content)
    assert train(folder, tmp_path / "run").status == 0
    assert [path.name for path in (tmp_path / "run" / "evaluation").iterdir()] == ["dev"]


@pytest.mark.parametrize("content", [None, "", "broken\n", "x B-PER\ny Q-PER\n"])
def test_a_test_split_that_is_asked_for_is_looked_at_before_training(
    corpus: Path, tmp_path: Path, content: str | None
) -> None:
    folder = with_test_file(corpus, tmp_path, content)
    result = train(folder, tmp_path / "run", "test=true")
    assert result.status == 1
    assert str(folder / "test.conll") in result.err
    assert not (tmp_path / "run").exists()


def with_test_file(corpus: Path, tmp_path: Path, content: str | None) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("train.conll", "dev.conll"):
        (folder / name).write_bytes((corpus / name).read_bytes())
    if content is not None:
        (folder / "test.conll").write_text(content)
    return folder


def test_the_test_split_is_scored_once_if_asked_for(corpus: Path, tmp_path: Path) -> None:
    result = train(corpus, tmp_path / "run", "test=true")
    assert result.status == 0
    found = json.loads((tmp_path / "run" / "evaluation" / "test" / "metrics.json").read_text())
    assert found["sentences"] == 13
    assert result.out.count("test: 13 sentences") == 1
    assert "test" not in (tmp_path / "run" / "metrics.jsonl").read_text()


def test_a_label_of_dev_that_train_lacks_is_missed_and_said(corpus: Path, tmp_path: Path) -> None:
    folder = with_test_file(corpus, tmp_path, None)
    with (folder / "dev.conll").open("a") as file:
        file.write("\nOxygen B-GAS\n")
    result = train(folder, tmp_path / "run")
    assert result.status == 0
    assert "labels of dev that train lacks, all missed: GAS" in result.out
    found = json.loads((tmp_path / "run" / "evaluation" / "dev" / "metrics.json").read_text())
    assert found["unknown_labels"] == ["GAS"]
    assert found["per_type"]["GAS"] == {"precision": 0, "recall": 0, "f1": 0, "support": 1}


def test_a_run_returns_its_best_f1_on_dev(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    returned = []

    def capture(config: DictConfig, write_pages: WritePages) -> float:
        returned.append(run_experiment(config, write_pages))
        return returned[0]

    monkeypatch.setattr("nerlab.commands.train.run_experiment", capture)
    assert train(corpus, tmp_path / "run", "trainer.epochs=3").status == 0
    assert returned == [max(line["dev/f1"] for line in lines(tmp_path / "run") if "dev/f1" in line)]


def test_a_corpus_without_any_entity_gives_zeros(tmp_path: Path) -> None:
    for name in ("train.conll", "dev.conll"):
        (tmp_path / name).write_text("nothing O\nhere O\n\nagain O\n")
    assert train(tmp_path, tmp_path / "run").status == 0
    found = json.loads((tmp_path / "run" / "evaluation" / "dev" / "metrics.json").read_text())
    assert (found["f1"], found["support"], found["per_type"]) == (0, 0, {})


def test_word_vectors_are_put_into_the_word_table(corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("flew " + " ".join(["0.5"] * 16) + "\nzzz " + " ".join(["1"] * 16) + "\n")
    frozen = ("trainer.learning_rate=1e-12", f"model.embedder.words.indexer.vectors={path}")
    result = train(corpus, tmp_path / "run", *frozen)
    assert result.status == 0, result.err
    table = weights(tmp_path / "run")["embedder.words.table.weight"]
    saved = tmp_path / "run/checkpoints/best/indexer.words.words.json"
    vocabulary = json.loads(saved.read_text())
    row = table[2 + vocabulary["words"].index("flew")]
    assert row.tolist() == pytest.approx([0.5] * 16)
    assert int((table - 0.5).abs().amax(dim=1).lt(1e-6).sum()) == 1
    assert f"vectors: 1 of {len(vocabulary['words'])} words" in result.out


def test_vectors_of_another_width_are_refused_with_the_remedy(corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("flew 1 2 3\n")
    result = train(corpus, tmp_path / "run", f"model.embedder.words.indexer.vectors={path}")
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert f"model.embedder.words: dim=16: the vectors in {path} have 3 numbers" in result.err
    assert not (tmp_path / "run").exists()


def test_vectors_of_no_word_of_train_are_warned_of(corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("zzz " + " ".join(["1"] * 16) + "\n")
    result = train(corpus, tmp_path / "run", f"model.embedder.words.indexer.vectors={path}")
    assert result.status == 0, result.err
    assert "warning: vectors: none of the " in result.out


def test_a_run_that_fails_on_the_way_keeps_its_metrics_and_is_no_success(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Recorder.log

    def fail(self: Recorder, metrics: dict[str, float], step: int, epoch: int) -> None:
        log(self, metrics, step, epoch)
        if epoch == 2:
            raise OSError(28, "No space left on device", "model.safetensors")

    monkeypatch.setattr(Recorder, "log", fail)
    result = train(corpus, tmp_path / "run", "trainer.epochs=3")
    assert (result.status, result.err) == (1, "error: model.safetensors: No space left on device\n")
    assert lines(tmp_path / "run")[-1]["epoch"] == 2
    assert not (tmp_path / "run" / "evaluation").exists()


@pytest.mark.parametrize(
    "override",
    one_in(
        4,
        [
            "trainer.epochs=0",
            "trainer.log_every=0",
            "trainer.accumulate=0",
            "trainer.learning_rate=-1",
            "trainer.warmup=-1",
            "trainer.ema=2",
            "model.embedder.words.rare_word_dropout=7",
            "model.dropout=2",
            "model.encoder.hidden_dim=0",
            "model.encoder.hidden_dim=wide",
            "+model.encoder.surprise=1",
            "model.encoder._target_=nerlab.modules.lstm.GRU",
            "model.encoder._target_=os.system",
            "tracker._target_=os.system",
            "device=quantum",
            "device=cuda:77",
            "model.embedder.words.indexer.vectors=nowhere.txt",
            "data.reader.encoding=klingon",
            "data.reader.token_column=first",
        ],
    ),
)
def test_what_is_wrong_in_the_configuration_is_one_line_and_leaves_no_directory(
    corpus: Path, tmp_path: Path, override: str
) -> None:
    result = train(corpus, tmp_path / "run", override)
    assert result.status == 1
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    assert not (tmp_path / "run").exists()
