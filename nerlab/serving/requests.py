"""The body of a request as what it asks for."""

import json

from pydantic import ValidationError

from nerlab.serving.schemas import TextRequest, TextsRequest


class Refused(Exception):  # noqa: N818 - it is the client's
    """A request that is answered with an error: the status, and one line that says what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def read_json(body: bytes) -> TextRequest | TextsRequest:
    """The request in a JSON body. :class:`Refused`: it is none."""
    try:
        fields = json.loads(body)
    except ValueError:
        raise Refused(400, 'body: expected JSON, as {"text": "..."}') from None
    is_texts = isinstance(fields, dict) and "texts" in fields
    try:
        return (TextsRequest if is_texts else TextRequest).model_validate(fields)
    except ValidationError as error:
        raise Refused(422, "; ".join(e["msg"] for e in error.errors())) from None
