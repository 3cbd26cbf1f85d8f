"""``GET /model``: the card of what is served."""

from pathlib import Path

from fastapi.testclient import TestClient

import nerlab
from nerlab.reports.card import card_of
from nerlab.serving.app import make_app
from nerlab.serving.batching import Limits


def test_the_server_answers_the_card_of_its_tagger(run: Path) -> None:
    predictor = nerlab.load(run, device="cpu")
    client = TestClient(make_app(predictor, Limits(0.0, 1000, 1000, 100), timeout=10))
    answer = client.get("/model")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == card_of(predictor.checkpoints)
    assert answer.json()["figures"]["dev"]["f1"] > 0.5
