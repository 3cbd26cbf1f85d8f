"""``GET /model``: the card of what is served."""

from pathlib import Path

from fastapi.testclient import TestClient

import nerlab
from nerlab.reports.card import card_of
from nerlab.serving.app import make_app
from nerlab.serving.batching import Limits
from nerlab.serving.card_schemas import EXAMPLE, ModelAnswer


def test_the_server_answers_the_card_of_its_tagger(run: Path) -> None:
    predictor = nerlab.load(run, device="cpu")
    client = TestClient(make_app(predictor, Limits(0.0, 1000, 1000, 100), timeout=10))
    answer = client.get("/model")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == card_of(predictor.checkpoints)
    assert answer.json()["figures"]["dev"]["f1"] > 0.5


def shape(value: object) -> object:
    """The keys of an object and of what is in it; of a list those of its first item."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else None


def test_the_card_is_as_the_openapi_document_says(run: Path) -> None:
    checkpoints = nerlab.load(run, device="cpu").checkpoints
    for found in (card_of(checkpoints), card_of([*checkpoints, *checkpoints])):
        assert ModelAnswer.model_validate(found).model_dump(by_alias=True) == found


def test_the_example_of_a_card_is_one(run: Path) -> None:
    ModelAnswer.model_validate(EXAMPLE)
    found = card_of(nerlab.load(run, device="cpu").checkpoints)
    del found["figures"]["dev"]["per_type"]["PER"], found["data"]["splits"]["dev"]
    assert shape(EXAMPLE) == shape(found)
