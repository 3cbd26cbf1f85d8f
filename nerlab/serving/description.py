"""What the OpenAPI document says of the routes. Its examples are tests."""

from typing import Any, NamedTuple

from fastapi import FastAPI
from pydantic import BaseModel

from nerlab.serving.card_schemas import EXAMPLE as CARD
from nerlab.serving.card_schemas import ModelAnswer
from nerlab.serving.requests import JSON, KINDS, MULTIPART, PLAIN, URLENCODED
from nerlab.serving.schemas import (
    ErrorAnswer,
    ExamplesAnswer,
    FormRequest,
    LabelsAnswer,
    PredictAnswer,
    QueryOptions,
    SentenceRequest,
    StateAnswer,
    TextRequest,
    TextsRequest,
)

Plain = dict[str, Any]

DESCRIPTION = """Named entities in texts. `POST /predict` takes a text, texts, a sentence of tokens,
a text/plain body or a form, and finds the entities. Offsets count Unicode code points: in
JavaScript, `Array.from(text).slice(start, end)`. The same request has the same entities, whatever
else is asked at the same time; a score may differ in its sixth digit. Every error is
`{"error": "..."}`."""


class Example(NamedTuple):
    """A request and the answer that it has where Angela Merkel is a person of probability 0.9998,
    and Berlin and Paris are places of 0.9981."""

    summary: str
    kind: str
    request: object
    answer: object


_TEXT = "Angela Merkel flew from Berlin to Paris."
_MERKEL: Plain = {"text": "Angela Merkel", "label": "PER", "start": 0, "end": 13, "score": 0.9998}
_BERLIN: Plain = {"text": "Berlin", "label": "LOC", "start": 24, "end": 30, "score": 0.9981}
_PARIS: Plain = {"text": "Paris", "label": "LOC", "start": 34, "end": 39, "score": 0.9981}

EXAMPLES: dict[str, Example] = {
    "text": Example(
        "a text", JSON, {"text": _TEXT}, {"text": _TEXT, "entities": [_MERKEL, _BERLIN, _PARIS]}
    ),
    "texts": Example(
        "several texts",
        JSON,
        {"texts": ["In Berlin.", "", "Nowhere."]},
        {
            "results": [
                {"text": "In Berlin.", "entities": [_BERLIN | {"start": 3, "end": 9}]},
                {"text": "", "entities": []},
                {"text": "Nowhere.", "entities": []},
            ]
        },
    ),
    "sentence": Example(
        "a sentence of tokens",
        JSON,
        {"sentence": ["Angela", "Merkel", "flew", "to", "Paris"]},
        {
            "tags": ["B-PER", "I-PER", "O", "O", "B-LOC"],
            "scores": [0.9998, 0.9998, 0.9999, 0.9999, 0.9981],
        },
    ),
    "tokens": Example(
        "a text with its tokens and the two best tag sequences",
        JSON,
        {"text": "To Paris", "tokens": True, "k": 2, "min_score": 0.5},
        {
            "text": "To Paris",
            "entities": [_PARIS | {"start": 3, "end": 8}],
            "tokens": [
                {"text": "To", "start": 0, "end": 2, "tag": "O", "score": 0.9999},
                {"text": "Paris", "start": 3, "end": 8, "tag": "B-LOC", "score": 0.9981},
            ],
            "sequences": [
                [
                    {"tags": ["O", "B-LOC"], "probability": 0.998},
                    {"tags": ["O", "O"], "probability": 0.001},
                ]
            ],
        },
    ),
    "plain": Example(
        "word and tag pairs",
        PLAIN,
        "Angela Merkel flew",
        [["Angela", "B-PER"], ["Merkel", "I-PER"], ["flew", "O"]],
    ),
    "form": Example(
        "a form",
        URLENCODED,
        {"text": _TEXT},
        {"entities": {"PER": ["Angela Merkel"], "LOC": ["Berlin", "Paris"]}},
    ),
    "multipart": Example(
        "a form of parts",
        MULTIPART,
        {"text": _TEXT, "min_score": 0.999},
        {"entities": {"PER": ["Angela Merkel"]}},
    ),
}

REFUSALS: dict[int, Example] = {
    400: Example(
        "JSON that breaks off",
        JSON,
        '{"text": "Berlin',
        {
            "error": 'body: expected JSON in UTF-8, as in {"text": "Angela Merkel flew to Paris."}'
            "; found: EOF while parsing a string at line 1 column 16"
        },
    ),
    415: Example(
        "XML",
        "text/xml",
        "<text>Berlin</text>",
        {"error": f'Content-Type: expected one of {", ".join(KINDS)}; found "text/xml"'},
    ),
    422: Example(
        "a number as a text",
        JSON,
        '{"texts": ["In Berlin.", 7]}',
        {"error": "texts[1]: expected a string, found 7"},
    ),
}

_SCHEMAS: dict[str, Plain] = {
    JSON: {"oneOf": [m.model_json_schema() for m in (TextRequest, TextsRequest, SentenceRequest)]},
    PLAIN: {"type": "string", "description": "the text, in UTF-8"},
    URLENCODED: FormRequest.model_json_schema(),
    MULTIPART: FormRequest.model_json_schema(),
}

_ERRORS = {
    400: "the body is no JSON, no form or no UTF-8",
    401: "the server wants a token, and this is none or another: `Authorization: Bearer TOKEN`",
    408: "the body did not come in time",
    413: "the body is larger than the server takes",
    415: "the content type is none that the server reads",
    422: "a field is missing, unknown, or has a value that it cannot have",
    500: "the server has failed",
    503: "the server has no time: try again after as many seconds as Retry-After says",
}


def errors(*statuses: int) -> dict[int | str, Plain]:
    """Of the answers to what goes wrong what a route says."""
    found: dict[int | str, Plain] = {
        status: {"model": ErrorAnswer, "description": _ERRORS[status]} for status in statuses
    }
    if 503 in found:
        schema = {"type": "integer", "minimum": 1}
        found[503]["headers"] = {"Retry-After": {"description": "seconds", "schema": schema}}
    return found


def answered(model: object, description: str, *failures: int) -> dict[int | str, Plain]:
    """The answers of a route: one of ``model``, or a failure of these statuses."""
    return {200: {"model": model, "description": description}, **errors(401, 500, *failures)}


PREDICT_ANSWERS = answered(PredictAnswer, "what was found", 400, 408, 413, 415, 422, 503)
PREDICT_ANSWERS[200]["content"] = {
    JSON: {
        "examples": {
            name: {"summary": example.summary, "value": example.answer}
            for name, example in EXAMPLES.items()
        }
    }
}
for _status, _refusal in REFUSALS.items():
    PREDICT_ANSWERS[_status]["content"] = {JSON: {"example": _refusal.answer}}
MODEL_ANSWERS = answered(ModelAnswer, "the card of the model")
MODEL_ANSWERS[200]["content"] = {JSON: {"example": CARD}}
LABELS_ANSWERS = answered(LabelsAnswer, "the labels and their colours")
EXAMPLES_ANSWERS = answered(ExamplesAnswer, "the sentences")
STATE_ANSWERS = answered(StateAnswer, "it is so", 503)
METRICS_ANSWERS: dict[int | str, Plain] = {
    200: {"description": "the numbers", "content": {PLAIN: {"schema": {"type": "string"}}}}
}


def _content(kind: str) -> Plain:
    return {
        "schema": _SCHEMAS[kind],
        "examples": {
            name: {"summary": example.summary, "value": example.request}
            for name, example in EXAMPLES.items()
            if example.kind == kind
        },
    }


def _parameters(model: type[BaseModel]) -> list[Plain]:
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in model.model_json_schema()["properties"].items()
    ]


PREDICT_REQUEST: Plain = {
    "requestBody": {"required": True, "content": {kind: _content(kind) for kind in _SCHEMAS}},
    "parameters": _parameters(QueryOptions),
}


class DescribedApp(FastAPI):
    """An application whose OpenAPI document says that its server may want a token."""

    def openapi(self) -> Plain:
        """The document."""
        document = super().openapi()
        document["security"] = [{}, {"token": []}]
        token = {"type": "http", "scheme": "bearer", "description": "the token of the server"}
        document["components"]["securitySchemes"] = {"token": token}
        return document
