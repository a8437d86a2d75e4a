"""What destinations that have the wrong copy are sent: the rejection note, then the right copies."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Protocol

from pacstui.index.redirects import current
from pacstui.qc.ledger import Row


class Telling(Protocol):
    """Queues objects of a study for a destination; returns how many there are."""

    async def __call__(self, study: str, objects: Sequence[str], to: str) -> int: ...


def right_copies(connection: sqlite3.Connection, correction: Row) -> tuple[list[str], list[str]]:
    """Return SOP Instance UIDs of the note, and of what takes the place of the wrong copies, in their order.

    After an undo there is no note any more, and what takes their place is what is there now.
    """
    body = json.loads(correction["body"])
    note = [current(connection, correction["note_uid"])] if correction["note_uid"] else []
    if correction["state"] != "on":
        note = []
    found: list[str] = []
    if body["of_images"]:
        rows = connection.execute(
            "SELECT i.sop_instance FROM instances i JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study"
            " WHERE i.sop_instance IN (SELECT value FROM json_each(?)) AND s.hidden = 0 ORDER BY i.id",
            (json.dumps([current(connection, uid) for uid in body["of_images"]]),),
        )
        found = [row[0] for row in rows]
    else:
        rows = connection.execute(
            "SELECT i.sop_instance FROM instances i JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study"
            " WHERE e.id IN (SELECT value FROM json_each(?)) AND s.hidden = 0 ORDER BY e.id, i.id",
            (json.dumps(body["of_series"]),),
        )
        found = [row[0] for row in rows]
    rejected = correction["state"] == "on" and body.get("rejects")
    return note, [] if rejected else [uid for uid in found if uid not in note]
