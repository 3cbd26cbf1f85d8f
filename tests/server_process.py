"""``python -m nerlab serve`` as a process, for tests that ask it over the network."""

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fork_server import Process, start_python

_ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Server:
    """A server, and the file that it writes its lines to."""

    process: Process
    lines: Path
    url: str = ""

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its status after a signal."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def running_server(folder: Path, *arguments: str, **env: str) -> Iterator[Server]:
    """``python -m nerlab serve ARGUMENTS`` on a free port, within the block; errors are in the file
    too. What is still running at the end is killed."""
    lines = folder / "server.log"
    with lines.open("w") as file:
        command = ["-m", "nerlab", "serve", "port=0", *arguments]
        process = start_python(command, _ROOT, env, stdout=file.fileno(), stderr=file.fileno())
    server = Server(process, lines)
    try:
        while not (found := re.search(r"^serving .* on (http://\S+)$", lines.read_text(), re.M)):
            assert process.poll() is None, lines.read_text()
            time.sleep(0.01)
        server.url = found[1]
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait(60)
