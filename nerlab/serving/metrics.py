"""What Prometheus is told: how many requests, how long they took, what waits."""

import time
from collections.abc import Callable, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

import nerlab
from nerlab.inference.pieces import Piece
from nerlab.inference.predictor import SentenceTags, Wanted
from nerlab.serving.batching import Tag

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_OTHER = "other"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_TOKENS = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000)


class Metrics:
    """Counts what a server does.

    Attributes:
        paths: the values that the label ``path`` may have; any other is counted as ``other``, so
            that names from outside cannot fill the memory.
    """

    def __init__(self) -> None:
        self.paths: frozenset[str] = frozenset()
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        Info("nerlab", "This server", registry=registry).info({"version": nerlab.__version__})
        self._answers = Counter(
            "nerlab_requests",
            "Requests; status 499: the client went away before the answer",
            ("path", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "nerlab_request_seconds",
            "From the head of a request to the end of its answer",
            ("path",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._received = Counter("nerlab_received_bytes", "Bodies of requests", registry=registry)
        self._sent = Counter("nerlab_sent_bytes", "Bodies of answers", registry=registry)
        self.in_progress = Gauge(
            "nerlab_requests_in_progress", "Requests without an answer", registry=registry
        )
        self._batch_seconds = Histogram(
            "nerlab_batch_seconds", "Tagging one batch", buckets=_SECONDS, registry=registry
        )
        self._batch_tokens = Histogram(
            "nerlab_batch_tokens", "Tokens of one batch", buckets=_TOKENS, registry=registry
        )

    def answered(self, path: str, status: int, received: int, sent: int, seconds: float) -> None:
        """Count an answer."""
        known = path if path in self.paths else _OTHER
        self._answers.labels(known, str(status)).inc()
        self._seconds.labels(known).observe(seconds)
        self._received.inc(received)
        self._sent.inc(sent)

    def timed(self, tag: Tag) -> Tag:
        """The same function, whose calls are counted."""

        def timed_tag(pieces: Sequence[Piece], wanted: Wanted) -> list[list[SentenceTags]]:
            start = time.perf_counter()
            found = tag(pieces, wanted)
            self._batch_seconds.observe(time.perf_counter() - start)
            self._batch_tokens.observe(sum(len(s.tokens) for piece in pieces for s in piece))
            return found

        return timed_tag

    def show_queue(self, waiting: Callable[[], tuple[int, int]]) -> None:
        """Tell what waits: requests and tokens."""
        registry = self._registry
        requests = Gauge("nerlab_waiting_requests", "In the queue", registry=registry)
        requests.set_function(lambda: waiting()[0])
        tokens = Gauge("nerlab_waiting_tokens", "In the queue", registry=registry)
        tokens.set_function(lambda: waiting()[1])

    def page(self) -> bytes:
        """All values in Prometheus' text format."""
        return generate_latest(self._registry)
