"""What waits for a destination, and what became of it: the outbox as the senders use it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

from pacstui.db import Database, Writer
from pacstui.db.faults import translate
from pacstui.index.retrieve import Copy
from pacstui.routing.tables import CANCELLED, FAILED, SENT, WAITING, WARNING

_TEXT: Final = 500
_AHEAD_US: Final = 2 * 86_400_000_000
"""Nothing waits longer for its turn than two days: what seems to was written while the clock stood wrong."""

_TAKE = (
    "SELECT o.id, o.sending, o.sop_instance, o.size, o.attempts, s.route, s.study, s.priority, s.transform, s.level,"
    " CASE WHEN t.hidden != 0 AND NOT EXISTS (SELECT 1 FROM corrections c WHERE c.note_uid != ''"
    " AND c.note_uid = i.sop_instance) THEN NULL ELSE i.sop_class END,"  # what was rejected goes nowhere, its note does
    " i.transfer_syntax, i.path, i.data_offset, i.size, i.digest,"
    " CASE WHEN t.corrected != '' OR t.identity != 0 OR e.corrected != '' THEN t.id ELSE 0 END, i.calling"
    " FROM sendings s JOIN outbox o ON o.sending = s.id AND o.state = 'waiting'"
    " LEFT JOIN instances i ON i.sop_instance = o.sop_instance"
    " LEFT JOIN series e ON e.id = i.series LEFT JOIN studies t ON t.id = e.study"
    " WHERE s.destination = ?1 AND s.waiting > 0 AND s.held = 0 AND (s.due <= ?2 OR s.due > ?3)"
    " AND (o.next_try <= ?2 OR o.next_try > ?3)"
    " ORDER BY s.priority, s.id, o.id LIMIT ?4"
)
_NEXT = (
    "SELECT min(max(iif(s.due > ?2, 1, s.due), iif(o.next_try > ?2, 1, o.next_try), 1))"
    " FROM sendings s JOIN outbox o ON o.sending = s.id AND o.state = 'waiting'"
    " WHERE s.destination = ?1 AND s.waiting > 0 AND s.held = 0"
)
_SUMS = (
    "SELECT destination, sum(waiting), sum(failed), min(CASE WHEN waiting > 0 THEN queued END),"
    " sum(CASE WHEN held != 0 THEN waiting ELSE 0 END), sum(bytes_waiting)"
    " FROM sendings WHERE {} GROUP BY destination"
)


_UNSENT = (
    "SELECT count(*) FROM studies s JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id"
    " WHERE s.study = ? AND NOT EXISTS (SELECT 1 FROM sendings g JOIN outbox o ON o.sending = g.id"
    " AND o.sop_instance = i.sop_instance WHERE g.study = s.study AND g.destination = ? AND g.transform = ''"
    " AND o.state = 'sent' AND o.changed >= i.received)"
)


class Item(NamedTuple):
    """One object that waits for a destination. ``copy`` is none where the archive does not have it any more, or it was
    rejected."""

    id: int
    sending: int
    sop_instance: str
    size: int
    attempts: int
    route: str
    study: str
    priority: int
    transform: str
    level: str
    copy: Copy | None
    calling: str
    known: int = 0
    """How often something had been corrected when this was looked up."""


class Result(NamedTuple):
    """What became of an object: its state, the peer's status (-1 where there is none), why in plain words."""

    item: Item
    state: str
    status: int = -1
    error: str = ""
    hint: str = ""
    next_try: int = 0
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Sums:
    """What there is for one destination: objects and bytes that wait, of which ``held`` by somebody, and that failed;
    ``oldest`` is when the first of those that wait was queued."""

    waiting: int = 0
    failed: int = 0
    held: int = 0
    bytes: int = 0
    oldest: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """A sending of which nothing waits any more."""

    id: int
    destination: str
    route: str
    study: str
    sent: int
    warning: int
    failed: int
    error: str
    hint: str


class Outbox:
    """The rows that senders take and write down."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._results: list[tuple[Result, int, asyncio.Future[list[Ended]]]] = []
        self._writing = False

    async def take(self, destination: str, now: int, limit: int, taken: Collection[int]) -> list[Item]:
        """Return what is due for a destination, in its order, without those that are ``taken`` already."""
        if limit <= 0:
            return []
        given = (destination, now, now + _AHEAD_US, limit + len(taken))
        rows = await self._db.read(lambda c: c.execute(_TAKE, given).fetchall())
        return [_item(row) for row in rows if row[0] not in taken][:limit]

    async def next_due(self, destination: str, now: int) -> int:
        """Return when something is due for a destination, 0 if nothing waits."""
        row = await self._db.read(lambda c: c.execute(_NEXT, (destination, now + _AHEAD_US)).fetchone())
        return int(row[0] or 0)

    async def sums(self) -> dict[str, Sums]:
        """Return what waits and what failed, by destination."""

        def read(connection: sqlite3.Connection) -> dict[str, Sums]:
            found: dict[str, list[int]] = defaultdict(lambda: [0] * 5)
            for where in ("waiting > 0", "failed > 0 AND waiting = 0"):
                for name, waiting, failed, oldest, held, octets in connection.execute(_SUMS.format(where)):
                    row = found[name]
                    row[0] += waiting
                    row[1] += failed
                    row[2] += held
                    row[3] += octets
                    row[4] = row[4] or oldest or 0
            return {name: Sums(*row) for name, row in found.items()}

        return await self._db.read(read)

    async def record(self, result: Result, at: int) -> list[Ended]:
        """Write down what became of an object; return the sending if that was its last.

        The commit survives the end of this process, and a power loss once anything after it was synced: what is lost
        then is that something was sent, not the object.
        """
        future: asyncio.Future[list[Ended]] = asyncio.get_running_loop().create_future()
        self._results.append((result, at, future))
        if not self._writing:
            self._write()
        return await future

    def _write(self) -> None:
        batch, self._results = self._results, []
        self._writing = True

        def work(writer: Writer) -> dict[int, Ended]:
            writer.begin(synced=False)
            try:
                ended = _record(writer.connection, [(result, at) for result, at, _ in batch])
            except BaseException:
                writer.rollback()
                raise
            writer.commit()
            return ended

        def done(ended: dict[int, Ended] | None, error: BaseException | None) -> None:
            self._writing = False
            told: set[int] = set()
            for result, _, future in batch:
                if future.done():
                    continue
                if error is not None:
                    future.set_exception(translate(error) if isinstance(error, sqlite3.Error) else error)
                    continue
                last = (ended or {}).get(result.item.sending)
                future.set_result([last] if last is not None and last.id not in told else [])
                if last is not None:
                    told.add(last.id)
            if self._results:
                self._write()

        self._db.submit(work, done)

    async def give_up(self, destination: str, before: int, error: str, hint: str, at: int) -> int:
        """Let everything count as failed that waits since before a time; return how much that was."""
        return await self._db.write(partial(_give_up, destination, before, error, hint, at))

    async def prune(self, before: int, kept: Collection[str] = (), limit: int = 200) -> int:
        """Remove sendings from the list of which all was sent before a time; return how many.

        Those to destinations that are ``kept`` stay for as long as the archive has the study.
        """
        return await self._db.write(partial(_prune, before, json.dumps(list(kept)), limit))

    async def unsent(self, study: str, destination: str) -> int:
        """Return how many objects of a study a destination did not take as they are, with success and nothing else.

        What it took with a warning may be changed there, or be an older object of that UID; a changed copy is no copy.
        """
        row = await self._db.read(lambda c: c.execute(_UNSENT, (study, destination)).fetchone())
        return int(row[0])


def _item(row: tuple[Any, ...]) -> Item:
    sop_class = row[10]
    copy = Copy(sop_class, row[2], *row[11:17]) if sop_class is not None else None
    ident, sending, sop_instance, size, attempts, route, study, priority, transform, level = row[:10]
    calling = row[17] or ""
    return Item(ident, sending, sop_instance, size, attempts, route, study, priority, transform, level, copy, calling)


def _record(connection: sqlite3.Connection, results: Sequence[tuple[Result, int]]) -> dict[int, Ended]:
    changes: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    latest: dict[int, tuple[Result, int]] = {}
    for result, at in results:
        item = result.item
        row = connection.execute("SELECT state, size, sending FROM outbox WHERE id=?", (item.id,)).fetchone()
        if row is None:
            continue
        state, size, sending = row
        if state == CANCELLED and result.state in (WAITING, FAILED):
            continue  # somebody wanted that while it was on its way
        change = changes[sending]
        change[state] -= 1
        change[result.state] += 1
        if state == WAITING and result.state != WAITING:
            change["bytes_waiting"] -= size
        if result.state in (SENT, WARNING):
            change["bytes_sent"] += size
        if result.error:
            change["attempts"] += 1
        connection.execute(
            "UPDATE outbox SET state=?, attempts=?, next_try=?, status=?, error=?, hint=?, changed=? WHERE id=?",
            (result.state, result.attempts, result.next_try, result.status, result.error[:_TEXT], result.hint[:_TEXT],
             at, item.id),
        )  # fmt: skip
        if result.error or sending not in latest:
            latest[sending] = (result, at)
    ended: dict[int, Ended] = {}
    for sending, change in changes.items():
        settled = ", ".join(f"{name}={name}+({number})" for name, number in change.items())
        result, at = latest[sending]
        words: tuple[object, ...] = ()
        if result.error:
            settled += ", status=?, error=?, hint=?"
            words = (result.status, result.error[:_TEXT], result.hint[:_TEXT])
        connection.execute(
            f"UPDATE sendings SET {settled}, changed=? WHERE id=?",  # noqa: S608 - names of columns, ours
            (*words, at, sending),
        )
        row = connection.execute(
            "SELECT id, destination, route, study, sent, warning, failed, error, hint FROM sendings"
            " WHERE id=? AND waiting=0", (sending,),
        ).fetchone()  # fmt: skip
        if row is not None:
            ended[sending] = Ended(*row)
    return ended


def _give_up(destination: str, before: int, error: str, hint: str, at: int, connection: sqlite3.Connection) -> int:
    old = connection.execute(
        "SELECT id FROM sendings WHERE destination=? AND waiting>0 AND held=0 AND changed<?", (destination, before)
    ).fetchall()
    total = 0
    for (sending,) in old:
        number = connection.execute(
            "UPDATE outbox SET state='failed', error=?, hint=?, changed=? WHERE sending=? AND state='waiting'",
            (error[:_TEXT], hint[:_TEXT], at, sending),
        ).rowcount
        total += number
        connection.execute(
            "UPDATE sendings SET failed=failed+?, waiting=waiting-?, bytes_waiting=0, error=?, hint=?, changed=?"
            " WHERE id=?",
            (number, number, error[:_TEXT], hint[:_TEXT], at, sending),
        )
    return total


def _prune(before: int, kept: str, limit: int, connection: sqlite3.Connection) -> int:
    old = connection.execute(
        "SELECT id FROM sendings WHERE changed<? AND waiting=0 AND failed=0"
        " AND NOT (destination IN (SELECT value FROM json_each(?)) AND study IN (SELECT study FROM studies))"
        " ORDER BY changed LIMIT ?",
        (before, kept, limit),
    ).fetchall()
    connection.executemany("DELETE FROM outbox WHERE sending=?", old)
    connection.executemany("DELETE FROM sendings WHERE id=?", old)
    return len(old)
