"""Audit messages to a syslog server: RFC 5424, over TLS (RFC 5425), TCP (RFC 6587) or UDP (RFC 5426).

The table of entries is the spool: what was sent last is noted in the database, so that a server that was away, or a
restart, loses nothing. Syslog has no acknowledgement. Over TLS and TCP the first entry of a connection counts as sent
when the connection still stands a second later, so that a server that refuses us after all, or is none, swallows
nothing; of the others what the server's machine acknowledged counts. When a connection ends, what was sent in the last
seconds is sent once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import re
import socket
import sqlite3
import ssl
import struct
import termios
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pacstui.audit import chain
from pacstui.audit.chain import Entry
from pacstui.audit.message import Teller, message, moment, shortened
from pacstui.db import Database
from pacstui.dicom.net.tls import explain
from pacstui.errors import PacsError
from pacstui.text import safe

log = logging.getLogger("pacstui.audit")
PORTS = {"syslog+tls": 6514, "syslog+tcp": 601, "syslog+udp": 514}
DATAGRAM = 8192
"""Bytes of a message over UDP at most; RFC 5426 3.2 lets a receiver cut off what is longer than it takes."""

_FACILITY = 10  # security and authorisation messages, as PS3.15 A.6 says
_SEVERITY = {"ok": 5, "denied": 4, "failed": 4}
_CURSOR = "audit_sent"
_AT_ONCE, _DATAGRAMS_AT_ONCE = 100, 20  # more datagrams may overflow what a receiver keeps for a busy program
_CONNECT_S, _SEND_S, _IDLE_S = 10.0, 30.0, 30.0
_REFUSED_S = 0.2
_PROVEN_S, _UNSURE_S = 1.0, 10.0
_FIRST_S, _LONGEST_S = 1.0, 60.0
_LASTING = 2
_LAST_S = 1.0


@dataclass(frozen=True, slots=True)
class Server:
    """Where messages go: ``kind`` is one of `PORTS`."""

    kind: str
    host: str
    port: int

    @property
    def name(self) -> str:
        """The server as it is shown."""
        return f"{self.kind}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def server_of(url: str) -> Server:
    """Return the server that an address of the settings names."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    return Server(parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme])


def line(entry: Entry, teller: Teller, pid: int) -> bytes:
    """Return an entry as one message of RFC 5424, with the XML in UTF-8 after a BOM."""
    priority = _FACILITY * 8 + _SEVERITY.get(entry.outcome, 4)
    at = moment(entry.at).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    host = re.sub("[^!-~]", "_", teller.host)[:255] or "-"
    head = f"<{priority}>1 {at} {host} pacstui {pid} DICOM+RFC3881 - ".encode("ascii")
    return head + b"\xef\xbb\xbf" + message(entry, teller)


def datagram(entry: Entry, teller: Teller, pid: int) -> bytes:
    """Return an entry as a message that fits into a datagram: with its longest texts cut, and well-formed all the
    same."""
    text = line(entry, teller, pid)
    for _ in range(64):
        if len(text) <= DATAGRAM:
            break
        entry = shortened(entry)
        text = line(entry, teller, pid)
    return text


class _Datagrams(asyncio.DatagramProtocol):
    """Notes that nobody listens, which the other machine may tell (ICMP) or not."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.refused = asyncio.Event()

    def error_received(self, exc: Exception) -> None:
        self.error = exc
        self.refused.set()


class SyslogSender:
    """Sends entries, in order, for as long as it runs.

    Parameters
    ----------
    context
        For TLS; another one may be put in its place for later connections.
    pause
        Waits before a further try; told for how many seconds.
    """

    def __init__(
        self,
        database: Database,
        server: Server,
        teller: Teller,
        context: ssl.SSLContext | None = None,
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._db = database
        self._server = server
        self._teller = teller
        self.context = context
        self._pause = pause
        self._pid = os.getpid()
        self._out: asyncio.StreamWriter | None = None
        self._watch: asyncio.Task[None] | None = None
        self._ended: Exception | None = None
        self._end = asyncio.Event()
        self._datagrams: asyncio.DatagramTransport | None = None
        self._told: _Datagrams | None = None
        self._task: asyncio.Task[None] | None = None
        self._more = asyncio.Event()
        self._idle = asyncio.Event()
        self._most = _AT_ONCE if server.kind != "syslog+udp" else _DATAGRAMS_AT_ONCE
        self._lately: deque[tuple[float, int]] = deque()  # when something was sent, and what had been before
        self._repeated = 0  # up to here nothing is sent once more
        self._gone = 0
        self.sent = 0
        self.last = 0
        self.problem = ""

    @property
    def state(self) -> tuple[str, int, str]:
        """Server, entries that wait for it, and what is wrong with it."""
        return self._server.name, max(0, self.last - max(self.sent, self._gone)), self.problem

    def wake(self, last: int) -> None:
        """Tell that entries up to number ``last`` are written."""
        self.last = last
        self._idle.clear()
        self._more.set()

    async def open(self, last: int) -> None:
        """Begin where an earlier run ended."""
        row = await self._db.read(lambda c: c.execute("SELECT value FROM state WHERE name=?", (_CURSOR,)).fetchone())
        told = str(row[0]) if row else ""
        sent = int(told) if told.isascii() and told.isdecimal() else 0
        if sent > last:  # the trail was begun anew
            log.warning("the audit trail ends before what was sent last: %s gets all of it", self._server.name)
            sent = 0
        self._repeated = self.sent = sent
        self.last = max(last, self.last)
        self._task = asyncio.create_task(self._run(), name="syslog")

    async def close(self) -> None:
        """Send what waits if the server takes it at once, and end within 2 s; the next run sends the rest."""
        if self._task is None:
            return
        if not self.problem:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_S):
                    await self._idle.wait()
        self._task.cancel()
        await asyncio.wait([self._task], timeout=0.4)
        self._task, out = None, self._out
        self._hang_up()
        if out is not None:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(0.4):
                    await out.wait_closed()

    async def _run(self) -> None:
        wait, failed = _FIRST_S, 0
        while True:
            self._more.clear()
            try:
                if await self._send_some():
                    wait, failed, self.problem = _FIRST_S, 0, ""
                    continue
                if not self._more.is_set():
                    self._idle.set()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._more.wait(), _IDLE_S)
                continue
            except PacsError as error:
                problem = f"what to send to {self._server.name} cannot be read: {error.message}"
            except (OSError, EOFError, UnicodeError) as error:
                problem = f"{self._server.name} takes no audit messages: {_why(error)}"
                self._lost()
            except Exception:  # a fault of ours: what was not sent is tried again
                log.exception("audit messages could not be sent")
                problem = f"{self._server.name} gets no audit messages: a fault in this node, its log says which"
                self._hang_up()
            failed += 1
            if failed >= _LASTING and problem != self.problem:
                self.problem = problem
                log.warning("%s", problem)
            await self._pause(wait)
            wait = min(_LONGEST_S, wait * 2)

    async def _send_some(self) -> bool:
        """Send some entries; return whether there were any."""
        if self._ended is not None:
            ended, unsure = self._ended, self._lost()
            if unsure and not isinstance(ended, EOFError):
                raise ended
        lines = await self._db.read(self._read)
        if not lines:
            return False
        self._gone = lines[0][0] - 1
        async with asyncio.timeout(_CONNECT_S):
            fresh = await self._connect()
        if fresh:
            del lines[1:]
        async with asyncio.timeout(_SEND_S):
            await self._write([text for _, text in lines if text])
        if fresh:
            await self._proven()
        self._lately.append((asyncio.get_running_loop().time(), self.sent))
        self._forget_old()
        self.sent = lines[-1][0]
        self.last = max(self.last, self.sent)
        await self._note()
        return True

    def _read(self, connection: sqlite3.Connection) -> list[tuple[int, bytes]]:
        """Return numbers and messages of the next entries; on a thread of the database."""
        build = datagram if self._server.kind == "syslog+udp" else line
        sql = f"SELECT {chain.COLUMNS} FROM audit WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608
        lines = []
        for row in connection.execute(sql, (self.sent, self._most)).fetchall():
            text = b""
            try:
                text = build(Entry(*row), self._teller, self._pid)
            except Exception:  # one that was changed by hand, say; it keeps back no other
                log.exception("audit entry %s makes no message and is not sent", row[0])
            lines.append((int(row[0]), text))
        return lines

    async def _note(self) -> None:
        value = str(self.sent)
        try:
            await self._db.write(
                lambda c: c.execute(
                    "INSERT INTO state (name, value) VALUES (?,?)"
                    " ON CONFLICT (name) DO UPDATE SET value=excluded.value",
                    (_CURSOR, value),
                )
            )
        except PacsError as error:  # the server has them; only a next run would send them once more
            log.warning("it could not be noted up to where audit messages were sent: %s", error)

    def _lost(self) -> bool:
        """Hang up; return whether entries had been sent only just. The server may not have read them: they are sent
        once more."""
        self._hang_up()
        self._forget_old()
        before = max(self._lately[0][1], self._repeated) if self._lately else self.sent
        self._lately.clear()
        if before >= self.sent:
            return False
        self._repeated, self.sent = self.sent, before
        return True

    def _forget_old(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._lately and now - self._lately[0][0] >= _UNSURE_S:
            self._lately.popleft()

    async def _connect(self) -> bool:
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

    async def _proven(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._end.wait(), _PROVEN_S)
        if self._ended is not None:
            raise self._ended

    async def _listen(self, incoming: asyncio.StreamReader) -> None:
        """Wait for the end of the connection; what the server says before is not looked at."""
        ended: Exception = EOFError("the server ended the connection")
        try:
            while await incoming.read(4096):
                pass
        except OSError as error:
            ended = error
        self._ended = ended
        self._end.set()
        self._more.set()

    async def _write(self, lines: list[bytes]) -> None:
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
            if self._ended is not None and not (clear and isinstance(self._ended, EOFError)):
                raise self._ended
            await asyncio.sleep(step)
            step = min(0.1, step * 2)

    def _hang_up(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        for each in (self._out, self._datagrams):
            if each is not None:
                each.close()
        self._out = self._watch = self._ended = self._datagrams = self._told = None
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


def _why(error: Exception) -> str:
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
