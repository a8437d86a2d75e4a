"""What people do with what waits or failed: a few statements over all rows that it is about, in one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pacstui.contract.queue import Changed
from pacstui.routing.tables import STATES

_OPEN: Final = "(waiting > 0 OR failed > 0)"
_CHOSEN: Final = "IN (SELECT id FROM temp.chosen)"
_LEFT: Final = "state IN ('waiting', 'failed')"
_SUMS: Final = ", ".join(f"sum(state = '{state}') AS {state}" for state in STATES)
_SETTLED: Final = ", ".join(f"{state} = n.{state}" for state in STATES)


class Chosen(NamedTuple):
    """The sendings that an action is about: by id, or all of a destination; with ``error`` only what has that error."""

    ids: Sequence[int] = ()
    destination: str = ""
    error: str = ""

    def pick(self, connection: sqlite3.Connection, where: str, *given: Any) -> tuple[int, int]:
        """Note those that are chosen and fit a condition of ours, in a table of this connection; return how many they
        are, and how many of their objects wait."""
        terms, values = [where], list(given)
        if self.ids:
            terms.append("id IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(self.ids)))
        if self.destination:
            terms.append("destination = ?")
            values.append(self.destination)
        connection.execute("CREATE TEMP TABLE IF NOT EXISTS chosen (id INTEGER PRIMARY KEY)")
        connection.execute("DELETE FROM temp.chosen")
        wanted = " AND ".join(terms)
        connection.execute(f"INSERT INTO temp.chosen SELECT id FROM main.sendings WHERE {wanted}", values)  # noqa: S608
        sums = f"SELECT count(*), coalesce(sum(waiting), 0) FROM main.sendings WHERE id {_CHOSEN}"  # noqa: S608 - ours
        sendings, waiting = connection.execute(sums).fetchone()
        return int(sendings), int(waiting)

    @property
    def with_error(self) -> tuple[str, tuple[str, ...]]:
        """The condition on objects, and its value."""
        return (" AND error = ?", (self.error,)) if self.error else ("", ())


def _recount(connection: sqlite3.Connection, now: int) -> None:
    """Bring the counters of the chosen sendings up to their rows."""
    connection.execute(
        f"UPDATE sendings SET {_SETTLED}, bytes_waiting = n.octets, changed = ? FROM (SELECT sending, {_SUMS},"  # noqa: S608
        " sum(CASE WHEN state = 'waiting' THEN size ELSE 0 END) AS octets FROM outbox"
        f" WHERE sending {_CHOSEN} GROUP BY sending) AS n WHERE sendings.id = n.sending",
        (now,),
    )


def _only(connection: sqlite3.Connection, condition: str, values: Sequence[Any]) -> int:
    """Leave those chosen of which objects fit a condition; return how many."""
    connection.execute(
        f"DELETE FROM temp.chosen WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE sending = chosen.id AND {condition})",  # noqa: S608
        values,
    )
    return int(connection.execute("SELECT count(*) FROM temp.chosen").fetchone()[0])


def retry(connection: sqlite3.Connection, chosen: Chosen, now: int) -> Changed:
    """Let what failed wait again; what waits for another try, or for its study to be complete, is sent now."""
    chosen.pick(connection, _OPEN)
    early = connection.execute(
        f"UPDATE sendings SET due = ?, changed = ? WHERE due > ? AND id {_CHOSEN}",  # noqa: S608 - ours
        (now, now, now),
    ).rowcount if not chosen.error else 0  # fmt: skip
    more, values = chosen.with_error
    which = f"(state = 'failed' OR (state = 'waiting' AND next_try > ?)){more}"
    touched = _only(connection, which, (now, *values))
    total = connection.execute(
        "UPDATE outbox SET attempts = CASE WHEN state = 'failed' THEN 0 ELSE attempts END, state = 'waiting',"  # noqa: S608
        f" next_try = 0, changed = ? WHERE sending {_CHOSEN} AND {which}",
        (now, now, *values),
    ).rowcount
    _recount(connection, now)
    return Changed(max(touched, early), total)


def set_held(connection: sqlite3.Connection, chosen: Chosen, held: bool, now: int) -> Changed:
    """Hold what waits, or let it go."""
    found, total = chosen.pick(connection, "waiting > 0 AND held " + ("= 0" if held else "!= 0"))
    connection.execute(f"UPDATE sendings SET held = ?, changed = ? WHERE id {_CHOSEN}", (int(held), now))  # noqa: S608
    return Changed(found, total)


def cancel(connection: sqlite3.Connection, chosen: Chosen, by: str, now: int) -> Changed:
    """Take what waits or failed out of the queue; it stays in the list."""
    chosen.pick(connection, _OPEN)
    more, values = chosen.with_error
    touched = _only(connection, f"{_LEFT}{more}", values)
    total = connection.execute(
        f"UPDATE outbox SET state = 'cancelled', hint = ?, changed = ? WHERE sending {_CHOSEN} AND {_LEFT}{more}",  # noqa: S608
        (f"cancelled by {by}", now, *values),
    ).rowcount
    connection.execute(f"UPDATE sendings SET held = 0 WHERE id {_CHOSEN}")  # noqa: S608 - ours
    _recount(connection, now)
    return Changed(touched, total)


def set_priority(connection: sqlite3.Connection, chosen: Chosen, priority: int, now: int) -> Changed:
    """Change what goes first of what waits."""
    found, total = chosen.pick(connection, "waiting > 0")
    connection.execute(f"UPDATE sendings SET priority = ?, changed = ? WHERE id {_CHOSEN}", (priority, now))  # noqa: S608
    return Changed(found, total)


def redirect(connection: sqlite3.Connection, chosen: Chosen, to: str, by: str, now: int) -> Changed:
    """Give what waits or failed to another destination: as new sendings, so that the list tells what went where."""
    found, _ = chosen.pick(connection, f"{_OPEN} AND destination != ?", to)
    last = int(connection.execute("SELECT coalesce(max(id), 0) FROM sendings").fetchone()[0])
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS became (old INTEGER PRIMARY KEY, new INTEGER)")
    connection.execute("DELETE FROM temp.became")
    connection.execute(
        "INSERT INTO temp.became SELECT id, ? + row_number() OVER (ORDER BY id) FROM temp.chosen",
        (_above(connection, last),),
    )
    connection.execute(
        "INSERT INTO sendings (id, destination, study, series, level, transform, asked_by, priority, queued, changed,"
        " due) SELECT b.new, ?, s.study, s.series, 'instance', s.transform, ?, s.priority, ?, ?, ?"
        " FROM temp.became b JOIN sendings s ON s.id = b.old ORDER BY b.new",
        (to, by, now, now, now),
    )
    total = connection.execute(
        "INSERT INTO outbox (sending, sop_instance, size, state, changed)"  # noqa: S608 - ours
        " SELECT b.new, o.sop_instance, o.size, 'waiting', ? FROM temp.became b JOIN outbox o ON o.sending = b.old"
        f" AND o.{_LEFT} ORDER BY o.id",
        (now,),
    ).rowcount
    connection.execute(
        f"UPDATE outbox SET state = 'cancelled', hint = ?, changed = ? WHERE sending {_CHOSEN} AND {_LEFT}",  # noqa: S608
        (f"sent to {to} instead, by {by}", now),
    )
    connection.execute("INSERT INTO temp.chosen SELECT new FROM temp.became")
    _recount(connection, now)
    return Changed(found, total)


def _above(connection: sqlite3.Connection, last: int) -> int:
    """Return the number that no sending ever had a higher one than."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'sendings'").fetchone()
    return max(last, int(row[0]) if row is not None else 0)


def ask(
    connection: sqlite3.Connection, study: str, series: str, instance: str, to: str, by: str, priority: int,
    transform: str, now: int,
) -> int:  # fmt: skip
    """Queue what the archive has of a study, series or instance for a destination; return the sending, 0 for none."""
    terms, values = ["s.study = ?"], [study]
    if series:
        terms.append("e.series = ?")
        values.append(series)
    if instance:
        terms.append("i.sop_instance = ?")
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
        connection.execute("DELETE FROM sendings WHERE id = ?", (made,))
        return 0
    Chosen((made,)).pick(connection, "1")
    _recount(connection, now)
    return made


def ask_objects(
    connection: sqlite3.Connection, study: str, objects: Sequence[str], to: str, by: str, priority: int, now: int
) -> int:
    """Queue some objects for a destination, in their order; return how many of them the archive has."""
    made = connection.execute(
        "INSERT INTO sendings (destination, study, level, asked_by, priority, queued, changed, due)"
        " VALUES (?,?,'instance',?,?,?,?,?)",
        (to, study, by, priority, now, now, now),
    ).lastrowid
    assert made is not None
    number = connection.execute(
        "INSERT INTO outbox (sending, sop_instance, size, state, changed)"
        " SELECT ?, i.sop_instance, i.size, 'waiting', ? FROM json_each(?) w JOIN instances i"
        " ON i.sop_instance = w.value ORDER BY w.key",
        (made, now, json.dumps(list(objects))),
    ).rowcount
    if not number:
        connection.execute("DELETE FROM sendings WHERE id = ?", (made,))
        return 0
    Chosen((made,)).pick(connection, "1")
    _recount(connection, now)
    return int(number)
