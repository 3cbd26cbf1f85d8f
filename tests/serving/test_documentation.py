"""What docs/serving.md shows is what a server answers."""

import argparse
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from example_tagger import LIMITS, ExampleTagger
from fastapi.testclient import TestClient

from nerlab.serving.app import make_app
from nerlab.serving.requests import URLENCODED

PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
# A command, which goes on behind a backslash, and the JSON under it.
SHOWN = re.findall(r"^```\ncurl (.*?[^\\])\n(.*?)^```$", PAGE, re.M | re.S)
_CURL = argparse.ArgumentParser()
_CURL.add_argument("url")
_CURL.add_argument("-H", dest="header", default=f"Content-Type: {URLENCODED}")
_CURL.add_argument("-d", dest="data", default="")
_CURL.add_argument("-F", dest="parts", action="append", default=[])


@pytest.fixture(scope="module")
def client(run: Path) -> Iterator[TestClient]:
    with TestClient(make_app(ExampleTagger(run), LIMITS, timeout=10)) as client:
        yield client


def curl(client: TestClient, command: str) -> Any:
    given = _CURL.parse_args(shlex.split(command.replace("\\\n", "")))
    path = given.url.removeprefix("localhost:8000")
    if given.parts:
        parts = dict(part.split("=", 1) for part in given.parts)
        return client.post(path, files={name: (None, value) for name, value in parts.items()})
    name, value = given.header.split(": ")
    return client.post(path, content=given.data.encode(), headers={name: value})


@pytest.mark.parametrize(("command", "answer"), SHOWN)
def test_each_example_of_the_documentation(client: TestClient, command: str, answer: str) -> None:
    assert curl(client, command).json() == json.loads(answer)


def test_the_documentation_has_an_example_of_every_shape() -> None:
    commands = " ".join(command for command, _ in SHOWN)
    for shown in (
        '"text"',
        '"texts"',
        '"sentence"',
        "text/plain",
        "-F",
        "tokens",
        '"k"',
        "min_score",
    ):
        assert shown in commands


def test_the_documentation_lists_every_path_and_field(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path in document["paths"]:
        assert f"`GET {path}`" in PAGE or f"`POST {path}`" in PAGE or f"`{path}`" in PAGE
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    fields = content[URLENCODED]["schema"]["properties"]
    assert all(f"`{field}`" in PAGE for field in fields if field != "text")
    statuses = document["paths"]["/predict"]["post"]["responses"]
    assert all(status in PAGE for status in statuses)
