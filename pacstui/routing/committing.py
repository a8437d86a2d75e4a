"""Asks destinations for storage commitment (PS3.4 J) of what they took, where their settings say so.

Nothing of it is kept beside the requests themselves: a study is asked about when no request to that destination is
later than what was sent. So a restart in between forgets nothing, and what is sent again is asked about again.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

from pacstui.clock import Clock, microseconds
from pacstui.db import Database
from pacstui.errors import PacsError
from pacstui.index.commitments import FAILED, NO_ANSWER, NOT_COMMITTED, Reference
from pacstui.text import plural, safe

log = logging.getLogger("pacstui.routing")
_DAY_US: Final = 86_400_000_000
_QUIET_US: Final = 3_000_000
_AT_ONCE: Final = 20
_PROBLEMS_S: Final = 15.0
_KEPT_DAYS: Final = 30
_MOST: Final = 500

Ask = Callable[[str, str, Sequence[Reference]], Awaitable[object]]
"""Asks a peer about objects of a study."""

_NEW = (
    "SELECT DISTINCT g.destination, g.study FROM sendings g WHERE g.changed > ? AND g.changed <= ?"
    " AND g.destination IN (SELECT value FROM json_each(?)) AND g.waiting = 0 AND g.sent + g.warning > 0"
    " AND g.transform = '' AND NOT EXISTS (SELECT 1 FROM asked_commitments a WHERE a.peer = g.destination"
    " AND a.study = g.study AND a.sent >= g.changed) LIMIT ?"
)
_TAKEN = (
    "SELECT DISTINCT i.sop_class, i.sop_instance FROM sendings g JOIN outbox o ON o.sending = g.id"
    " JOIN instances i ON i.sop_instance = o.sop_instance WHERE g.study = ? AND g.destination = ? AND g.transform = ''"
    " AND o.state IN ('sent', 'warning') ORDER BY i.id"
)
_BAD = (
    "SELECT a.id, a.peer, a.state, a.problem, (SELECT count(*) FROM json_each(iif(a.result = '', '[]', a.result))"
    " WHERE json_extract(value, '$[2]') != 0) FROM asked_commitments a"
    " WHERE a.peer IN (SELECT value FROM json_each(?)) AND a.sent > ? AND a.state IN (?, ?, ?)"
    " AND a.id = (SELECT max(b.id) FROM asked_commitments b WHERE b.peer = a.peer AND b.study = a.study)"
    " ORDER BY a.id DESC LIMIT ?"
)


class _Bad(NamedTuple):
    id: int
    peer: str
    state: str
    problem: str
    missing: int


class Committing:
    """Asks about what was sent, and tells what is not kept. Runs on the event loop.

    Parameters
    ----------
    wanted
        Names of the destinations that are to be asked.
    """

    def __init__(self, database: Database, wanted: Callable[[], Collection[str]], clock: Clock) -> None:
        self._db = database
        self._wanted = wanted
        self._clock = clock
        self._since = 0
        self._looked = -_PROBLEMS_S
        self._bad: list[_Bad] = []
        self.ask: Ask | None = None

    async def tick(self) -> None:
        """Ask about what was sent since the last time, and see what came of it; called every few seconds."""
        names = json.dumps(sorted(self._wanted()))
        now = microseconds(self._clock.now())
        if names != "[]" and self.ask is not None:
            await self._ask_new(self.ask, names, now)
        if self._clock.monotonic() - self._looked >= _PROBLEMS_S:
            self._looked = self._clock.monotonic()
            given = (names, now - _KEPT_DAYS * _DAY_US, NOT_COMMITTED, FAILED, NO_ANSWER, _MOST)
            self._bad = await self._db.read(lambda c: [_Bad(*row) for row in c.execute(_BAD, given)])

    async def _ask_new(self, ask: Ask, names: str, now: int) -> None:
        """Ask about what was sent since the last look; after a start, and when the clock was set back, since a day."""
        upto = now - _QUIET_US
        since = self._since if now - _DAY_US < self._since <= now else now - _DAY_US
        found = await self._db.read(lambda c: c.execute(_NEW, (since, upto, names, _AT_ONCE)).fetchall())
        for destination, study in found:
            references = await self._db.read(partial(_taken, study, destination))
            if not references:
                continue
            try:
                await ask(destination, study, references)
            except PacsError as fault:
                log.warning("%s could not be asked for storage commitment: %s", safe(destination, 64), fault)
        if len(found) < _AT_ONCE:
            self._since = upto

    def answered(self) -> None:
        """Look with the next tick at what came of it."""
        self._looked = -_PROBLEMS_S

    def problems(self) -> Iterable[tuple[str, str, str, str, str]]:
        """Yield what destinations do not keep, or do not say, for the list of problems."""
        for peer in sorted({each.peer for each in self._bad}):
            of = [each for each in self._bad if each.peer == peer]
            name = safe(peer, 64)
            lost = [each for each in of if each.state == NOT_COMMITTED]
            if lost:
                told = f"{name} does not keep {plural(sum(each.missing for each in lost), 'object')} that it took"
                hint = "send those studies again: s on the study; pacstui commitments asked names the objects"
                yield f"commit {peer} lost", "fail", told, hint, f"queue:{peer}"
            mute = [each for each in of if each.state != NOT_COMMITTED]
            if mute:
                number = plural(len(mute), "study", "studies")
                told = f"{name} does not say whether it keeps {number} that it took: {safe(mute[0].problem, 120)}"
                hint = f"see whether it does storage commitment; pacstui commitments again {mute[0].id} asks again"
                yield f"commit {peer} mute", "warn", told, hint, f"queue:{peer}"


def _taken(study: str, destination: str, connection: sqlite3.Connection) -> list[Reference]:
    return [(row[0], row[1]) for row in connection.execute(_TAKEN, (study, destination))]
