"""HL7 messages that wait for their receivers, and what became of them: the rows as senders use them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

from pacstui.db import Database, Writer
from pacstui.db.faults import translate

WAITING, SENT, FAILED, HELD, CANCELLED = "waiting", "sent", "failed", "held", "cancelled"
STATES: Final = (WAITING, SENT, FAILED, HELD, CANCELLED)

_TEXT: Final = 500
_MOST: Final = 500
_AHEAD_BYTES: Final = 8 << 20
_TAKE = (
    "SELECT id, receiver, control, kind, raw, attempts, next_try, at, what FROM hl7_outbox"
    " WHERE receiver=? AND state='waiting' ORDER BY id LIMIT ?"
)
_ROW = (
    "id, at, receiver, kind, control, what, state, attempts, next_try, answer, error, hint, patient_id, accession,"
    " source"
)


class Outgoing(NamedTuple):
    """A message to be queued. ``what`` says what it tells, ``source`` is the message that came in, 0 for ours."""

    receiver: str
    what: str
    kind: str
    control: str
    raw: bytes
    source: int = 0
    patient_id: str = ""
    accession: str = ""


class Item(NamedTuple):
    """A message that waits."""

    id: int
    receiver: str
    control: str
    kind: str
    raw: bytes
    attempts: int
    next_try: int
    at: int
    what: str


class Result(NamedTuple):
    """What became of a message: its new state, the code of the answer, what went wrong, what mends it, the answer."""

    item: Item
    state: str
    answer: str = ""
    error: str = ""
    hint: str = ""
    attempts: int = 0
    next_try: int = 0
    reply: bytes = b""


@dataclass(frozen=True, slots=True)
class Sums:
    """What there is for a receiver. ``oldest`` is when the first that waits was queued (microseconds), 0 for none;
    ``held_by`` who holds the receiver as a whole."""

    waiting: int = 0
    failed: int = 0
    held: int = 0
    sent: int = 0
    oldest: int = 0
    last_sent: int = 0
    held_by: str = ""


class Stored(NamedTuple):
    """A message as it is kept."""

    row: tuple[Any, ...]
    raw: bytes
    reply: bytes


def queue(connection: sqlite3.Connection, messages: Sequence[Outgoing], at: int) -> None:
    """Queue messages, inside a transaction; ``at`` is in microseconds since 1970."""
    connection.executemany(
        "INSERT INTO hl7_outbox (at, receiver, what, kind, control, raw, source, patient_id, accession, state, changed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', ?)",
        [
            (at, m.receiver, m.what, m.kind, m.control, m.raw, m.source, m.patient_id, m.accession, at)
            for m in messages
        ],
    )  # fmt: skip


class Store:
    """The rows of what goes out."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def queue(self, messages: Sequence[Outgoing], at: int) -> None:
        """Queue messages; they are durable on return."""
        await self._db.write(lambda c: queue(c, messages, at))

    async def take(self, receiver: str, limit: int) -> list[Item]:
        """Return the first messages that wait for a receiver, in their order: at most ``limit``, and no more than some
        megabytes after the first."""

        def body(connection: sqlite3.Connection) -> list[Item]:
            found, size = [], 0
            for row in connection.execute(_TAKE, (receiver, limit)):
                found.append(Item(*row))
                size += len(found[-1].raw)
                if size > _AHEAD_BYTES:
                    break
            return found

        return await self._db.read(body)

    async def sums(self) -> dict[str, Sums]:
        """Return what there is by receiver."""
        return await self._db.read(_sums)

    async def record(self, result: Result, at: int) -> str:
        """Write down what became of a message; return the state that it is in now, empty if it is gone.

        The commit survives the end of this process, and a power loss once anything after it was synced: what is lost
        then is that it was sent, and it is sent once more with the same control ID.
        """
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def work(writer: Writer) -> str:
            writer.begin(synced=False)
            try:
                state = _record(writer.connection, result, at)
            except BaseException:
                writer.rollback()
                raise
            writer.commit()
            return state

        def done(state: str | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(translate(error) if isinstance(error, sqlite3.Error) else error)
            else:
                future.set_result(state or "")

        self._db.submit(work, done)
        return await future

    async def later(
        self, receiver: str, control: str, answer: str, text: str, hint: str, reply: bytes, at: int, *, failed: bool
    ) -> bool:
        """Note an application's answer to a message that was accepted before; return whether there is such a one."""
        return await self._db.write(partial(_later, receiver, control, answer, text, hint, reply, at, failed))

    async def give_up(self, receiver: str, before: int, error: str, hint: str, at: int) -> int:
        """Let everything count as failed that waits since before a time; return how much that was."""

        def body(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "UPDATE hl7_outbox SET state='failed', error=?, hint=?, changed=?"
                " WHERE receiver=? AND state='waiting' AND at<?", (error[:_TEXT], hint[:_TEXT], at, receiver, before),
            ).rowcount  # fmt: skip

        return await self._db.write(body)

    async def prune(self, before: int, limit: int = 500) -> int:
        """Remove what was sent or cancelled before a time; return how many rows."""

        def body(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "DELETE FROM hl7_outbox WHERE id IN (SELECT id FROM hl7_outbox WHERE state IN ('sent', 'cancelled')"
                " AND changed<? LIMIT ?)", (before, limit),
            ).rowcount  # fmt: skip

        return await self._db.write(body)

    # What people ask for.

    async def page(self, receiver: str, state: str, search: str, before: int, limit: int) -> list[tuple[Any, ...]]:
        """Return rows, newest first; one more than ``limit`` if there are more."""
        where, values = ["1"], list[Any]()
        if receiver:
            where.append("receiver=?")
            values.append(receiver)
        if state:
            where.append("state=?")
            values.append(state)
        if search:
            where.append(
                "(patient_id LIKE ? ESCAPE '\\' OR accession LIKE ? ESCAPE '\\' OR control LIKE ? ESCAPE '\\'"
                " OR kind LIKE ? ESCAPE '\\' OR what LIKE ? ESCAPE '\\' OR error LIKE ? ESCAPE '\\')"
            )
            pattern = "%" + search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            values += [pattern] * 6
        if before:
            where.append("id<?")
            values.append(before)
        text = f"SELECT {_ROW} FROM hl7_outbox WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?"  # noqa: S608 - ours
        values.append(max(1, min(limit, _MOST)) + 1)
        return await self._db.read(lambda c: c.execute(text, values).fetchall())

    async def one(self, ident: int) -> Stored | None:
        """Return a message, none if there is no such one."""
        text = f"SELECT {_ROW}, raw, reply FROM hl7_outbox WHERE id=?"  # noqa: S608 - names of columns, ours
        row = await self._db.read(lambda c: c.execute(text, (ident,)).fetchone())
        return Stored(row[:-2], row[-2], row[-1]) if row is not None else None

    async def again(self, ids: Collection[int], receiver: str, at: int) -> tuple[int, set[str]]:
        """Let messages be sent now; return how many, and to whom.

        What waits is due at once; what failed, is held or was cancelled waits again, in its old place. What was sent is
        queued once more. Without ids: all that waits or failed for a receiver.
        """
        return await self._db.write(partial(_again, tuple(ids), receiver, at))

    async def put(self, ids: Collection[int], old: Collection[str], new: str, by: str, at: int) -> tuple[int, set[str]]:
        """Bring messages from one of some states to another; return how many, and to whom they go."""

        def body(connection: sqlite3.Connection) -> tuple[int, set[str]]:
            rows = connection.execute(
                "UPDATE hl7_outbox SET state=?, next_try=0, who=?, changed=?"
                " WHERE id IN (SELECT value FROM json_each(?)) AND state IN (SELECT value FROM json_each(?))"
                " RETURNING receiver", (new, by, at, json.dumps(list(ids)), json.dumps(list(old))),
            ).fetchall()  # fmt: skip
            return len(rows), {row[0] for row in rows}

        return await self._db.write(body)

    async def hold(self, receiver: str, by: str) -> None:
        """Hold a receiver as a whole; with an empty name nobody holds it any more."""

        def body(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO hl7_receivers (name, held_by) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET held_by=excluded.held_by", (receiver, by),
            )  # fmt: skip

        await self._db.write(body)


def _sums(connection: sqlite3.Connection) -> dict[str, Sums]:
    found: dict[str, dict[str, Any]] = {}
    for name, state, number, oldest in connection.execute(
        "SELECT receiver, state, count(*), min(at) FROM hl7_outbox WHERE state IN ('waiting', 'failed', 'held')"
        " GROUP BY receiver, state"
    ):
        row = found.setdefault(name, {})
        row[state] = number
        if state == WAITING:
            row["oldest"] = oldest
    for name, sent, last, by in connection.execute("SELECT name, sent, last_sent, held_by FROM hl7_receivers"):
        found.setdefault(name, {}).update(sent=sent, last_sent=last, held_by=by)
    return {name: Sums(**row) for name, row in found.items()}


def _record(connection: sqlite3.Connection, result: Result, at: int) -> str:
    item = result.item
    row = connection.execute("SELECT state FROM hl7_outbox WHERE id=?", (item.id,)).fetchone()
    if row is None:
        return ""
    state = result.state
    if row[0] in (CANCELLED, HELD) and state in (WAITING, FAILED):
        state = row[0]  # somebody wanted that while it was on its way
    connection.execute(
        "UPDATE hl7_outbox SET state=?, attempts=?, next_try=?, answer=?, error=?, hint=?, reply=?, changed=?"
        " WHERE id=?",
        (state, result.attempts, result.next_try, result.answer, result.error[:_TEXT], result.hint[:_TEXT],
         result.reply, at, item.id),
    )  # fmt: skip
    if state == SENT:
        connection.execute(
            "INSERT INTO hl7_receivers (name, sent, last_sent) VALUES (?, 1, ?)"
            " ON CONFLICT (name) DO UPDATE SET sent=sent+1, last_sent=excluded.last_sent", (item.receiver, at),
        )  # fmt: skip
    return state


def _later(
    receiver: str, control: str, answer: str, text: str, hint: str, reply: bytes, at: int, failed: bool,
    connection: sqlite3.Connection,
) -> bool:  # fmt: skip
    row = connection.execute(
        "SELECT id FROM hl7_outbox WHERE receiver=? AND control=? AND state='sent' ORDER BY id DESC LIMIT 1",
        (receiver, control),
    ).fetchone()
    if row is None:
        return False
    connection.execute(
        "UPDATE hl7_outbox SET state=?, answer=?, error=?, hint=?, reply=?, changed=? WHERE id=?",
        (FAILED if failed else SENT, answer, text[:_TEXT], hint[:_TEXT], reply, at, row[0]),
    )
    return True


def _again(ids: tuple[int, ...], receiver: str, at: int, connection: sqlite3.Connection) -> tuple[int, set[str]]:
    if not ids:
        rows = connection.execute(
            "UPDATE hl7_outbox SET state='waiting', next_try=0,"
            " attempts=CASE WHEN state='failed' THEN 0 ELSE attempts END, changed=?"
            " WHERE receiver=? AND state IN ('waiting', 'failed') RETURNING receiver", (at, receiver),
        ).fetchall()  # fmt: skip
        return len(rows), {row[0] for row in rows}
    wanted = json.dumps(ids)
    rows = connection.execute(
        "UPDATE hl7_outbox SET state='waiting', next_try=0,"
        " attempts=CASE WHEN state='waiting' THEN attempts ELSE 0 END, changed=?"
        " WHERE id IN (SELECT value FROM json_each(?)) AND state!='sent' RETURNING receiver", (at, wanted),
    ).fetchall()  # fmt: skip
    rows += connection.execute(
        "INSERT INTO hl7_outbox (at, receiver, what, kind, control, raw, source, patient_id, accession, state, changed)"
        " SELECT ?, receiver, what, kind, control, raw, source, patient_id, accession, 'waiting', ? FROM hl7_outbox"
        " WHERE id IN (SELECT value FROM json_each(?)) AND state='sent' ORDER BY id RETURNING receiver",
        (at, at, wanted),
    ).fetchall()
    return len(rows), {row[0] for row in rows}
