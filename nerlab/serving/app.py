"""The routes of the server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse
from starlette.requests import ClientDisconnect

import nerlab
from nerlab.inference.predictor import Predictor, Wanted
from nerlab.reports.card import card_of
from nerlab.reports.look import TEMPLATES
from nerlab.serving.answers import as_json, text_answer
from nerlab.serving.batching import Batching, Full, Limits
from nerlab.serving.requests import Refused, read_json
from nerlab.serving.schemas import TextsRequest
from nerlab.serving.waiting import TimedOut, while_awaited
from nerlab.text import sentences

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "/": _PAGE / "index.html",
    "/app.js": _PAGE / "app.js",
    "/page.css": _PAGE / "page.css",
    "/style.css": TEMPLATES / "style.css",
}


def make_app(predictor: Predictor, limits: Limits, timeout: float) -> FastAPI:
    """The application that answers with what ``predictor`` finds, within ``timeout`` seconds."""
    batching = Batching(predictor.tag_pieces, limits)
    card = as_json(card_of(predictor.checkpoints))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with batching:
            yield

    app = FastAPI(
        title="nerlab",
        version=nerlab.__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        asked = read_json(await request.body())
        texts = asked.texts if isinstance(asked, TextsRequest) else [asked.text]
        cut = [list(sentences(text)) for text in texts]
        words = [[[token.text for token in s] for s in split] for split in cut]
        pieces = predictor.pieces(words, asked.document)
        work = batching.tag(pieces, Wanted())
        found = iter(await while_awaited(work, request.receive, timeout))
        answers = [
            text_answer(text, split, [next(found) for _ in split], asked.min_score)
            for text, split in zip(texts, cut, strict=True)
        ]
        result = {"results": answers} if isinstance(asked, TextsRequest) else answers[0]
        return Response(as_json(result), media_type="application/json")

    @app.get("/labels")
    async def labels() -> Response:
        return Response(as_json({"labels": predictor.labels}), media_type="application/json")

    @app.get("/model")
    async def model() -> Response:
        return Response(card, media_type="application/json")

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return Response(as_json({"error": str(error)}), error.status, media_type="application/json")

    @app.exception_handler(Full)
    async def full(_: Request, error: Full) -> Response:
        message = as_json({"error": f"{error}; try again after that"})
        headers = {"Retry-After": str(error.retry_after)}
        return Response(message, 503, headers, media_type="application/json")

    @app.exception_handler(TimedOut)
    async def timed_out(_: Request, error: TimedOut) -> Response:
        message = as_json({"error": f"{error}; try again later, or with less text"})
        return Response(message, 503, {"Retry-After": "1"}, media_type="application/json")

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=499)  # for the log; nobody reads it

    for path, file in _FILES.items():
        _serve_file(app, path, file)
    return app


def _serve_file(app: FastAPI, path: str, file: Path) -> None:
    @app.get(path, include_in_schema=False)
    async def send() -> FileResponse:
        return FileResponse(file)
