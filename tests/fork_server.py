"""``python SCRIPT ...`` without the second and a half that importing torch takes.

A server process has imported the libraries, though nothing of nerlab. A process that is asked for
is a fork of it: it gets its own arguments, folder, environment and standard streams, runs the
script as ``__main__``, and ends as the interpreter ends, with its exit functions and its status.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from types import MappingProxyType, ModuleType, TracebackType
from typing import IO, Any, TextIO

# torch imports the second with the first step of an optimiser.
_LIBRARIES = (
    *("torch", "torch._dynamo", "numpy", "omegaconf", "hydra.main", "hydra.core.config_store"),
    *("safetensors.torch", "rich.progress", "matplotlib.figure", "matplotlib.backends.backend_agg"),
    *("fastapi.responses", "uvicorn.protocols.http.httptools_impl", "uvloop", "prometheus_client"),
)
# What the interpreter or torch reads when it starts, so that a fork would not see it.
_READ_AT_START = ("PYTHON", "LC_", "LANG", "OMP_", "MKL_", "MALLOC_", "LD_")
_MAX_REQUEST = 1 << 20


class ForkedProcess:
    """What of ``subprocess.Popen`` the tests need, for a fork of the server."""

    def __init__(self, pid: int, streams: Sequence[IO[str] | None]) -> None:
        self.pid = pid
        self.stdin, self.stdout, self.stderr = streams
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The status if the process has ended; negative if a signal ended it."""
        if self.returncode is None:
            self.returncode = _server().ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The status, when the process has ended."""
        end = time.monotonic() + (timeout or 1e9)
        while (status := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("a forked process", timeout or 0)
            time.sleep(0.002)
        return status

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """All that it writes until it ends."""
        found = ["", ""]
        if self.stdin:
            self.stdin.close()

        def read(index: int, stream: IO[str]) -> None:
            with stream:
                found[index] = stream.read()

        streams = enumerate((self.stdout, self.stderr))
        readers = [Thread(target=read, args=(i, s), daemon=True) for i, s in streams if s]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join()
        return found[0], found[1]

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> "ForkedProcess":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                stream.close()
        self.wait()


Process = ForkedProcess | subprocess.Popen[str]


def start_cold(
    arguments: Sequence[str],
    cwd: Path,
    env: Mapping[str, str] = MappingProxyType({}),
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
) -> subprocess.Popen[str]:
    """Start ``python ARGUMENTS`` as a person does; ``env`` is added to the environment."""
    command = [sys.executable, *arguments]
    environment = {**os.environ, **env}
    return subprocess.Popen(
        command, cwd=cwd, env=environment, stdin=stdin, stdout=stdout, stderr=stderr, text=True
    )


def start_python(
    arguments: Sequence[str],
    cwd: Path,
    env: Mapping[str, str] = MappingProxyType({}),
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
) -> Process:
    """The same, forked where only the time tells the difference."""
    environment = {**os.environ, **env}
    if not _forkable(arguments, environment):
        return start_cold(arguments, cwd, env, stdin, stdout, stderr)
    request = {"arguments": list(arguments), "cwd": str(cwd), "environment": environment}
    ours: list[IO[str] | None] = []
    with contextlib.ExitStack() as stack:
        theirs = []
        for number, wanted in enumerate((stdin, stdout, stderr)):
            stream = None
            if wanted == subprocess.DEVNULL:
                wanted = os.open(os.devnull, os.O_RDWR)
                stack.callback(os.close, wanted)
            elif wanted == subprocess.PIPE:
                ends = os.pipe()
                wanted = ends[0 if number == 0 else 1]
                stack.callback(os.close, wanted)
                stream = os.fdopen(ends[1], "w") if number == 0 else os.fdopen(ends[0])
            ours.append(stream)
            theirs.append(wanted)
        pid = _server().ask(request, theirs)
    assert pid is not None
    return ForkedProcess(pid, ours)


def _forkable(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    is_option = arguments[0].startswith("-") and arguments[0] not in ("-c", "-m")
    same = _read_at_start(environment) == _server().environment
    return sys.platform == "linux" and not is_option and same


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    # A fork does look into PYTHONPATH.
    names = (n for n in environment if n.startswith(_READ_AT_START) and n != "PYTHONPATH")
    return {name: environment[name] for name in names}


class _Server:
    """The connection to the server of this process, which ends with it."""

    def __init__(self) -> None:
        self.environment = _read_at_start(os.environ)
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._compiled = TemporaryDirectory(prefix="nerlab-compiled-")
        command = [sys.executable, __file__, str(theirs.fileno()), self._compiled.name]
        with theirs:
            environment = {n: v for n, v in os.environ.items() if n != "PYTHONPATH"}
            numbers = [theirs.fileno()]
            self._process = subprocess.Popen(command, pass_fds=numbers, env=environment)

    def ask(self, request: dict[str, Any], descriptors: Sequence[int] = ()) -> int | None:
        socket.send_fds(self._socket, [json.dumps(request).encode()], descriptors)
        answer: int | None = json.loads(self._socket.recv(_MAX_REQUEST))
        return answer


@cache
def _server() -> _Server:
    return _Server()


def serve(connection: socket.socket) -> list[str]:
    """Fork when asked to. Returns in the forks alone, with the arguments of each."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, _MAX_REQUEST, 3)
        if not message:
            os._exit(0)  # whoever asked is gone
        request = json.loads(message)
        if "poll" in request:
            pid, status = os.waitpid(request["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if answer == 0:
                connection.close()
                _become(request, descriptors)
                return list(request["arguments"])
        for descriptor in descriptors:
            os.close(descriptor)
        connection.send(json.dumps(answer).encode())


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Take over the folder, the environment and the standard streams of a request."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = _reopened(sys.stdin, 0)
    sys.stdout = _reopened(sys.stdout, 1)
    sys.stderr = _reopened(sys.stderr, 2)
    if folders := os.environ.get("PYTHONPATH"):
        sys.path[:0] = [os.path.abspath(folder) for folder in folders.split(os.pathsep)]
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _reopened(stream: TextIO, number: int) -> TextIO:
    """A standard stream as the interpreter has made it, for what is behind its descriptor now."""
    assert isinstance(stream, TextIOWrapper)
    is_unbuffered = stream.write_through
    file = open(number, "wb" if number else "rb", 0 if is_unbuffered else -1, closefd=False)  # noqa: SIM115
    by_line = number == 2 or file.isatty()
    return TextIOWrapper(file, stream.encoding, stream.errors, None, by_line, is_unbuffered)


def run(arguments: list[str]) -> None:
    """What ``python ARGUMENTS`` does, in this process."""
    kind, *rest = arguments
    if kind == "-m":
        sys.argv = rest
        sys.path.insert(0, os.getcwd())
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = ["-c", *rest[1:]]
        sys.path.insert(0, "")
        sys.modules["__main__"] = main = ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), vars(main))
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(kind).resolve().parent))
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in _LIBRARIES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else each fork would look through it, and so copy it, when it ends
    del sys.path[0]  # the folder of the tests
    if sys.dont_write_bytecode:  # each fork would compile nerlab anew
        sys.dont_write_bytecode, sys.pycache_prefix = False, sys.argv[2]
    run(serve(socket.socket(fileno=int(sys.argv[1]))))
