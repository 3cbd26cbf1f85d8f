"""A checkpoint that somebody else made to hang, to crash, to fill the memory, or to invent."""

import json
import os
import re
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import run_script
from helpers import reseal
from hypothesis import given
from hypothesis import strategies as st
from invariants import one_line
from no_hang import no_hang
from safetensors.torch import load_file, save_file

from nerlab.data import load
from nerlab.models.loading import load_checkpoint, load_state
from nerlab.schemes import may_follow
from nerlab.tags import iobes_constraints, iobes_tags, split_tag

CPU = torch.device("cpu")


@pytest.fixture
def folder(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run / "checkpoints" / "best", tmp_path / "checkpoint"))


def refusal(folder: Path) -> str:
    """Loading is refused in one line, soon, that names a file of the folder; returns it."""
    with no_hang(10), pytest.raises(ValueError) as caught:  # noqa: PT011 - looked at here
        load_checkpoint(folder, CPU)
    assert str(folder) in str(caught.value)
    return one_line(str(caught.value))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("every", [True, False])
def test_weights_that_are_not_finite_are_refused_by_name(
    folder: Path, value: float, every: bool
) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    name = "linear.weight"
    if every:
        weights[name].fill_(value)
    else:
        weights[name][-1, -1] = value
    save_file(weights, path)
    reseal(folder)
    assert f"{path}: {name} is not finite" in refusal(folder)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int64, torch.complex64])
def test_weights_of_another_type_are_refused_by_name(folder: Path, dtype: torch.dtype) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    save_file({**weights, "linear.bias": weights["linear.bias"].to(dtype)}, path)
    reseal(folder)
    assert "linear.bias: expected the type F32" in refusal(folder)


def rewrite(folder: Path, change: Callable[[dict[str, str]], object]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest["sha256"])
    path.write_text(json.dumps(manifest))


OUTSIDE = ["/dev/zero", "../outside", "sub/file", "", ".", "..", "a\0b", "x" * 300, "extra"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_manifest_lists_the_files_of_a_checkpoint_alone(folder: Path, name: str) -> None:
    rewrite(folder, lambda digests: digests.update({name: "0" * 64}))
    assert "manifest.json: expected the checksums of config.yaml" in refusal(folder)


def test_a_manifest_lists_every_file(folder: Path) -> None:
    rewrite(folder, lambda digests: digests.pop("labels.json"))
    assert "manifest.json: expected the checksums of config.yaml" in refusal(folder)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"{}")
    path.symlink_to(other)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [pipe, link, endless])
@pytest.mark.parametrize(
    "name",
    [
        *("manifest.json", "config.yaml", "labels.json", "model.safetensors"),
        "indexer.words.words.json",
    ],
)
def test_what_is_no_regular_file_is_refused_and_not_waited_for(
    folder: Path, name: str, make: Callable[[Path], None]
) -> None:
    (folder / name).unlink()
    make(folder / name)
    assert "regular file" in refusal(folder) or make is not link


@pytest.mark.parametrize("name", ["training.json", "training.safetensors", "manifest.json"])
def test_nor_in_a_state_of_training(run: Path, tmp_path: Path, name: str) -> None:
    last = Path(shutil.copytree(run / "checkpoints" / "last", tmp_path / "last"))
    (last / name).unlink()
    pipe(last / name)
    with pytest.raises(ValueError, match=f"{last / name}: expected a regular file"):
        load_state(last)


@pytest.mark.parametrize("name", ["manifest.json", "config.yaml"])
def test_a_file_that_is_far_too_long_is_not_read(folder: Path, name: str) -> None:
    os.truncate(folder / name, 2**33)
    if name != "manifest.json":
        rewrite(folder, lambda digests: digests.update({name: "0" * 64}))
    assert f"{folder / name}: expected at most" in refusal(folder)


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"format": 2, "sha256": ['])
def test_a_manifest_that_is_nested_without_end_is_refused(folder: Path, opening: str) -> None:
    (folder / "manifest.json").write_text(opening * 20_000)
    assert "manifest.json: broken file" in refusal(folder)


def test_a_cache_that_is_nested_without_end_is_built_again(
    corpus: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NERLAB_CACHE", str(tmp_path / "cache"))
    keys = (f"checkpoint={run}", f"output={tmp_path}", "+data.cache=true")
    for _ in range(2):
        assert run_script("evaluate", *keys).status == 0
        (meta,) = load.cache_folder().glob("*/corpus/meta.json")
        meta.write_text("[" * 100_000)


def edit(folder: Path, place: str, value: object) -> None:
    path = folder / "config.yaml"
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    *way, last = place.split(".")
    section = config
    for key in way:
        section = section[key]
    section[last] = value
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    reseal(folder)


SIZES = [
    *(("encoder.hidden_dim", value) for value in (20_000, 200_000, 2**40, 0, -2, 10**400)),
    *(("encoder.layers", value) for value in (3, 100)),
    *(("embedder.words.dim", value) for value in (0, -1, 10**9, 10**400, True, 1.5)),
    *(("embedder.characters.dim", value) for value in (0, 10**9, 10**400)),
    *(("embedder.characters.filters", value) for value in (0, -1, 10**9)),
    *(("embedder.characters.widths", value) for value in ([0], [-1], [10**9], [], 3, "x")),
]


@pytest.mark.parametrize(("key", "value"), SIZES)
def test_a_size_that_the_weights_do_not_have_takes_no_memory(
    folder: Path, key: str, value: object
) -> None:
    edit(folder, f"model.{key}", value)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB
    refusal(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18


@pytest.mark.parametrize("heads", [0, -1, 3, True, "x", 10**400])
def test_heads_that_make_no_sense_are_refused(folder: Path, heads: object) -> None:
    encoder = {"_target_": "nerlab.modules.transformer.Transformer", "_partial_": True}
    sizes = {"hidden_dim": 32, "layers": 1, "heads": heads, "feedforward_dim": 8, "dropout": 0.1}
    sizes |= {"attention_dropout": 0.1, "norm": "pre", "positions": "rotary", "max_positions": 512}
    edit(folder, "model.encoder", {**encoder, **sizes})
    refusal(folder)


def test_a_run_that_goes_on_takes_no_memory_for_other_sizes(run: Path, tmp_path: Path) -> None:
    begun = Path(shutil.copytree(run, tmp_path / "run"))
    edit(begun / "checkpoints" / "last", "model.encoder.hidden_dim", 10_000)
    with no_hang(20):
        result = run_script("train", f"resume={begun}")
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "weights do not fit" in result.err


@pytest.mark.parametrize(
    "name", ["a.b", "", "keys", "training", "a b", "forward", "2", "output_dim"]
)
def test_a_part_has_a_name_that_a_module_can_have(folder: Path, name: str) -> None:
    path = folder / "config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    parts = config["model"]["embedder"]
    parts[name] = parts.pop("words")
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    reseal(folder)
    assert re.search("not what the indexer|expected a name of|already exists", refusal(folder))


def test_thousands_of_labels_are_refused_soon(folder: Path) -> None:
    (folder / "labels.json").write_text(json.dumps([f"L{i}" for i in range(3_000)]))
    reseal(folder)
    assert "decoder" in refusal(folder)


@given(st.lists(st.sampled_from(["A", "B", "A-B"]), unique=True))
def test_constraints_are_those_of_every_pair_of_tags(labels: list[str]) -> None:
    tags = iobes_tags(labels)
    roles = [split_tag(tag) for tag in tags]
    expected = [[may_follow(first, second, "iobes") for second in roles] for first in roles]
    found = iobes_constraints(tags)
    assert np.array_equal(found.transitions, np.array(expected))
    assert found.transitions.dtype == bool
