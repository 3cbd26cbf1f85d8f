"""The server as a process: where it listens, how it ends."""

import signal
import socket
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from conftest import Result, StartServer, run_script
from helpers import one_in
from server_process import Server

import nerlab

TEXT = "Anna Smith flew to Berlin ."


def refused(*arguments: str) -> str:
    """The one line of a server that does not start."""
    result: Result = run_script("nerlab/__main__", "serve", "checkpoint=nowhere", *arguments)
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    return result.err[len("error: ") : -1]


def test_a_server_answers_as_predict_does(server: Server, run: Path) -> None:
    found = httpx.post(f"{server.url}predict", json={"text": TEXT})
    expected = [
        {**entity._asdict(), "score": round(entity.score, 6)}
        for entity in nerlab.load(run).predict([TEXT])[0]
    ]
    assert expected
    assert found.json() == {"text": TEXT, "entities": expected}


@pytest.mark.parametrize(
    ("number", "status"),
    one_in(3, [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGHUP, 129)]),
)
def test_a_signal_ends_a_server_with_its_status(
    start_server: StartServer, run: Path, number: signal.Signals, status: int
) -> None:
    with start_server() as server:
        assert server.stop(number) == status
        first, *others = server.lines.read_text().splitlines()
        assert first == f"serving {run} on {server.url}"
        assert others == ["interrupted"] * (number == signal.SIGINT)


def test_it_listens_on_this_machine_alone(server: Server) -> None:
    assert server.url.startswith("http://127.0.0.1:")


def test_a_port_that_is_taken_is_one_line(server: Server) -> None:
    assert refused(f"port={server.port}") == (
        f"port={server.port}: taken by another program on 127.0.0.1; "
        "choose another, 0 is any free one"
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0"])
def test_it_does_not_listen_elsewhere_without_a_token(host: str) -> None:
    expected = "other machines would reach the server without a token; set token=..., or open=true"
    for token in ((), ("token=",), ("token=null",)):
        assert refused(f"host={host}", "port=0", *token).startswith(f"host={host}: {expected}")


@pytest.mark.parametrize("allowed", ["open=true", "token=secret"])
def test_it_listens_elsewhere_when_told_so(allowed: str) -> None:
    """The checkpoint that is not there is what it stumbles over."""
    assert "nowhere" in refused("host=0.0.0.0", "port=0", allowed)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "::1"])
def test_this_machine_has_several_names(host: str) -> None:
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    assert "nowhere" in refused(f"host={host}", "port=0")


@pytest.mark.parametrize("host", ["", "nowhere.invalid", "1.2.3.4.5", "a b", "x" * 70, "\udcff"])
def test_a_host_that_does_not_exist_is_one_line(host: str) -> None:
    assert "expected an address or a name of this machine" in refused(f"host={host}")


def test_an_address_of_another_machine_is_one_line() -> None:
    assert refused("host=192.0.2.1", "port=0", "open=true").startswith("host=192.0.2.1: no address")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("port=70000", "port=70000: expected a whole number, 0 to 65535"),
        ("port=-1", "port=-1: expected a whole number, 0 to 65535"),
        ("open=1", "open=1: expected true or false"),
        ("drain=0", "drain=0: expected a whole number, 1 to 3600"),
        ("cors=https://a.example/", "cors=https://a.example/: expected * or an origin"),
        ("cors=[1]", "cors=1: expected * or an origin"),
        ("token=a b", "token: expected letters, digits and signs of ASCII"),
        ("max_body=0", "max_body=0: expected a whole number, 1 to"),
    ],
)
def test_a_value_that_makes_no_sense_is_one_line(key: str, expected: str) -> None:
    assert refused(key).startswith(expected)


HALF = (
    b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b'Content-Length: 12\r\n\r\n{"tex'
)


def half_asked(server: Server) -> socket.socket:
    """A connection on which the first half of a request was sent, and has arrived."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    while b'"ok"' not in connection.recv(10_000):
        pass
    connection.sendall(HALF)
    while "nerlab_requests_in_progress 2.0" not in httpx.get(f"{server.url}metrics").text:
        pass
    return connection


def wait_until_closed(server: Server) -> None:
    """Until it takes no connection any more."""
    with suppress(ConnectionError):  # refused, or reset while it closes
        while True:
            socket.create_connection(("127.0.0.1", server.port)).close()


def received(connection: socket.socket) -> bytes:
    """All that comes until the end."""
    return b"".join(iter(lambda: connection.recv(10_000), b""))


def test_who_is_being_served_at_the_end_is_answered(start_server: StartServer) -> None:
    with start_server() as server, half_asked(server) as connection:
        server.process.send_signal(signal.SIGTERM)
        wait_until_closed(server)
        connection.sendall(b't": ""}')
        answer = received(connection)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nconnection: close\r\n" in answer
        assert server.process.wait(60) == 0


@pytest.mark.long
def test_who_is_not_served_in_time_is_told_so(start_server: StartServer) -> None:
    with start_server("drain=1", "body_timeout=100") as server, half_asked(server) as connection:
        server.process.send_signal(signal.SIGTERM)
        assert received(connection).startswith(b"HTTP/1.1 503 ")
        assert server.process.wait(60) == 0


def test_a_second_signal_ends_a_server_at_once(start_server: StartServer) -> None:
    with start_server() as server, half_asked(server):
        server.process.send_signal(signal.SIGTERM)
        wait_until_closed(server)
        assert server.stop(signal.SIGTERM) == 143


def test_who_sends_too_much_before_reading_has_the_answer(server: Server) -> None:
    size = 3_000_000
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head.encode() + b"x" * size)
        assert received(connection).startswith(b"HTTP/1.1 413 ")


def test_the_log_of_a_server_has_nothing_of_a_request(start_server: StartServer) -> None:
    secret = "Merkel"
    with start_server("token=geheim") as server:
        headers = {"Authorization": "Bearer geheim", "X": secret, "Content-Type": "text/plain"}
        url = f"{server.url}predict"
        statuses = [
            httpx.post(url, content=secret, headers=headers).status_code,
            httpx.post(url, params={"min_score": secret}, headers=headers).status_code,
            httpx.post(
                url, content=secret, headers={**headers, "Authorization": secret}
            ).status_code,
            httpx.get(f"{url}/{secret}", headers=headers).status_code,
            httpx.post(
                url, content=secret, headers={**headers, "Content-Type": secret}
            ).status_code,
        ]
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(f"{secret}\r\n\r\n".encode())
            assert received(connection).startswith(b"HTTP/1.1 400 ")
        assert server.stop() == 0
        written = server.lines.read_text()
    assert statuses == [200, 422, 401, 404, 415]
    assert [int(line.split()[1]) for line in written.splitlines() if " in=" in line] == statuses
    assert " warning uvicorn.error " in written
    assert secret not in written
    assert "geheim" not in written
