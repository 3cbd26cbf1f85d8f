"""The server process."""

import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket

import uvicorn
from omegaconf import DictConfig, OmegaConf

from nerlab.config import check_values
from nerlab.inference.predictor import load
from nerlab.process import Interruption, lasting_output, on_signals
from nerlab.serving.app import OPEN_PATHS, make_app
from nerlab.serving.batching import Limits
from nerlab.serving.connection import Connection
from nerlab.serving.guard import Protection, guard
from nerlab.serving.listening import listen, url_of
from nerlab.serving.log import Log

_IDLE_SECONDS = 75  # of a connection; load balancers keep one for 60


def run_server(config: DictConfig) -> None:
    """Serve the tagger that ``config`` names until a signal ends it.

    Connections are taken from the beginning, and wait while the tagger is loaded. SIGTERM, SIGINT
    and SIGHUP end it when the requests in progress are answered, or after ``config.drain`` seconds;
    a second signal ends it at once.

    Raises:
        ValueError: a key has no such value, or the checkpoint is broken.
        SystemExit: the status after SIGHUP; after SIGTERM this returns.
        KeyboardInterrupt: after SIGINT.
    """
    check_values(
        "", OmegaConf.masked_copy(config, [str(k) for k in config if config[k] is not None])
    )
    protection = Protection(
        token=config.token or None,
        open_paths=OPEN_PATHS,
        cors=(config.cors,) if isinstance(config.cors, str) else tuple(config.cors or ()),
        max_body=config.max_body,
        max_bodies=config.max_bodies,
        body_timeout=config.body_timeout,
    )
    protection.check()
    others = protection.token is not None or config.open
    with listen(config.host, config.port, others) as listening, lasting_output(), Log() as log:
        predictor = load(config.checkpoint, config.device, config.trust)
        limits = Limits(
            window=config.window,
            batch_tokens=config.batch_tokens or 4096,
            queue_tokens=config.queue_tokens,
            queue_requests=config.queue_requests,
        )
        app = make_app(predictor, limits, config.timeout)
        guard(app, protection, log)
        gc.collect()
        gc.freeze()  # what is there now stays; looking through it again takes 0.15 s each time
        server = _Server(
            uvicorn.Config(
                app,
                loop="uvloop",
                http=Connection,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_IDLE_SECONDS,
                timeout_graceful_shutdown=config.drain,
            ),
            announcement=f"serving {config.checkpoint} on {url_of(listening)}",
        )
        server.run(sockets=[listening])
    number = server.interruption.requested
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    if number != signal.SIGTERM:  # who asks a server to end so is content
        sys.exit(1 if number is None else 128 + number)


class _Server(uvicorn.Server):
    """A server that leaves the signals to us, and says when it has begun."""

    def __init__(self, config: uvicorn.Config, announcement: str) -> None:
        super().__init__(config)
        self.interruption = Interruption()
        self._announcement = announcement

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        print(self._announcement, flush=True)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on a signal within the block."""

        def stop(number: int, frame: object) -> None:
            self.interruption.note(number, None)
            self.should_exit = True

        with on_signals(stop):
            yield
