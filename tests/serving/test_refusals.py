"""What cannot be answered has a status and one line that says what to do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from example_tagger import LIMITS, ExampleTagger
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nerlab.serving.app import make_app
from nerlab.serving.requests import JSON, KINDS, MULTIPART, PLAIN, URLENCODED


@pytest.fixture(scope="module")
def client(run: Path) -> Iterator[TestClient]:
    with TestClient(make_app(ExampleTagger(run), LIMITS, timeout=10)) as client:
        yield client


def post(client: TestClient, body: bytes, kind: str | None, query: str = "") -> tuple[int, Any]:
    headers = [] if kind is None else [(b"Content-Type", kind.encode("latin-1"))]
    answer = client.post(f"/predict{query}", content=body, headers=headers)
    assert answer.headers["content-type"] == JSON
    return answer.status_code, answer.json()


PARTS = f"{MULTIPART}; boundary=x"


def part(name: bytes, value: bytes, more: bytes = b"") -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="' + name + b'"' + more
    return head + b"\r\n\r\n" + value + b"\r\n"


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b'{"text": "', JSON, 400, "body: expected JSON in UTF-8, as in {"),
        (b"", JSON, 400, "found: EOF while parsing a value at line 1 column 0"),
        (b'{"text": "\xff"}', JSON, 400, "body: expected JSON in UTF-8"),
        (b'{"text": "\\ud800"}', JSON, 400, "body: expected JSON in UTF-8"),
        (b'{"text": "a", "min_score": NaN}', JSON, 400, "body: expected JSON in UTF-8"),
        (b"[" * 100_000, JSON, 400, "recursion limit"),
        (b"9" * 5000, JSON, 400, "number out of range"),
        ("[]".encode("utf-16"), JSON, 400, "body: expected JSON in UTF-8"),
        (b"[1]", JSON, 422, "body: expected an object, as in"),
        (b"{}", JSON, 422, "expected one of text, texts, sentence, as in"),
        (b'{"text": "", "texts": []}', JSON, 422, "found text and texts"),
        (b'{"text": null}', JSON, 422, "text: expected a string, found null"),
        (b'{"text": {"a": 1}}', JSON, 422, "text: expected a string, found an object"),
        (b'{"texts": "a"}', JSON, 422, 'texts: expected a list of strings, found "a"'),
        (b'{"texts": ["a", 1]}', JSON, 422, "texts[1]: expected a string, found 1"),
        (b'{"sentence": ["a", ""]}', JSON, 422, "sentence[1]: expected a string that is not empty"),
        (b'{"sentence": ["a"], "tokens": true}', JSON, 422, '"tokens": no such field; expected'),
        (b'{"text": "", "min_score": 2}', JSON, 422, "min_score: expected a number from 0 to 1"),
        (b'{"text": "", "min_score": "1"}', JSON, 422, 'a number from 0 to 1, found "1"'),
        (b'{"text": "", "min_score": 1e999}', JSON, 422, "from 0 to 1, found Infinity"),
        (b'{"text": "", "k": 1.5}', JSON, 422, "k: expected a whole number from 0 to 100"),
        (b'{"text": "", "k": 101}', JSON, 422, "k: expected a whole number from 0 to 100"),
        (b'{"text": "", "k": true}', JSON, 422, "k: expected a whole number from 0 to 100"),
        (b'{"text": "", "k": 1' + b"0" * 999 + b"}", JSON, 422, "found 1000"),
        (
            b'{"text": "", "document": "all"}',
            JSON,
            422,
            "document: expected one of line, file, non",
        ),
        (b'{"text": "", "tokens": 1}', JSON, 422, "tokens: expected true or false, found 1"),
        (b'{"text": "", "min\\n": 1}', JSON, 422, '"min\\n": no such field; expected min_score'),
        (b"\xff", PLAIN, 400, "expected UTF-8, found byte 0xff at 0, counted from 0"),
        (b"a", f"{PLAIN}; charset=latin-1", 415, 'expected charset=utf-8, found "latin-1"'),
        (b"a", f"{JSON}; charset=utf-16", 415, 'expected charset=utf-8, found "utf-16"'),
        (b"a", "text/xml", 415, 'application/x-www-form-urlencoded, multipart/form-data; found "t'),
        (b"a", "text/\xe9", 415, 'found "text/'),
        (b"a", None, 415, "found none"),
        (
            b"",
            URLENCODED,
            422,
            "form: expected the field text, found none; JSON needs Content-Type",
        ),
        (b"text=a&text=b", URLENCODED, 422, 'form: expected "text" once, found it twice'),
        (b"text=%ff", URLENCODED, 400, "form: expected UTF-8 behind each %"),
        (b"text=\xff", URLENCODED, 400, "body: expected UTF-8, found byte 0xff at 5"),
        (b"text=a&tokens=on", URLENCODED, 422, 'tokens: expected true or false, found "on"'),
        (b"text=a&b=1", URLENCODED, 422, '"b": no such field'),
        (b"&a" * 101, URLENCODED, 400, "100 fields at most; is & of the text escaped as %26?"),
        (b"----", MULTIPART, 400, "expected multipart/form-data, found none"),
        (part(b"text", b"a"), PARTS, 400, "expected the boundary and -- at its end, found none"),
        (b"--x--", PARTS, 422, "form: expected the field text"),
        (b"--x\r\n\r\na\r\n--x--", PARTS, 400, "each part needs a name"),
        (part(b"a", b"a") + b"--x--", PARTS, 422, "form: expected the field text"),
        (part(b"text", b"\xe9") + b"--x--", PARTS, 400, "expected UTF-8, found byte 0xe9"),
        (
            part(b"text", b"a", b'; filename="f"') + b"--x--",
            PARTS,
            400,
            "form: expected fields of text, found a file",
        ),
        (part(b"a", b"") * 101 + b"--x--", PARTS, 400, "form: expected 100 fields at most"),
    ],
)
def test_what_is_wrong_with_a_body_is_said_in_one_line(
    client: TestClient, body: bytes, kind: str | None, status: int, said: str
) -> None:
    found, answer = post(client, body, kind)
    assert (found, answer.keys()) == (status, {"error"})
    assert said in answer["error"]
    assert "\n" not in answer["error"] and len(answer["error"]) < 250  # noqa: PT018


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?k=1", 'query: expected min_score or document, found "k"; everything else is a field'),
        ("?min_score=x", 'min_score: expected a number from 0 to 1, found "x"'),
        ("?min_score=null", "min_score: expected a number from 0 to 1, found null"),
        ("?document=1", 'document: expected one of line, file, none, found "1"'),
        ("?document=line&document=line", 'query: expected "document" once'),
    ],
)
@pytest.mark.parametrize("kind", [JSON, PLAIN])
def test_what_is_wrong_with_a_query_is_said_whatever_the_body(
    client: TestClient, kind: str, query: str, said: str
) -> None:
    body = json.dumps({"text": "a", "min_score": 0, "document": "line"}).encode()
    status, answer = post(client, body, kind, query)
    assert status == 422
    assert said in answer["error"]


def test_a_body_that_is_compressed_is_refused(client: TestClient) -> None:
    headers = {"Content-Type": PLAIN, "Content-Encoding": "gzip"}
    answer = client.post("/predict", content=b"a", headers=headers)
    assert answer.status_code == 415
    assert answer.json()["error"].startswith('Content-Encoding: expected none, found "gzip"')


def test_more_sequences_than_an_answer_can_hold_are_refused(client: TestClient) -> None:
    answer = client.post("/predict", json={"text": "a " * 10_001, "k": 100})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("k: expected 1,000,000 tags at most in all sequences")
    assert client.post("/predict", json={"text": "a " * 10_000, "k": 100}).status_code == 200


def test_paths_and_methods_that_are_not_there_are_said(client: TestClient) -> None:
    answer = client.get("/predict")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert answer.json() == {"error": "/predict: expected POST, found GET"}
    answer = client.get("/labels/")
    assert answer.status_code == 404
    assert answer.json()["error"].startswith("/labels/: no such path")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["text", "texts", "sentence", "min_score", "k", "document", "tokens", "x"])
objects = st.dictionaries(names, values, max_size=4).map(lambda fields: json.dumps(fields).encode())
near = st.sampled_from([b"--x", b"--", b"\r\n", b"text", b"=", b"&", b"%", b'"', b"{", b"}", b":"])
bodies = objects | st.binary() | st.lists(near | st.binary(max_size=3)).map(b"".join)
kinds = st.sampled_from([*KINDS, PARTS, f"{JSON}; charset=x", f"{MULTIPART}; boundary=", "x"])


@given(bodies, kinds, st.sampled_from(["", "?min_score=1", "?%ff=%00", "?&&="]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(b"", f"{MULTIPART}; boundary=\x00", "")
def test_whatever_is_sent_is_answered_or_refused(
    client: TestClient, body: bytes, kind: str, query: str
) -> None:
    status, answer = post(client, body, kind, query)
    assert status in (200, 400, 415, 422)
    if status != 200:
        assert answer.keys() == {"error"}
        assert answer["error"] == " ".join(answer["error"].split()) != ""
