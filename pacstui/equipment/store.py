"""What is kept of peers and callers in the database. Times are microseconds since 1970, 0 for none."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Final

from pacstui.clock import microseconds
from pacstui.db import Database

log = logging.getLogger("pacstui.equipment")

ECHOES_KEPT: Final = 3000
ECHO_DAYS: Final = 35
DAYS_KEPT: Final = 800
"""Echoes of a peer that are kept one by one, for so many days; the sums of days."""


@dataclass(slots=True)
class Kept:
    """A peer as it is kept: ``body`` holds its fields; of a ``configured`` one what stands beside the settings."""

    name: str
    configured: bool
    body: dict[str, Any]
    by: str
    changed: int


@dataclass(slots=True)
class Echo:
    """One echo: when it ended, whether it was answered, microseconds, and why not."""

    peer: str
    at: int
    ok: int
    us: int
    detail: str


@dataclass(slots=True)
class Day:
    """What became of a peer's echoes on one day, and how many associations there were."""

    peer: str
    day: str
    asked: int = 0
    answered: int = 0
    up_ms: int = 0
    down_ms: int = 0
    min_us: int = 0
    median_us: int = 0
    max_us: int = 0
    calls_in: int = 0
    calls_out: int = 0


@dataclass(slots=True)
class End:
    """One direction, ``in`` or ``out``: the last association and what is negotiated."""

    peer: str
    way: str
    last: int = 0
    associations: int = 0
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Knock:
    """Somebody who called, gathered by AE titles, address and what became of it."""

    id: int
    calling: str
    called: str
    address: str
    kind: str
    text: str
    hint: str
    body: dict[str, Any] = field(default_factory=dict)
    count: int = 0
    titles: int = 1
    first: int = 0
    last: int = 0
    ignored: int = 0


_DAY = tuple(each.name for each in fields(Day))
_KNOCK = tuple(each.name for each in fields(Knock))
_PUT_DAY = f"INSERT OR REPLACE INTO peer_days ({', '.join(_DAY)}) VALUES ({', '.join('?' for _ in _DAY)})"  # noqa: S608
_PUT_KNOCK = f"INSERT OR REPLACE INTO peer_callers ({', '.join(_KNOCK)}) VALUES ({', '.join('?' for _ in _KNOCK)})"  # noqa: S608
_PUT_PEER = (
    "INSERT INTO peers (name, configured, body, by, changed) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
    "configured=excluded.configured, body=excluded.body, by=excluded.by, changed=excluded.changed"
)


def _read(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _written(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Store:
    """Reads and writes; every change is durable when it returns."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def peers(self) -> list[Kept]:
        """Return all that the register holds."""
        rows = await self._db.read(
            lambda c: c.execute("SELECT name, configured, body, by, changed FROM peers ORDER BY name").fetchall()
        )
        return [Kept(row[0], bool(row[1]), _read(row[2]), row[3], row[4]) for row in rows]

    async def put(self, *peers: Kept, also: Callable[[sqlite3.Connection], None]) -> None:
        """Keep peers as they are now, all or none of them, and do what is ``also`` to be done in that transaction."""
        rows = [(each.name, int(each.configured), _written(each.body), each.by, each.changed) for each in peers]

        def body(connection: sqlite3.Connection) -> None:
            connection.executemany(_PUT_PEER, rows)
            also(connection)

        await self._db.write(body)

    async def remove(self, name: str, also: Callable[[sqlite3.Connection], None]) -> None:
        """Forget a peer, its history and what it negotiated; ``also`` as in `put`."""

        def body(connection: sqlite3.Connection) -> None:
            also(connection)
            connection.execute("DELETE FROM peers WHERE name=?", (name,))
            for table in ("peer_echoes", "peer_days", "peer_ends"):
                connection.execute(f"DELETE FROM {table} WHERE peer=?", (name,))  # noqa: S608

        await self._db.write(body)

    async def rename(self, name: str, kept: Kept, also: Callable[[sqlite3.Connection], None]) -> None:
        """Keep a peer under another name, with its history and what it negotiated; ``also`` as in `put`."""
        row = (kept.name, int(kept.configured), _written(kept.body), kept.by, kept.changed)

        def body(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM peers WHERE name=?", (name,))
            connection.execute(_PUT_PEER, row)
            for table in ("peer_echoes", "peer_days", "peer_ends"):  # what an earlier peer of that name left goes
                connection.execute(f"DELETE FROM {table} WHERE peer=?", (kept.name,))  # noqa: S608
                connection.execute(f"UPDATE {table} SET peer=? WHERE peer=?", (kept.name, name))  # noqa: S608
            also(connection)

        await self._db.write(body)

    async def save(
        self,
        echoes: Sequence[Echo] = (),
        days: Sequence[Day] = (),
        ends: Sequence[End] = (),
        knocks: Sequence[Knock] = (),
        gone: Iterable[int] = (),
    ) -> None:
        """Keep what was seen; ``gone`` are callers that are dropped."""
        ends_in = [(end.peer, end.way, end.last, end.associations, _written(end.body)) for end in ends]
        knocks_in = [[_written(v) if isinstance(v, dict) else v for v in astuple(knock)] for knock in knocks]
        gone_in = [(each,) for each in gone]
        echoes_in, days_in = [astuple(echo) for echo in echoes], [astuple(day) for day in days]  # as they are now

        def body(connection: sqlite3.Connection) -> None:
            put = connection.executemany
            put("INSERT INTO peer_echoes (peer, at, ok, us, detail) VALUES (?, ?, ?, ?, ?)", echoes_in)
            put(_PUT_DAY, days_in)
            put(
                "INSERT OR REPLACE INTO peer_ends (peer, way, last, associations, body) VALUES (?, ?, ?, ?, ?)", ends_in
            )
            put("DELETE FROM peer_callers WHERE id=?", gone_in)
            put(_PUT_KNOCK, knocks_in)

        await self._db.write(body)

    async def prune(self, now: datetime) -> None:
        """Forget echoes and days beyond what is kept."""
        old = microseconds(now) - ECHO_DAYS * 86_400_000_000
        oldest = datetime.fromtimestamp(now.timestamp() - DAYS_KEPT * 86400, UTC).date().isoformat()

        def body(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM peer_echoes WHERE at < ?", (old,))
            many = "SELECT peer FROM peer_echoes GROUP BY peer HAVING count(*) > ?"
            for (peer,) in connection.execute(many, (ECHOES_KEPT,)).fetchall():
                connection.execute(
                    "DELETE FROM peer_echoes WHERE peer=? AND id NOT IN "
                    "(SELECT id FROM peer_echoes WHERE peer=? ORDER BY at DESC LIMIT ?)",
                    (peer, peer, ECHOES_KEPT),
                )
            connection.execute("DELETE FROM peer_days WHERE day < ?", (oldest,))
            gone = microseconds(now) - DAYS_KEPT * 86_400_000_000  # peers that left the configuration long ago
            connection.execute("DELETE FROM peer_ends WHERE last < ? AND last > 0", (gone,))

        await self._db.write(body)

    async def days(self, since: str, peer: str = "") -> list[Day]:
        """Return days from ``since`` (ISO 8601) on, oldest first."""
        sql = f"SELECT {', '.join(_DAY)} FROM peer_days WHERE day >= ? AND (? = '' OR peer = ?) ORDER BY day"  # noqa: S608
        rows = await self._db.read(lambda c: c.execute(sql, (since, peer, peer)).fetchall())
        return [Day(*row) for row in rows]

    async def echoes(self, peer: str, limit: int) -> list[Echo]:
        """Return the last echoes of a peer, newest first."""
        sql = "SELECT peer, at, ok, us, detail FROM peer_echoes WHERE peer=? ORDER BY at DESC LIMIT ?"
        rows = await self._db.read(lambda c: c.execute(sql, (peer, limit)).fetchall())
        return [Echo(*row) for row in rows]

    async def last_echoes(self, limit: int) -> list[Echo]:
        """Return the last ``limit`` echoes of each peer, oldest first of each."""

        def body(connection: sqlite3.Connection) -> list[Echo]:
            sql = "SELECT peer, at, ok, us, detail FROM peer_echoes WHERE peer=? ORDER BY at DESC LIMIT ?"
            names = connection.execute("SELECT DISTINCT peer FROM peer_days WHERE asked > 0").fetchall()
            return [Echo(*row) for (name,) in names for row in connection.execute(sql, (name, limit)).fetchall()[::-1]]

        return await self._db.read(body)

    async def ends(self) -> list[End]:
        """Return both directions of all peers."""
        rows = await self._db.read(
            lambda c: c.execute("SELECT peer, way, last, associations, body FROM peer_ends").fetchall()
        )
        return [End(peer, way, last, number, _read(body)) for peer, way, last, number, body in rows]

    async def knocks(self, limit: int) -> list[Knock]:
        """Return callers, the latest first."""
        sql = f"SELECT {', '.join(_KNOCK)} FROM peer_callers ORDER BY last DESC LIMIT ?"  # noqa: S608
        rows = await self._db.read(lambda c: c.execute(sql, (limit,)).fetchall())
        return [Knock(*(*row[:7], _read(row[7]), *row[8:])) for row in rows]
