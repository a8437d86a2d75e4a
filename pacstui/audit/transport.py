"""A connection to a syslog server: TLS (RFC 5425), TCP with octet counting (RFC 6587) or UDP (RFC 5426)."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import ssl
import struct
import termios
from collections.abc import Callable

from pacstui.audit.lines import Server
from pacstui.dicom.net.tls import explain
from pacstui.text import safe

_REFUSED_S = 0.2
PROVEN_S = 1.0
"""Seconds for which a new connection has to stand before something counts as sent."""


class _Datagrams(asyncio.DatagramProtocol):
    """Notes that nobody listens, which the other machine may tell (ICMP) or not."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.refused = asyncio.Event()

    def error_received(self, exc: Exception) -> None:
        self.error = exc
        self.refused.set()


class Transport:
    """Takes messages to the server. ``ended`` is why the last connection has ended, none while it stands.

    Parameters
    ----------
    context
        For TLS; another one may be put in its place for later connections.
    told_end
        Is called when the server ends a connection.
    """

    def __init__(self, server: Server, context: ssl.SSLContext | None, told_end: Callable[[], None]) -> None:
        self._server = server
        self.context = context
        self._told_end = told_end
        self._out: asyncio.StreamWriter | None = None
        self._watch: asyncio.Task[None] | None = None
        self.ended: Exception | None = None
        self._end = asyncio.Event()
        self._datagrams: asyncio.DatagramTransport | None = None
        self._told: _Datagrams | None = None

    async def close(self) -> None:
        """Hang up, and wait for a short while until the other side knows."""
        out = self._out
        self.hang_up()
        if out is not None:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(0.4):
                    await out.wait_closed()

    async def connect(self) -> bool:
        """Connect where that is needed; return whether the connection has to prove itself."""
        if self._server.kind == "syslog+udp":
            if self._datagrams is None:
                self._datagrams, self._told = await asyncio.get_running_loop().create_datagram_endpoint(
                    _Datagrams, remote_addr=(self._server.host, self._server.port)
                )
            return False
        if self._out is not None:
            return False
        secure = (self.context or True) if self._server.kind == "syslog+tls" else None
        incoming, self._out = await asyncio.open_connection(self._server.host, self._server.port, ssl=secure)
        self._out.transport.set_write_buffer_limits(high=1)  # over TLS asyncio never resumes from a limit of 0
        self._watch = asyncio.create_task(self._listen(incoming), name="syslog connection")
        return True

    async def proven(self) -> None:
        """Wait a while for a connection to end that the server does not want; raise why it did."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._end.wait(), PROVEN_S)
        if self.ended is not None:
            raise self.ended

    async def _listen(self, incoming: asyncio.StreamReader) -> None:
        """Wait for the end of the connection; what the server says before is not looked at."""
        ended: Exception = EOFError("the server ended the connection")
        try:
            while await incoming.read(4096):
                pass
        except OSError as error:
            ended = error
        self.ended = ended
        self._end.set()
        self._told_end()

    async def write(self, lines: list[bytes]) -> None:
        """Send messages; over TLS and TCP return when the server's machine has acknowledged them."""
        if self._datagrams is not None and self._told is not None:
            for each in lines:
                self._datagrams.sendto(each)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.refused.wait(), _REFUSED_S)
            if self._told.error is not None:
                raise self._told.error
            return
        assert self._out is not None
        self._out.writelines(b"%d %s" % (len(each), each) for each in lines)
        await self._out.drain()
        await self._acknowledged(self._out)

    async def _acknowledged(self, out: asyncio.StreamWriter) -> None:
        """Wait until the server's machine has acknowledged every byte."""
        step, clear = 0.001, 0
        while clear < 2:  # twice: a layer below may just be about to write
            clear = clear + 1 if not out.transport.get_write_buffer_size() and not _on_its_way(out) else 0
            if self.ended is not None and not (clear and isinstance(self.ended, EOFError)):
                raise self.ended
            await asyncio.sleep(step)
            step = min(0.1, step * 2)

    def hang_up(self) -> None:
        """End the connection."""
        if self._watch is not None:
            self._watch.cancel()
        for each in (self._out, self._datagrams):
            if each is not None:
                each.close()
        self._out = self._watch = self.ended = self._datagrams = self._told = None
        self._end.clear()


def _on_its_way(out: asyncio.StreamWriter) -> int:
    """Return how many bytes the other machine has not acknowledged; 0 where the system does not tell."""
    sock: socket.socket | None = out.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return 0
    try:
        return int(struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0])
    except OSError:
        return 0


def why(error: Exception) -> str:
    """Return in plain words why a try failed."""
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, ssl.SSLError):
        return explain(error)[0]
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return "its name is not known"
    if isinstance(error, OSError) and error.strerror:
        return safe(error.strerror, 200)
    return safe(str(error) or type(error).__name__, 200)
