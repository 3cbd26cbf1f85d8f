"""The OpenAPI document: what it shows works, and what it admits is answered."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from example_tagger import LIMITS, ExampleTagger
from fastapi.testclient import TestClient

from nerlab.serving.app import make_app
from nerlab.serving.description import EXAMPLES, Example
from nerlab.serving.requests import JSON, MULTIPART, URLENCODED


@pytest.fixture(scope="module")
def client(run: Path) -> Iterator[TestClient]:
    with TestClient(make_app(ExampleTagger(run), LIMITS, timeout=10)) as client:
        yield client


def send(client: TestClient, path: str, example: Example) -> Any:
    if example.kind == JSON:
        return client.post(path, json=example.request)
    headers = {"Content-Type": example.kind}
    if not isinstance(example.request, dict):
        return client.post(path, content=str(example.request), headers=headers)
    if example.kind == MULTIPART:
        parts = {name: (None, str(value)) for name, value in example.request.items()}
        return client.post(path, files=parts)
    return client.post(path, data=example.request, headers=headers)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("path", ["/predict", "/predict/", "/invocations"])
def test_each_example_has_the_answer_that_stands_beside_it(
    client: TestClient, path: str, name: str
) -> None:
    answer = send(client, path, EXAMPLES[name])
    assert (answer.status_code, answer.json()) == (200, EXAMPLES[name].answer)
    assert answer.headers["content-type"] == JSON


def test_every_kind_of_content_has_an_example(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path in ("/predict", "/invocations"):
        content = document["paths"][path]["post"]["requestBody"]["content"]
        assert content.keys() >= {JSON, URLENCODED, MULTIPART}
        shown = {name for kind in content.values() for name in kind["examples"]}
        answers = document["paths"][path]["post"]["responses"]["200"]["content"][JSON]["examples"]
        assert shown == answers.keys() == EXAMPLES.keys()
