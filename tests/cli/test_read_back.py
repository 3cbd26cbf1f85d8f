"""What predict.py writes is a corpus for evaluate.py, and its tagger scores 100 on it."""

import json
from pathlib import Path

import pytest
from conftest import run_script

TEXTS = [
    "Anna Smith flew to Berlin . In Bakı Aygün Əliyeva met Eve.",
    "北京 Li Wei met Eve .",
    "In القاهرة محمد met Eve\u2028and Tom .",
    "",
    "👩‍👩‍👧‍👦 Tom  flew to Rome 🇦🇿!",
]


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("jsonl", ["data/reader=spans", "data.reader.spans=entities"]),
        ("conll", []),
        ("spacy", ["data/reader=spacy"]),
        (
            "labelstudio",
            [
                "data/reader=label_studio",
                "data.reader.spans=predictions.0.result",
                "data.reader.keep=null",
            ],
        ),
    ],
)
def test_predictions_are_read_back(run: Path, tmp_path: Path, name: str, keys: list[str]) -> None:
    source, output = tmp_path / "texts.txt", tmp_path / f"out.{name}"
    source.write_text("\n".join(TEXTS), encoding="utf-8")
    arguments = [f"checkpoint={run}", f"input={source}", f"output={output}", f"format={name}"]
    assert run_script("predict", *arguments) == (0, "", "")
    result = run_script(
        "evaluate", f"checkpoint={run}", f"path={output}", f"output={tmp_path}", *keys
    )
    assert (result.status, result.err) == (0, "")
    metrics = json.loads((tmp_path / "evaluation" / "out" / "metrics.json").read_text())
    assert metrics["f1"] == 1
    assert metrics["sentences"] == 5
    (expected,) = [len(json.loads(line)["entities"]) for line in [_as_jsonl(run)]]
    assert sum(t["support"] for t in metrics["per_type"].values()) == expected


def _as_jsonl(run: Path) -> str:
    text = "\n".join(TEXTS)
    return run_script("predict", f"checkpoint={run}", f"text={text}", "format=jsonl").out
