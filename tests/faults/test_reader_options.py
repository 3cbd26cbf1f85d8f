"""The options of every reader: a value of any type is used, or refused in a line that names it."""

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from formats import FORMATS, SMALL, TOOLS
from invariants import one_line
from omegaconf import OmegaConf

from nerlab.config import DataConfig, Scheme
from nerlab.data.load import load_file

FOLDER = ROOT / "conf" / "data" / "reader"
# Where the files of these tests differ from the defaults.
OWN: dict[str, dict[str, Any]] = {
    "table": {"token_column": "token", "tag_column": "tag", "sentence_column": "n"},
    "parquet": {"tag_column": "tags"},
    "spans": {"start": 0, "end": 1, "label": 2},
}
VALUES = [
    *(None, 3, -1, 10**30, 1.5, math.nan, True, [], [1], ["a", None], {}, {"a": {"b": [1]}}),
    *("", "ab", "\0", "\n", '"', "(", "[", ".", "a.b.c", "-1", "²", "é", "../x", "x" * 300),
    *("utf-7", "utf-16", "base64", "idna", "punycode", "undefined", "unicode_escape", "utf\0"),
]


def written(name: str) -> dict[str, Any]:
    options = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return (written("spans") if options.pop("defaults", None) else {}) | options


def options_of(name: str) -> dict[str, Any]:
    return written(name) | OWN.get(name, {})


def load(path: Path, options: dict[str, Any]) -> int:
    data = DataConfig(
        dir=str(path.parent),
        train=path.name,
        dev=None,
        test=None,
        reader=OmegaConf.create(options),  # type: ignore[arg-type]
        scheme=Scheme.iob2,
        repair=False,
    )
    return len(load_file(data, path))


CASES = [
    (name, option)
    for name in sorted(path.stem for path in FOLDER.glob("*.yaml"))
    for option in options_of(name)
    if not option.startswith("_")
]


@pytest.mark.long
@pytest.mark.parametrize(("name", "option"), CASES)
def test_any_value_is_used_or_refused(tmp_path: Path, name: str, option: str) -> None:
    path = tmp_path / "words"
    (FORMATS | TOOLS)[name].write(SMALL, path)
    options = options_of(name)
    assert load(path, options) == len(SMALL)
    for value in VALUES:
        try:
            load(path, {**options, option: value})
        except OSError as error:
            message = str(error.filename)
        except ValueError as error:
            message = str(error)
        else:
            continue
        assert str(path.parent) in message or f"data.reader.{option}" in message
        if value != "\n":  # which a script writes as \\n
            one_line(message)


@pytest.mark.parametrize(
    ("name", "option", "value", "expected"),
    [
        ("columns", "encoding", 3, "expected a string, found 3"),
        ("columns", "token_column", True, "expected a whole number or a string, found True"),
        ("columns", "comment", ["#"], "expected a string or null, found a list"),
        ("spans", "keep", "answer", "expected a section or null, found 'answer'"),
        ("spans", "require_spans", "no", "expected true or false, found 'no'"),
        ("jsonl", "labels", 3, "expected a list or null, found 3"),
        ("jsonl", "layout", "xml", "expected lines or array, found 'xml'"),
        ("parquet", "bad_rows", "fix", "expected error or skip, found 'fix'"),
        ("spans", "unit", "bytes", "expected characters or tokens, found 'bytes'"),
        ("spans", "ends", "bytes", "expected exclusive or inclusive, found 'bytes'"),
        ("spans", "misaligned", None, "expected error or expand or skip, found null"),
        ("table", "delimiter", "||", "expected one character, no quote and no line break"),
    ],
)
def test_a_value_of_another_type_is_named(
    tmp_path: Path, name: str, option: str, value: Any, expected: str
) -> None:
    path = tmp_path / "words"
    FORMATS[name].write(SMALL, path)
    with pytest.raises(ValueError, match=rf"^data\.reader\.{option}: {expected}"):
        load(path, {**options_of(name), option: value})


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_a_file_without_a_sentence_is_refused(tmp_path: Path, name: str) -> None:
    for file in ("words", "tags"):
        (tmp_path / file).write_text("[]" if name == "label_studio" else "\n")
    message = "no sentence found; set " if name not in ("table", "parquet") else ""
    with pytest.raises(ValueError, match=rf"^{tmp_path}/words:.*{message}"):
        load(tmp_path / "words", options_of(name))


@pytest.mark.parametrize("encoding", ["base64", "rot13", "undefined", "utf-99", "utf\0"])
def test_what_is_no_encoding_of_text_is_named(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "words"
    FORMATS["columns"].write(SMALL, path)
    with pytest.raises(ValueError, match=r"words: .*; set data\.reader\.encoding$"):
        load(path, {**options_of("columns"), "encoding": encoding})
