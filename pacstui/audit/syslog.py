"""Audit messages to a syslog server: the table of entries is the spool, and what was sent last is noted beside it.

A server that was away, or a restart, loses nothing. Syslog has no acknowledgement. Over TLS and TCP the first entry of
a connection counts as sent when the connection still stands a second later, so that a server that refuses us after
all, or is none, swallows nothing; of the others what the server's machine acknowledged counts. When a connection ends,
what was sent in the last seconds is sent once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any

from pacstui.audit import chain
from pacstui.audit.chain import Entry
from pacstui.audit.lines import Server, datagram, line
from pacstui.audit.message import Teller
from pacstui.audit.transport import Transport, why
from pacstui.db import Database
from pacstui.errors import PacsError

log = logging.getLogger("pacstui.audit")
_CURSOR = "audit_sent"
_AT_ONCE, _DATAGRAMS_AT_ONCE = 100, 20  # more datagrams may overflow what a receiver keeps for a busy program
_CONNECT_S, _SEND_S, _IDLE_S = 10.0, 30.0, 30.0
_UNSURE_S = 10.0
_FIRST_S, _LONGEST_S = 1.0, 60.0
_LASTING = 2
_LAST_S = 1.0


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
        self._pause = pause
        self._pid = os.getpid()
        self._task: asyncio.Task[None] | None = None
        self._more = asyncio.Event()
        self._transport = Transport(server, context, self._more.set)
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
        self._task = None
        await self._transport.close()

    def use(self, context: ssl.SSLContext | None) -> None:
        """Take another context for later connections over TLS."""
        self._transport.context = context or self._transport.context

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
                problem = f"{self._server.name} takes no audit messages: {why(error)}"
                self._lost()
            except Exception:  # a fault of ours: what was not sent is tried again
                log.exception("audit messages could not be sent")
                problem = f"{self._server.name} gets no audit messages: a fault in this node, its log says which"
                self._transport.hang_up()
            failed += 1
            if failed >= _LASTING and problem != self.problem:
                self.problem = problem
                log.warning("%s", problem)
            await self._pause(wait)
            wait = min(_LONGEST_S, wait * 2)

    async def _send_some(self) -> bool:
        """Send some entries; return whether there were any."""
        if self._transport.ended is not None:
            ended, unsure = self._transport.ended, self._lost()
            if unsure and not isinstance(ended, EOFError):
                raise ended
        lines = await self._db.read(self._read)
        if not lines:
            return False
        self._gone = lines[0][0] - 1
        async with asyncio.timeout(_CONNECT_S):
            fresh = await self._transport.connect()
        if fresh:
            del lines[1:]
        async with asyncio.timeout(_SEND_S):
            await self._transport.write([text for _, text in lines if text])
        if fresh:
            await self._transport.proven()
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
        self._transport.hang_up()
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
