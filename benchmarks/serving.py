"""Speed of the server, against the plainest FastAPI loop around the same tagger.

    python benchmarks/serving.py runs/latest

Clients send a sentence of the dev split, wait for the answer and send the next. Three servers take
turns: ``nerlab serve`` as it is, the same with one text at a time, and the plain loop of
plain_server.py; what is printed are medians of the rounds. The clients are in this process and take
a share of the cores too. Every answer is compared with what the tagger finds by itself. Fails where
200 clients are answered less than 5 times as fast as they would be one text at a time.
"""

import argparse
import asyncio
import json
import random
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import uvloop

import nerlab
from nerlab.data.load import load_split
from nerlab.inference.predictor import Entity, Predictor
from nerlab.saved_config import checked_config

_BATCHED, _ONE, _PLAIN = "nerlab serve", "one text at a time", "the plainest loop"
_WANTED = 5
_PERCENTILES = (0.5, 0.95, 0.99)
_CLIENTS = (1, 200)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_WARM_UP = 0.25  # of the time of a measurement, before it
_DIGITS = 1e-6  # the last that answers are rounded to, and that bits may change


class Load(NamedTuple):
    """What clients saw: answers a second, and the seconds that each took, sorted."""

    rate: float
    seconds: list[float]

    def percentile(self, share: float) -> float:
        """Milliseconds in which this share was answered."""
        return 1e3 * self.seconds[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


class Client(asyncio.Protocol):
    """Sends requests on one connection, each when the one before is answered.

    Args:
        requests: whole requests, as bytes.
        answers: collects the bodies of the answers to each of them.
        times: collects of each answer the time when it was whole, and the seconds it took.
    """

    def __init__(
        self, requests: Sequence[bytes], answers: list[set[bytes]], times: list[tuple[float, float]]
    ) -> None:
        self._requests, self._answers, self._times = requests, answers, times
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.WriteTransport, transport)
        self._send()

    def _send(self) -> None:
        self._index = random.randrange(len(self._requests))
        self._start = time.perf_counter()
        self._transport.write(self._requests[self._index])

    def data_received(self, data: bytes) -> None:
        """Go on to the next request if the answer is whole."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        found = _LENGTH.search(head + b"\r\n")
        if not end or not found or len(body) < int(found[1]):
            return
        now = time.perf_counter()
        self._times.append((now, now - self._start))
        self._answers[self._index].add(body)
        self._received = b""
        self._send()


async def measure(
    url: str, texts: Sequence[str], answers: list[set[bytes]], clients: int, seconds: float
) -> Load:
    """Have so many clients ask for so long."""
    host, _, port = urlsplit(url).netloc.partition(":")
    requests = [_request(text) for text in texts]
    times: list[tuple[float, float]] = []
    loop = asyncio.get_running_loop()
    connections = [
        await loop.create_connection(lambda: Client(requests, answers, times), host, int(port))
        for _ in range(clients)
    ]
    await asyncio.sleep(_WARM_UP * seconds)
    start = time.perf_counter()
    await asyncio.sleep(seconds)
    end = time.perf_counter()
    for transport, _ in connections:
        transport.abort()
    taken = sorted(each for now, each in times if start <= now <= end)
    return Load(len(taken) / (end - start), taken)


def _request(text: str) -> bytes:
    body = json.dumps({"text": text}).encode()
    lines = (
        "POST /predict HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def server(*command: str) -> Iterator[str]:
    """The URL of a server, which says it in the first line that it prints."""
    with NamedTemporaryFile("w+") as log:
        process = subprocess.Popen([sys.executable, *command], stdout=log)
        try:
            while not (found := re.search(r"http://\S+", Path(log.name).read_text())):
                if process.poll() is not None:
                    raise RuntimeError(f"{' '.join(command)} has ended")
                time.sleep(0.1)
            yield found[0]
        finally:
            process.terminate()
            process.wait()


def check(tagger: Predictor, texts: Sequence[str], answers: Sequence[set[bytes]]) -> int:
    """How many answers there are that are not what the tagger finds in a text by itself."""
    wrong = 0
    for text, bodies in zip(texts, answers, strict=True):
        (expected,) = tagger.predict([text])
        wrong += sum(not _is_right(json.loads(body), text, expected) for body in bodies)
    return wrong


def _is_right(answer: Any, text: str, expected: Sequence[Entity]) -> bool:
    if answer.keys() != {"text", "entities"}:
        return False
    found = [Entity(**entity) for entity in answer["entities"]]
    pairs = zip(found, expected, strict=False)
    return (
        answer["text"] == text
        and [entity[:4] for entity in found] == [entity[:4] for entity in expected]
        and all(abs(one.score - other.score) < 2 * _DIGITS for one, other in pairs)
    )


def main() -> None:
    """Measure, print, and fail where it is too slow or an answer is wrong."""
    arguments = _parse_arguments()
    tagger = nerlab.load(arguments.checkpoint)
    dev = load_split(checked_config(tagger.checkpoints[0].config).data, "dev")
    sentences = [" ".join(dev.sentence_tokens(i)) for i in range(min(len(dev), 1000))]
    step = arguments.sentences
    texts = ["\n".join(sentences[i : i + step]) for i in range(0, len(sentences), step)]
    own = ("-m", "nerlab", "serve", f"checkpoint={arguments.checkpoint}", "port=0")
    threads = f"threads={arguments.threads}"
    plain = str(Path(__file__).parent / "plain_server.py")
    loads: dict[tuple[str, int], list[Load]] = defaultdict(list)
    wrong = 0
    with ExitStack() as stack:
        urls = {
            name: stack.enter_context(server(*command))
            for name, command in {
                _BATCHED: (*own, threads),
                _ONE: (*own, threads, "window=0", "batch_tokens=1"),
                _PLAIN: (plain, arguments.checkpoint, "--threads", arguments.threads),
            }.items()
        }
        for _ in range(arguments.rounds):
            for clients in _CLIENTS:
                for name, url in urls.items():
                    answers: list[set[bytes]] = [set() for _ in texts]
                    work = measure(url, texts, answers, clients, arguments.seconds)
                    loads[name, clients].append(uvloop.run(work))
                    wrong += check(tagger, texts, answers)
    print(f"{'clients':>7}  {'':<22}{'requests/s':>11}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}")
    for clients in _CLIENTS:
        for name in (_BATCHED, _ONE, _PLAIN):
            found = loads[name, clients]
            times = [statistics.median(load.percentile(p) for load in found) for p in _PERCENTILES]
            rate = statistics.median(load.rate for load in found)
            print(f"{clients:>7}  {name:<22}{rate:>11,.0f}" + "".join(f"{t:>9.1f}" for t in times))
    most = _CLIENTS[-1]
    pairs = zip(loads[_BATCHED, most], loads[_ONE, most], strict=True)
    times_as_fast = statistics.median(batched.rate / one.rate for batched, one in pairs)
    print(f"\n{times_as_fast:.1f} times the requests of one at a time (wanted {_WANTED})")
    print(f"{wrong} wrong answers")
    sys.exit(int(times_as_fast < _WANTED or wrong > 0))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a run directory")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="of a measurement")
    parser.add_argument("--sentences", type=int, default=1, help="of a text")
    parser.add_argument("--threads", default="1", help="of each server: auto, or a number")
    return parser.parse_args()


if __name__ == "__main__":
    main()
