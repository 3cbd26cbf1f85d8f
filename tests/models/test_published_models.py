"""Folders of published models: every form that their weights come in, and what is wrong in them."""

import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from invariants import one_line
from published_folders import FAMILIES, make_folder
from safetensors.torch import load_file, save_file
from torch import Tensor

from nerlab.models.architecture import read_config
from nerlab.models.pretrained import Pretrained, PretrainedIndexer

SAFETENSORS, PICKLE = "model.safetensors", "pytorch_model.bin"
HEADS = {
    "bert": ("bert.", "ForMaskedLM", "cls"),
    "roberta": ("roberta.", "ForTokenClassification", "classifier"),
    "xlm-roberta": ("roberta.", "ForMaskedLM", "lm_head"),
    "distilbert": ("distilbert.", "ForQuestionAnswering", "qa_outputs"),
    "electra": ("electra.", "ForPreTraining", "discriminator_predictions"),
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of each family, with the head of another task."""
    root = tmp_path_factory.mktemp("published")
    for family in FAMILIES:
        make_folder(root / family, family, HEADS[family][1])
    return root


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    """A BERT that a test may change."""
    return Path(shutil.copytree(published / "bert", tmp_path / "model"))


def begin(folder: Path) -> tuple[dict[str, Tensor], str]:
    """The weights of a new run by our names, and what its log says."""
    indexer = PretrainedIndexer(str(folder))
    indexer.fit([])
    model = Pretrained(indexer, "first", layer_decay=1.0)
    return model.state_dict(), "\n".join(indexer.notes)


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    assert found.keys() == expected.keys()
    return all(torch.equal(found[name], expected[name]) for name in expected)


def rewrite(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    """Change the tensors of a folder."""
    path = folder / SAFETENSORS
    save_file(change(load_file(path)), path)


def refusal(folder: Path) -> str:
    """A new run refuses the folder in one line that names it; returns the line."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - looked at here
        begin(folder)
    assert str(folder) in str(caught.value)
    return one_line(str(caught.value))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_of_another_task_is_left_out_with_a_note(published: Path, family: str) -> None:
    notes = begin(published / family)[1]
    assert f"{published / family}, {family} with 2 layers of width 16" in notes
    assert f"left out, of another task: {HEADS[family][2]}" in notes


@pytest.mark.parametrize("family", FAMILIES)
def test_names_are_understood_with_and_without_the_prefix_of_the_family(
    published: Path, family: str, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(published / family, tmp_path / "model"))
    expected = begin(folder)[0]
    prefix = HEADS[family][0]
    rewrite(folder, lambda old: {name.removeprefix(prefix): old[name] for name in old})
    assert any(name.startswith("embeddings.") for name in load_file(folder / SAFETENSORS))
    assert same(begin(folder)[0], expected)


def old_names(name: str) -> str:
    for new, old in (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")):
        name = name.replace(new, old)
    return name


def test_names_of_old_files_and_their_buffers_are_understood(folder: Path) -> None:
    expected = begin(folder)[0]

    def change(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        tensors["bert.embeddings.position_ids"] = torch.arange(40)[None]
        return {old_names(name): tensor for name, tensor in tensors.items()}

    rewrite(folder, change)
    assert same(begin(folder)[0], expected)


def to_pickle(folder: Path) -> None:
    torch.save(load_file(folder / SAFETENSORS), folder / PICKLE)


def to_old_pickle(folder: Path) -> None:
    tensors = load_file(folder / SAFETENSORS)
    torch.save(tensors, folder / PICKLE, _use_new_zipfile_serialization=False)


def to_shards(folder: Path, name: str, save: Callable[[dict[str, Tensor], Path], Any]) -> None:
    tensors = load_file(folder / SAFETENSORS)
    stem, _, ending = name.rpartition(".")
    files = {n: f"{stem}-{i % 3 + 1:05}-of-00003.{ending}" for i, n in enumerate(tensors)}
    for file in sorted(set(files.values())):
        save({n: tensors[n] for n in tensors if files[n] == file}, folder / file)
    index = {"metadata": {"total_size": 1}, "weight_map": files}
    (folder / f"{name}.index.json").write_text(json.dumps(index))


def to_shards_of_safetensors(folder: Path) -> None:
    to_shards(folder, SAFETENSORS, save_file)


def to_shards_of_pickles(folder: Path) -> None:
    to_shards(folder, PICKLE, torch.save)


def to_links(folder: Path) -> None:
    """As in the cache of the hub."""
    blobs = folder.with_name("blobs")
    shutil.copytree(folder, blobs)
    for path in folder.iterdir():
        path.unlink()
        path.symlink_to(blobs / path.name)


FORMS = [to_pickle, to_old_pickle, to_shards_of_safetensors, to_shards_of_pickles]


@pytest.mark.parametrize("write", FORMS)
def test_weights_are_the_same_whatever_the_form_of_their_files(
    folder: Path, write: Callable[[Path], None]
) -> None:
    expected = begin(folder)[0]
    write(folder)
    (folder / SAFETENSORS).unlink()
    assert same(begin(folder)[0], expected)


def test_a_folder_of_links_is_read(folder: Path) -> None:
    expected = begin(folder)[0]
    to_links(folder)
    assert same(begin(folder)[0], expected)


@pytest.mark.parametrize("write", [to_pickle, None])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_float_type_become_float32(
    folder: Path, dtype: torch.dtype, write: Callable[[Path], None] | None
) -> None:
    expected = {name: tensor.to(dtype).float() for name, tensor in begin(folder)[0].items()}
    rewrite(folder, lambda tensors: {name: tensor.to(dtype) for name, tensor in tensors.items()})
    if write is not None:
        write(folder)
        (folder / SAFETENSORS).unlink()
    found = begin(folder)[0]
    assert {tensor.dtype for tensor in found.values()} == {torch.float32}
    assert same(found, expected)


def test_weights_are_of_the_run_alone(folder: Path) -> None:
    """The file may change or go while a run is at work."""
    found = begin(folder)[0]
    kept = {name: tensor.clone() for name, tensor in found.items()}
    (folder / SAFETENSORS).write_bytes(bytes((folder / SAFETENSORS).stat().st_size))
    assert same(found, kept)
    assert all(tensor.data_ptr() % 16 == 0 for tensor in found.values())


def cut(folder: Path) -> None:
    os.truncate(folder / SAFETENSORS, (folder / SAFETENSORS).stat().st_size - 100)


def cut_pickle(folder: Path) -> None:
    to_pickle(folder)
    os.truncate(folder / PICKLE, 5000)
    (folder / SAFETENSORS).unlink()


def cut_old_pickle(folder: Path) -> None:
    to_old_pickle(folder)
    os.truncate(folder / PICKLE, 5000)
    (folder / SAFETENSORS).unlink()


def pointer(folder: Path) -> None:
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 440473133\n"
    (folder / SAFETENSORS).write_text(text)


def pickle_pointer(folder: Path) -> None:
    pointer(folder)
    (folder / SAFETENSORS).rename(folder / PICKLE)


class Code:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


def code(folder: Path) -> None:
    torch.save({"bert.embeddings.word_embeddings.weight": Code(folder / "ran")}, folder / PICKLE)
    (folder / SAFETENSORS).unlink()


def bare_code(folder: Path) -> None:
    (folder / PICKLE).write_bytes(pickle.dumps(Code(folder / "ran"), 2))
    (folder / SAFETENSORS).unlink()


def no_tensors(folder: Path) -> None:
    torch.save({"state_dict": {}}, folder / PICKLE)
    (folder / SAFETENSORS).unlink()


def no_weights(folder: Path) -> None:
    (folder / SAFETENSORS).rename(folder / "tf_model.h5")


def missing_shard(folder: Path) -> None:
    to_shards_of_safetensors(folder)
    (folder / SAFETENSORS).unlink()
    (folder / "model-00002-of-00003.safetensors").unlink()


def shards_named(*names: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        index = {"weight_map": {str(i): name for i, name in enumerate(names)}}
        (folder / SAFETENSORS).rename(folder.with_name("outside.safetensors"))
        (folder / f"{SAFETENSORS}.index.json").write_text(json.dumps(index))

    return change


def index_of(text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / SAFETENSORS).unlink()
        (folder / f"{PICKLE}.index.json").write_text(text)

    return change


def without(*parts: str) -> Callable[[Path], None]:
    """The names that contain one of ``parts`` are left out."""

    def keep(old: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: old[name] for name in old if not any(part in name for part in parts)}

    return lambda folder: rewrite(folder, keep)


def with_tensor(name: str, tensor: Tensor) -> Callable[[Path], None]:
    return lambda folder: rewrite(folder, lambda tensors: {**tensors, name: tensor})


def not_finite(folder: Path) -> None:
    def change(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        tensors["bert.encoder.layer.1.attention.self.key.bias"][3] = torch.nan
        return tensors

    rewrite(folder, change)


def config(**changes: object) -> Callable[[Path], None]:
    """Keys of config.json changed; None leaves one out."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        found = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({key: v for key, v in found.items() if v is not None}))

    return change


def config_text(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "config.json").write_text(text)


def no_tokenizer(folder: Path) -> None:
    (folder / "vocab.txt").unlink()


def long_tokenizer(folder: Path) -> None:
    with (folder / "vocab.txt").open("a") as file:
        file.writelines(f"x{i}\n" for i in range(10))


LAYER = "bert.encoder.layer.1.output.dense.weight"
BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cut": (cut, "model.safetensors: broken file (.*); download it again"),
    "cut pickle": (cut_pickle, "pytorch_model.bin: broken"),
    "cut old pickle": (cut_old_pickle, "pytorch_model.bin: broken"),
    "pointer": (pointer, "model.safetensors: broken file"),
    "pickle that is a pointer": (pickle_pointer, "pytorch_model.bin: broken"),
    "code": (code, "pytorch_model.bin: broken, or more than tensors, which might run code"),
    "bare code": (bare_code, "broken, or more than tensors, which might run code"),
    "no tensors": (no_tensors, "expected tensors by name; use model.safetensors"),
    "no weights": (no_weights, "expected model.safetensors or .*; found config.json, tf_model.h5"),
    "missing shard": (missing_shard, "names model-00002-of-00003.safetensors, which is not there"),
    "shard outside": (shards_named("../outside.safetensors"), "a name that leads out"),
    "shard at the root": (shards_named("/etc/hostname"), "a name that leads out"),
    "shard that is the folder": (shards_named(".."), "which is not there"),
    "shard without a name": (shards_named(""), "which is not there"),
    "shard with an odd name": (shards_named("a\0b"), "which is not there"),
    "shards that are numbers": (shards_named(1, 2), "no index of files"),
    "shards in lists": (shards_named(["a"]), "no index of files"),
    "index that is no JSON": (index_of("{"), "no index of files"),
    "index without a map": (index_of("{}"), "no index of files"),
    "index that is a list": (index_of("[]"), "no index of files"),
    "index that is nested": (index_of("[" * 100_000), "no index of files"),
    "missing tensor": (without("layer.1.output.dense.weight"), f"{LAYER} is missing"),
    "missing tensors": (without("layer.1."), "; .*; .* and 13 more; download"),
    "missing embeddings": (without("embeddings."), "embeddings.word_embeddings.weight is missing"),
    "unexpected": (with_tensor("bert.encoder.x", torch.ones(1)), "bert.encoder.x is not of such"),
    "a layer more": (config(num_hidden_layers=1), "layer.1.* is not of such a model"),
    "a layer less": (config(num_hidden_layers=3), "layer.2.attention.self.query.weight is missing"),
    "shape": (
        with_tensor(LAYER, torch.ones(16, 25)),
        rf"{LAYER} has the shape \[16, 25\], expected \[16, 24\]",
    ),
    "type": (
        with_tensor(LAYER, torch.ones(16, 24, dtype=torch.int8)),
        f"{LAYER} has the type torch.int8",
    ),
    "not finite": (not_finite, "layer.1.attention.self.key.bias is not finite"),
    "another vocabulary": (config(vocab_size=1000), "word_embeddings.weight has the shape"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "config.json: no such file"),
    "cut config": (config_text('{"model_type": "be'), "config.json: broken file"),
    "config that is a list": (config_text("[]"), "config.json: broken file .expected an object"),
    "config that is nested": (config_text("[" * 100_000), "config.json: broken file"),
    "config that is huge": (lambda f: os.truncate(f / "config.json", 2**40), "expected at most"),
    "no tokenizer": (no_tokenizer, "no tokenizer found"),
    "another tokenizer": (long_tokenizer, "expected vocab_size to be at least the 143 pieces"),
    "another family": (config(model_type="roberta"), "tensors of the roberta in config.json"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_folder_is_refused_in_one_line_and_nothing_of_it_runs(
    folder: Path, name: str
) -> None:
    spoil, expected = BROKEN[name]
    spoil(folder)
    line = refusal(folder)
    assert re.search(expected, line), line
    assert not (folder / "ran").exists()


def test_a_name_is_no_folder(tmp_path: Path) -> None:
    assert "no such folder; expected that of a published model" in refusal(tmp_path / "bert-base")


MODELS: dict[str, tuple[dict[str, object], str]] = {
    "unknown": ({"model_type": "gpt2"}, "expected one of bert, roberta, xlm-roberta, distilbert"),
    "unnamed": ({"model_type": None}, "model_type=None: expected one of bert"),
    "no name": ({"model_type": ["bert"]}, "expected one of bert"),
    "activation": ({"hidden_act": "gelu_new"}, "hidden_act='gelu_new': expected gelu"),
    "odd activation": ({"hidden_act": ["gelu"]}, "expected gelu; choose another model"),
    "positions": (
        {"position_embedding_type": "relative_key"},
        "position_embedding_type='relative_key': expected absolute",
    ),
    "decoder": ({"is_decoder": True}, "is_decoder=True: expected False"),
    "heads": ({"num_attention_heads": 3}, "a multiple of the 3 heads, found 16"),
    "short": ({"max_position_embeddings": 2}, "max_position_embeddings=2: expected a whole number"),
    "padding": ({"pad_token_id": 136}, "pad_token_id=136: expected a whole number, 0 to 135"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_there_is_not_here_is_refused_with_what_is_supported(
    folder: Path, name: str
) -> None:
    changes, expected = MODELS[name]
    config(**changes)(folder)
    assert expected in refusal(folder)


NUMBERS = {
    "bert": (
        *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
        *("intermediate_size", "max_position_embeddings", "type_vocab_size", "pad_token_id"),
        *("hidden_dropout_prob", "attention_probs_dropout_prob", "layer_norm_eps"),
    ),
    "distilbert": (
        *("vocab_size", "dim", "n_layers", "n_heads", "hidden_dim", "max_position_embeddings"),
        *("pad_token_id", "dropout", "attention_dropout"),
    ),
    "electra": ("embedding_size",),
}
ODD = ["-1", "1e999", "NaN", "true", '"12"', "[1]", "{}", "1.5", "9" * 4000, "1" + "0" * 30]


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize(
    ("family", "key"), [(family, key) for family, keys in NUMBERS.items() for key in keys]
)
def test_numbers_that_make_no_sense_are_refused_by_name(
    published: Path, family: str, key: str, value: str
) -> None:
    found = json.loads((published / family / "config.json").read_text())
    text = json.dumps({**found, key: "VALUE"}).replace('"VALUE"', value)
    with pytest.raises(ValueError, match=f"^{key}=.*: expected a .*number") as caught:
        read_config(text.encode())
    assert len(one_line(str(caught.value))) < 200


def test_what_old_configurations_lack_is_what_it_was_then(published: Path) -> None:
    path = published / "bert" / "config.json"
    found = json.loads(path.read_text())
    for key in ("hidden_dropout_prob", "attention_probs_dropout_prob", "layer_norm_eps"):
        del found[key]
    for key in ("type_vocab_size", "pad_token_id", "hidden_act", "is_decoder"):
        del found[key]
    assert read_config(json.dumps(found).encode()) == read_config(path.read_bytes())
