"""The routes of the server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse

import nerlab
from nerlab.inference.predictor import Predictor
from nerlab.messages import json_line
from nerlab.reports.card import card_of
from nerlab.reports.look import TEMPLATES, colors_of
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
    DescribedApp,
)
from nerlab.serving.examples import examples_for
from nerlab.serving.failures import RETRY, answer_failures, failure
from nerlab.serving.metrics import CONTENT_TYPE, Metrics
from nerlab.serving.prediction import found_in
from nerlab.serving.requests import JSON, read
from nerlab.serving.waiting import while_awaited

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "/": _PAGE / "index.html",
    "/style.css": TEMPLATES / "style.css",
    **{f"/{file.name}": file for file in (*_PAGE.glob("*.js"), *_PAGE.glob("*.css"))},
}
OPEN_PATHS = frozenset({*_FILES, "/health", "/ready", "/ping"})
"""Which show the page and the state of the server, and need no token."""
_OK = b'{"status": "ok"}'


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

    app = DescribedApp(
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
        work = found_in(await read(request), predictor, batching)
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

    @app.head("/health", include_in_schema=False)
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


def _json(body: bytes) -> Response:
    return Response(body, media_type=JSON)


def _serve_file(app: FastAPI, path: str, file: Path) -> None:
    @app.head(path, include_in_schema=False)
    @app.get(path, include_in_schema=False)
    async def send() -> FileResponse:
        return FileResponse(file)
