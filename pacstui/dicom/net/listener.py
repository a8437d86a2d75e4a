"""Takes connections, and owns the associations that come of them."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

from pacstui.clock import SYSTEM, Clock
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.connection import SCRATCH_SIZE
from pacstui.dicom.net.listening import listening
from pacstui.dicom.net.service import DEFAULT_TIMEOUTS, Observer, Policy, Refused, ServiceFor, Timeouts
from pacstui.dicom.net.tls import explain
from pacstui.dicom.ul.effects import DEFAULT_LIMITS, Limits, Role
from pacstui.dicom.ul.faults import PresentationReason, Refusal, RejectSource, Result
from pacstui.dicom.ul.negotiation import Negotiated, answer
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.errors import AlreadyRunning, PacsError
from pacstui.text import safe

log = logging.getLogger("pacstui.dicom.net")

SPARE_CONNECTIONS: Final = 64
_BACKLOG: Final = 256
_RETRY_S: Final = 0.5
_QUIET_S: Final = 1.0
_OUT_OF_FILES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """A DICOM port.

    Parameters
    ----------
    max_associations
        Open associations at once; a caller beyond gets 2/3/2 (local limit exceeded). 0 leaves that to the policy.
    max_connections
        Connections at once are bounded at 64 more than this, by default than ``max_associations``: beyond that the
        longest silent one is dropped, or the newcomer.
    """

    def __init__(
        self,
        policy: Policy,
        service_for: ServiceFor,
        *,
        observer: Observer | None = None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        limits: Limits = DEFAULT_LIMITS,
        max_associations: int = 0,
        max_connections: int = 0,
        clock: Clock = SYSTEM,
    ) -> None:
        self._policy = policy
        self._service_for = service_for
        self._observer = observer
        self._timeouts = timeouts
        self._limits = limits
        self._max = max_associations
        self.bound(max_connections or max_associations or 4096)
        self._clock = clock
        self._scratch = bytearray(SCRATCH_SIZE)
        self._live: dict[int, Association] = {}
        self._opening: dict[int, asyncio.Task[None]] = {}
        self._sockets: list[socket.socket] = []
        self._tls: dict[int, Callable[[], ssl.SSLContext]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._closing = False
        self._taking = False
        self.accept_errors = 0

    def bound(self, connections: int) -> None:
        """Let there be so many connections at once, and 64 more, from now on."""
        self._ceiling = connections + SPARE_CONNECTIONS

    @property
    def connections(self) -> list[Association]:
        """All connections that are open now, also those without an association."""
        return list(self._live.values())

    @property
    def associations(self) -> list[Association]:
        """The associations that are open now."""
        return [association for association in self._live.values() if association.is_open]

    async def start(
        self, host: str, port: int, tls: Callable[[], ssl.SSLContext] | None = None, *, taking: bool = True
    ) -> int:
        """Listen, and return the port; 0 takes any free one. May be called again for a further port. Unless ``taking``,
        who connects waits until `take`.

        Parameters
        ----------
        tls
            Gives the context of each new connection, for a port that speaks TLS.

        Raises
        ------
        AlreadyRunning
            When another program has the port.
        """
        loop = self._loop = asyncio.get_running_loop()
        self._taking = self._taking or taking
        try:
            found = await loop.getaddrinfo(
                host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
            )
        except OSError as error:
            raise PacsError(f"cannot listen on {safe(host)}: {error}", "check [dicom] host") from error
        before = len(self._sockets)
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                try:
                    self._listen(family, (address[0], port or address[1], *address[2:]), tls)
                except OSError as error:  # a name for both IP versions on a machine that has one
                    if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) or len(found) == 1:
                        raise
                    continue
                port = port or self._sockets[before].getsockname()[1]
            if len(self._sockets) == before:
                raise OSError(errno.EADDRNOTAVAIL, "address not available")
        except OSError as error:
            self._stop_listening()
            if error.errno == errno.EADDRINUSE:
                raise AlreadyRunning(
                    f"port {port} on {safe(host)} is taken", "another node runs, or another program has the port"
                ) from error
            raise PacsError(f"cannot listen on {safe(host)}:{port}: {error}", "check [dicom] host and port") from error
        return port

    def _listen(self, family: int, address: tuple[object, ...], tls: Callable[[], ssl.SSLContext] | None) -> None:
        assert self._loop is not None
        sock = listening(family, address, _BACKLOG)
        self._sockets.append(sock)
        if tls is not None:
            self._tls[sock.fileno()] = tls
        if self._taking:
            self._loop.add_reader(sock.fileno(), self._accept, sock)

    def take(self) -> None:
        """Take connections from now on."""
        self._taking = True
        self._accept_again()

    def _accept(self, sock: socket.socket) -> None:
        assert self._loop is not None
        for _ in range(_BACKLOG):
            try:
                connection, address = sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self.accept_errors += 1
                log.error("cannot take a connection: %s", error)
                if error.errno in _OUT_OF_FILES and not self._closing:
                    self._loop.remove_reader(sock.fileno())
                    self._retry = self._loop.call_later(_RETRY_S, self._accept_again)
                return
            connection.setblocking(False)
            if not self._room():
                log.warning("closed a connection of %s at once: %d are open", safe(address[0]), len(self._live))
                connection.close()
                continue
            association = self._new()
            tls = self._tls.get(sock.fileno())
            task = self._loop.create_task(self._open(association, connection, address, tls))
            self._opening[association.id] = task
            task.add_done_callback(lambda _, key=association.id: self._opening.pop(key, None))  # type: ignore[misc]

    def _accept_again(self) -> None:
        self._retry = None
        if self._loop is not None and not self._closing:
            for sock in self._sockets:
                self._loop.add_reader(sock.fileno(), self._accept, sock)

    def _room(self) -> bool:
        if len(self._live) < self._ceiling:
            return True
        for association in self._live.values():
            transport = association.connection.transport
            if association.state == "connects" and transport is not None and not transport.is_closing():
                association.connection.kill()
                return True
            opening = self._opening.get(association.id)
            if transport is None and opening is not None and not opening.cancelling():  # a handshake
                opening.cancel()
                return True
        return False

    def _new(self) -> Association:
        assert self._loop is not None
        association = Association(
            Role.ACCEPTOR,
            self._loop,
            limits=self._limits,
            timeouts=self._timeouts,
            scratch=self._scratch,
            observer=self._observer,
            service_for=self._service_for,
            decide=self._decide,
            on_lost=self._lost,
            clock=self._clock,
        )
        self._live[association.id] = association
        return association

    async def _open(
        self,
        association: Association,
        connection: socket.socket,
        address: tuple[object, ...],
        tls: Callable[[], ssl.SSLContext] | None,
    ) -> None:
        assert self._loop is not None
        opened = False
        try:
            if tls is None:
                await self._loop.connect_accepted_socket(lambda: association.connection, connection)
            else:
                await self._loop.connect_accepted_socket(
                    lambda: association.connection, connection, ssl=tls(),
                    ssl_handshake_timeout=max(1.0, self._timeouts.artim),
                )  # fmt: skip
            opened = True
        except (ssl.SSLError, ConnectionAbortedError) as error:
            text, hint = explain(error)
            if self._observer is not None:
                where = (str(address[0]), int(str(address[1])))
                self._observer.refused(Refused(association.id, "", "", where, 0, 0, 0, text, hint))
        except OSError as error:  # the peer is gone already
            log.info("a connection was lost before it began: %s", error)
        except Exception:  # whatever it was, it holds no place
            log.exception("a connection could not be opened")
        finally:
            if not opened and association.connection.transport is not None:
                association.connection.kill()
            elif not opened:
                connection.close()
                self._lost(association)

    def _lost(self, association: Association) -> None:
        self._live.pop(association.id, None)

    def _decide(self, association: Association, rq: AssociateRequest) -> Negotiated | Refusal:
        refusal = self._policy.admit(association.address[0])
        if refusal is None and self._max and len(self.associations) >= self._max:
            refusal = Refusal(
                Result.TRANSIENT,
                RejectSource.PRESENTATION,
                PresentationReason.LOCAL_LIMIT,
                f"all {self._max} associations are taken",
                "the caller may try again; raise [dicom] max_associations if this is usual",
            )
        if refusal is None and self._closing:
            refusal = Refusal(
                Result.TRANSIENT,
                RejectSource.PRESENTATION,
                PresentationReason.CONGESTION,
                "this node is being stopped",
                "the caller may try again when the node runs",
            )
        if refusal is None:
            refusal = self._policy.authorise(rq, association.address)
        if refusal is not None:
            return refusal
        return answer(rq, self._policy.judge(rq, association.address, association.id), self._limits.max_pdu)

    def _stop_listening(self) -> None:
        self._closing = True
        if self._retry is not None:
            self._retry.cancel()
        for sock in self._sockets:
            if self._loop is not None and sock.fileno() >= 0:
                self._loop.remove_reader(sock.fileno())
            sock.close()
        self._sockets.clear()

    async def close(self, drain_s: float = 0.0) -> None:
        """Stop taking connections and end those that are there.

        For ``drain_s`` seconds associations may go on to their release; one that is quiet for a second is aborted
        before. Then the rest is aborted.
        """
        self._stop_listening()
        loop = asyncio.get_running_loop()
        opening = list(self._opening.values())
        for task in opening:
            task.cancel()
        if opening:
            await asyncio.wait(opening)
        deadline = loop.time() + drain_s
        while self._live and loop.time() < deadline:
            for association in self.connections:
                if not association.is_open:
                    association.connection.kill()
                elif not association.busy and loop.time() - association.quiet_since > _QUIET_S:
                    association.abort("the node is being stopped", provider=True)
            gone = [association.gone for association in self._live.values()]
            if gone:
                wait = min(0.25, max(0.0, deadline - loop.time()))
                await asyncio.wait(gone, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        for association in self.connections:
            association.abort("the node is being stopped", provider=True)
        gone = [association.gone for association in self._live.values()]
        if gone:
            await asyncio.wait(gone, timeout=0.25)
        for association in self.connections:
            association.connection.kill()
        gone = [association.gone for association in self._live.values()]
        if gone:
            await asyncio.wait(gone, timeout=1.0)
