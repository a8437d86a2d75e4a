"""The audit trail: entries come in order, are written some at a time, and stay.

An entry that could not be written waits and is tried again; while many wait, nothing that has to leave an entry is
done any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pacstui.audit import chain
from pacstui.audit.chain import Entry
from pacstui.clock import Clock, microseconds
from pacstui.contract.audit import Verdict
from pacstui.db import Database
from pacstui.errors import PacsError, Unavailable
from pacstui.text import safe

log = logging.getLogger("pacstui.audit")
KEY, HEAD = "audit.key", "audit.head"
_WAITING = 1000
_AT_ONCE = 500
_RETRY_S = 2.0
PATIENCE_S = 3.0
_INSERT = f"INSERT INTO audit ({chain.COLUMNS}, mac) VALUES ({', '.join('?' * 12)})"  # noqa: S608


class Trail:
    """Writes entries.

    Parameters
    ----------
    key
        File of the chain's key; made at the first start.

    ``written`` is told the number of the last entry after each write.
    """

    def __init__(self, database: Database, data_dir: Path, key: Path | None, clock: Clock) -> None:
        self._db = database
        self._clock = clock
        self.key_path = key or data_dir / KEY
        self.head_path = data_dir / HEAD
        self._key = b""
        self._last = 0
        self._code = b""
        self._sealed = 0
        self._young = False
        self._waiting: deque[tuple[Entry, asyncio.Future[None]]] = deque()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.problem = ""
        self.written: Callable[[int], None] = lambda last: None

    async def open(self) -> None:
        """Read where the chain ends.

        Raises
        ------
        Unavailable
            When there are entries and the key is gone.
        """

        def body(connection: sqlite3.Connection) -> tuple[int, bytes]:
            row = connection.execute("SELECT id, mac FROM audit ORDER BY id DESC LIMIT 1").fetchone()
            if row is None:
                row = connection.execute(
                    "SELECT upto, last_code FROM audit_checkpoints ORDER BY id DESC LIMIT 1"
                ).fetchone()
            return (int(row[0]), bytes(row[1])) if row else (0, b"")

        self._last, self._code = await self._db.read(body)
        self._key = await asyncio.to_thread(self._find_key)
        self._young = not self._last and not self.head_path.exists()
        head = chain.read_head(self._key, self.head_path)
        if not isinstance(head, str) and head[0] > self._last:
            # What was cut off is not given its numbers again: the gap stays to be seen.
            log.error("audit trail: entries %d to %d are gone from its end", self._last + 1, head[0])
            self._last, self._code = head
        self._task = asyncio.create_task(self._write(), name="audit trail")

    def _find_key(self) -> bytes:
        if self.key_path.exists() or self._last:
            return chain.read_key(self.key_path)
        key = secrets.token_bytes(chain.KEY_BYTES)
        try:
            fd = os.open(self.key_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "w") as out:
                out.write(key.hex() + "\n")
                out.flush()
                os.fsync(fd)
        except OSError as error:
            raise Unavailable(
                f"the audit trail's key {self.key_path} cannot be made: {error.strerror}", "see [audit] key"
            ) from None
        return key

    @property
    def unwritten(self) -> int:
        """Entries that wait to be written."""
        return len(self._waiting)

    @property
    def last(self) -> int:
        """Number of the last entry that was written."""
        return self._last

    def require(self) -> None:
        """See that what is done now can leave an entry.

        Raises
        ------
        Unavailable
            When too many entries wait to be written.
        """
        if len(self._waiting) >= _WAITING:
            raise Unavailable(
                f"the audit trail cannot be written ({self.problem or 'the disk is slow'}); untraced, nothing is done",
                "make room on the disk; the trail goes on by itself",
            )  # fmt: skip

    def note(
        self,
        kind: str,
        outcome: str,
        who: str,
        *,
        how: str = "",
        origin: str = "",
        action: str = "",
        target: str = "",
        patient: str = "",
        detail: str = "",
    ) -> asyncio.Future[None]:
        """Put an entry on its way; what is returned is done when it is durable, and need not be waited for."""
        entry = Entry(
            0, microseconds(self._clock.now()), kind, outcome, safe(who, 64), safe(how, 64), safe(origin, 128),
            safe(action, 64), safe(target, 512), safe(patient, 2300), safe(detail, 512),
        )  # fmt: skip
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        self._more.set()
        return done

    async def record(self, kind: str, outcome: str, who: str, **more: str) -> None:
        """Write an entry; return when it is durable, or after a while if the disk does not take it now."""
        await asyncio.wait([self.note(kind, outcome, who, **more)], timeout=PATIENCE_S)

    async def _write(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                try:
                    await self._write_some()
                    self.problem = ""
                except PacsError as error:
                    if self.problem != error.message:
                        self.problem = error.message
                        log.error("audit trail: %d entries wait: %s", len(self._waiting), error)
                    await asyncio.sleep(_RETRY_S)
                except Exception:  # a fault of ours: what waits is kept and tried again
                    self.problem = "a fault in this node, its log says which"
                    log.exception("audit trail: %d entries wait", len(self._waiting))
                    await asyncio.sleep(_RETRY_S)

    async def _write_some(self) -> None:
        some = [self._waiting[at] for at in range(min(_AT_ONCE, len(self._waiting)))]
        number, before = self._last, self._code
        rows = []
        for entry, _ in some:
            number += 1
            values = replace(entry, id=number).values()
            before = chain.code(self._key, before, values)
            rows.append((*values, before))
        await self._db.write(lambda c: c.executemany(_INSERT, rows))
        self._last, self._code = number, before
        self.written(number)
        for _, done in some:
            self._waiting.popleft()
            if not done.done():
                done.set_result(None)

    async def seal(self) -> None:
        """Bring the head up to the last entry."""
        last, its_code = self._last, self._code
        if last != self._sealed:
            await asyncio.to_thread(self._seal, last, its_code)
            self._sealed = last

    def _seal(self, last: int, its_code: bytes) -> None:
        fresh = self.head_path.with_suffix(".head-new")
        try:
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(fd, "w") as out:
                out.write(chain.head_text(self._key, last, its_code))
                out.flush()
                os.fsync(fd)
            os.replace(fresh, self.head_path)
        except OSError as error:
            raise Unavailable(f"{self.head_path} cannot be written: {error.strerror}", "") from None

    async def verify(self) -> Verdict:
        """Check the chain, with what the node remembers of its end.

        A trail that has just begun gets its head first: that there is none yet is nobody's doing.
        """
        if self._young and not self._sealed:
            await self.seal()
        written, key, head = self._last, self._key, self.head_path
        return await self._db.read(lambda c: chain.verify(c, key, head, written))

    async def forget(
        self, before: datetime, sent: int | None = None, in_any_case_before: datetime | None = None
    ) -> tuple[int, int]:
        """Remove old entries, and stand a checkpoint for them.

        Parameters
        ----------
        sent
            Number of the last entry that was sent on; later ones stay until they are older than
            ``in_any_case_before``. None where none are sent.

        Returns
        -------
        How many were removed, and how many of them had not been sent.
        """
        limit, now, key = microseconds(before), microseconds(self._clock.now()), self._key
        most = (1 << 62) if sent is None else sent
        latest = limit if in_any_case_before is None else microseconds(in_any_case_before)

        def body(connection: sqlite3.Connection) -> tuple[int, int]:
            row = connection.execute(
                "SELECT id, mac FROM audit WHERE at < ? AND (id <= ? OR at < ?) AND id < (SELECT max(id) FROM audit)"
                " ORDER BY id DESC LIMIT 1",
                (limit, most, latest),
            ).fetchone()
            if row is None:
                return 0, 0
            upto, last_code = int(row[0]), bytes(row[1])
            count, unsent = connection.execute(
                "SELECT count(*), count(*) FILTER (WHERE id > ?) FROM audit WHERE id <= ?", (most, upto)
            ).fetchone()
            previous = connection.execute("SELECT id, mac FROM audit_checkpoints ORDER BY id DESC LIMIT 1").fetchone()
            number, earlier = (int(previous[0]) + 1, bytes(previous[1])) if previous else (1, b"")
            values = (number, now, upto, count)
            mac = chain.code(key, earlier, (*values, last_code.hex()))
            connection.execute(
                "INSERT INTO audit_checkpoints (id, at, upto, entries, last_code, mac) VALUES (?,?,?,?,?,?)",
                (*values, last_code, mac),
            )
            connection.execute("DELETE FROM audit WHERE id <= ?", (upto,))
            return int(count), int(unsent)

        return await self._db.write(body)

    async def close(self) -> None:
        """Write what waits, if that is possible, and seal the end."""
        if self._task is None:
            return
        if self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(3):
                    await asyncio.wait([done for _, done in self._waiting])
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        with contextlib.suppress(PacsError):
            await self.seal()
        if self._waiting:
            log.error("audit trail: %d entries could not be written", len(self._waiting))
