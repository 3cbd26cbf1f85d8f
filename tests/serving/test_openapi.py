"""The OpenAPI document: what it shows works, and what it admits is answered."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from conftest import run_process
from example_tagger import LIMITS, ExampleTagger
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis import BaseSchema, Case, GenerationMode
from server_process import Server

from nerlab.serving.app import make_app
from nerlab.serving.description import EXAMPLES, REFUSALS, Example
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


@pytest.mark.parametrize("status", REFUSALS)
def test_what_the_document_says_is_refused_is_refused_so(client: TestClient, status: int) -> None:
    kind, body, expected = REFUSALS[status][1:]
    answer = client.post("/predict", content=str(body), headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()) == (status, expected)
    document = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["responses"]
    assert document[str(status)]["content"][JSON]["example"] == expected


def test_the_document_says_how_a_token_is_sent(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["security"] == [{}, {"token": []}]  # if the server wants one
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_every_kind_of_content_has_an_example(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path in ("/predict", "/invocations"):
        content = document["paths"][path]["post"]["requestBody"]["content"]
        assert content.keys() >= {JSON, URLENCODED, MULTIPART}
        shown = {name for kind in content.values() for name in kind["examples"]}
        answers = document["paths"][path]["post"]["responses"]["200"]["content"][JSON]["examples"]
        assert shown == answers.keys() == EXAMPLES.keys()


@pytest.fixture(scope="module")
def schema(server: Server) -> BaseSchema:
    return schemathesis.openapi.from_url(f"{server.url}openapi.json")


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("path", ["/predict", pytest.param("/invocations", marks=pytest.mark.long)])
def test_a_request_is_answered_if_the_document_admits_it(
    schema: BaseSchema, path: str, mode: GenerationMode
) -> None:
    @given(case=schema[path]["POST"].as_strategy(generation_mode=mode))
    @settings(suppress_health_check=list(HealthCheck))
    def check(case: Case[Any]) -> None:
        case.call_and_validate()

    check()


def test_every_path_answers_as_the_document_says(schema: BaseSchema) -> None:
    paths = [path for path, methods in schema.raw_schema["paths"].items() if "get" in methods]
    assert len(paths) >= 7
    for path in paths:
        schema[path]["GET"].Case().call_and_validate()


@pytest.mark.long
def test_schemathesis_finds_nothing_in_a_server(server: Server, tmp_path: Path) -> None:
    """All its checks and phases, over sockets."""
    start = "from schemathesis.cli import schemathesis; schemathesis()"
    command = ["run", f"{server.url}openapi.json", "--checks=all", "--max-examples=1000"]
    result = run_process(["-c", start, *command, "--no-color"], tmp_path)
    assert result.status == 0, result.out[-5000:]
