"""What people do with what waits or failed: a statement or two over all rows that it is about, in one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from pacstui.contract.queue import Changed
from pacstui.routing.tables import FAILED, STATES, WAITING

_AMONG: Final = "id IN (SELECT value FROM json_each(?))"


class Chosen(NamedTuple):
    """The sendings that an action is about: by id, or all of a destination; with ``error`` only what has that error."""

    ids: Sequence[int] = ()
    destination: str = ""
    error: str = ""

    def sendings(self, connection: sqlite3.Connection, where: str) -> list[int]:
        """Return the ids of those that are chosen and fit a condition of ours."""
        terms, values = [where], []
        if self.ids:
            terms.append(_AMONG)
            values.append(json.dumps(list(self.ids)))
        if self.destination:
            terms.append("destination=?")
            values.append(self.destination)
        rows = connection.execute(f"SELECT id FROM sendings WHERE {' AND '.join(terms)}", values)  # noqa: S608 - ours
        return [int(row[0]) for row in rows]


def _recount(connection: sqlite3.Connection, sendings: Sequence[int], now: int) -> None:
    """Bring the counters of sendings up to their rows."""
    sums = ", ".join(f"sum(state='{state}')" for state in STATES)
    settled = ", ".join(f"{state}=?" for state in STATES)
    for sending in sendings:
        row = connection.execute(
            f"SELECT {sums}, sum(CASE WHEN state='waiting' THEN size ELSE 0 END) FROM outbox WHERE sending=?",  # noqa: S608
            (sending,),
        ).fetchone()
        connection.execute(
            f"UPDATE sendings SET {settled}, bytes_waiting=?, changed=? WHERE id=?",  # noqa: S608 - names of columns, ours
            (*(number or 0 for number in row), now, sending),
        )


def retry(connection: sqlite3.Connection, chosen: Chosen, now: int) -> Changed:
    """Let what failed wait again; what waits for another try, or for its study to be complete, is sent now."""
    where = "(failed > 0 OR waiting > 0)"
    total, touched = 0, []
    for sending in chosen.sendings(connection, where):
        more = " AND error=?" if chosen.error else ""
        values = (chosen.error,) if chosen.error else ()
        number = connection.execute(
            "UPDATE outbox SET attempts=CASE WHEN state='failed' THEN 0 ELSE attempts END, state='waiting', next_try=0,"  # noqa: S608
            f" changed=? WHERE sending=? AND (state='failed' OR (state='waiting' AND next_try>?)){more}",
            (now, sending, now, *values),
        ).rowcount
        early = connection.execute("UPDATE sendings SET due=? WHERE id=? AND due>?", (now, sending, now)).rowcount
        if number or early:
            total += number
            touched.append(sending)
    _recount(connection, touched, now)
    return Changed(len(touched), total)


def set_held(connection: sqlite3.Connection, chosen: Chosen, held: bool, now: int) -> Changed:
    """Hold what waits, or let it go."""
    found = chosen.sendings(connection, "waiting > 0 AND held " + ("= 0" if held else "!= 0"))
    ids = json.dumps(found)
    total = connection.execute(f"SELECT coalesce(sum(waiting), 0) FROM sendings WHERE {_AMONG}", (ids,)).fetchone()[0]  # noqa: S608
    connection.execute(f"UPDATE sendings SET held=?, changed=? WHERE {_AMONG}", (int(held), now, ids))  # noqa: S608 - ours
    return Changed(len(found), total)


def cancel(connection: sqlite3.Connection, chosen: Chosen, by: str, now: int) -> Changed:
    """Take what waits or failed out of the queue; it stays in the list."""
    total, touched = 0, []
    for sending in chosen.sendings(connection, "(waiting > 0 OR failed > 0)"):
        more = " AND error=?" if chosen.error else ""
        values = (chosen.error,) if chosen.error else ()
        number = connection.execute(
            "UPDATE outbox SET state='cancelled', hint=?, changed=?"  # noqa: S608 - ours
            f" WHERE sending=? AND state IN ('{WAITING}', '{FAILED}'){more}",
            (f"cancelled by {by}", now, sending, *values),
        ).rowcount
        if number:
            total += number
            touched.append(sending)
    connection.execute(f"UPDATE sendings SET held=0 WHERE {_AMONG}", (json.dumps(touched),))  # noqa: S608 - ours
    _recount(connection, touched, now)
    return Changed(len(touched), total)


def set_priority(connection: sqlite3.Connection, chosen: Chosen, priority: int, now: int) -> Changed:
    """Change what goes first of what waits."""
    found = chosen.sendings(connection, "waiting > 0")
    ids = json.dumps(found)
    total = connection.execute(f"SELECT coalesce(sum(waiting), 0) FROM sendings WHERE {_AMONG}", (ids,)).fetchone()[0]  # noqa: S608
    connection.execute(f"UPDATE sendings SET priority=?, changed=? WHERE {_AMONG}", (priority, now, ids))  # noqa: S608 - ours
    return Changed(len(found), total)


def redirect(connection: sqlite3.Connection, chosen: Chosen, to: str, by: str, now: int) -> Changed:
    """Give what waits or failed to another destination: as new sendings, so that the list tells what went where."""
    total, touched = 0, []
    for sending in chosen.sendings(connection, "(waiting > 0 OR failed > 0)"):
        made = connection.execute(
            "INSERT INTO sendings (destination, study, series, level, transform, asked_by, priority, queued, changed,"
            " due) SELECT ?, study, series, 'instance', transform, ?, priority, ?, ?, ? FROM sendings WHERE id=?",
            (to, by, now, now, now, sending),
        ).lastrowid
        assert made is not None
        number = connection.execute(
            "INSERT INTO outbox (sending, sop_instance, size, state, changed)"  # noqa: S608 - ours
            f" SELECT ?, sop_instance, size, '{WAITING}', ? FROM outbox WHERE sending=?"
            f" AND state IN ('{WAITING}', '{FAILED}') ORDER BY id",
            (made, now, sending),
        ).rowcount
        connection.execute(
            "UPDATE outbox SET state='cancelled', hint=?, changed=?"  # noqa: S608 - ours
            f" WHERE sending=? AND state IN ('{WAITING}', '{FAILED}')",
            (f"sent to {to} instead, by {by}", now, sending),
        )
        total += number
        touched += [made, sending]
    _recount(connection, touched, now)
    return Changed(len(touched) // 2, total)


def ask(
    connection: sqlite3.Connection, study: str, series: str, instance: str, to: str, by: str, priority: int,
    transform: str, now: int,
) -> int:  # fmt: skip
    """Queue what the archive has of a study, series or instance for a destination; return the sending, 0 for none."""
    terms, values = ["s.study=?"], [study]
    if series:
        terms.append("e.series=?")
        values.append(series)
    if instance:
        terms.append("i.sop_instance=?")
        values.append(instance)
    made = connection.execute(
        "INSERT INTO sendings (destination, study, series, level, transform, asked_by, priority, queued, changed, due)"
        " VALUES (?,?,?,'instance',?,?,?,?,?,?)",
        (to, study, series, transform, by, priority, now, now, now),
    ).lastrowid
    assert made is not None
    number = connection.execute(
        "INSERT INTO outbox (sending, sop_instance, size, state, changed)"  # noqa: S608 - terms are ours
        " SELECT ?, i.sop_instance, i.size, 'waiting', ? FROM studies s JOIN series e ON e.study = s.id"
        f" JOIN instances i ON i.series = e.id WHERE {' AND '.join(terms)} ORDER BY e.id, i.id",
        (made, now, *values),
    ).rowcount
    if not number:
        connection.execute("DELETE FROM sendings WHERE id=?", (made,))
        return 0
    _recount(connection, [made], now)
    return made
