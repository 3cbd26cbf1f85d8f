"""The server as a process: where it listens, how it ends."""

import signal
import socket
from pathlib import Path

import httpx
import pytest
from conftest import Result, StartServer, run_script
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
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
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
        ("max_body=0", "max_body=0: expected a whole number, 1 to"),
    ],
)
def test_a_value_that_makes_no_sense_is_one_line(key: str, expected: str) -> None:
    assert refused(key).startswith(expected)
