"""How destinations stand, in words: a row for each, and what of it is a problem."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from pacstui.clock import Clock
from pacstui.contract.queue import DestinationRow
from pacstui.routing import listing
from pacstui.routing.destination import Destination
from pacstui.routing.outbox import Sums
from pacstui.text import duration, plural, safe

_GRAVITY: Final = {"down": 0, "unknown": 0, "paused": 1, "sending": 2}


def ordered(rows: Iterable[DestinationRow]) -> tuple[DestinationRow, ...]:
    """Return rows with those in trouble first."""
    return tuple(sorted(rows, key=lambda row: (_GRAVITY.get(row.status, 3), not row.failed, row.destination)))


def unknown(name: str, sums: Sums, why: str) -> DestinationRow:
    """Return the row of a destination that there is not; ``why`` where it is set up, but cannot be used."""
    why = why or "there is no such peer or destination (any more)"
    hint = "add it again, redirect what waits to another one, or cancel it"
    return DestinationRow(
        safe(name, 64), sums.waiting, 0, sums.failed, _oldest(sums), 0.0, why, "unknown", "unknown", sums.held,
        sums.bytes, why=why, hint=hint,
    )  # fmt: skip


def row(each: Destination, sums: Sums, held_up: str, clock: Clock) -> DestinationRow:
    """Return the row of a destination; ``held_up`` says why nothing is sent to it by maintenance."""
    breaker, now = each.breaker, clock.now()
    status = "idle"
    if each.paused_by:
        status = "paused"
    elif held_up:
        status = "held up"
    elif breaker.open:
        status = "down"
    elif each.sending or each.taken:
        status = "sending"
    elif sums.waiting:
        status = "closed" if each.closed(now) else "waiting"
    words = each.words()
    if words == "idle" and sums.failed:
        words = f"{plural(sums.failed, 'object')} failed; nothing else waits"
    elif words == "idle" and sums.waiting:
        words = "all of it is held" if sums.held == sums.waiting else "waits for studies to be complete"
    since = now - timedelta(seconds=clock.monotonic() - breaker.since) if breaker.open else None
    settings = each.settings
    return DestinationRow(
        safe(each.name, 64), sums.waiting, each.sending, sums.failed, _oldest(sums), each.attempts.rate, words,
        "folder" if settings.folder else "move" if settings.move_from else "peer", status, sums.held, sums.bytes,
        each.attempts.sent, each.attempts.last_sent, since, breaker.why, breaker.hint,
    )  # fmt: skip


def _oldest(sums: Sums) -> datetime | None:
    return listing.when(sums.oldest) if sums.oldest else None


def problems(rows: Iterable[DestinationRow], waits_h: float, now: datetime) -> Iterable[tuple[str, str, str, str, str]]:
    """Yield what is wrong with what goes out, for the list of problems; nothing may wait longer than ``waits_h``."""
    for row in rows:
        key, screen = f"queue {row.destination}", f"queue:{row.destination}"
        waiting = plural(row.waiting, "object")
        if row.status == "unknown" and (row.waiting or row.failed):
            told = f"{plural(row.waiting + row.failed, 'object')} for {row.destination} go nowhere: {row.why}"
            yield f"{key} unknown", "fail", told, row.hint, screen
        elif row.status == "down":
            wait = "waits" if row.waiting == 1 else "wait"
            yield (
                f"{key} down",
                "fail",
                f"{row.destination} takes nothing, {waiting} {wait}: {row.why}",
                row.hint,
                screen,
            )
        elif row.oldest is not None and (now - row.oldest).total_seconds() > waits_h * 3600 and row.status != "closed":
            have = "has" if row.waiting == 1 else "have"
            waited = duration((now - row.oldest).total_seconds())
            told = f"{waiting} for {row.destination} {have} waited for up to {waited}: {row.state}"
            yield f"{key} old", "warn", told, "the queue says what holds it up", screen
        if row.failed and row.status != "unknown":
            told = f"{plural(row.failed, 'object')} could not be sent to {row.destination}"
            yield f"{key} failed", "warn", told, "on the queue's screen, e shows why; r tries again", screen
