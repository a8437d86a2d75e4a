"""Maintenance windows in the database. Times are microseconds since 1970."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta

from pacstui.clock import microseconds, moment_or_none
from pacstui.contract.maintenance import WindowRow
from pacstui.errors import BadRequest, NotFound
from pacstui.text import safe

EFFECTS = ("announce", "echo", "drain")
_COLUMNS = 'id, start, "end", reason, owner, effect, peers, cancelled, made_by, made'
_LONGEST = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Window:
    """A planned piece of maintenance; see :class:`pacstui.contract.maintenance.WindowRow`."""

    id: int
    start: int
    end: int
    reason: str
    owner: str
    effect: str
    peers: tuple[str, ...]
    cancelled: bool
    made_by: str
    made: int

    def runs(self, now: int) -> bool:
        """Return whether it is on."""
        return not self.cancelled and self.start <= now < self.end

    def state(self, now: int) -> str:
        """Return planned, running, over or cancelled."""
        if self.cancelled:
            return "cancelled"
        return "planned" if now < self.start else "running" if now < self.end else "over"

    def row(self, now: int) -> WindowRow:
        """Return it as the console shows it."""
        start, end, made = moment_or_none(self.start), moment_or_none(self.end), moment_or_none(self.made)
        assert start is not None
        assert end is not None
        assert made is not None
        return WindowRow(
            self.id, start, end, safe(self.reason, 200), safe(self.owner, 64), self.effect, self.peers, self.state(now),
            safe(self.made_by, 64), made,
        )  # fmt: skip


def _window(row: tuple[int, int, int, str, str, str, str, int, str, int]) -> Window:
    ident, start, end, reason, owner, effect, peers, cancelled, made_by, made = row
    return Window(ident, start, end, reason, owner, effect, tuple(json.loads(peers)), bool(cancelled), made_by, made)


def since(connection: sqlite3.Connection, at: int) -> list[Window]:
    """Return the windows that end after a time, the first to begin first."""
    rows = connection.execute(f'SELECT {_COLUMNS} FROM maintenance WHERE "end" > ? ORDER BY start, id', (at,))  # noqa: S608
    return [_window(row) for row in rows]


def one(connection: sqlite3.Connection, ident: int) -> Window:
    """Return a window. Raises `NotFound`."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM maintenance WHERE id=?", (ident,)).fetchone()  # noqa: S608 - ours
    if row is None:
        raise NotFound(f"there is no maintenance window {ident}", "pacstui maintenance show lists them")
    return _window(row)


def put(connection: sqlite3.Connection, window: Window) -> Window:
    """Keep a window; one with the id 0 is new. Return it with its id."""
    values = (
        window.start, window.end, window.reason, window.owner, window.effect, json.dumps(window.peers),
        int(window.cancelled), window.made_by, window.made,
    )  # fmt: skip
    if window.id:
        connection.execute(
            'UPDATE maintenance SET start=?, "end"=?, reason=?, owner=?, effect=?, peers=?, cancelled=?, made_by=?,'
            " made=? WHERE id=?",
            (*values, window.id),
        )
        return window
    made = connection.execute(
        'INSERT INTO maintenance (start, "end", reason, owner, effect, peers, cancelled, made_by, made)'
        " VALUES (?,?,?,?,?,?,?,?,?)",
        values,
    ).lastrowid
    assert made is not None
    return one(connection, made)


def rename_peer(connection: sqlite3.Connection, old: str, new: str) -> None:
    """Let windows name a peer by its new name."""
    for ident, text in connection.execute("SELECT id, peers FROM maintenance WHERE peers != '[]'").fetchall():
        peers = json.loads(text)
        if old in peers:
            renamed = json.dumps(list(dict.fromkeys(new if each == old else each for each in peers)))
            connection.execute("UPDATE maintenance SET peers=? WHERE id=?", (renamed, ident))


def moment_of(text: str, now: datetime, base: datetime | None = None) -> datetime:
    """Return the time that a text means: ``2026-12-24 22:00``, ``22:00`` (the next one after ``base`` or now), ``+2 h``
    or ``+30 min`` (after ``base`` or now).

    Raises
    ------
    BadRequest
        When it cannot be understood.
    """
    said, begin = text.strip(), base or now
    try:
        if said.startswith("+"):
            number, _, unit = said[1:].strip().partition(" ")
            scale = {"min": 60, "h": 3600, "d": 86400}[unit.strip() or "min"]
            return begin + timedelta(seconds=float(number) * scale)
        if len(said) <= 5:
            hour, minute = said.split(":")
            local = begin.astimezone()
            found = local.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
            return found if found > local else (found + timedelta(days=1))
        found = datetime.fromisoformat(said)
        return found if found.tzinfo else found.astimezone()
    except (ValueError, KeyError, OverflowError):
        raise BadRequest(f'"{safe(text, 40)}" is no time', "write 2026-12-24 22:00, 22:00, +30 min or +2 h") from None


def checked(start: datetime, end: datetime, reason: str, effect: str) -> tuple[int, int]:
    """Return start and end as kept.

    Raises
    ------
    BadRequest
        When they make no window.
    """
    if not reason.strip():
        raise BadRequest("a maintenance window needs a reason", "say what is done; people see it")
    if effect not in EFFECTS:
        raise BadRequest(f"{safe(effect, 32)} is no effect", f"there are: {', '.join(EFFECTS)}")
    if end <= start:
        raise BadRequest("the window ends before it begins", "give a later end, as +2 h")
    if end - start > _LONGEST:
        raise BadRequest("a window is at most 31 days long", "plan several")
    return microseconds(start), microseconds(end)
