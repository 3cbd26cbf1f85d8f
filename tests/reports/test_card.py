"""The card of a tagger, which an export keeps and a server answers."""

import json
import re
import shutil
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import run_script
from hypothesis import given
from hypothesis import strategies as st

import nerlab
from nerlab.models.loading import Checkpoint, load_checkpoint
from nerlab.reports.card import card, card_of
from nerlab.serving.card_schemas import Card

CPU = torch.device("cpu")


load_once = cache(lambda folder: load_checkpoint(folder, CPU))


def card_in(folder: Path) -> dict[str, Any]:
    return card(load_checkpoint(folder, CPU))


def card_or_error(checkpoint: Checkpoint) -> dict[str, Any] | str:
    try:
        return card(checkpoint)
    except ValueError as error:
        return str(error)


def export(checkpoint: Path, output: Path) -> Path:
    result = run_script("nerlab/__main__", "export", f"checkpoint={checkpoint}", f"output={output}")
    assert (result.status, result.err) == (0, "")
    return output


@pytest.fixture(scope="module")
def tagger(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of the run; do not write into it."""
    return export(run, tmp_path_factory.mktemp("exported") / "tagger")


def test_a_card_says_what_the_run_has_written(run: Path) -> None:
    found = card_in(run)
    metrics = json.loads((run / "evaluation/dev/metrics.json").read_text())
    facts = json.loads((run / "environment.json").read_text())
    assert found["figures"].keys() == {"dev"}
    assert all(metrics[name] == value for name, value in found["figures"]["dev"].items())
    assert {"precision", "recall", "f1", "support", "per_type"} < found["figures"]["dev"].keys()
    assert found["data"] == {"dir": "corpus0", "scheme": "iob2", "splits": facts["splits"]}
    assert found["parameters"] == facts["parameters"]
    assert found["labels"] == ["LOC", "PER"]
    assert found["versions"] == {"nerlab": nerlab.__version__, "torch": torch.__version__}
    assert found["training"]["versions"] == found["versions"]
    assert found["training"]["seed"] == 1
    classes = [part["class"] for part in found["parts"]]
    assert classes == ["Words", "Characters", "LSTM", "CRF"]
    linear = found["parameters"] - sum(part["parameters"] for part in found["parts"])
    assert linear == (32 + 1) * 9  # hidden states and a bias; the tags


def test_an_export_keeps_the_card_and_so_does_an_export_of_it(run: Path, tagger: Path) -> None:
    again = export(tagger, tagger.with_name("again"))
    kept = json.loads((tagger / "card.json").read_text())
    assert kept == card_in(run) == card_in(tagger) == card_in(again)
    texts = [(folder / "README.md").read_text() for folder in (tagger, again)]
    assert texts[0].replace("checkpoint=tagger", "checkpoint=again") == texts[1]
    assert "| LOC |" in texts[1]


def test_nothing_of_the_machine_is_in_a_card(run: Path, corpus: Path) -> None:
    assert str(run.parent) not in json.dumps(card_in(run))
    words = card_in(run)["training"]["command"]
    assert words[:2] == ["python", "train.py"]
    assert f"data.dir={corpus.name}" in words
    assert not [word for word in words if word.startswith(("run.", "tracker"))]


def test_scores_of_an_export_that_are_measured_later_are_those_of_its_card(
    run: Path, tagger: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(tagger, tmp_path / "tagger"))
    shutil.copytree(run / "evaluation/dev", copy / "evaluation/test")
    found = card_in(copy)
    assert found["figures"] == dict.fromkeys(("dev", "test"), card_in(run)["figures"]["dev"])


def test_a_checkpoint_that_stands_alone_has_what_its_configuration_says(
    run: Path, tmp_path: Path
) -> None:
    alone = Path(shutil.copytree(run / "checkpoints/best", tmp_path / "alone"))
    found, expected = card_in(alone), card_in(run)
    assert found["name"] == expected["name"]
    assert (found["figures"], found["data"]["splits"]) == ({}, {})
    assert found["training"]["command"] is None
    assert found["training"]["versions"] == {"nerlab": None, "torch": None}
    assert found["parts"] == expected["parts"]


def test_an_ensemble_has_the_cards_of_its_members(run: Path, tagger: Path) -> None:
    folders = (run, tagger)
    checkpoints = [load_checkpoint(folder, CPU) for folder in folders]
    found = card_of(checkpoints)
    assert found["members"] == list(map(card_in, folders))
    assert found["parameters"] == 2 * card_in(run)["parameters"]
    assert found["figures"] == {}
    single = card_of(checkpoints[:1])
    assert single == {**card_in(run), "members": []}
    assert single.keys() == found.keys()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
_WHERE = st.sampled_from(
    [
        ("name",),
        ("figures",),
        ("figures", "dev"),
        ("figures", "dev", "f1"),
        ("figures", "dev", "tokens"),
        ("figures", "dev", "per_type"),
        ("figures", "dev", "per_type", "PER"),
        ("data",),
        ("data", "splits"),
        ("data", "splits", "train"),
        ("training",),
        ("training", "command"),
        ("training", "versions"),
    ]
)


@pytest.fixture(scope="module")
def exported(tagger: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the export whose card may be written."""
    return Path(shutil.copytree(tagger, tmp_path_factory.mktemp("copied") / "tagger"))


@given(where=_WHERE, value=_JSON)
def test_whatever_somebody_has_written_into_a_card_it_is_plain_data_or_one_line(
    where: tuple[str, ...], value: object, tagger: Path, exported: Path
) -> None:
    kept = json.loads((tagger / "card.json").read_text())
    inner = kept
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    (exported / "card.json").write_text(json.dumps(kept))
    found = card_or_error(replace(load_once(tagger), directory=exported))
    if isinstance(found, str):
        assert re.fullmatch(f"{exported}.*", found)
        return
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert Card.model_validate(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *product(("f1", "tokens"), ("-3", "NaN", "1e999", '"much"', "null", "[1]")),
        ("f1", "1.5"),
        ("support", "-1"),
    ],
)
def test_figures_that_cannot_be_are_one_line(
    name: str, value: str, tagger: Path, exported: Path
) -> None:
    kept = json.loads((tagger / "card.json").read_text())
    kept["figures"]["dev"][name] = "HERE"
    (exported / "card.json").write_text(json.dumps(kept).replace('"HERE"', value))
    with pytest.raises(ValueError, match="not as nerlab writes them"):
        card_in(exported)
