"""Checkpoints with broken bytes and values: one line naming the file, or a tagger that works."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from helpers import reseal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from invariants import load_or_refuse

from nerlab.models.loading import load_checkpoint

CPU = torch.device("cpu")
VOCABULARY = ["labels.json", "indexer.words.words.json", "indexer.characters.characters.json"]
few = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])

plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([10**30, -(10**30), "", "O", "B-", "a b", "???", "${", "nerlab", "\udcff"])
    | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["_target_", "dim", "_args_", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@pytest.fixture
def folder(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run / "checkpoints" / "best", tmp_path / "checkpoint"))


@few
@pytest.mark.parametrize("name", ["config.yaml", *VOCABULARY, "model.safetensors"])
@given(st.data())
def test_a_flipped_bit(folder: Path, run: Path, name: str, data: st.DataObject) -> None:
    content = bytearray((run / "checkpoints" / "best" / name).read_bytes())
    places = st.integers(0, min(len(content), 4000) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=3)):
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    (folder / name).write_bytes(content)
    reseal(folder)
    load_or_refuse(folder)


@few
@pytest.mark.parametrize("name", ["config.yaml", *VOCABULARY])
@given(st.data())
def test_a_file_that_ends_too_soon(folder: Path, run: Path, name: str, data: st.DataObject) -> None:
    content = (run / "checkpoints" / "best" / name).read_bytes()
    (folder / name).write_bytes(content[: data.draw(st.integers(0, len(content)))])
    reseal(folder)
    load_or_refuse(folder)


@few
@pytest.mark.parametrize("name", VOCABULARY)
@given(st.data())
def test_any_value_in_the_vocabulary(
    folder: Path, run: Path, name: str, data: st.DataObject
) -> None:
    source = run / "checkpoints" / "best" / name
    held = {"all": json.loads(source.read_text(encoding="utf-8"))}
    inner = held["all"] if isinstance(held["all"], dict) else held
    section = data.draw(st.sampled_from([held, inner]))
    key = data.draw(st.sampled_from(sorted(section)))
    value = data.draw(plain_values)
    if isinstance(section[key], list) and data.draw(st.booleans()):
        section[key][data.draw(st.integers(0, len(section[key]) - 1))] = value
    else:
        section[key] = value
    (folder / name).write_text(json.dumps(held["all"]))
    reseal(folder)
    load_or_refuse(folder)


@pytest.mark.parametrize("name", VOCABULARY)
def test_a_vocabulary_that_is_nested_without_end(folder: Path, name: str) -> None:
    (folder / name).write_text("[" * 100_000)
    reseal(folder)
    with pytest.raises(ValueError, match=f"{name}: (not what the indexer|no labels)"):
        load_checkpoint(folder, CPU)


@pytest.mark.parametrize("value", [-1, 10**30, float("inf")])
def test_a_number_of_the_vocabulary_out_of_its_range(folder: Path, value: float) -> None:
    path = folder / "indexer.words.words.json"
    words = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**words, "singletons": value}))
    reseal(folder)
    with pytest.raises(ValueError, match=r"words\.json: not what the indexer of words has saved"):
        load_checkpoint(folder, CPU)


def sections(config: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Every key of a configuration, with the section that it stands in."""
    found = []
    for key, value in config.items():
        found.append((config, key))
        if isinstance(value, dict):
            found += sections(value)
    return found


@settings(few, max_examples=60)
@given(st.data())
def test_any_value_in_the_configuration(folder: Path, run: Path, data: st.DataObject) -> None:
    source = run / "checkpoints" / "best" / "config.yaml"
    config = yaml.safe_load(source.read_text(encoding="utf-8"))
    used = {key: config[key] for key in ("model", "data", "trainer")}
    section, key = data.draw(st.sampled_from(sections(used["model"]) + sections(used)))
    if data.draw(st.booleans()):
        section[key] = data.draw(plain_values)
    else:
        del section[key]
    (folder / "config.yaml").write_text(yaml.safe_dump(used), encoding="utf-8")
    reseal(folder)
    load_or_refuse(folder)
