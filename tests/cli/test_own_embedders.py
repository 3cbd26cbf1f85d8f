"""Embedders with features of their own, in a package of one's own: one file and one YAML each."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import ROOT, SMALL_MODEL, run_script
from safetensors.torch import load_file
from torch import Tensor

import nerlab
from nerlab.data.batch import Batch
from nerlab.models.tagger import Tagger

LAB = ROOT / "tests" / "own_embedders"
TEXT = "Anna Smith flew to Berlin ."
NAMES = "Berlin\nParis\nRiga\n"
NEEDED = {"gazetteer": ["model.embedder.gazetteer.indexer.path=names.txt"]}
SAVED = {
    "casing": {},
    "suffixes": {"indexer.suffixes.suffixes.json"},
    "gazetteer": {"indexer.gazetteer.names.txt"},
}


@pytest.fixture(scope="module", autouse=True)
def _importable() -> Iterator[None]:
    """The package is found in this process; afterwards nothing is left of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(LAB)
        yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "featurelab"]:
        del sys.modules[name]


@pytest.fixture
def arguments(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a run in the present folder is begun with, in which the list of names lies."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_text(NAMES, encoding="utf-8")
    own = [f"--config-dir={LAB / 'conf'}", "trust=featurelab", "run.dir=run"]
    return [*own, *SMALL_MODEL, f"data.dir={corpus}", "trainer.epochs=2", "trainer.keep_last=9"]


def weights(checkpoint: Path) -> dict[str, Tensor]:
    return load_file(checkpoint / "model.safetensors")


@pytest.mark.parametrize("name", SAVED)
def test_an_embedder_of_ones_own_is_trained_resumed_and_used_elsewhere(
    name: str, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [f"model/embedder={name}", *NEEDED.get(name, []), "trainer.save_every_steps=5"]
    result = run_script("train", *arguments, *keys)
    assert (result.status, result.err) == (0, "")
    run = tmp_path / "run"
    best, last = run / "checkpoints" / "best", run / "checkpoints" / "last"
    plain = {"indexer.words.words.json", "indexer.characters.characters.json"}
    assert {path.name for path in best.glob("indexer.*")} == plain | set(SAVED[name])
    if name == "gazetteer":
        assert (best / "indexer.gazetteer.names.txt").read_text() == NAMES
        assert "gazetteer: 3 words of train stand in names.txt" in result.out

    (tmp_path / "names.txt").unlink()
    uninterrupted = weights(last)
    begun = run / "checkpoints" / "step-5"
    assert any(not torch.equal(uninterrupted[k], w) for k, w in weights(begun).items())
    result = run_script("train", f"resume={begun}", "trust=featurelab")
    assert (result.status, result.err) == (0, "")
    assert "resumed after step 5" in result.out
    assert all(torch.equal(uninterrupted[k], w) for k, w in weights(last).items())

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    result = run_script("evaluate", f"checkpoint={run}", "trust=featurelab", "output=.")
    assert (result.status, result.err) == (0, "")
    trained, found = (
        json.loads((folder / "evaluation" / "dev" / "metrics.json").read_text())
        for folder in (run, Path())
    )
    assert found == trained
    assert run_script("predict", f"checkpoint={run}", f"text={TEXT}", "trust=featurelab").out
    with pytest.raises(ValueError, match=r"_target_ 'featurelab\.\w+\.\w+': expected one of"):
        nerlab.load(run)


def test_a_list_that_is_not_there_is_said_before_the_run_begins(
    arguments: list[str], tmp_path: Path
) -> None:
    keys = ["model/embedder=gazetteer", "model.embedder.gazetteer.indexer.path=nowhere.txt"]
    result = run_script("train", *arguments, *keys)
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "nowhere.txt" in result.err
    assert not (tmp_path / "run").exists()


def test_batches_shrink_where_a_token_costs_three(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, int]] = []
    loss_of = Tagger.loss

    def loss(tagger: Tagger, batch: Batch) -> Tensor:
        sizes.append(tuple(batch.token_index.shape))  # type: ignore[arg-type]
        return loss_of(tagger, batch)

    monkeypatch.setattr(Tagger, "loss", loss)
    keys = ["model/embedder=suffixes", "trainer.batch_tokens=90", "trainer.epochs=1"]
    result = run_script("train", *arguments, *keys)
    assert (result.status, result.err) == (0, "")
    assert all(3 * B * T <= 90 for B, T in sizes)
    assert max(3 * B * T for B, T in sizes) > 45


def test_a_context_stands_between_embedder_and_encoder(
    arguments: list[str], tmp_path: Path
) -> None:
    result = run_script("train", *arguments, "model/context=fellows")
    assert (result.status, result.err) == (0, "")
    best = weights(tmp_path / "run" / "checkpoints" / "best")
    width = 16 + 4 * 8  # words, and characters in filters of four widths
    assert best["stages.encoder.layers.0.forwards.weight_ih_l0"].shape[1] == 2 * width
    assert nerlab.load("run", trust="featurelab").predict([TEXT])
