"""Checkpoints: what is saved comes back, what is broken is said in a line, nothing is executed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import reseal
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import load_file, save_file

from nerlab.data.batch import Batcher
from nerlab.data.build import build_corpus
from nerlab.data.sentence import Sentence
from nerlab.models.checkpoint import load_own_weights, load_weights, save_checkpoint
from nerlab.models.loading import Checkpoint, find_checkpoint, load_checkpoint

CPU = torch.device("cpu")
INDEXERS = ["indexer.characters.characters.json", "indexer.words.words.json"]
FILES = ["config.yaml", *INDEXERS, "labels.json", "model.safetensors"]
NEEDED = ["config.yaml", "model.safetensors"]  # which tell what a folder is
SEALED = sorted([*FILES, "manifest.json"])


@pytest.fixture
def folder(run: Path, tmp_path: Path) -> Path:
    """A checkpoint folder of one's own, to be broken."""
    return Path(shutil.copytree(run / "checkpoints" / "best", tmp_path / "checkpoint"))


def emissions(checkpoint: Checkpoint) -> torch.Tensor:
    tokens = ["Anna", "flew", "to", "Bakı", "1999"]
    corpus = build_corpus([Sentence(tokens, ["O"] * 5)], "iob2", False, "test")
    batch = Batcher(corpus, checkpoint.vocabulary, with_tags=False).collate(np.array([0]))
    with torch.inference_mode():
        return checkpoint.tagger.emissions(batch)


def test_what_is_saved_comes_back(run: Path, tmp_path: Path) -> None:
    first = load_checkpoint(run, CPU)
    save_checkpoint(tmp_path / "copy", first.tagger.state_dict(), first.vocabulary, first.config)
    second = load_checkpoint(tmp_path / "copy", CPU)
    assert second.vocabulary.files() == first.vocabulary.files()
    assert second.config == first.config
    assert torch.equal(emissions(second), emissions(first))
    assert emissions(first).std() > 0


def test_the_best_checkpoint_is_for_prediction_and_the_last_one_for_going_on_too(run: Path) -> None:
    training = ["training.json", "training.safetensors"]
    for name, more in (("best", []), ("last", training)):
        found = sorted(path.name for path in (run / "checkpoints" / name).iterdir())
        assert found == sorted([*SEALED, *more])


def test_a_loaded_tagger_is_in_evaluation_mode(run: Path) -> None:
    checkpoint = load_checkpoint(run, CPU)
    assert not any(module.training for module in checkpoint.tagger.modules())


@pytest.mark.parametrize("part", ["", "checkpoints/best", "checkpoints/last"])
def test_a_run_and_its_checkpoint_folders_are_found(run: Path, part: str) -> None:
    assert find_checkpoint(run / part) == run / (part or "checkpoints/best")
    assert load_checkpoint(run / part, CPU).run == run


def test_a_folder_that_stands_alone_is_its_own_run(folder: Path) -> None:
    assert find_checkpoint(folder) == folder
    assert load_checkpoint(str(folder), CPU).run == folder


def test_a_run_without_a_best_checkpoint_gives_its_last(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "checkpoints" / "last", tmp_path / "checkpoints" / "last")
    assert find_checkpoint(tmp_path) == tmp_path / "checkpoints" / "last"


def test_saving_over_a_checkpoint_replaces_it_and_leaves_nothing_else(folder: Path) -> None:
    checkpoint = load_checkpoint(folder, CPU)
    (folder / "stray").touch()
    for leftover in ("checkpoint.part", "checkpoint.old"):  # of a process that was killed
        (folder.parent / leftover).mkdir()
        (folder.parent / leftover / "half").touch()
    weights = {name: value + 1 for name, value in checkpoint.tagger.state_dict().items()}
    save_checkpoint(folder, weights, checkpoint.vocabulary, checkpoint.config)
    assert [path.name for path in folder.parent.iterdir()] == ["checkpoint"]
    assert sorted(path.name for path in folder.iterdir()) == SEALED
    saved = load_file(folder / "model.safetensors")
    assert all(torch.equal(saved[name], weight) for name, weight in weights.items())


def test_tensors_that_are_views_are_saved_as_they_look(folder: Path) -> None:
    checkpoint = load_checkpoint(folder, CPU)
    weights = checkpoint.tagger.state_dict()
    twisted = {name: w.T.contiguous().T if w.dim() == 2 else w for name, w in weights.items()}
    save_checkpoint(folder, twisted, checkpoint.vocabulary, checkpoint.config)
    assert torch.equal(emissions(load_checkpoint(folder, CPU)), emissions(checkpoint))


def fails(folder: Path, name: str) -> str:
    """Loading is refused in one line that names the file; returns it."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the line is looked at here
        load_checkpoint(folder, CPU)
    message = str(caught.value)
    assert str(folder / name) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0, 0.01, 0.2])
def test_a_file_cut_short_is_refused(folder: Path, name: str, share: float) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * share)])
    fails(folder, name)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"{", b"[1, 2]", b"a: [", b"text", b"null"])
def test_a_file_of_something_else_is_refused(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    fails(folder, name)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    expected = f"no whole checkpoint .*{name}" if name in NEEDED else f"{name}: No such file"
    with pytest.raises(ValueError, match=f"{folder}.*{expected}"):
        load_checkpoint(folder, CPU)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{tmp_path / 'none'}: no such folder"):
        load_checkpoint(tmp_path / "none", CPU)


@pytest.mark.parametrize("name", INDEXERS)
@pytest.mark.parametrize("value", [{}, None, {"words": ["a"]}, [1], "abc", [["a"]]])
def test_an_indexer_that_lacks_something_is_refused(folder: Path, name: str, value: object) -> None:
    (folder / name).write_text(json.dumps(value))
    reseal(folder)
    assert "not what the indexer of" in fails(folder, name)


@pytest.mark.parametrize("value", [{}, None, {"labels": ["A"]}, [1], "abc", [["a"]]])
def test_other_than_labels_is_refused(folder: Path, value: object) -> None:
    (folder / "labels.json").write_text(json.dumps(value))
    reseal(folder)
    assert "no labels of nerlab" in fails(folder, "labels.json")


@pytest.mark.parametrize("version", [0, 2, 99, "3", None])
def test_a_checkpoint_of_another_version_is_refused(folder: Path, version: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": version}))
    assert f"checkpoint format {version}, expected 4; it was" in fails(folder, "manifest.json")


def test_a_checkpoint_of_before_the_manifest_is_refused(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    (folder / "labels.json").rename(folder / "vocab.json")
    assert f"{folder}: checkpoint format 1, expected 4" in fails(folder, "")


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"format": 2}', '{"sha256": {}}'])
def test_a_broken_manifest_is_named(folder: Path, content: str) -> None:
    (folder / "manifest.json").write_text(content)
    fails(folder, "manifest.json")


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_is_reported_with_the_name_of_the_file(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    for place in np.random.default_rng(0).integers(0, 8 * len(whole), 20).tolist():
        corrupted = bytearray(whole)
        corrupted[place // 8] ^= 1 << place % 8
        (folder / name).write_bytes(bytes(corrupted))
        assert "checksum" in fails(folder, name)


def test_a_checkpoint_whose_successor_was_cut_off_is_found_until_there_is_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    checkpoint = load_checkpoint(folder, CPU)
    folder.rename(folder.with_name("checkpoint.old"))  # a process died between two renames
    assert torch.equal(emissions(load_checkpoint(folder, CPU)), emissions(checkpoint))
    weights = checkpoint.tagger.state_dict()
    with monkeypatch.context() as patch:
        patch.setattr("nerlab.models.checkpoint.save_file", full)
        with pytest.raises(OSError, match="No space left on device; no checkpoint was written"):
            save_checkpoint(folder, weights, checkpoint.vocabulary, checkpoint.config)
    assert torch.equal(emissions(load_checkpoint(folder, CPU)), emissions(checkpoint))
    save_checkpoint(folder, weights, checkpoint.vocabulary, checkpoint.config)
    assert [path.name for path in folder.parent.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: weights.pop("linear.weight"),
        lambda weights: weights.update(extra=torch.zeros(1)),
        lambda weights: weights.update({"linear.bias": torch.zeros(3)}),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], object]
) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)
    reseal(folder)
    assert "do not fit" in fails(folder, "model.safetensors")


def test_weights_of_another_vocabulary_are_refused(folder: Path) -> None:
    path = folder / "indexer.words.words.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["words"].append("one more")
    path.write_text(json.dumps(data))
    reseal(folder)
    assert "do not fit" in fails(folder, "model.safetensors")


def test_files_that_the_manifest_does_not_name_are_not_read(folder: Path) -> None:
    before = emissions(load_checkpoint(folder, CPU))
    (folder / "indexer.words.more.json").symlink_to("/dev/zero")
    assert torch.equal(emissions(load_checkpoint(folder, CPU)), before)


@pytest.mark.parametrize(
    "name", ["vocab.json", "../x", "indexer.words.a/b", "indexer.words.", "indexer..x", "indexer"]
)
def test_a_manifest_names_the_files_of_a_checkpoint_alone(folder: Path, name: str) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sha256"][name] = "0" * 64
    path.write_text(json.dumps(manifest))
    assert "expected the checksums of" in fails(folder, "manifest.json")


def edit(folder: Path, change: Callable[[DictConfig], None]) -> None:
    config = OmegaConf.load(folder / "config.yaml")
    assert isinstance(config, DictConfig)
    change(config)
    OmegaConf.save(config, folder / "config.yaml")
    reseal(folder)


@pytest.mark.parametrize("model", [None, {}, {"embedder": None}, "bilstm", []])
def test_a_configuration_without_a_model_is_refused(folder: Path, model: object) -> None:
    edit(folder, lambda config: config.update(model=model))
    with pytest.raises(ValueError, match=r"config\.yaml|_target_|model"):
        load_checkpoint(folder, CPU)


def test_a_configuration_with_an_argument_too_many_is_refused(folder: Path) -> None:
    edit(folder, lambda config: config.model.encoder.update(surprise=1))
    with pytest.raises(ValueError, match="surprise"):
        load_checkpoint(folder, CPU)


FOREIGN = [
    "os.system",
    "nerlab.models.checkpoint.os.system",
    "nerlab.training.experiment.subprocess.run",
    "nerlab.models.checkpoint.shutil.os.system",
    "nerlab.instantiation.resolve_name",
    "nerlab.models.checkpoint.Path",
    "nerlab.data.vocabulary.Vocabulary.__init__.__globals__.get",
    "nerlab.tags.__builtins__.get",
    "nerlabevil.system",
    "builtins.eval",
]
PLACES = ["embedder", "encoder", "decoder", "nested", "listed"]


@pytest.mark.parametrize(
    ("target", "place"),
    [*((target, "encoder") for target in FOREIGN), *((FOREIGN[1], place) for place in PLACES)],
)
def test_a_target_that_is_not_of_nerlab_is_refused_and_never_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, target: str, place: str
) -> None:
    started: list[object] = []
    monkeypatch.setattr("os.system", lambda *_, **__: started.append("os.system"))
    monkeypatch.setattr("subprocess.run", lambda *_, **__: started.append("subprocess.run"))
    monkeypatch.setattr("builtins.eval", lambda *_, **__: started.append("eval"))
    node = {"_target_": target, "_args_": [f"touch {folder}/started"]}

    def change(config: DictConfig) -> None:
        if place == "nested":
            config.model.embedder.words = node
        elif place == "listed":
            config.model.encoder.hidden_dim = [{"deep": node}]
        else:
            config.model[place] = node

    edit(folder, change)
    with pytest.raises(ValueError, match="_target_"):
        load_checkpoint(folder, CPU)
    assert started == []
    assert not (folder / "started").exists()


def test_a_function_of_nerlab_is_no_part_of_a_model(folder: Path) -> None:
    made = folder.parent / "made by a checkpoint"
    node = {"_target_": "nerlab.paths.make_folder", "_partial_": True, "base": str(made)}
    edit(folder, lambda config: config.model.update(encoder=node))
    with pytest.raises(ValueError, match="_target_"):
        load_checkpoint(folder, CPU)
    assert not made.exists()


def test_load_weights_takes_them_from_the_folder(run: Path, folder: Path) -> None:
    tagger = load_checkpoint(run, CPU).tagger
    with torch.no_grad():
        for parameter in tagger.parameters():
            parameter.fill_(0.5)
    load_weights(tagger, folder)
    saved = load_file(folder / "model.safetensors")
    assert all(torch.equal(saved[name], value) for name, value in tagger.state_dict().items())


def test_own_weights_that_are_corrupted_are_refused(run: Path, folder: Path) -> None:
    tagger = load_checkpoint(run, CPU).tagger
    load_own_weights(tagger, folder)
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors: broken file, its checksum"):
        load_own_weights(tagger, folder)
