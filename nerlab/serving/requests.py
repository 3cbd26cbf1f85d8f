"""The content of a request as what it asks for."""

import codecs
import json
import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, create_form_parser, parse_options_header

from nerlab.serving.schemas import (
    FormRequest,
    PlainRequest,
    QueryOptions,
    SentenceRequest,
    TextRequest,
    TextsRequest,
)

Asked = TextRequest | TextsRequest | SentenceRequest | FormRequest | PlainRequest
JSON, PLAIN = "application/json", "text/plain"
URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
KINDS = (JSON, PLAIN, URLENCODED, MULTIPART)

_M = TypeVar("_M", bound=BaseModel)
_Shape = type[TextRequest | TextsRequest | SentenceRequest]
_SHAPES: dict[str, _Shape] = {
    "text": TextRequest,
    "texts": TextsRequest,
    "sentence": SentenceRequest,
}
_EXAMPLE = 'as in {"text": "Angela Merkel flew to Paris."}'
_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")
_MOST_FIELDS = 100  # of a form: it has five
_MOST_SHOWN = 40  # characters of a value that is refused
_OF_ITEM = {"string_type": "a string", "string_too_short": "a string that is not empty"}


class Refused(Exception):  # noqa: N818 - it is the client's
    """A request that is answered with an error: the status, and one line that says what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Sent(NamedTuple):
    """A request as it was sent: its content type, one of :data:`KINDS`, and the whole header; the
    fields of its query; its body."""

    kind: str
    header: str
    query: Mapping[str, object]
    body: bytes


async def read(request: Request) -> Sent:
    """A request whose body is there. :class:`Refused`: it is of no kind that can be read."""
    header = request.headers.get("content-type", "")
    kind = _content_type(request, header)
    return Sent(kind, header, _query(request), await request.body())


def parse(sent: Sent) -> Asked:
    """What a request asks for. :class:`Refused`: it cannot be read, or asks for what is not there.

    A field of the body goes before the same one of the query.
    """
    if sent.kind == JSON:
        fields = {**sent.query, **_object(sent.body)}
        return _checked(_shape(fields), fields)
    if sent.kind == PLAIN:
        return _checked(PlainRequest, {**sent.query, "text": _decoded(sent.body)})
    pairs = _urlencoded(sent.body) if sent.kind == URLENCODED else _multipart(sent)
    return _checked(FormRequest, {**sent.query, **_fields("form", pairs)})


def _content_type(request: Request, header: str) -> str:
    kind, parameters = parse_options_header(header)
    if (found := kind.decode("latin-1")) not in KINDS:
        found = _shown(header) if header else "none"
        raise Refused(415, f"Content-Type: expected one of {', '.join(KINDS)}; found {found}")
    if (charset := parameters.get(b"charset", b"utf-8").decode("latin-1")).lower() not in _CHARSETS:
        raise Refused(415, f"Content-Type: expected charset=utf-8, found {_shown(charset)}")
    if (encoding := request.headers.get("content-encoding", "identity")) != "identity":
        encoding = _shown(encoding)
        raise Refused(
            415, f"Content-Encoding: expected none, found {encoding}; send it uncompressed"
        )
    return found


def _query(request: Request) -> dict[str, object]:
    fields = _fields("query", request.query_params.multi_items())
    for name in fields.keys() - QueryOptions.model_fields.keys():
        known = " or ".join(QueryOptions.model_fields)
        advice = "everything else is a field of the body"
        raise Refused(422, f"query: expected {known}, found {_shown(name)}; {advice}")
    return _checked(QueryOptions, fields).model_dump(exclude_unset=True)


def _object(body: bytes) -> dict[str, object]:
    """The fields of a JSON object."""
    try:
        found = from_json(body.removeprefix(codecs.BOM_UTF8), allow_inf_nan=False)
    except ValueError as error:
        raise Refused(400, f"body: expected JSON in UTF-8, {_EXAMPLE}; found: {error}") from None
    if not isinstance(found, dict):
        raise Refused(422, f"body: expected an object, {_EXAMPLE}; found {_shown(found)}")
    return found


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"found byte 0x{body[error.start]:02x} at {error.start}, counted from 0"
        raise Refused(400, f"body: expected UTF-8, {found}; convert the text to UTF-8") from None


def _urlencoded(body: bytes) -> list[tuple[str, str]]:
    text, most = _decoded(body), _MOST_FIELDS
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=most)
    except UnicodeDecodeError:
        raise Refused(
            400, "form: expected UTF-8 behind each %; convert the text to UTF-8"
        ) from None
    except ValueError:
        message = f"form: expected {most} fields at most; is & of the text escaped as %26?"
        raise Refused(400, message) from None


def _multipart(sent: Sent) -> list[tuple[str, str]]:
    boundary = parse_options_header(sent.header)[1].get(b"boundary", b"")
    if b"--" + boundary + b"--" not in sent.body:
        raise Refused(400, "form: expected the boundary and -- at its end, found none")
    pairs: list[tuple[str, str]] = []

    def take(field: Field) -> None:
        if len(pairs) == _MOST_FIELDS:
            raise Refused(400, f"form: expected {_MOST_FIELDS} fields at most")
        pairs.append((_decoded(field.field_name or b""), _decoded(field.value or b"")))

    def refuse(_: File) -> None:
        raise Refused(400, "form: expected fields of text, found a file")

    headers = {"Content-Type": sent.header.encode("latin-1")}
    in_memory = {"MAX_MEMORY_FILE_SIZE": math.inf}
    try:
        parser = create_form_parser(headers, take, refuse, in_memory)
        parser.write(sent.body)
        parser.finalize()
    except FormParserError:
        raise Refused(
            400, "form: expected multipart/form-data, found none; each part needs a name"
        ) from None
    return pairs


def _fields(where: str, pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    """The fields of a form or a query; numbers and truth values as they are in JSON."""
    fields = dict[str, object]()
    for name, value in pairs:
        if name in fields:
            raise Refused(422, f"{where}: expected {_shown(name)} once, found it twice")
        fields[name] = value if name in ("text", "document") else _scalar(value)
    return fields


def _scalar(value: str) -> object:
    try:
        return from_json(value.encode(), allow_inf_nan=False)
    except ValueError:
        return value


def _shape(fields: Mapping[str, object]) -> _Shape:
    """Which of the requests an object is."""
    names = [name for name in _SHAPES if name in fields]
    if len(names) != 1:
        found = " and ".join(names) or "none"
        expected = f"one of {', '.join(_SHAPES)}, {_EXAMPLE}"
        raise Refused(422, f"body: expected {expected}; found {found}")
    return _SHAPES[names[0]]


def _checked(model: type[_M], fields: Mapping[str, object]) -> _M:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise Refused(422, _sentence(model, first)) from None


def _sentence(model: type[BaseModel], error: ErrorDetails) -> str:
    """What is wrong with a field, in one line."""
    name, *indices = error["loc"]
    where = f"{name}{''.join(f'[{index}]' for index in indices)}"
    if error["type"] == "extra_forbidden":
        return f"{_shown(name)}: no such field; expected {', '.join(model.model_fields)}"
    if error["type"] == "missing":
        advice = f"JSON needs Content-Type: {JSON}, a bare text {PLAIN}"
        return f"form: expected the field {name}, found none; {advice}"
    expected = str(model.model_fields[str(name)].description).partition(":")[0]
    if indices:
        expected = _OF_ITEM[error["type"]]
    return f"{where}: expected {expected}, found {_shown(error['input'])}"


def _shown(value: object) -> str:
    """A value as JSON has it, unless it is long."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    line = json.dumps(value[:_MOST_SHOWN] if isinstance(value, str) else value)
    return line if len(line) <= 2 * _MOST_SHOWN else f"{line[:_MOST_SHOWN]}..."
