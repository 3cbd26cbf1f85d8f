"""The exports of four annotation tools, and files of them read as their YAML files say."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from conftest import ROOT

from nerlab.data.readers.spans import read
from nerlab.data.sentence import Sentence
from nerlab.tags import spans_of
from nerlab.text import sentences as sentences_of
from nerlab.text import tokenize


def options_of(tool: str) -> dict[str, Any]:
    """The options in the YAML file of a tool and in the one that it begins with."""
    folder = ROOT / "conf" / "data" / "reader"
    options: dict[str, Any] = {}
    for name in ("spans", tool):
        options |= yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
    nodes = ("defaults", "_target_", "_partial_")
    return {key: value for key, value in options.items() if key not in nodes}


def read_records(path: Path, tool: str, records: list[Any], **changes: Any) -> list[Sentence]:
    """The sentences of records, written as the layout of the tool wants them."""
    options = options_of(tool) | changes
    if options["layout"] == "array":
        path.write_text(json.dumps(records))
    else:
        path.write_text("\n".join(map(json.dumps, records)))
    return list(read(path, **options))


def entities(sentences: list[Sentence]) -> list[tuple[str, str]]:
    """Text and label of every entity, its tokens apart by spaces."""
    return [
        (" ".join(sentence.tokens[span.start : span.end]), span.label)
        for sentence in sentences
        for span in spans_of(sentence.tags)
    ]


# One text in two sentences.
TEXT = "Angela Merkel flew to New York. It rained in Paris!"
NAMED = [(0, 13, "PER"), (22, 30, "LOC"), (45, 50, "LOC")]
NAMES = [("Angela Merkel", "PER"), ("New York", "LOC"), ("Paris", "LOC")]


def prodigy_record(text: str, named: list[tuple[int, int, str]]) -> dict[str, Any]:
    tokens = list(tokenize(text))
    starts = {t.start: i for i, t in enumerate(tokens)}
    ends = {t.end: i for i, t in enumerate(tokens)}
    return {
        "text": text,
        "_input_hash": -96976038,
        "_task_hash": 163468,
        "tokens": [
            {"text": t.text, "start": t.start, "end": t.end, "id": i, "ws": True}
            for i, t in enumerate(tokens)
        ],
        "spans": [
            {
                "start": start,
                "end": end,
                "token_start": starts[start],
                "token_end": ends[end],
                "label": label,
            }
            for start, end, label in named
        ],
        "_view_id": "ner_manual",
        "answer": "accept",
    }


def doccano_record(text: str, named: list[tuple[int, int, str]]) -> dict[str, Any]:
    return {"id": 7, "text": text, "label": [list(span) for span in named], "Comments": []}


def spacy_record(text: str, named: list[tuple[int, int, str]]) -> dict[str, Any]:
    groups = list(sentences_of(text))
    return {
        "text": text,
        "ents": [{"start": start, "end": end, "label": label} for start, end, label in named],
        "sents": [{"start": group[0].start, "end": group[-1].end} for group in groups],
        "tokens": [
            {"id": i, "start": t.start, "end": t.end, "pos": "X"}
            for i, t in enumerate(tokenize(text))
        ],
    }


def label_studio_record(text: str, named: list[tuple[int, int, str]]) -> dict[str, Any]:
    results: list[dict[str, Any]] = [
        {
            "value": {"start": start, "end": end, "text": text[start:end], "labels": [label]},
            "id": f"id{start}",
            "from_name": "label",
            "to_name": "text",
            "type": "labels",
            "origin": "manual",
        }
        for start, end, label in named
    ]
    relation = {"from_id": "id0", "to_id": "id1", "type": "relation", "direction": "right"}
    choices = {"value": {"choices": ["News"]}, "from_name": "kind", "type": "choices"}
    region_choice = {"value": {"start": 0, "end": 1, "choices": ["a"]}, "type": "choices"}
    return {
        "id": 1,
        "annotations": [
            {
                "id": 9,
                "result": [relation, choices, *results, region_choice],
                "was_cancelled": False,
            }
        ],
        "data": {"text": text},
        "predictions": [],
    }


TOOLS: dict[str, Callable[[str, list[tuple[int, int, str]]], dict[str, Any]]] = {
    "prodigy": prodigy_record,
    "doccano": doccano_record,
    "spacy": spacy_record,
    "label_studio": label_studio_record,
}
BY_TOKENS = {"start": "token_start", "end": "token_end", "unit": "tokens", "ends": "inclusive"}
