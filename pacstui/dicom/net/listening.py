"""A socket that listens."""

from __future__ import annotations

import socket
from typing import Any


def listening(family: int, address: tuple[Any, ...], backlog: int) -> socket.socket:
    """Return a non-blocking socket that listens at an address, for its version of IP alone; raises OSError."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(address)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock
