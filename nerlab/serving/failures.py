"""The answers to what goes wrong: JSON with one line that says what to do."""

from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from nerlab.messages import json_line
from nerlab.serving.batching import Full
from nerlab.serving.requests import JSON, Refused
from nerlab.serving.waiting import TimedOut

RETRY = {"Retry-After": "1"}


def failure(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer ``{"error": message}``."""
    return Response(json_line({"error": message}), status, headers, JSON)


def answer_failures(app: FastAPI) -> None:
    """Let an application answer so whatever its routes raise."""

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return failure(error.status, str(error))

    @app.exception_handler(Full)
    async def full(_: Request, error: Full) -> Response:
        message = f"{error}; try again after that"
        return failure(503, message, {"Retry-After": str(error.retry_after)})

    @app.exception_handler(TimedOut)
    async def timed_out(_: Request, error: TimedOut) -> Response:
        return failure(503, f"{error}; try again later, or with less text", RETRY)

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=499)  # for the log; the client has gone

    @app.exception_handler(HTTPException)
    async def no_route(request: Request, error: HTTPException) -> Response:
        path, allowed = request.url.path, (error.headers or {}).get("Allow")
        if error.status_code == 405:
            message = f"{path}: expected {allowed}, found {request.method}"
        elif error.status_code == 404:
            message = f"{path}: no such path; GET openapi.json lists those that there are"
        else:
            message = f"{path}: {error.detail}"
        return failure(error.status_code, message, error.headers)
