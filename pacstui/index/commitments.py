"""Storage commitment transactions: they outlive the node until their answer was delivered (PS3.4 J)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pacstui.db import Database

WAITING, REPORTING, TOLD, GIVEN_UP = "waiting", "reporting", "told", "given up"

Reference = tuple[str, str]
"""SOP Class UID and SOP Instance UID."""
Outcome = tuple[str, str, int]
"""SOP Class UID, SOP Instance UID, and the failure reason (PS3.3 C.14.1.1), 0 for none."""

_COLUMNS = "id, transaction_uid, calling, received, asked, result, state, attempts, next_try, problem"


@dataclass(frozen=True, slots=True)
class Commitment:
    """One transaction. Times are microseconds since 1970; ``outcome`` is empty until the objects were looked at."""

    id: int
    transaction: str
    calling: str
    received: int
    asked: tuple[Reference, ...]
    outcome: tuple[Outcome, ...]
    state: str
    attempts: int
    next_try: int
    problem: str


class Told(NamedTuple):
    """One transaction as it is listed; see :class:`Commitment`. ``failed`` of the ``objects`` are not committed."""

    id: int
    transaction: str
    calling: str
    received: int
    objects: int
    failed: int
    state: str
    attempts: int
    next_try: int
    problem: str


def _commitment(row: Sequence[Any]) -> Commitment:
    asked = tuple((str(a), str(b)) for a, b in json.loads(row[4]))
    outcome = tuple((str(a), str(b), int(c)) for a, b, c in json.loads(row[5] or "[]"))
    return Commitment(row[0], row[1], row[2], row[3], asked, outcome, row[6], row[7], row[8], row[9])


class Commitments:
    """The table of transactions. Every change is durable when it returns."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, transaction: str, calling: str, asked: Sequence[Reference], now: int, taken: int) -> Commitment:
        """Record a request. One that is there already, from the same caller with the same objects, begins anew.

        A transaction UID that stands for another caller's request, or for other objects, is recorded with ``taken`` as
        the reason for each object; it does not count against who used the UID first.
        """

        def body(connection: sqlite3.Connection) -> Commitment:
            text = json.dumps(list(asked))
            first = connection.execute(
                "SELECT calling, asked FROM commitments WHERE transaction_uid=? ORDER BY id LIMIT 1", (transaction,)
            ).fetchone()
            if first is not None and (first[0] != calling or first[1] != text):
                refused = json.dumps([(*pair, taken) for pair in asked])
                key = connection.execute(
                    "INSERT INTO commitments (transaction_uid, calling, received, asked, result, state, next_try)"
                    " VALUES (?,?,?,?,?,?,?)",
                    (transaction, calling, now, text, refused, REPORTING, now),
                ).lastrowid
                row = connection.execute(f"SELECT {_COLUMNS} FROM commitments WHERE id=?", (key,)).fetchone()  # noqa: S608
                return _commitment(row)
            known = connection.execute(
                "SELECT id, asked FROM commitments WHERE transaction_uid=? AND calling=? ORDER BY id DESC",
                (transaction, calling),
            ).fetchone()
            if known is not None and known[1] == text:
                key = known[0]
                connection.execute(
                    "UPDATE commitments SET state=?, result='', attempts=0, next_try=?, problem='', received=?"
                    " WHERE id=?",
                    (WAITING, now, now, key),
                )
            else:
                key = connection.execute(
                    "INSERT INTO commitments (transaction_uid, calling, received, asked, state, next_try)"
                    " VALUES (?,?,?,?,?,?)",
                    (transaction, calling, now, text, WAITING, now),
                ).lastrowid
            row = connection.execute(f"SELECT {_COLUMNS} FROM commitments WHERE id=?", (key,)).fetchone()  # noqa: S608
            return _commitment(row)

        return await self._db.write(body)

    async def looked(self, key: int, outcome: Sequence[Outcome]) -> None:
        """Note what was found."""
        text = json.dumps(list(outcome))
        await self._db.write(
            lambda c: c.execute("UPDATE commitments SET result=?, state=? WHERE id=?", (text, REPORTING, key))
        )

    async def told(self, key: int) -> None:
        """Note that the caller has the answer."""
        await self._db.write(lambda c: c.execute("UPDATE commitments SET state=?, problem='' WHERE id=?", (TOLD, key)))

    async def failed(self, key: int, problem: str, next_try: int, last: bool, looked: bool = True) -> None:
        """Note that objects could not be ``looked`` at or the answer not be delivered, and when it is tried again."""
        await self._db.write(
            lambda c: c.execute(
                "UPDATE commitments SET attempts=attempts+1, problem=?, next_try=?, state=? WHERE id=?",
                (problem, next_try, GIVEN_UP if last else REPORTING if looked else WAITING, key),
            )
        )

    async def again(self, key: int, now: int) -> bool:
        """Let an answer be delivered anew; return whether there is such a transaction."""

        def body(connection: sqlite3.Connection) -> bool:
            found = connection.execute(
                "UPDATE commitments SET state=CASE WHEN result='' THEN ? ELSE ? END, attempts=0, next_try=? WHERE id=?",
                (WAITING, REPORTING, now, key),
            )
            return found.rowcount > 0

        return await self._db.write(body)

    async def open(self) -> dict[int, int]:
        """Return when to try those again whose answer is not delivered yet, by their number."""
        statement = "SELECT id, next_try FROM commitments WHERE state IN ('waiting', 'reporting')"
        return dict(await self._db.read(lambda c: c.execute(statement).fetchall()))

    async def get(self, key: int) -> Commitment | None:
        """Return one transaction."""
        statement = f"SELECT {_COLUMNS} FROM commitments WHERE id=?"  # noqa: S608 - its parts are ours

        def body(connection: sqlite3.Connection) -> Commitment | None:
            row = connection.execute(statement, (key,)).fetchone()
            return _commitment(row) if row is not None else None

        return await self._db.read(body)

    async def latest(self, limit: int) -> list[Told]:
        """Return the latest transactions, newest first, with counts in place of the references."""
        statement = (
            "SELECT id, transaction_uid, calling, received, json_array_length(asked), CASE WHEN result = '' THEN 0 ELSE"
            " (SELECT count(*) FROM json_each(result) WHERE json_extract(value, '$[2]') != 0) END, state, attempts,"
            " next_try, problem FROM commitments ORDER BY id DESC LIMIT ?"
        )
        return [Told(*row) for row in await self._db.read(lambda c: c.execute(statement, (limit,)).fetchall())]


LEFT_OUT = 0x0110
"""Processing failure: the reason noted for an instance that an answer does not name."""
ASKED, COMMITTED, NOT_COMMITTED, FAILED = "asked", "committed", "not committed", "failed"
NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class AskedCommitment:
    """One commitment that this node asked a peer for. Times are microseconds since 1970, 0 for none."""

    id: int
    transaction: str
    peer: str
    study: str
    asked: tuple[Reference, ...]
    outcome: tuple[Outcome, ...]
    state: str
    sent: int
    answered: int
    problem: str


def rename_peer(connection: sqlite3.Connection, old: str, new: str) -> None:
    """Let requests name the peer that was asked by its new name."""
    connection.execute("UPDATE asked_commitments SET peer=? WHERE peer=?", (new, old))


class AskedCommitments:
    """The table of commitments that this node asks for. Every change is durable when it returns."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, transaction: str, peer: str, study: str, asked: Sequence[Reference], now: int) -> int:
        """Record a request before it is sent; return its number."""
        values = (transaction, peer, study, json.dumps(list(asked)), ASKED, now)

        def body(connection: sqlite3.Connection) -> int:
            key = connection.execute(
                "INSERT INTO asked_commitments (transaction_uid, peer, study, asked, state, sent) VALUES (?,?,?,?,?,?)",
                values,
            ).lastrowid
            assert key is not None
            return key

        return await self._db.write(body)

    async def failed(self, key: int, problem: str) -> None:
        """Note that a request could not be made."""
        await self._db.write(
            lambda c: c.execute(
                "UPDATE asked_commitments SET state=?, problem=? WHERE id=? AND state=?", (FAILED, problem, key, ASKED)
            )
        )

    async def answered(self, transaction: str, outcome: Sequence[Outcome], now: int) -> AskedCommitment | None:
        """Note the answer to a request; None where nobody asked.

        Committed is only what was asked for and is named as committed; what an answer leaves out is not (0110H).
        """
        told = {(sop_class, instance): reason for sop_class, instance, reason in outcome}

        def body(connection: sqlite3.Connection) -> bool:
            row = connection.execute(
                "SELECT asked FROM asked_commitments WHERE transaction_uid=?", (transaction,)
            ).fetchone()
            if row is None:
                return False
            result = [(str(a), str(b), told.get((str(a), str(b)), LEFT_OUT)) for a, b in json.loads(row[0])]
            state = NOT_COMMITTED if any(reason for _, _, reason in result) else COMMITTED
            connection.execute(
                "UPDATE asked_commitments SET state=?, result=?, answered=?, problem='' WHERE transaction_uid=?",
                (state, json.dumps(result), now, transaction),
            )
            return True

        if not await self._db.write(body):
            return None
        return (await self._all("WHERE transaction_uid=?", transaction))[0]

    async def open(self) -> dict[int, int]:
        """Return when those were sent that have no answer yet, by their number."""
        statement = "SELECT id, sent FROM asked_commitments WHERE state=?"
        return dict(await self._db.read(lambda c: c.execute(statement, (ASKED,)).fetchall()))

    async def overdue(self, key: int, problem: str) -> bool:
        """Note that the peer says nothing; return whether that is so. An answer is taken all the same, if it comes."""

        def body(connection: sqlite3.Connection) -> bool:
            found = connection.execute(
                "UPDATE asked_commitments SET state=?, problem=? WHERE id=? AND state=?",
                (NO_ANSWER, problem, key, ASKED),
            )
            return found.rowcount > 0

        return await self._db.write(body)

    async def get(self, key: int) -> AskedCommitment | None:
        """Return one request."""
        found = await self._all("WHERE id=?", key)
        return found[0] if found else None

    async def latest(self, limit: int) -> list[AskedCommitment]:
        """Return the latest requests, newest first."""
        return await self._all("ORDER BY id DESC LIMIT ?", limit)

    async def _all(self, rest: str, *values: object) -> list[AskedCommitment]:
        statement = (
            "SELECT id, transaction_uid, peer, study, asked, result, state, sent, answered, problem"  # noqa: S608
            f" FROM asked_commitments {rest}"
        )
        rows = await self._db.read(lambda c: c.execute(statement, values).fetchall())
        return [_asked(row) for row in rows]


def _asked(row: Sequence[Any]) -> AskedCommitment:
    asked = tuple((str(a), str(b)) for a, b in json.loads(row[4]))
    outcome = tuple((str(a), str(b), int(c)) for a, b, c in json.loads(row[5] or "[]"))
    return AskedCommitment(row[0], row[1], row[2], row[3], asked, outcome, row[6], row[7], row[8], row[9])
