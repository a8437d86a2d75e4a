"""The worklist as people see it: rows of steps with their orders and patients, of performed steps, of studies without
an order. Everything here runs on a reader's thread."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pacstui.clock import microseconds, moment
from pacstui.contract.worklist import PerformedRow, Standing, StepPage, StepRow, StepView, UnorderedRow, WorklistView
from pacstui.index.fold import fold
from pacstui.orders.days import minutes_late
from pacstui.orders.holding import BODY, IS_HELD, ON_HOLD, hold_of
from pacstui.orders.reading import IN_PROGRESS
from pacstui.orders.rows import OPEN
from pacstui.text import safe

NO_IMAGES: Final = "no images yet"
_OF_ORDER: Final = (
    "(SELECT COALESCE(SUM(t.instances), 0) FROM studies t WHERE t.study IN (SELECT o.study UNION"
    " SELECT m.study FROM matches m WHERE m.\"order\" = o.id AND (m.state = 'matched' OR m.settled != '')))"
)
_EXPECTED: Final = (
    "(SELECT SUM(CASE WHEN q.state = 'IN PROGRESS' AND q.images = 0 THEN NULL ELSE q.images END)"
    " FROM performed_steps l JOIN performed q ON q.id = l.performed WHERE l.step = s.id)"
)
_FROM: Final = ' FROM steps s JOIN orders o ON o.id = s."order" JOIN persons p ON p.id = o.person'
_SHOWN: Final = (
    f"SELECT s.id, o.id, s.date, s.time, s.modality, s.station_ae, s.room, s.state, p.name, p.patient_id, p.issuer,"
    f" p.birth_date, p.sex, o.accession, s.description, o.description, o.procedure_id, s.step_id, o.study, o.priority,"
    f" s.physician, {_EXPECTED} expected, {_OF_ORDER} received, o.source, {BODY}{_FROM}"
)
_STEP_HELD: Final = f'(SELECT {IS_HELD} FROM orders o WHERE o.id = steps."order")'  # noqa: S608 - ours
_PERFORMED: Final = (
    "SELECT id, sop_instance, state, station_ae, calling, modality, patient_name, patient_id, study, accession, step,"
    " started, ended, images, reason, body FROM performed"
)
_ORDERED: Final = (
    "EXISTS (SELECT 1 FROM orders WHERE orders.study = t.study)"
    ' OR EXISTS (SELECT 1 FROM matches m WHERE m.study = t.study AND m."order" != 0'
    " AND (m.state IN ('matched', 'probable') OR m.settled != ''))"
    " OR (t.accession_key != '' AND EXISTS (SELECT 1 FROM orders WHERE orders.accession_key = t.accession_key)"
    " AND NOT EXISTS (SELECT 1 FROM matches m WHERE m.study = t.study))"
)
_UNORDERED: Final = (
    "SELECT t.study, t.patient_name, t.patient_id, t.accession, t.modalities, t.description, t.calling, t.instances,"
    " t.received FROM studies t"
)
_TEXT: Final = 64


@dataclass(frozen=True, slots=True)
class Shown:
    """Which steps people want to see: from ``first`` to ``last`` day; empty text: all."""

    first: str
    last: str
    modality: str = ""
    state: str = ""
    search: str = ""
    after: str = ""
    limit: int = 100


GRACE_MIN: Final = 5
"""Minutes after its time for which nobody calls a step late."""


def today(now: datetime, connection: sqlite3.Connection) -> dict[str, int]:
    """Count today's steps: all, those still to come, those in progress, and those that should have begun."""
    here = now.astimezone()
    day, due = f"{here:%Y%m%d}", f"{here - timedelta(minutes=GRACE_MIN):%Y%m%d%H%M%S}"
    row = connection.execute(
        "SELECT count(*), sum(state IN ('scheduled', 'arrived')), sum(state = 'in progress'),"  # noqa: S608 - ours
        " sum(state IN ('scheduled', 'arrived') AND date || substr(time, 1, 6) < ? AND time != ''"
        f" AND NOT {_STEP_HELD})"
        " FROM steps WHERE date = ?",
        (due, day),
    ).fetchone()
    return dict(zip(("today", "to_come", "in_progress", "late"), (number or 0 for number in row), strict=True))


def _state(state: str, expected: int | None, received: int, held: object = False) -> str:
    """Return where a step stands: one that was completed and should have images, of which there are none, has none
    yet; one that has not begun and is ``held`` is on hold."""
    if held and state in OPEN:
        return ON_HOLD
    return NO_IMAGES if state == "completed" and not received and expected != 0 else state


def _row(row: Sequence[Any], now: datetime) -> StepRow:
    (
        id, order, date, time, modality, station, room, state, name, patient_id, issuer, birth_date, sex, accession,
        description, procedure, procedure_id, step_id, study, priority, physician, expected, received, source, body,
    ) = row  # fmt: skip
    hold = hold_of(body) if state in OPEN else None
    late = minutes_late(date, time, now) if state in OPEN and hold is None else 0
    return StepRow(
        id, order, safe(date, 8), safe(time, 16), safe(modality, 16), safe(station, _TEXT), safe(room, _TEXT),
        _state(state, expected, received, hold), safe(name, 200), safe(patient_id, _TEXT), safe(issuer, _TEXT),
        safe(birth_date, 10), safe(sex, 16), safe(accession, _TEXT), safe(description or procedure, _TEXT),
        safe(procedure_id, _TEXT), safe(step_id, _TEXT), safe(study, _TEXT), safe(priority, 16), safe(physician, 200),
        -1 if expected is None else expected, received, late, safe(source, _TEXT),
        hold.who if hold is not None else "", safe(hold.why, 200) if hold is not None else "",
    )  # fmt: skip


def steps(shown: Shown, now: datetime, connection: sqlite3.Connection) -> StepPage:
    """Return a page of steps by date and time."""
    where, values = ["s.date >= ?", "s.date <= ?"], [shown.first, shown.last]
    if shown.modality:
        where.append("s.modality = ?")
        values.append(shown.modality)
    if shown.state in (NO_IMAGES, "completed"):
        none = f"({_OF_ORDER} = 0 AND COALESCE({_EXPECTED}, -1) != 0)"
        where.append(f"s.state = 'completed' AND {none if shown.state == NO_IMAGES else f'NOT {none}'}")
    elif shown.state == ON_HOLD:
        where.append(f"s.state IN ('scheduled', 'arrived') AND {IS_HELD}")
    elif shown.state:
        where.append(f"s.state = ? AND NOT (s.state IN ('scheduled', 'arrived') AND {IS_HELD})")
        values.append(shown.state)
    if shown.search:
        where.append(
            "(instr(p.name_key, ?) OR instr(lower(p.patient_id), ?) OR instr(lower(o.accession), ?)"
            " OR instr(lower(s.description), ?) OR o.study = ?)"
        )
        text = shown.search.strip().lower()
        values += [fold(shown.search), text, text, text, shown.search.strip()]
    if shown.after:
        date, time, id = (*shown.after.split("|"), "", "")[:3]
        where.append("(s.date, s.time, s.id) > (?, ?, CAST(? AS INTEGER))")
        values += [date, time, id]
    rows = connection.execute(
        f"{_SHOWN} WHERE {' AND '.join(where)} ORDER BY s.date, s.time, s.id LIMIT ?",
        (*values, shown.limit + 1),
    ).fetchall()
    kept = rows[: shown.limit]
    last = kept[-1] if len(rows) > shown.limit else None
    return StepPage(tuple(_row(row, now) for row in kept), f"{last[2]}|{last[3]}|{last[0]}" if last else "")


def one(id: int, now: datetime, connection: sqlite3.Connection) -> StepRow | None:
    """Return one step."""
    row = connection.execute(f"{_SHOWN} WHERE s.id = ?", (id,)).fetchone()
    return _row(row, now) if row else None


def view(id: int, now: datetime, connection: sqlite3.Connection) -> StepView | None:
    """Return one step with what was performed of it and what happened to its order."""
    found = one(id, now, connection)
    if found is None:
        return None
    codes, reason, referring, placer, filler, body = connection.execute(
        "SELECT s.codes, o.reason, o.referring, o.placer, o.filler, o.body FROM steps s JOIN orders o"
        ' ON o.id = s."order" WHERE s.id = ?',
        (id,),
    ).fetchone()
    rows = connection.execute(
        f"{_PERFORMED} WHERE id IN (SELECT performed FROM performed_steps WHERE step = ?) ORDER BY id",  # noqa: S608
        (id,),
    )
    more = _json(body)
    comments = more.get("comments") or []
    return StepView(
        found,
        tuple(_performed(row, connection) for row in rows.fetchall()),
        tuple(safe(_code(each), 150) for each in json.loads(codes) if isinstance(each, list) and each),
        safe(reason, 200),
        safe("; ".join(str(each) for each in comments) if isinstance(comments, list) else str(comments), 1000),
        safe(referring, 200), safe(placer, _TEXT), safe(filler, _TEXT),
        tuple(safe(str(each), 300) for each in more.get("history") or ()),
    )  # fmt: skip


def _code(parts: Sequence[Any]) -> str:
    value, scheme, meaning = [str(part) for part in (*parts, "", "")][:3]
    return f"{meaning or value} ({value}{', ' + scheme if scheme else ''})"


def _json(text: str) -> dict[str, Any]:
    found = json.loads(text)
    return found if isinstance(found, dict) else {}


def performed(
    day: str, state: str, before: int, limit: int, connection: sqlite3.Connection
) -> tuple[PerformedRow, ...]:
    """Return performed steps that began on a day (empty: any), newest first, below a number (0: from the newest)."""
    where, values = ["1"], list[Any]()
    if day:
        where.append("started >= ? AND started < ?")
        values += [day, f"{day}~"]
    if state:
        where.append("state = ?")
        values.append(state)
    if before:
        where.append("id < ?")
        values.append(before)
    rows = connection.execute(
        f"{_PERFORMED} WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?",
        (*values, limit),
    )
    return tuple(_performed(row, connection) for row in rows.fetchall())


def _performed(row: Sequence[Any], connection: sqlite3.Connection) -> PerformedRow:
    (
        id, instance, state, station, calling, modality, name, patient_id, study, accession, step, started, ended,
        images, reason, body,
    ) = row  # fmt: skip
    expected = -1 if state == IN_PROGRESS and not images else images
    return PerformedRow(
        id, safe(instance, _TEXT), safe(state, 16), safe(station or calling, 16), safe(modality, 16), safe(name, 200),
        safe(patient_id, _TEXT), safe(study, _TEXT), safe(accession, _TEXT), step, safe(started, 16), safe(ended, 16),
        expected, received(connection, study, _json(body).get("series") or {}), safe(reason, 200),
        _forwarded(connection, id),
    )  # fmt: skip


def received(connection: sqlite3.Connection, study: str, series: Iterable[str]) -> int:
    """Return how many objects of a study are here, only those of ``series`` where some are named."""
    named = json.dumps(list(series))
    only = " AND r.series IN (SELECT value FROM json_each(?))" if named != "[]" else " AND ? != ''"
    row = connection.execute(
        f"SELECT COALESCE(SUM(r.instances), 0) FROM studies t JOIN series r ON r.study = t.id WHERE t.study = ?{only}",  # noqa: S608
        (study, named),
    ).fetchone()
    return int(row[0])


def _forwarded(connection: sqlite3.Connection, performed: int) -> str:
    """Return in words to whom a performed step was passed on."""
    rows = connection.execute(
        "SELECT peer, SUM(state = 'waiting'), SUM(state = 'failed'), MAX(CASE WHEN state != 'sent' THEN problem END)"
        " FROM mpps_outbox WHERE performed = ? GROUP BY peer ORDER BY peer",
        (performed,),
    ).fetchall()
    told = []
    for peer, waiting, failed, problem in rows:
        word = "failed for" if failed else "waits for" if waiting else "told"
        told.append(f"{word} {safe(peer, _TEXT)}{': ' + safe(problem, 120) if problem else ''}")
    return "; ".join(told)


def day(day: str, connection: sqlite3.Connection) -> WorklistView:
    """Return where a day's steps stand, by modality and room."""
    rows = connection.execute(
        f"SELECT s.modality, s.room, s.state, {_EXPECTED}, {_OF_ORDER}, {IS_HELD}{_FROM} WHERE s.date = ?", (day,)
    ).fetchall()
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for modality, room, state, expected, here, held in rows:
        count = counts.setdefault((modality, room), {})
        word = _state(state, expected, here, held)
        count[word] = count.get(word, 0) + 1
    unordered = connection.execute(
        f"SELECT COUNT(*) FROM studies t WHERE t.date = ? AND NOT ({_ORDERED})",  # noqa: S608
        (day,),
    ).fetchone()[0]
    standing = tuple(Standing(safe(m, 16), safe(r, _TEXT), counts[m, r]) for m, r in sorted(counts))
    return WorklistView(day, standing, unordered)


def unordered(day: str, limit: int, connection: sqlite3.Connection) -> tuple[UnorderedRow, ...]:
    """Return a day's studies that belong to no order, newest first."""
    rows = connection.execute(
        f"{_UNORDERED} WHERE t.date = ? AND NOT ({_ORDERED}) ORDER BY t.id DESC LIMIT ?",
        (day, limit),
    ).fetchall()
    return tuple(
        UnorderedRow(
            safe(study, _TEXT), safe(name, 200), safe(patient_id, _TEXT), safe(accession, _TEXT), safe(modality, _TEXT),
            safe(description, _TEXT), safe(calling, 16), instances, moment(at),
        )
        for study, name, patient_id, accession, modality, description, calling, instances, at in rows
    )  # fmt: skip


def without_images(minutes: int, now: datetime, connection: sqlite3.Connection) -> tuple[int, str]:
    """Return how many steps of today and yesterday were completed so long ago and have no images, and the first of
    them in words."""
    first = (now.astimezone() - timedelta(days=1)).strftime("%Y%m%d")
    limit = microseconds(now - timedelta(minutes=minutes))
    rows = connection.execute(
        f"SELECT s.modality, s.station_ae, s.time{_FROM} WHERE s.date >= ? AND s.state = 'completed'"
        f" AND s.changed < ? AND {_OF_ORDER} = 0 AND COALESCE({_EXPECTED}, -1) != 0 ORDER BY s.date, s.time, s.id",
        (first, limit),
    ).fetchall()
    if not rows:
        return 0, ""
    modality, station, time = rows[0]
    return len(rows), f"{safe(station or modality, 16)} at {safe(time[:2], 2)}:{safe(time[2:4], 2)}"
