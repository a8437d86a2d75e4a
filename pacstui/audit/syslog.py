"""Audit messages to a syslog server: RFC 5424, over TLS (RFC 5425), TCP (RFC 6587) or UDP (RFC 5426).

The table of entries is the spool: what was sent last is noted in the database, so that a server that was away, or a
restart, loses nothing. Syslog has no acknowledgement; after a lost connection the last entries may come twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sqlite3
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from pacstui.audit import chain
from pacstui.audit.chain import Entry
from pacstui.audit.message import message
from pacstui.db import Database
from pacstui.errors import PacsError
from pacstui.text import safe

log = logging.getLogger("pacstui.audit")
PORTS = {"syslog+tls": 6514, "syslog+tcp": 601, "syslog+udp": 514}
_FACILITY = 10  # security and authorisation messages
_SEVERITY = {"ok": 5, "denied": 4, "failed": 4}
_CURSOR = "audit_sent"
_AT_ONCE = 100
_CONNECT_S = 10.0
_SEND_S = 30.0
_IDLE_S = 30.0
_FIRST_S, _LONGEST_S = 1.0, 60.0
_DATAGRAM = 65_000


@dataclass(frozen=True, slots=True)
class Server:
    """Where messages go: ``kind`` is one of `PORTS`."""

    kind: str
    host: str
    port: int

    @property
    def name(self) -> str:
        """The server as it is shown."""
        return f"{self.kind}://{self.host}:{self.port}"


def server_of(url: str) -> Server:
    """Return the server that an address of the settings names."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    return Server(parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme])


def line(entry: Entry, source: str, host: str, pid: int) -> bytes:
    """Return an entry as one message of RFC 5424, with the XML in UTF-8 after a BOM."""
    priority = _FACILITY * 8 + _SEVERITY.get(entry.outcome, 4)
    at = datetime.fromtimestamp(entry.at / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    head = f"<{priority}>1 {at} {host} pacstui {pid} DICOM+RFC3881 - ".encode("ascii", "replace")
    return head + b"\xef\xbb\xbf" + message(entry, source, host, pid)


class SyslogSender:
    """Sends entries, in order, for as long as it runs.

    Parameters
    ----------
    context
        For TLS.
    pause
        Waits before a further try; told for how many seconds.
    """

    def __init__(
        self, database: Database, server: Server, source: str, context: ssl.SSLContext | None = None,
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._db = database
        self._server = server
        self._source = source
        self._context = context
        self._pause = pause
        self._host = socket.gethostname() or "-"
        self._pid = os.getpid()
        self._out: asyncio.StreamWriter | None = None
        self._in: asyncio.StreamReader | None = None
        self._datagrams: asyncio.DatagramTransport | None = None
        self._task: asyncio.Task[None] | None = None
        self._more = asyncio.Event()
        self.sent = 0
        self.last = 0
        self.problem = ""

    @property
    def state(self) -> tuple[str, int, str]:
        """Server, entries that wait for it, and what is wrong with it."""
        return self._server.name, max(0, self.last - self.sent), self.problem

    def wake(self, last: int) -> None:
        """Tell that entries up to number ``last`` are written."""
        self.last = last
        self._more.set()

    async def open(self, last: int) -> None:
        """Begin where an earlier run ended."""
        row = await self._db.read(lambda c: c.execute("SELECT value FROM state WHERE name=?", (_CURSOR,)).fetchone())
        self.sent, self.last = int(row[0]) if row else 0, last
        self._task = asyncio.create_task(self._run(), name="syslog")

    async def close(self) -> None:
        """End; what was not sent is sent by the next run."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=2)
        self._hang_up()

    async def _run(self) -> None:
        wait = _FIRST_S
        while True:
            self._more.clear()
            try:
                if await self._send_some():
                    self.problem, wait = "", _FIRST_S
                    continue
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._more.wait(), _IDLE_S)
                continue
            except (OSError, ssl.SSLError, TimeoutError, PacsError) as error:
                why = str(error) or type(error).__name__
            except Exception:  # a fault of ours: what was not sent is tried again
                log.exception("an audit message could not be sent")
                why = "a fault in this node, its log says which"
            self._hang_up()
            problem = f"{self._server.name} takes no audit messages: {safe(why, 200)}"
            if problem != self.problem:
                self.problem = problem
                log.warning("%s", problem)
            await self._pause(wait)
            wait = min(_LONGEST_S, wait * 2)

    async def _send_some(self) -> bool:
        """Send a batch; return whether there was one."""
        sql = f"SELECT {chain.COLUMNS} FROM audit WHERE id > ? ORDER BY id LIMIT {_AT_ONCE}"  # noqa: S608
        after = self.sent

        def body(connection: sqlite3.Connection) -> list[Any]:
            return connection.execute(sql, (after,)).fetchall()

        rows = await self._db.read(body)
        if not rows:
            return False
        async with asyncio.timeout(_CONNECT_S):
            await self._connect()
        lines = [line(Entry(*row), self._source, self._host, self._pid) for row in rows]
        async with asyncio.timeout(_SEND_S):
            await self._write(lines)
        self.sent = rows[-1][0]
        self.last = max(self.last, self.sent)
        value = str(self.sent)
        await self._db.write(
            lambda c: c.execute(
                "INSERT INTO state (name, value) VALUES (?,?) ON CONFLICT (name) DO UPDATE SET value=excluded.value",
                (_CURSOR, value),
            )
        )
        return True

    async def _connect(self) -> None:
        if self._server.kind == "syslog+udp":
            if self._datagrams is None or self._datagrams.is_closing():
                loop = asyncio.get_running_loop()
                self._datagrams, _ = await loop.create_datagram_endpoint(
                    asyncio.DatagramProtocol, remote_addr=(self._server.host, self._server.port)
                )
            return
        if self._out is not None and self._in is not None and not self._in.at_eof() and not self._out.is_closing():
            return
        self._hang_up()
        self._in, self._out = await asyncio.open_connection(self._server.host, self._server.port, ssl=self._context)

    async def _write(self, lines: list[bytes]) -> None:
        if self._datagrams is not None:
            for each in lines:
                self._datagrams.sendto(each[:_DATAGRAM])
            return
        assert self._out is not None
        assert self._in is not None
        self._out.writelines(b"%d %s" % (len(each), each) for each in lines)
        await self._out.drain()
        if self._in.at_eof() or self._out.is_closing():
            raise ConnectionResetError("the server ended the connection")

    def _hang_up(self) -> None:
        for each in (self._out, self._datagrams):
            if each is not None:
                each.close()
        self._out = self._in = self._datagrams = None
