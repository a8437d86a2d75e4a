"""Where scheduled steps and orders stand, as far as it follows from what was performed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from pacstui.clock import microseconds
from pacstui.orders.reading import COMPLETED, IN_PROGRESS
from pacstui.orders.rows import HISTORY, state_of

_TOLD: Final = {
    "in progress": "begun", "completed": "completed", "discontinued": "discontinued", "arrived": "patient arrived",
    "scheduled": "scheduled again", "cancelled": "cancelled",
}  # fmt: skip


def note(connection: sqlite3.Connection, order: int, at: datetime, sentence: str) -> None:
    """Write down what happened to an order: a sentence of its history."""
    row = connection.execute("SELECT body FROM orders WHERE id = ?", (order,)).fetchone()
    body = json.loads(row[0])
    body["history"] = [*body.get("history", ()), f"{at.astimezone():%Y-%m-%d %H:%M} {sentence}"][-HISTORY:]
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    connection.execute("UPDATE orders SET body = ? WHERE id = ?", (text, order))


def follow(connection: sqlite3.Connection, steps: Iterable[int], now: datetime, who: str) -> tuple[int, ...]:
    """Let steps and their orders stand where their performed steps are; return the steps that moved.

    One that is done in several parts is in progress while one of them is, and completed if one of them was.
    """
    at = microseconds(now)
    moved = []
    orders = set()
    for step in steps:
        rows = connection.execute(
            "SELECT p.state, p.sop_instance FROM performed_steps l JOIN performed p ON p.id = l.performed"
            " WHERE l.step = ? ORDER BY p.id",
            (step,),
        ).fetchall()
        if not rows:
            continue
        states = {row[0] for row in rows}
        state = (
            "in progress" if IN_PROGRESS in states else "completed" if COMPLETED in states else "discontinued"
        )  # fmt: skip
        order, before = connection.execute('SELECT "order", state FROM steps WHERE id = ?', (step,)).fetchone()
        connection.execute(
            "UPDATE steps SET state = ?, performed = ?, changed = ? WHERE id = ?", (state, rows[-1][1], at, step)
        )
        if state != before:
            moved.append(step)
            orders.add(order)
            note(connection, order, now, f"{_TOLD[state]}, says {who}")
    for order in orders:
        settle(connection, order, at)
    return tuple(moved)


def settle(connection: sqlite3.Connection, order: int, at: int) -> None:
    """Let an order stand where its steps are."""
    rows = connection.execute('SELECT state FROM steps WHERE "order" = ?', (order,)).fetchall()
    state = state_of(row[0] for row in rows)
    connection.execute(
        "UPDATE orders SET state = ?, changed = ? WHERE id = ? AND state != ?", (state, at, order, state)
    )
