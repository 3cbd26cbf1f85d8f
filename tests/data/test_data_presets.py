"""Presets whose corpora are not at hand, composed as train.py does and run on small files."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpora import compose_data

from nerlab.data.corpus import Corpus
from nerlab.data.load import load_split, splits_of


def load(*overrides: str) -> dict[str, Corpus]:
    """Every split that ``python train.py`` would see."""
    data = compose_data(*overrides)
    return {split: load_split(data, split) for split in splits_of(data)}


def tagged(corpus: Corpus) -> list[tuple[list[str], list[str]]]:
    return [(corpus.sentence_tokens(i), corpus.sentence_tags(i)) for i in range(len(corpus))]


TOKENS, TAGS = ["Ada", "Byron", "left"], ["B-PER", "I-PER", "O"]
IOBES = ["B-PER", "E-PER", "O"]
RECORDS: dict[str, Any] = {
    "jsonl": {"tokens": TOKENS, "tags": TAGS},
    "prodigy": {
        "text": "Ada Byron left",
        "spans": [{"start": 0, "end": 9, "label": "PER"}],
        "answer": "accept",
    },
    "doccano": {"text": "Ada Byron left", "label": [[0, 9, "PER"]]},
    "spacy": {"text": "Ada Byron left", "ents": [{"start": 0, "end": 9, "label": "PER"}]},
    "label_studio": [
        {
            "data": {"text": "Ada Byron left"},
            "annotations": [
                {
                    "was_cancelled": False,
                    "result": [
                        {"type": "labels", "value": {"start": 0, "end": 9, "labels": ["PER"]}},
                        {"type": "relation", "from_id": "a", "to_id": "b"},
                    ],
                }
            ],
        }
    ],
}


@pytest.mark.parametrize("reader", RECORDS)
def test_records_of_ones_own_are_read_by_the_reader_that_is_named(
    tmp_path: Path, reader: str
) -> None:
    for name in ("train.jsonl", "dev.jsonl"):
        (tmp_path / name).write_text(json.dumps(RECORDS[reader]))
    splits = load("data=jsonl", f"data/reader={reader}", f"data.dir={tmp_path}")
    assert splits.keys() == {"train", "dev"}
    for corpus in splits.values():
        assert tagged(corpus) == [(TOKENS, IOBES)]


def test_numbered_classes_are_named_on_the_command_line(tmp_path: Path) -> None:
    for name in ("train.jsonl", "dev.jsonl"):
        (tmp_path / name).write_text(json.dumps({"words": TOKENS, "ner": [1, 1, 0]}))
    options = ("tokens=words", "tags=ner", "labels=[O,PER]")
    reader = (f"data.reader.{option}" for option in options)
    splits = load("data=jsonl", f"data.dir={tmp_path}", *reader)
    assert tagged(splits["train"]) == [(TOKENS, IOBES)]


def test_kaznerd_is_columns_in_three_files(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        lines = [f"{split} O", "Алаш B-ORGANISATION", "орда I-ORGANISATION", "", "", ""]
        (tmp_path / f"IOB2_{split}.txt").write_text("\n".join(lines), encoding="utf-8")
    splits = load("data=kaznerd", f"data.dir={tmp_path}")
    assert [tagged(corpus) for corpus in splits.values()] == [
        [([split, "Алаш", "орда"], ["O", "B-ORGANISATION", "E-ORGANISATION"])]
        for split in ("train", "valid", "test")
    ]


def test_localdoc_is_one_file_of_numbered_classes_cut_into_splits(tmp_path: Path) -> None:
    rows = [(f"['w{i}', 'Bakı']", f"['0', '{i % 25}']") for i in range(200)]
    table = pa.table(
        {
            "index": list(range(201)),
            "tokens": [None, *(tokens for tokens, _ in rows)],
            "ner_tags": [None, *(tags for _, tags in rows)],
        }
    )
    pq.write_table(table, tmp_path / "train-00000-of-00001.parquet")
    splits = load("data=localdoc", f"data.dir={tmp_path}")
    found = [pair for corpus in splits.values() for pair in tagged(corpus)]
    assert sorted(len(corpus) > 0 for corpus in splits.values()) == [True] * 3
    assert sorted(tokens[0] for tokens, _ in found) == sorted(f"w{i}" for i in range(200))
    labels = set().union(*(corpus.labels for corpus in splits.values()))
    assert len(labels) == 24
    # The classes of the data set's card: 1 is a person, 14 a country or city, 24 a project.
    by_class = {int(tokens[0][1:]) % 25: tags[1] for tokens, tags in found}
    assert [by_class[i] for i in (0, 1, 14, 24)] == ["O", "S-PERSON", "S-GPE", "S-PROJECT"]
