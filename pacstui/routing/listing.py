"""Reads of what goes out and went out, as the console shows it."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final

from pacstui.contract.queue import ErrorRow, OutboxRow, SendingRow, SendingsPage, SendingView
from pacstui.errors import NotFound
from pacstui.index.commitments import ASKED, COMMITTED, FAILED, NO_ANSWER, NOT_COMMITTED
from pacstui.index.fold import fold
from pacstui.text import plural, safe

_OBJECTS: Final = 1000
_PRIORITIES: Final = ("high", "medium", "low")
_COLUMNS: Final = (
    "g.id, g.destination, g.route, g.asked_by, g.study, g.series, g.level, coalesce(s.patient_name, ''),"
    " coalesce(s.patient_id, ''), coalesce(s.date, ''), coalesce(s.modalities, ''), coalesce(s.description, ''),"
    " g.held, g.priority, g.transform, g.waiting, g.sent, g.warning, g.failed, g.cancelled, g.filtered,"
    " g.bytes_waiting, g.bytes_sent, g.attempts, g.queued, g.changed, g.due, g.status, g.error, g.hint"
)
_FROM: Final = " FROM sendings g LEFT JOIN studies s ON s.study = g.study"
_ASKED: Final = (
    "SELECT a.id, a.state, json_array_length(a.asked), (SELECT count(*) FROM json_each(iif(a.result = '', '[]',"
    " a.result)) WHERE json_extract(value, '$[2]') != 0), a.problem, a.sent, a.answered FROM sendings g"
    " JOIN asked_commitments a ON a.peer = g.destination AND a.study = g.study AND a.sent >= g.queued"
    " WHERE g.id = ? AND g.transform = '' ORDER BY a.id DESC LIMIT 1"
)
_STATE: Final = {
    "": "1", "all": "1", "unsent": "(g.waiting > 0 OR g.failed > 0)", "open": "g.waiting > 0",
    "held": "g.waiting > 0 AND g.held != 0", "failed": "g.failed > 0",
    "waiting": "g.waiting > 0 AND g.held = 0", "warning": "g.warning > 0", "filtered": "g.filtered > 0",
    "cancelled": "g.cancelled > 0", "sent": "g.waiting = 0 AND g.failed = 0 AND g.sent + g.warning > 0",
    "trouble": "(g.failed > 0 OR (g.waiting > 0 AND g.error != ''))",
}  # fmt: skip
STATES: Final = tuple(name for name in _STATE if name)
"""What a list can be asked for."""


def when(micro: int) -> datetime:
    """Return a time of the database."""
    return datetime.fromtimestamp(micro / 1e6, UTC)


def page(
    connection: sqlite3.Connection, destination: str, state: str, search: str, study: str, before: int, limit: int,
    live: Collection[int], now: int,
) -> SendingsPage:  # fmt: skip
    """Return some sendings, newest first. ``live`` are ids of those that are being sent."""
    terms, values = [_STATE[state]], list[Any]()
    if destination:
        terms.append("g.destination = ?")
        values.append(destination)
    if study:
        terms.append("g.study = ?")
        values.append(study)
    if before:
        terms.append("g.id < ?")
        values.append(before)
    for word in fold(search).split():
        terms.append("(instr(coalesce(s.search, ''), ?) OR instr(lower(g.error), ?) OR instr(lower(g.route), ?))")
        values += [word, word, word]
    rows = connection.execute(
        f"SELECT {_COLUMNS}{_FROM} WHERE {' AND '.join(terms)} ORDER BY g.id DESC LIMIT ?",
        (*values, limit + 1),
    ).fetchall()
    return SendingsPage(tuple(_sending(row, live, now) for row in rows[:limit]), len(rows) > limit)


def one(
    connection: sqlite3.Connection, ident: int, live: Collection[int], taken: Collection[int], now: int
) -> SendingView:
    """Return a sending and its objects. Raises `NotFound`."""
    row = connection.execute(f"SELECT {_COLUMNS}{_FROM} WHERE g.id = ?", (ident,)).fetchone()
    if row is None:
        raise NotFound(f"there is no sending {ident} in the list (any more)", "what was sent leaves it after some days")
    objects = connection.execute(
        "SELECT id, sop_instance, size, state, attempts, next_try, status, error, hint, changed FROM outbox"
        " WHERE sending=? ORDER BY CASE state WHEN 'failed' THEN 0 WHEN 'waiting' THEN 1 WHEN 'filtered' THEN 2"
        " WHEN 'warning' THEN 3 ELSE 4 END, id LIMIT ?",
        (ident, _OBJECTS),
    ).fetchall()
    return SendingView(
        _sending(row, live, now),
        tuple(
            OutboxRow(
                key,
                safe(uid, 64),
                size,
                "sending" if key in taken and state == "waiting" else state,
                attempts,
                when(due) if state == "waiting" and due > now else None,
                None if status < 0 else status,
                safe(error),
                safe(hint),
                when(changed),
            )
            for key, uid, size, state, attempts, due, status, error, hint, changed in objects
        ),
        *_commitment(connection.execute(_ASKED, (ident,)).fetchone()),
    )


def _commitment(row: tuple[Any, ...] | None) -> tuple[str, str, datetime | None]:
    """Return what came of asking the destination for commitment, as `SendingView` has it."""
    if row is None:
        return "", "", None
    number, state, asked, missing, problem, sent, answered = row
    words = {
        ASKED: f"asked about {plural(asked, 'object')}, no answer yet",
        COMMITTED: f"it keeps all of {plural(asked, 'object')}",
        NOT_COMMITTED: f"it does not keep {missing} of {plural(asked, 'object')}; send the study again",
        FAILED: f"could not be asked: {problem}; pacstui commitments again {number} asks again",
        NO_ANSWER: f"{problem}; pacstui commitments again {number} asks again",
    }
    return safe(words.get(state, ""), 300), state, when(answered or sent)


def _sending(row: tuple[Any, ...], live: Collection[int], now: int) -> SendingRow:
    (ident, destination, route, asked_by, study, series, level, name, patient, date, modalities, description, held,
     priority, transform, waiting, sent, warning, failed, cancelled, filtered, bytes_waiting, bytes_sent, attempts,
     queued, changed, due, status, error, hint) = row  # fmt: skip
    if waiting:
        state = (
            "held" if held else "sending" if ident in live else "gathering" if level != "instance" and due > now
            else "retrying" if error else "waiting"
        )  # fmt: skip
    else:
        counts = {"failed": failed, "filtered": filtered, "warning": warning, "sent": sent, "cancelled": cancelled}
        state = next((word for word, number in counts.items() if number), "cancelled")
    return SendingRow(
        ident, safe(destination, 64), safe(route, 64), safe(asked_by, 64), safe(study, 64), safe(series, 64), level,
        name, patient, safe(date, 16), safe(modalities.replace("\\", " "), 64), safe(description, 128), state,
        _PRIORITIES[min(max(priority, 0), 2)], safe(transform, 64), waiting, sent, warning, failed, cancelled, filtered,
        bytes_waiting, bytes_sent, attempts, when(queued), when(changed),
        when(due) if waiting and due > now else None, None if status < 0 else status, safe(error), safe(hint),
    )  # fmt: skip


def errors(connection: sqlite3.Connection, destination: str) -> tuple[ErrorRow, ...]:
    """Return why something failed or is tried again, the most frequent first."""
    more = " AND g.destination = ?" if destination else ""
    values = (destination,) if destination else ()
    rows = connection.execute(
        "SELECT g.destination, o.error, max(o.hint), max(o.status), sum(o.state = 'failed'), sum(o.state = 'waiting'),"  # noqa: S608
        " count(DISTINCT g.id), max(o.changed) FROM sendings g JOIN outbox o ON o.sending = g.id"
        f" WHERE (g.failed > 0 OR g.waiting > 0) AND o.state IN ('failed', 'waiting') AND o.error != ''{more}"
        " GROUP BY g.destination, o.error ORDER BY count(*) DESC LIMIT 200",
        values,
    )
    return tuple(
        ErrorRow(
            safe(to, 64), safe(error), safe(hint), None if status < 0 else status, failed, waiting, number, when(at)
        )
        for to, error, hint, status, failed, waiting, number, at in rows
    )
