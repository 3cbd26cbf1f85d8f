"""Every format a reader reads: how a file of it is written here, and read by nerlab."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
from annotation_tools import (
    doccano_record,
    label_studio_record,
    options_of,
    prodigy_record,
    spacy_record,
)
from pyarrow.parquet import write_table

from nerlab.data.readers import conll, jsonl, parallel, parquet, spans, table
from nerlab.data.sentence import Sentence
from nerlab.tags import spans_of

Text = list[list[tuple[str, str]]]


def write_columns(text: Text, path: Path) -> None:
    rows = ["".join(f"{token}\t{tag}\n" for token, tag in part) for part in text]
    path.write_bytes("\n".join(rows).encode("utf-8"))


def write_parallel(text: Text, path: Path) -> None:
    for name, column in ((path, 0), (path.with_name("tags"), 1)):
        lines = [" ".join(row[column] for row in part) + "\n" for part in text]
        name.write_bytes("".join(lines).encode("utf-8"))


def write_rows(text: Text, path: Path) -> None:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    rows.writerow(["n", "token", "tag"])
    for number, part in enumerate(text):
        rows.writerows([[number if i == 0 else "", *row] for i, row in enumerate(part)])
    path.write_bytes(out.getvalue().encode("utf-8"))


def write_json(text: Text, path: Path) -> None:
    records = [{"tokens": [t for t, _ in part], "tags": [t for _, t in part]} for part in text]
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
    path.write_bytes("".join(lines).encode("utf-8"))


def write_spans(text: Text, path: Path) -> None:
    lines = []
    for part in text:
        places, at = [], 0
        for token, _ in part:
            places.append({"start": at, "end": at + len(token)})
            at += len(token) + 1
        marks = [
            [places[span.start]["start"], places[span.end - 1]["end"], span.label]
            for span in spans_of([tag for _, tag in part])
        ]
        joined = " ".join(token for token, _ in part)
        record = {"text": joined, "tokens": places, "spans": marks}
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    path.write_bytes("".join(lines).encode("utf-8"))


def write_parquet(text: Text, path: Path) -> None:
    columns = [[[row[i] for row in part] for part in text] for i in (0, 1)]
    kind = pyarrow.list_(pyarrow.string())
    arrays = [pyarrow.array(column, type=kind) for column in columns]
    write_table(pyarrow.table(arrays, names=["tokens", "tags"]), path)


def read_spans(path: Path) -> Iterator[Sentence]:
    paths = ("text", "tokens", None, "spans", 0, 1, 2)
    return spans.read(path, "lines", "utf-8", *paths, "characters", "exclusive", "error", True)


class Format(NamedTuple):
    """How one format is written here and read by nerlab; ``banned`` is what no token may hold."""

    write: Callable[[Text, Path], None]
    read: Callable[[Path], Iterator[Sentence]]
    banned: str


FORMATS = {
    "columns": Format(write_columns, lambda path: conll.read(path, 0, -1, "utf-8"), " \t\r\n"),
    "parallel": Format(
        write_parallel, lambda path: parallel.read(path, "words", "tags", "utf-8"), " \t\r\n"
    ),
    "table": Format(
        write_rows, lambda path: table.read(path, "token", "tag", "n", ",", "utf-8"), "\0"
    ),
    "jsonl": Format(
        write_json, lambda path: jsonl.read(path, "lines", "utf-8", "tokens", "tags"), ""
    ),
    # White space alone is no token of a text.
    "spans": Format(write_spans, read_spans, " \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2028\u2029"),
    "parquet": Format(
        write_parquet, lambda path: parquet.read(path, "tokens", "tags", "error"), ""
    ),
}


Annotate = Callable[[str, list[tuple[int, int, str]]], dict[str, Any]]


def write_annotated(annotate: Annotate, is_array: bool, text: Text, path: Path) -> None:
    """A record a sentence, as an annotation tool would export it."""
    records = []
    for part in text:
        joined, places = "", []
        for token, _ in part:
            joined += " " * bool(joined)
            places.append((len(joined), len(joined) + len(token)))
            joined += token
        marks = [
            (places[span.start][0], places[span.end - 1][1], span.label)
            for span in spans_of([tag for _, tag in part])
        ]
        records.append(annotate(joined, marks))
    lines = [json.dumps(records)] if is_array else map(json.dumps, records)
    path.write_text("\n".join(lines))


def exported(tool: str, annotate: Annotate) -> Format:
    """The format of an annotation tool; the reader may cut its texts otherwise than ``write``."""
    options = options_of(tool)
    write = partial(write_annotated, annotate, options["layout"] == "array")
    return Format(write, partial(spans.read, **options), "")


TOOLS = {
    "prodigy": exported("prodigy", prodigy_record),
    "doccano": exported("doccano", doccano_record),
    "spacy": exported("spacy", spacy_record),
    "label_studio": exported("label_studio", label_studio_record),
}
SMALL: Text = [[("Ada", "B-X"), ("wrote", "O")], [("Aygün", "B-X"), ("to", "O"), ("İo", "B-Y")]]
