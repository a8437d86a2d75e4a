"""The MLLP listener: takes connections, with and without TLS, and bounds how many there are."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from pacstui.dicom.net.listening import listening
from pacstui.dicom.net.tls import explain
from pacstui.errors import AlreadyRunning, PacsError
from pacstui.hl7v2.connection import Connection
from pacstui.text import safe

log = logging.getLogger("pacstui.hl7")
_BACKLOG: Final = 128
_RETRY_S: Final = 1.0
_LOOK_S: Final = 0.5
_FLUSH_S: Final = 1.0
_OUT_OF_FILES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Context = Callable[[], ssl.SSLContext]


class MllpListener:
    """Listening sockets and the connections that came in by them.

    Parameters
    ----------
    make
        Makes a connection for an address; given what to call when it is lost.
    refusal
        Returns why an address may not connect, empty if it may.
    refused
        Told of each connection that was not taken: address, text, hint.
    """

    def __init__(
        self, make: Callable[[str, Callable[[Connection], None]], Connection], refusal: Callable[[str], str],
        refused: Callable[[str, str, str], None], most: int, most_per_host: int, first_s: float,
    ) -> None:  # fmt: skip
        self._make = make
        self._refusal = refusal
        self._refused = refused
        self.most, self.most_per_host, self.first_s = most, most_per_host, first_s
        self._sockets: dict[int, tuple[socket.socket, Context | None]] = {}
        self._live: set[Connection] = set()
        self._shaking: dict[asyncio.Task[None], str] = {}
        self._looking: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._closing = False
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Those that are open."""
        return tuple(self._live)

    def start(self, host: str, port: int, tls: Context | None = None) -> int:
        """Listen; return the port. May be called again for a further one.

        Raises
        ------
        PacsError
            When that is not possible.
        """
        loop = asyncio.get_running_loop()
        made: list[socket.socket] = []
        try:
            found = socket.getaddrinfo(
                host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
            )
            for family, _, _, _, address in dict.fromkeys(found):
                try:
                    made.append(listening(family, (address[0], port or address[1], *address[2:]), _BACKLOG))
                except OSError as error:  # a name for both IP versions on a machine that has one
                    if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) or len(found) == 1:
                        raise
                    continue
                port = port or made[0].getsockname()[1]
            if not made:
                raise OSError(errno.EADDRNOTAVAIL, "address not available")
        except OSError as error:
            for each in made:
                each.close()
            if error.errno == errno.EADDRINUSE:
                raise AlreadyRunning(
                    f"port {port} on {safe(host)} is taken", "another program has the port; see [hl7] port"
                ) from error
            raise PacsError(f"cannot listen on {safe(host)}:{port}: {error}", "check [hl7] host and port") from error
        for each in made:
            self._sockets[each.fileno()] = (each, tls)
            loop.add_reader(each.fileno(), self._accept, each, tls)
        if self._looking is None:
            self._looking = loop.call_later(_LOOK_S, self._look)
        return port

    def _accept(self, listening: socket.socket, tls: Context | None) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_BACKLOG):
            try:
                sock, peer = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("cannot take an HL7 connection: %s", error)
                if error.errno in _OUT_OF_FILES and not self._closing:
                    loop.remove_reader(listening.fileno())
                    self._retry = loop.call_later(_RETRY_S, self._accept_again)
                return
            address = str(peer[0])
            why, hint = self._full(address)
            if why:
                self._refused(address, why, hint)
                sock.close()
                continue
            sock.setblocking(False)
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = loop.create_task(self._open(sock, address, tls))
            self._shaking[task] = address
            task.add_done_callback(self._shaken)

    def _shaken(self, task: asyncio.Task[None]) -> None:
        self._shaking.pop(task, None)

    def _accept_again(self) -> None:
        self._retry = None
        if not self._closing:
            for number, (sock, tls) in self._sockets.items():
                asyncio.get_running_loop().add_reader(number, self._accept, sock, tls)

    def _full(self, address: str) -> tuple[str, str]:
        why = self._refusal(address)
        if why:
            return why, "add it to [[hl7.senders]], or see [hl7] unknown_senders"
        hosts = Counter([*(each.address for each in self._live), *self._shaking.values()])
        if self.most_per_host and hosts[address] >= self.most_per_host and not self._evict(address):
            return (f"{safe(address, 64)} has {self.most_per_host} connections, as many as one address may have",
                    "[hl7] max_connections_per_host")  # fmt: skip
        if len(self._live) + len(self._shaking) >= self.most and not self._evict(""):
            return f"all {self.most} HL7 connections are taken", "raise [hl7] max_connections if this is usual"
        return "", ""

    def _evict(self, address: str) -> bool:
        """Close a connection that has never sent a message in all its time; whether there was one."""
        now = asyncio.get_running_loop().time()
        for each in self._live:
            if not each.messages and each.quiet and address in ("", each.address) and now - each.opened > self.first_s:
                each.kill()
                return True
        return False

    async def _open(self, sock: socket.socket, address: str, tls: Context | None) -> None:
        loop = asyncio.get_running_loop()
        connection = self._make(address, self._gone)
        try:
            if tls is None:
                await loop.connect_accepted_socket(lambda: connection, sock)
            else:
                await loop.connect_accepted_socket(
                    lambda: connection, sock, ssl=tls(), ssl_handshake_timeout=max(1.0, self.first_s)
                )
        except (ssl.SSLError, ConnectionAbortedError) as error:
            self._refused(address, *explain(error))
        except OSError as error:  # the peer is gone already
            log.info("an HL7 connection was lost before it began: %s", error)
        except Exception:  # whatever it was, it holds no place
            log.exception("an HL7 connection could not be opened")
        if connection.transport is None:
            sock.close()
        elif self._closing:
            connection.kill()
        else:
            task = asyncio.current_task()
            if task is not None:
                self._shaking.pop(task, None)
            self._live.add(connection)
            self._empty.clear()

    def _gone(self, connection: Connection) -> None:
        self._live.discard(connection)
        if not self._live:
            self._empty.set()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for each in tuple(self._live):
            each.look(now)
        self._looking = loop.call_later(_LOOK_S, self._look)

    def stop(self) -> None:
        """Take no further connections."""
        self._closing = True
        loop = asyncio.get_running_loop()
        for timer in (self._looking, self._retry):
            if timer is not None:
                timer.cancel()
        for number, (sock, _) in self._sockets.items():
            loop.remove_reader(number)
            sock.close()
        self._sockets.clear()

    async def close(self, drain_s: float, settle: Callable[[], Awaitable[None]]) -> None:
        """Take nothing more; answer what was read, for at most ``drain_s`` seconds; end.

        What was not taken by then is neither kept nor answered: its sender sends it again. ``settle`` returns when all
        that was taken is answered.
        """
        self.stop()
        for task in tuple(self._shaking):
            task.cancel()
        for each in tuple(self._live):
            each.wind_down()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), drain_s)
        await settle()
        for each in tuple(self._live):
            each.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), _FLUSH_S)
        for each in tuple(self._live):
            each.kill()
