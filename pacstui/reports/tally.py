"""Counts by day what leaves no row anywhere else: associations, refusals, and what was sent, fetched or not stored.

Counts are gathered in memory and written every few seconds: a kill -9 may lose those of the last ones. Nothing that
was promised to a peer hangs on them.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Final

from pacstui import events
from pacstui.bus import Bus
from pacstui.db import Database
from pacstui.text import safe

ASSOCIATIONS, BROKEN, REFUSED = "associations", "broken", "refused"
NOT_STORED, SET_ASIDE = "not stored", "set aside"
SENT, NOT_SENT, FETCHED, NOT_FETCHED = "sent", "not sent", "fetched", "not fetched"
OTHERS: Final = "(others)"
_CALLERS: Final = 1_000
"""Callers that are told apart in a day: anybody can call by any name."""
_DAYS_KEPT: Final = 3_700
_PUT: Final = (
    "INSERT INTO usage (day, what, who, amount) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (day, what, who) DO UPDATE SET amount = amount + excluded.amount"
)
_FORGET: Final = (
    "DELETE FROM usage WHERE day <"
    " (SELECT day FROM (SELECT DISTINCT day FROM usage ORDER BY day DESC LIMIT 1 OFFSET ?))"
)
"""By days that were counted, not by age: a clock that is years ahead for a moment must not empty it."""


class Tally:
    """Listens on the bus, and writes what it counted when `flush` is called."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._db = database
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._day = self._tidied = ""
        self._callers: set[str] = set()
        for kind in (events.AssociationOpened, events.AssociationClosed, events.AssociationRefused,
                     events.InstanceRefused, events.InstanceQuarantined, events.Retrieved,
                     events.StudyFetched):  # fmt: skip
            bus.subscribe(kind, self._note)

    def _note(self, event: events.Event) -> None:
        day = event.at.astimezone().date().isoformat()
        if day != self._day:
            self._day = day
            self._callers.clear()
        for what, who, amount in _counted(event):
            if amount:
                self._counts[day, what, self._told(who)] += amount

    def _told(self, who: str) -> str:
        name = safe(who.strip(), 64) or "(no AE title)"
        if name not in self._callers and len(self._callers) >= _CALLERS:
            return OTHERS
        self._callers.add(name)
        return name

    async def flush(self) -> None:
        """Write what was counted since the last time; what could not be written is kept. Raises PacsError then."""
        if not self._counts:
            return
        counts, self._counts = self._counts, Counter()
        rows = [(*key, amount) for key, amount in counts.items()]
        new_day = self._day != self._tidied

        def body(connection: sqlite3.Connection) -> None:
            connection.executemany(_PUT, rows)
            if new_day:
                connection.execute(_FORGET, (_DAYS_KEPT,))

        try:
            await self._db.write(body)
        except BaseException:
            self._counts.update(counts)
            raise
        self._tidied = self._day


def _counted(event: events.Event) -> Iterator[tuple[str, str, int]]:
    """Yield what, whose and how many an event counts for."""
    match event:
        case events.AssociationOpened():
            yield ASSOCIATIONS, event.calling, 1
        case events.AssociationClosed():
            if event.how != "released":
                yield BROKEN, event.calling, 1
        case events.AssociationRefused():
            yield REFUSED, event.calling.strip() or event.address, 1
        case events.InstanceRefused():
            yield NOT_STORED, event.calling, 1
        case events.InstanceQuarantined():
            yield SET_ASIDE, event.calling, 1
        case events.Retrieved():
            yield SENT, event.destination or event.calling, event.completed + event.warning
            yield NOT_SENT, event.destination or event.calling, event.failed
        case events.StudyFetched():
            yield FETCHED, event.peer, event.received
            yield NOT_FETCHED, event.peer, event.failed or int(bool(event.why))
