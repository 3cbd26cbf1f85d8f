"""A real server under load, with clients that are slow, broken or gone, and when it is killed."""

import asyncio
import json
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import NamedTuple
from urllib.parse import urlencode

import pytest
from clients import GONE, HOST, Answer, Connection, Load, Request, is_right
from conftest import ROOT, StartServer, run_script
from fork_server import Process, start_python
from server_process import Server

JSON, PLAIN, FORM = "application/json", "text/plain", "application/x-www-form-urlencoded"
_LONG_TOKENS = 3_000
_SECONDS = 60


@pytest.fixture(scope="session")
def requests(corpus: Path, run: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Request]:
    """Requests of all sizes with what predict.py says to them."""
    lines = (corpus / "test.conll").read_text(encoding="utf-8").split("\n\n")[1:]
    sentences = [" ".join(line.split()[0] for line in s.splitlines()) for s in lines]
    random = Random(0)
    sizes = [*[1] * 20, *[2, 3, 5, 10] * 3, _LONG_TOKENS // 6]
    texts = [" ".join(random.choices(sentences, k=size)) for size in sizes]
    file = tmp_path_factory.mktemp("texts") / "texts.txt"
    file.write_text("\n".join(texts), encoding="utf-8")
    predict = ("predict", f"checkpoint={run}", f"input={file}", "device=cpu")
    answers = [json.loads(line) for line in run_script(*predict).out.splitlines()]
    assert [answer["text"] for answer in answers] == texts
    assert sum(len(answer["entities"]) for answer in answers) > len(texts)
    made = [_json({"text": answer["text"]}, answer) for answer in answers]
    for size in (0, 2, 7):
        some = random.choices(answers, k=size)
        made.append(_json({"texts": [a["text"] for a in some]}, {"results": some}))
    pairs = [line.split() for line in run_script(*predict, "format=conll").out.splitlines()]
    tokens = iter(pair for pair in pairs if pair)
    for text, answer in zip(texts, answers, strict=True):
        own = [next(tokens) for _ in text.split()]
        if len(own) < 20:
            made.append(Request(text.encode(), PLAIN, own))
            grouped: dict[str, list[str]] = {}
            for entity in answer["entities"]:
                grouped.setdefault(entity["label"], []).append(entity["text"])
            form = urlencode({"text": text}).encode()
            made.append(Request(form, FORM, {"entities": grouped}))
    return made


def _json(value: object, expected: object) -> Request:
    return Request(json.dumps(value).encode(), JSON, expected)


def rounds(number: int) -> Callable[[], bool]:
    """True so many times."""
    left = iter(range(number))
    return lambda: next(left, None) is not None


def test_slow_and_broken_clients_leave_the_others_their_right_answers(
    server: Server, requests: list[Request]
) -> None:
    load = Load(server.port, requests, rounds(150))
    asyncio.run(load.run(18))
    assert load.wrong == []
    assert {kind for kind, _ in load.statuses} > {"good", "slow", "half", "gone", "garbage"}


class Usage(NamedTuple):
    """Of a process: its memory in MiB, how many files and connections it has open."""

    memory: float
    files: int

    @classmethod
    def of(cls, process: Process) -> "Usage":
        folder = Path(f"/proc/{process.pid}")
        (resident,) = re.findall(r"^VmRSS:\s+(\d+) kB$", (folder / "status").read_text(), re.M)
        return cls(int(resident) / 1024, len(list((folder / "fd").iterdir())))


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="memory is read from /proc")
def test_two_hundred_clients_for_a_minute_leave_the_server_as_it_was(
    start_server: StartServer, requests: list[Request]
) -> None:
    async def work(server: Server) -> tuple[Load, list[Usage]]:
        end = time.monotonic() + _SECONDS
        load = Load(server.port, requests, lambda: time.monotonic() < end)
        running = asyncio.ensure_future(load.run(200))
        usage = []
        while not running.done():
            usage.append(Usage.of(server.process))
            await asyncio.wait([running], timeout=0.5)
        await running
        return load, usage

    with start_server("queue_requests=80", "body_timeout=2") as server:
        before = Usage.of(server.process)
        load, usage = asyncio.run(work(server))
        print(sorted(load.statuses.items()), *usage[::10], sep="\n")
        asyncio.run(Load(server.port, requests, rounds(50)).run(6))  # good clients
        deadline = time.monotonic() + 30
        while Usage.of(server.process).files > before.files and time.monotonic() < deadline:
            time.sleep(0.1)
        assert Usage.of(server.process).files == before.files
        assert server.stop() == 0
    assert load.wrong == []
    assert min(load.statuses["good", 200], load.statuses["good", 503]) > 100
    first, second = usage[len(usage) // 4 : len(usage) // 2], usage[len(usage) // 2 :]
    most = [max(found.memory for found in half) for half in (first, second)]
    assert most[1] < 1.1 * most[0]


def test_at_sigterm_what_is_asked_is_answered_and_nothing_more_is_taken_in(
    start_server: StartServer, requests: list[Request]
) -> None:
    request = requests[0]

    async def work(server: Server) -> Answer:
        idle, connection = [await Connection.to(server.port) for _ in range(2)]
        await connection.send(request.head() + request.body[:-1])
        assert (await idle.ask(request)).status == 200  # the other is being read as well
        server.process.send_signal(signal.SIGTERM)
        assert await idle.reader.read() == b""
        with pytest.raises(ConnectionError):
            await Connection.to(server.port)
        await connection.send(request.body[-1:])
        return await connection.answer()

    with start_server() as server:
        answer = asyncio.run(work(server))
        assert server.process.wait(60) == 0
    assert answer.status == 200
    assert is_right(json.loads(answer.body), request.expected)


def test_a_queue_that_is_full_says_when_to_come_again(
    start_server: StartServer, requests: list[Request]
) -> None:
    long = max(requests, key=lambda request: len(request.body))

    async def work(server: Server) -> list[Answer]:
        connections = [await Connection.to(server.port) for _ in range(12)]
        return await asyncio.gather(*(c.ask(long) for c in connections))

    with start_server("queue_requests=1") as server:
        answers = asyncio.run(work(server))
    refused = [answer for answer in answers if answer.status == 503]
    assert 0 < len(refused) < len(answers)
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert all("again" in json.loads(answer.body)["error"] for answer in refused)
    found = [json.loads(answer.body) for answer in answers if answer.status == 200]
    assert len(found) + len(refused) == len(answers)
    assert all(is_right(value, long.expected) for value in found)


@contextmanager
def supervised(port: int, *arguments: str) -> Iterator[list[Process]]:
    """A server that is started anew whenever it ends, as systemd or a container host does it; the
    list of its processes so far."""
    processes: list[Process] = []
    over = Event()

    def supervise() -> None:
        while not over.is_set():
            processes.append(
                start_python(["-m", "nerlab", "serve", f"port={port}", *arguments], ROOT)
            )
            processes[-1].communicate()

    supervisor = Thread(target=supervise)
    supervisor.start()
    try:
        yield processes
    finally:
        over.set()
        processes[-1].send_signal(signal.SIGKILL)
        supervisor.join()


def free_port() -> int:
    with socket.create_server((HOST, 0)) as taken:
        return int(taken.getsockname()[1])


async def insist(port: int, request: Request) -> Answer:
    """What a client that tries again is answered."""
    while True:
        try:
            connection = await Connection.to(port)
            try:
                answer = await connection.ask(request)
            finally:
                connection.close()
        except (*GONE, asyncio.TimeoutError):
            await asyncio.sleep(0.05)
            continue
        if answer.status != 503:
            return answer
        await asyncio.sleep(0.1)


async def kill_under_load(
    port: int, requests: list[Request], processes: list[Process], clients: int, kills: int
) -> tuple[list[Answer], list[Request]]:
    """Clients go on until the server has been killed so often; every answer with its request."""
    answers: list[Answer] = []
    asked: list[Request] = []
    over = False

    async def client(random: Random) -> None:
        while not over:
            request = random.choice(requests)
            answer = await insist(port, request)
            asked.append(request)
            answers.append(answer)

    tasks = [asyncio.ensure_future(client(Random(i))) for i in range(clients)]
    for killed in range(kills + 1):
        before = len(answers)
        while len(answers) < before + 2 * clients:  # it works, for all
            await asyncio.sleep(0.01)
        if killed < kills:
            processes[-1].send_signal(signal.SIGKILL)
    over = True
    await asyncio.gather(*tasks)
    return answers, asked


@pytest.mark.parametrize(
    ("clients", "kills"), [(10, 1), pytest.param(200, 8, marks=pytest.mark.long)]
)
def test_clients_that_try_again_lose_nothing_when_the_server_is_killed(
    run: Path, requests: list[Request], clients: int, kills: int
) -> None:
    port = free_port()
    with supervised(port, f"checkpoint={run}", "queue_requests=150") as processes:
        answers, asked = asyncio.run(kill_under_load(port, requests, processes, clients, kills))
        assert len(processes) == kills + 1
    assert {answer.status for answer in answers} == {200}
    for answer, request in zip(answers, asked, strict=True):
        assert is_right(json.loads(answer.body), request.expected)
