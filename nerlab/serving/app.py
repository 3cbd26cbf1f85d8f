"""The routes of the server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse

import nerlab
from nerlab.inference.predictor import Predictor
from nerlab.messages import json_line
from nerlab.reports.card import card_of
from nerlab.reports.look import TEMPLATES, colors_of
from nerlab.serving.answers import answer, cut, wanted
from nerlab.serving.batching import Batching, Limits
from nerlab.serving.description import (
    DESCRIPTION,
    EXAMPLES_ANSWERS,
    LABELS_ANSWERS,
    METRICS_ANSWERS,
    MODEL_ANSWERS,
    PREDICT_ANSWERS,
    PREDICT_REQUEST,
    STATE_ANSWERS,
)
from nerlab.serving.examples import examples_for
from nerlab.serving.failures import RETRY, answer_failures, failure
from nerlab.serving.metrics import CONTENT_TYPE, Metrics
from nerlab.serving.requests import JSON, Asked, Refused, read
from nerlab.serving.waiting import while_awaited

R = TypeVar("R")

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "/": _PAGE / "index.html",
    "/style.css": TEMPLATES / "style.css",
    **{f"/{file.name}": file for file in (*_PAGE.glob("*.js"), *_PAGE.glob("*.css"))},
}
OPEN_PATHS = frozenset({*_FILES, "/health", "/ready", "/ping"})
"""Which show the page and the state of the server, and need no token."""
_OK = b'{"status": "ok"}'
_LONG = 4_000  # bytes of a request that is cut into tokens, and answered, in a thread
_MOST_TAGS = 1_000_000  # of the sequences of an answer


def make_app(predictor: Predictor, limits: Limits, timeout: float) -> FastAPI:
    """The application that answers with what ``predictor`` finds, within ``timeout`` seconds.

    Its ``state.metrics`` count what is tagged; :func:`nerlab.serving.guard.guard` has them count
    requests too.
    """
    metrics = Metrics()
    batching = Batching(metrics.timed(predictor.tag_pieces), limits)
    metrics.show_queue(lambda: batching.waiting)
    card = json_line(card_of(predictor.checkpoints)).encode()
    offered = examples_for(predictor.checkpoints[0].vocabulary)
    examples = json_line({"examples": [example._asdict() for example in offered]}).encode()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with batching:
            yield

    app = FastAPI(
        title="nerlab",
        description=DESCRIPTION,
        version=nerlab.__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.metrics = metrics
    answer_failures(app)

    # /invocations and /ping are what AWS SageMaker asks for.
    @app.post("/predict", responses=PREDICT_ANSWERS, openapi_extra=PREDICT_REQUEST)
    @app.post("/predict/", include_in_schema=False)
    @app.post("/invocations", responses=PREDICT_ANSWERS, openapi_extra=PREDICT_REQUEST)
    async def predict(request: Request) -> Response:
        """Find the entities of a text, of texts, or of a sentence of tokens."""
        asked = await read(request)
        if len(predictor.checkpoints) > 1 and wanted(asked).sequences:
            raise Refused(
                422, "k: expected 0, the model is an ensemble, which has no best sequences"
            )
        work = _found(asked, len(await request.body()), predictor, batching)
        return _json(await while_awaited(work, request.receive, timeout))

    @app.get("/labels", responses=LABELS_ANSWERS)
    async def labels() -> Response:
        """Which types of entities there are, with the colours that they have on pages."""
        names = predictor.labels
        return _json(json_line({"labels": names, "colors": colors_of(names)}).encode())

    @app.get("/examples", responses=EXAMPLES_ANSWERS)
    async def texts_to_try() -> Response:
        """Sentences to try, in the languages that the model knows; there may be none."""
        return _json(examples)

    @app.get("/model", responses=MODEL_ANSWERS)
    async def model() -> Response:
        """What the model is: its labels, parts, data and figures."""
        return _json(card)

    @app.get("/health", responses=STATE_ANSWERS)
    @app.get("/ping", responses=STATE_ANSWERS)
    async def health() -> Response:
        """Whether the server works; if not, start it anew."""
        if not batching.is_running:
            return failure(503, "nothing is tagged any more; start the server anew", RETRY)
        return _json(_OK)

    @app.get("/ready", responses=STATE_ANSWERS)
    async def ready() -> Response:
        """Whether the server takes another text now; if not, send it to another one."""
        requests, tokens = batching.waiting
        is_full = requests >= limits.queue_requests or tokens >= limits.queue_tokens
        if is_full or not batching.is_running:
            return failure(503, "the queue is full; try again later", RETRY)
        return _json(_OK)

    @app.get("/metrics", responses=METRICS_ANSWERS)
    async def numbers() -> Response:
        """What the server has done, for Prometheus."""
        return Response(metrics.page(), media_type=CONTENT_TYPE)

    for path, file in _FILES.items():
        _serve_file(app, path, file)
    return app


async def _found(asked: Asked, size: int, predictor: Predictor, batching: Batching) -> bytes:
    """What is found in the texts of a request, whose body has ``size`` bytes, as JSON."""
    texts = await _beside(size, lambda: cut(asked))
    words = [[[token.text for token in tokens] for tokens in text.sentences] for text in texts]
    tags = wanted(asked).sequences * sum(len(tokens) for split in words for tokens in split)
    if tags > _MOST_TAGS:
        found = f"found {tags:,}; lower k, or cut the text"
        raise Refused(422, f"k: expected {_MOST_TAGS:,} tags at most in all sequences, {found}")
    results = await batching.tag(predictor.pieces(words, asked.document), wanted(asked))
    return await _beside(size, lambda: answer(asked, texts, results, predictor.tags))


async def _beside(size: int, function: Callable[[], R]) -> R:
    """The result of a function, which is called in a thread if the request is a long one."""
    return await asyncio.to_thread(function) if size > _LONG else function()


def _json(body: bytes) -> Response:
    return Response(body, media_type=JSON)


def _serve_file(app: FastAPI, path: str, file: Path) -> None:
    @app.get(path, include_in_schema=False)
    async def send() -> FileResponse:
        return FileResponse(file)
