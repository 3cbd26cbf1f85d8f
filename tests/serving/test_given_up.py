"""A request that has timed out, or whose client has gone, is not tagged."""

import asyncio
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from example_tagger import LIMITS, ExampleTagger
from fastapi import FastAPI

from nerlab.inference.pieces import Piece
from nerlab.inference.predictor import SentenceTags, Wanted
from nerlab.serving.app import make_app


class HeldTagger(ExampleTagger):
    """Begins to tag when it is let, and notes what it has begun with."""

    def __init__(self, run: Path) -> None:
        super().__init__(run)
        self.begun: list[str] = []
        self.free = threading.Event()

    def tag_pieces(self, pieces: Sequence[Piece], wanted: Wanted) -> list[list[SentenceTags]]:
        self.begun += [sentence.tokens[0] for piece in pieces for sentence in piece]
        assert self.free.wait(60)
        return super().tag_pieces(pieces, wanted)

    async def begin_with(self, text: str) -> None:
        """Until it has."""
        while text not in self.begun:
            await asyncio.sleep(0.001)


class Client:
    """Asks an application for the entities of a text."""

    def __init__(self, text: str) -> None:
        self.body = json.dumps({"text": text}).encode()
        self.leaves, self.listens = asyncio.Event(), asyncio.Event()
        self.status: int | None = None
        self.headers: dict[bytes, bytes] = {}
        self.answer = b""

    async def ask(self, app: FastAPI) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(self.body)),
        ]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/predict",
            "query_string": b"",
            "headers": headers,
        }
        first = [{"type": "http.request", "body": self.body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if first:
                return first.pop()
            self.listens.set()
            await self.leaves.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.status, self.headers = message["status"], dict(message["headers"])
            self.answer += message.get("body", b"")

        await app(scope, receive, send)


@pytest.mark.parametrize("leaves", [True, False])
def test_it_is_not_tagged_and_the_others_are(run: Path, leaves: bool) -> None:
    tagger = HeldTagger(run)
    app = make_app(tagger, LIMITS, timeout=60 if leaves else 1)

    async def work() -> tuple[Client, Client]:
        first, given_up, last = (Client(text) for text in ("Paris", "Berlin", "Angela Merkel"))
        async with app.router.lifespan_context(app):
            earlier = asyncio.ensure_future(first.ask(app))
            await tagger.begin_with("Paris")
            asked = asyncio.ensure_future(given_up.ask(app))
            await given_up.listens.wait()
            if leaves:
                given_up.leaves.set()
            await asked
            later = asyncio.ensure_future(last.ask(app))
            await last.listens.wait()
            tagger.free.set()
            await asyncio.gather(earlier, later)
        return given_up, last

    given_up, last = asyncio.run(work())
    assert "Berlin" not in tagger.begun
    assert "Angela" in tagger.begun
    assert json.loads(last.answer)["entities"][0]["label"] == "PER"
    assert given_up.status == (499 if leaves else 503)
    if not leaves:
        assert int(given_up.headers[b"retry-after"]) >= 1
        assert "1 s" in json.loads(given_up.answer)["error"]
