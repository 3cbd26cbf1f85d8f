"""What does not come through the guard, and what every answer carries."""

import asyncio
import hmac
import json
import logging
import re
from collections.abc import Sequence

import pytest
from asgi import GONE, Answer, ask, part, parts
from fastapi import FastAPI, Request, Response
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from starlette.exceptions import HTTPException

from nerlab.serving.failures import answer_failures
from nerlab.serving.guard import Protection, guard
from nerlab.serving.log import Log
from nerlab.serving.metrics import Metrics
from nerlab.serving.watch import HEADERS

TOKEN = "s3cret~Token"
PLAIN = Protection(
    token=None, open_paths=frozenset(), cors=(), max_body=10, max_bodies=25, body_timeout=5
)
LOCKED = PLAIN._replace(token=TOKEN, open_paths=frozenset({"/", "/health"}))
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SECRET = "Angela Merkel"
CHUNKED = {"Transfer-Encoding": "chunked"}


class Lines(Log):
    """A log whose lines are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.written = list[str]()

    def _put(self, line: str) -> None:
        self.written.append(line)


class Guarded:
    """An application that answers with the body of a request, behind a guard."""

    def __init__(self, protection: Protection = PLAIN) -> None:
        self.app = FastAPI(redirect_slashes=False)
        self.app.state.metrics = self.metrics = Metrics()
        self.log = Lines()
        self.bodies = list[bytes]()
        answer_failures(self.app)
        for path in ("/", "/health", "/echo"):
            self.app.add_api_route(path, self._echo, methods=["GET", "POST"])
        self.app.add_api_route("/fail", self._fail, methods=["POST"])
        guard(self.app, protection, self.log)

    async def _echo(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        return Response(self.bodies[-1])

    async def _fail(self, request: Request) -> Response:
        text = (await request.body()).decode()
        try:
            raise KeyError(text)
        except KeyError:
            raise ValueError(f"cannot tag {text}") from None

    def ask(self, *arguments: object, **options: object) -> Answer:
        return asyncio.run(ask(self.app, *arguments, **options))  # type: ignore[arg-type]

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        """Samples of the metrics by their labels."""
        families = text_string_to_metric_families(self.metrics.page().decode())
        return {
            tuple(sample.labels.values()): sample.value
            for family in families
            for sample in family.samples
            if sample.name == name
        }


def error(answer: Answer) -> str:
    """The one line of an answer that is an error."""
    assert answer.headers["content-type"] == "application/json"
    (message,) = json.loads(answer.body).values()
    assert "\n" not in message
    return str(message)


OPEN, CLOSED = Guarded(), Guarded(LOCKED)


@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0")))
@example("")
@example(TOKEN)
@example(f"Bearer {TOKEN}x")
@example(f"Bearer x{TOKEN}")
@example(f"Bearer {TOKEN[:-1]}")
@example(f"Bearer {TOKEN.lower()}")
@example(f"Bearer {TOKEN} {TOKEN}")
@example(f"Basic {TOKEN}")
@example("Bearer ")
@example("Bearer \xff")
def test_who_does_not_bring_the_token_is_refused(value: str) -> None:
    answer = CLOSED.ask("/echo", headers={"Authorization": value})
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert error(answer) == "Authorization: expected Bearer and the token of this server"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_who_brings_the_token_is_let_through(scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {TOKEN}", **CHUNKED}
    assert CLOSED.ask("/echo", parts([b"a"]), headers).body == b"a"


def test_without_a_token_all_are_let_through() -> None:
    assert OPEN.ask("/echo", headers={"Authorization": "Bearer x"}).status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *[("/", 200), ("/health", 200)],
        *((path, 401) for path in ("/health/", "//health", "/HEALTH", "/health/../echo", "", "/x")),
    ],
)
def test_the_paths_that_need_no_token_are_just_these(path: str, status: int) -> None:
    assert CLOSED.ask(path).status == status


def test_what_is_compared_with_the_token_has_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a comparison tells how long the shorter one is."""
    compared, compare = list[tuple[bytes, bytes]](), hmac.compare_digest

    def noted(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return compare(a, b)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    for value in ("", "x", f"Bearer {TOKEN}", "Bearer " + "x" * 1000):
        CLOSED.ask("/echo", headers={"Authorization": value})
    assert len(compared) == 4
    assert {len(value) for pair in compared for value in pair} == {32}


@pytest.mark.parametrize("token", ["", "two words", "\u0131", "line\n", "\x7f"])
def test_a_token_that_no_header_carries_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="token: expected letters, digits and signs of ASCII"):
        PLAIN._replace(token=token).check()


bodies = st.lists(st.binary(max_size=6), max_size=5)


@given(bodies, st.booleans())
@example([b"0123456789"], True)
@example([b"0123456789", b""], False)
@example([b"0123456789", b"0"], False)
def test_a_body_comes_whole_or_not_at_all(chunks: Sequence[bytes], is_declared: bool) -> None:
    body = b"".join(chunks)
    declared = {"Content-Length": str(len(body))} if is_declared else CHUNKED
    OPEN.bodies.clear()
    answer = OPEN.ask("/echo", parts(chunks), declared)
    if len(body) <= PLAIN.max_body:
        assert (answer.status, answer.body, OPEN.bodies) == (200, body, [body])
    else:
        assert (answer.status, OPEN.bodies) == (413, [])
        assert error(answer) == "body: expected 10 bytes at most; send it in parts"
        assert answer.left == 0  # else the client would see a reset
    assert "content-security-policy" in answer.headers


def test_a_body_that_says_that_it_is_too_large_is_refused_before_it_comes() -> None:
    async def work() -> None:
        begun = asyncio.create_task(ask(OPEN.app, "/echo", [], {"Content-Length": "11"}))
        await asyncio.wait([begun], timeout=0.01)
        assert OPEN.log.written == []  # it waits for the client to read the answer
        begun.cancel()

    OPEN.log.written.clear()
    asyncio.run(work())
    assert " 413 in=0 " in OPEN.log.written[-1]


def test_a_body_that_is_too_slow_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nerlab.serving.guard._LINGER_SECONDS", 0.01)
    slow = Guarded(PLAIN._replace(body_timeout=0.02))
    for messages, found in (([], 0), ([part(b"abc")], 3)):
        answer = slow.ask("/echo", messages, CHUNKED)
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert error(answer) == (
            f"body: expected all of it within 0.02 s, found {found} bytes; send it again"
        )
    assert slow.bodies == []


def test_who_goes_away_is_not_answered() -> None:
    OPEN.bodies.clear()
    assert OPEN.ask("/echo", [part(b"abc"), GONE], CHUNKED).status == 0
    assert OPEN.bodies == []
    assert " 499 in=3 out=0 " in OPEN.log.written[-1]


def test_a_request_without_a_body_does_not_wait_for_one() -> None:
    async def work() -> Answer:
        return await asyncio.wait_for(ask(OPEN.app, "/nowhere", method="GET"), 5)

    assert asyncio.run(work()).status == 404


def test_the_bodies_of_all_requests_are_bounded() -> None:
    guarded = Guarded(PLAIN._replace(body_timeout=0.2))

    async def work() -> list[int]:
        held = [
            asyncio.create_task(ask(guarded.app, "/echo", [part(b"0123456789")], CHUNKED))
            for _ in range(2)
        ]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        small = await ask(guarded.app, "/echo", parts([b"01234"]), CHUNKED)
        large = await ask(guarded.app, "/echo", parts([b"012345"]), CHUNKED)
        assert large.headers["retry-after"] == "1"
        assert error(large) == "too many long requests; try again later"
        for task in held:
            task.cancel()
        await asyncio.wait(held)
        return [small.status, large.status]

    assert asyncio.run(work()) == [200, 503]
    for _ in range(4):  # what was held is free again, however a request ended
        assert guarded.ask("/echo", parts([b"0123456789"]), CHUNKED).status == 200
        assert guarded.ask("/echo", parts([b"0123456789", b"0"]), CHUNKED).status == 413
        assert guarded.ask("/echo", [part(b"0123456789"), GONE], CHUNKED).status == 0


def test_an_error_tells_where_it_was_and_not_about_what() -> None:
    logging.getLogger().addHandler(OPEN.log)
    try:
        OPEN.log.written.clear()
        guarded = Guarded(PLAIN._replace(max_body=100))
        answer = guarded.ask("/fail", parts([SECRET.encode()]), CHUNKED)
    finally:
        logging.getLogger().removeHandler(OPEN.log)
    assert answer.status == 500
    assert error(answer) == "the server failed at this request; its log says where"
    (line,) = OPEN.log.written
    assert re.search(r"error nerlab\.serving\.guard guard\.py:\d+ ValueError .*test_guard", line)
    assert SECRET not in line
    assert " 500 " in guarded.log.written[0]


def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    async def broken(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        raise RuntimeError(SECRET)

    guarded = Guarded()
    guarded.app.router.mount("/broken", broken)
    sent = list[object]()

    async def send(message: object) -> None:
        sent.append(message)

    async def work() -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/broken/x",
            "headers": [],
            "root_path": "",
        }
        await guarded.app(scope, None, send)  # type: ignore[arg-type]

    asyncio.run(work())
    assert len(sent) == 1


def test_a_request_that_the_end_of_the_server_cuts_off_is_told_to_come_again() -> None:
    guarded = Guarded()

    async def wait(_: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    guarded.app.add_api_route("/wait", wait)

    async def work() -> None:
        task = asyncio.create_task(ask(guarded.app, "/wait", method="GET"))
        await asyncio.wait([task], timeout=0.01)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(work())
    assert " 503 in=0 out=" in guarded.log.written[0]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/echo", b"", 200),
        ("/echo", b"0123456789", 200),
        ("/nowhere", b"", 404),
        ("/echo", b"0123456789a", 413),
        ("/fail", b"", 500),
    ],
)
@pytest.mark.parametrize("protection", [PLAIN, PLAIN._replace(cors=["https://a.example"])])
def test_every_answer_has_the_headers(
    path: str, body: bytes, status: int, protection: Protection
) -> None:
    answer = Guarded(protection).ask(path, parts([body]), CHUNKED)
    assert answer.status == status
    for name, value in HEADERS.items():
        assert answer.headers.getlist(name.decode()) == [value.decode()]


def test_a_header_of_an_answer_goes_before_that_of_all() -> None:
    guarded = Guarded()

    async def kept(_: Request) -> Response:
        return Response(headers={"Cache-Control": "max-age=60"})

    guarded.app.add_api_route("/kept", kept)
    answer = guarded.ask("/kept", method="GET")
    assert answer.headers.getlist("cache-control") == ["max-age=60"]


PREFLIGHT = {
    "Origin": "https://a.example",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


def test_pages_of_other_origins_may_not_ask() -> None:
    for method in ("GET", "POST", "OPTIONS"):
        answer = OPEN.ask("/echo", headers=PREFLIGHT, method=method)
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.status == 405


def test_pages_of_an_origin_that_is_named_may_ask() -> None:
    guarded = Guarded(LOCKED._replace(cors=["https://a.example"]))
    preflight = guarded.ask("/echo", headers=PREFLIGHT, method="OPTIONS")
    assert preflight.status == 200
    assert preflight.headers["access-control-allow-origin"] == "https://a.example"
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    refused = guarded.ask("/echo", headers={"Origin": "https://a.example"})
    assert refused.status == 401
    assert refused.headers["access-control-allow-origin"] == "https://a.example"
    for origin in ("https://b.example", "https://a.example.b", "http://a.example", "null"):
        headers = {**PREFLIGHT, "Origin": origin}
        assert guarded.ask("/echo", headers=headers, method="OPTIONS").status == 400
        answer = guarded.ask("/echo", headers={**BEARER, "Origin": origin})
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["", "a.example", "https://a.example/", "https://", "ftp://a", 5]
)
def test_what_is_no_origin_is_refused(origin: object) -> None:
    with pytest.raises(ValueError, match=r"cors=.*: expected \* or an origin"):
        PLAIN._replace(cors=[origin]).check()  # type: ignore[list-item]


def test_nothing_of_a_request_is_logged_but_size_and_time() -> None:
    guarded = Guarded(PLAIN._replace(max_body=100))
    headers = {"X-Name": SECRET, "Authorization": SECRET, **CHUNKED}
    for path in ("/echo", "/nowhere", "/fail", f"/{SECRET}"):
        guarded.ask(path, parts([SECRET.encode()]), headers, query=f"text={SECRET}")
    for line in guarded.log.written:
        time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00"
        assert re.fullmatch(rf"{time} (200|404|500) in=13 out=\d+ \d+\.\d ms", line), line
    assert len(guarded.log.written) == 4


def test_requests_are_counted() -> None:
    guarded = Guarded(LOCKED)
    for _ in range(3):
        guarded.ask("/echo", parts([b"abc", b"d"]), {**BEARER, **CHUNKED})
    guarded.ask("/echo")
    guarded.ask("/echo", [GONE], {**BEARER, **CHUNKED})
    answers = guarded.values("nerlab_requests_total")
    assert answers == {("/echo", "200"): 3, ("/echo", "401"): 1, ("/echo", "499"): 1}
    assert guarded.values("nerlab_request_seconds_count") == {("/echo",): 5}
    assert guarded.values("nerlab_received_bytes_total") == {(): 12}
    assert guarded.values("nerlab_requests_in_progress") == {(): 0}
    sent = guarded.values("nerlab_sent_bytes_total")[()]
    assert sent == sum(int(re.findall(r"out=(\d+)", line)[0]) for line in guarded.log.written)


def test_nobody_can_invent_names_for_the_metrics() -> None:
    guarded = Guarded()
    for path in ("/a", "/b", "/\u00e9", '/"', "/echo/", "/fail/../x", "/" + "x" * 2000):
        for method in ("GET", "PATCH", "X" * 100):
            guarded.ask(path, method=method)
    assert guarded.values("nerlab_requests_total") == {("other", "404"): 21}
    lines = guarded.metrics.page().count(b"\n")
    guarded.ask("/c")
    assert guarded.metrics.page().count(b"\n") == lines


def test_what_waits_and_what_is_tagged_is_counted() -> None:
    metrics = Metrics()
    waiting = [(3, 40)]
    metrics.show_queue(lambda: waiting[-1])
    guarded = Guarded()
    guarded.metrics = metrics
    assert guarded.values("nerlab_waiting_requests") == {(): 3}
    waiting.append((0, 5))
    assert guarded.values("nerlab_waiting_tokens") == {(): 5}
    with pytest.raises(HTTPException):
        metrics.timed(_failing)([], None)  # type: ignore[arg-type]
    assert guarded.values("nerlab_batch_tokens_count") == {(): 0}


def _failing(pieces: object, wanted: object) -> list[list[object]]:
    raise HTTPException(500)
