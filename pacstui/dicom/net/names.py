"""Host names looked up: a name server that hangs holds up who asks for that name, and nobody else.

The event loop's own lookups share two threads (libuv) or a few (asyncio) among all names, so that two that hang would
stop all others.
"""

from __future__ import annotations

import ipaddress
import socket

from pacstui.apart import Apart

_lookups = Apart("pacstui-name")


async def look_up(host: str) -> list[str]:
    """Return the IP addresses of a host in the order in which they are to be tried.

    Raises
    ------
    OSError, UnicodeError
        When the name is unknown, or is none.
    TooManyHang
        When too many names have not been answered for.
    """
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        return await _lookups.call(host, lambda: _ask(host))


def _ask(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))
