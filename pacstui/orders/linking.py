"""Which scheduled procedure steps a performed one is of: by what the modality says it took from its worklist."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from pacstui.dicom.syntaxes import EXPLICIT
from pacstui.orders import reading, standing
from pacstui.orders.reading import Scheduled, Told
from pacstui.text import safe

_STEPS: Final = (
    'SELECT s.id, s.step_id, s.modality FROM orders o JOIN steps s ON s."order" = o.id'
    " JOIN persons p ON p.id = o.person WHERE "
)
_MOST: Final = 100


def link(connection: sqlite3.Connection, performed: int, told: Told) -> tuple[int, ...]:
    """Join a performed step to the scheduled ones that it is of; return these, none if it was not scheduled."""
    found: dict[int, None] = {}
    for each in told.scheduled:
        found |= dict.fromkeys(_of(connection, each, told))
    connection.executemany(
        "INSERT OR IGNORE INTO performed_steps (performed, step) VALUES (?, ?)", [(performed, step) for step in found]
    )
    if found:
        connection.execute("UPDATE performed SET step = ? WHERE id = ?", (next(iter(found)), performed))
    return tuple(found)


def steps_of(connection: sqlite3.Connection, performed: int) -> tuple[int, ...]:
    """Return the scheduled steps that a performed one is of."""
    rows = connection.execute("SELECT step FROM performed_steps WHERE performed = ? ORDER BY step", (performed,))
    return tuple(row[0] for row in rows)


def _of(connection: sqlite3.Connection, each: Scheduled, told: Told) -> list[int]:
    """Find steps by Study Instance UID, which the worklist gives away once; else by accession number, else by ID of the
    step, for the same patient."""
    if each.study:
        found = _fitting(connection, each, told, "o.study = ?", each.study)
        if found:
            return found
    if not told.patient_id:
        return []
    if each.accession:
        found = _fitting(
            connection, each, told, "o.accession = ? AND p.patient_id = ?", each.accession, told.patient_id
        )
        if found:
            return found
    if each.step_id:
        return _fitting(connection, each, told, "s.step_id = ? AND p.patient_id = ?", each.step_id, told.patient_id)
    return []


def _fitting(connection: sqlite3.Connection, each: Scheduled, told: Told, where: str, *values: str) -> list[int]:
    """Return of the steps found that with the ID that was told; without one that of the modality, or the only one."""
    rows = connection.execute(f"{_STEPS}{where} ORDER BY s.id LIMIT {_MOST}", values).fetchall()
    if each.step_id:
        named = [row[0] for row in rows if row[1] == each.step_id]
        if named:
            return named
    if len(rows) > 1:
        rows = [row for row in rows if row[2] == told.modality]
    return [row[0] for row in rows]


def late(connection: sqlite3.Connection, orders: Iterable[int]) -> tuple[int, ...]:
    """Return those of some orders of which something was performed that has no order yet."""
    if connection.execute("SELECT 1 FROM performed WHERE step = 0 LIMIT 1").fetchone() is None:
        return ()
    return tuple(order for order in orders if _unordered(connection, order))


def _unordered(connection: sqlite3.Connection, order: int) -> list[tuple[int, bytes, str]]:
    """Return what was performed without an order and names the study or accession number of this one."""
    row = connection.execute("SELECT study, accession FROM orders WHERE id = ?", (order,)).fetchone()
    if row is None:
        return []
    return connection.execute(
        "SELECT id, data, calling FROM performed WHERE step = 0 AND study = ? AND study != ''"
        " UNION SELECT id, data, calling FROM performed WHERE step = 0 AND accession = ? AND accession != ''",
        row,
    ).fetchall()


def link_late(connection: sqlite3.Connection, orders: Iterable[int], now: datetime) -> tuple[int, ...]:
    """Join what was performed without an order to orders that came after it; return the steps that moved by that."""
    moved: dict[int, None] = {}
    for order in orders:
        for id, data, calling in _unordered(connection, order):
            told = reading.read(reading.decode(reading.unpack(data), EXPLICIT))
            linked = link(connection, id, told)
            moved |= dict.fromkeys(standing.follow(connection, linked, now, safe(told.station_ae or calling, 16)))
    return tuple(moved)
