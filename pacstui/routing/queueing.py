"""Writes the rows of the outbox for objects that come, in the transaction that stores them.

Everything here runs on the writer lane's thread: an object that was acknowledged is either in the outbox for each of
its destinations, or no route was for it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pacstui.dicom import header
from pacstui.index.entry import Entry
from pacstui.orders.ending import all_here
from pacstui.routing.route import Routes, Subject, Way
from pacstui.routing.tables import SENT, WAITING, WARNING

_CACHE: Final = 4096
_SYNTAX: Final = 0x00083002
_EXPECTED: Final = 0x00201208
_SERIES, _STUDY = "series", "study"
header.want({_EXPECTED: "IS"})

_FIND = (
    "SELECT id FROM sendings WHERE study=? AND destination=? AND route=? AND series=? AND transform=? AND asked_by=''"
    " ORDER BY id DESC LIMIT 1"
)
_MAKE = (
    "INSERT INTO sendings (destination, route, study, series, level, transform, priority, queued, changed, due)"
    " VALUES (?,?,?,?,?,?,?,?,?,?)"
)
_PUT = (
    "INSERT INTO outbox (sending, sop_instance, size, state, changed) VALUES (?,?,?,'waiting',?)"
    " ON CONFLICT (sending, sop_instance) DO NOTHING"
)


@dataclass(slots=True)
class _Added:
    """What a transaction adds to a sending."""

    destination: str
    count: int = 0
    octets: int = 0
    due: int = 0
    at: int = 0
    study: str = ""
    expected: int = 0
    performed: bool = False


class Queueing:
    """What is written beside an object's row.

    Parameters
    ----------
    load
        Reads the routes that are in use; called again after `renew`.
    """

    def __init__(self, load: Callable[[sqlite3.Connection], Routes]) -> None:
        self._load = load
        self._routes: Routes | None = None
        self._sendings: dict[tuple[str, ...], int] = {}
        self._added: dict[int, _Added] = {}
        self.touched: set[str] = set()

    def renew(self) -> None:
        """Read the routes anew with the next object."""
        self._routes = None

    def stored(self, connection: sqlite3.Connection, entry: Entry, size: int, received: int) -> None:
        """Put an object into the outbox for each destination that it is for."""
        routes = self._routes
        if routes is None:
            routes = self._routes = self._load(connection)
        if not routes:
            return
        attributes, syntax = entry.attributes, entry.transfer_syntax

        def value(tag: int) -> str:
            return syntax if tag == _SYNTAX else attributes.get(tag, "")

        subject = Subject(value, entry.calling, entry.called, datetime.fromtimestamp(received / 1e6, UTC))
        for way in routes.ways(subject):
            self._put(connection, way, entry, size, received)

    def _put(self, connection: sqlite3.Connection, way: Way, entry: Entry, size: int, received: int) -> None:
        series = entry.series if way.level == _SERIES else ""
        key = (entry.study, way.destination, way.route, series, way.transform)
        due = received + int(way.wait_s * 1e6)
        sending = self._sendings.get(key)
        if sending is None:
            row = connection.execute(_FIND, key).fetchone()
            if row is None:
                made = (way.destination, way.route, entry.study, series, way.level, way.transform, way.priority)
                sending = connection.execute(_MAKE, (*made, received, received, due)).lastrowid
                assert sending is not None
            else:
                sending = int(row[0])
            if len(self._sendings) >= _CACHE:
                self._sendings.clear()
            self._sendings[key] = sending
        put = connection.execute(_PUT, (sending, entry.sop_instance, size, received))
        added = self._added.get(sending)
        if added is None:
            added = self._added[sending] = _Added(way.destination)
        if put.rowcount:
            added.count += 1
            added.octets += size
        else:
            self._again(connection, sending, entry.sop_instance, size, received)
        added.due, added.at = max(added.due, due), max(added.at, received)
        if way.performed:
            added.study, added.performed = entry.study, True
        elif way.level == _STUDY:
            added.study, added.expected = entry.study, _count(entry.attributes.get(_EXPECTED, "")) or added.expected

    def _again(self, connection: sqlite3.Connection, sending: int, sop_instance: str, size: int, received: int) -> None:
        """Send an object anew that has other content now."""
        state, old = connection.execute(
            "SELECT state, size FROM outbox WHERE sending=? AND sop_instance=?", (sending, sop_instance)
        ).fetchone()
        connection.execute(
            "UPDATE outbox SET state='waiting', size=?, attempts=0, next_try=0, status=-1, error='', hint='', changed=?"
            " WHERE sending=? AND sop_instance=?",
            (size, received, sending, sop_instance),
        )
        added = self._added[sending]
        if state == WAITING:
            added.octets += size - old
            return
        added.count += 1
        added.octets += size
        gone = old if state in (SENT, WARNING) else 0
        connection.execute(
            f"UPDATE sendings SET {state}={state}-1, bytes_sent=bytes_sent-? WHERE id=?",  # noqa: S608 - ours
            (gone, sending),
        )

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write the counters of the sendings that objects were added to."""
        for sending, added in self._added.items():
            if (added.expected and self._complete(connection, added)) or (
                added.performed and all_here(connection, added.study)
            ):
                connection.execute("UPDATE sendings SET due=0 WHERE id=?", (sending,))
                added.due = added.at
            connection.execute(
                "UPDATE sendings SET waiting=waiting+?, bytes_waiting=bytes_waiting+?, due=max(due, ?),"
                " changed=max(changed, ?) WHERE id=?",
                (added.count, added.octets, added.due, added.at, sending),
            )
            self.touched.add(added.destination)
        self._added.clear()

    @staticmethod
    def _complete(connection: sqlite3.Connection, added: _Added) -> bool:
        """Return whether a study has as many objects as it said it would have."""
        row = connection.execute("SELECT instances FROM studies WHERE study=?", (added.study,)).fetchone()
        return row is not None and row[0] >= added.expected

    def performed(self, connection: sqlite3.Connection, studies: Iterable[str], now: int) -> bool:
        """Let studies go whose performed procedure step is over, as far as they are here and a route waits for that;
        return whether there is something to send."""
        routes = self._routes
        if routes is None:
            routes = self._routes = self._load(connection)
        waiting = [route.settings.name for route in routes.routes if route.settings.send == "performed"]
        touched = set()
        for study in studies if waiting else ():
            if all_here(connection, study):
                marks = ",".join("?" * len(waiting))
                found = connection.execute(
                    "UPDATE sendings SET due=? WHERE study=? AND waiting>0 AND due>?"  # noqa: S608 - marks only
                    f" AND asked_by='' AND route IN ({marks}) RETURNING destination",
                    (now, study, now, *waiting),
                )
                touched |= {row[0] for row in found.fetchall()}
        self.touched |= touched
        return bool(touched)

    def forget(self) -> None:
        """Drop what a transaction that was rolled back left behind."""
        self._sendings.clear()
        self._added.clear()


def _count(text: str) -> int:
    try:
        return max(0, int(text))
    except ValueError:
        return 0
