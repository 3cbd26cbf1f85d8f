"""Where the server listens."""

import errno
import os
import socket
from ipaddress import ip_address

_BACKLOG = 2048
_UNREAD_MS = 30_000


def listen(host: str, port: int, others: bool) -> socket.socket:
    """A socket that listens on ``host``; ``port`` 0 is any that is free.

    Raises:
        ValueError: ``host`` is no address of this machine, the port is taken or not for us, or the
            server would be reached from other machines and ``others`` is false.
    """
    try:
        flags = socket.AI_PASSIVE
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError):
        raise ValueError(
            f"host={host}: expected an address or a name of this machine, as 127.0.0.1"
        ) from None
    family, _, _, _, address = found[0]
    if not (others or ip_address(str(address[0]).partition("%")[0]).is_loopback):
        raise ValueError(
            f"host={host}: other machines would reach the server without a token; set token=..., "
            "or open=true if everyone may use it"
        )
    try:
        listening = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ValueError(_explained(host, port, error)) from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # else an answer that is never read is kept for ever
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
    return listening


def url_of(listening: socket.socket) -> str:
    """The URL of the page."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def _explained(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port={port}: taken by another program on {host}; choose another, 0 is any free one"
    if error.errno == errno.EACCES:
        return f"port={port}: only an administrator may listen there; choose one above 1023"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"host={host}: no address of this machine; 0.0.0.0 is all it has"
    return f"host={host} port={port}: cannot listen there ({os.strerror(error.errno or 0)})"
