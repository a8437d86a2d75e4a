"""Why a correction cannot be undone, if it cannot."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from pacstui.index import away
from pacstui.qc.ledger import Row
from pacstui.text import plural


def hindrance(connection: sqlite3.Connection, correction: Row) -> str:
    """Return why a correction cannot be undone, empty if it can."""
    if correction["state"] != "on":
        return "it is undone already"
    later = [row[0] for row in connection.execute(
        "SELECT DISTINCT t.correction FROM corrected_studies t JOIN corrections c ON c.id = t.correction"
        " WHERE c.state = 'on' AND t.correction > ? AND t.study IN"
        " (SELECT study FROM corrected_studies WHERE correction = ?) ORDER BY t.correction DESC",
        (correction["id"], correction["id"]),
    )]  # fmt: skip
    if later:
        numbers = ", ".join(str(each) for each in later[:5])
        return f"what came after it has to be undone first: {plural(len(later), 'correction')} ({numbers})"
    body = json.loads(correction["body"])
    if _in_trash(connection, correction["id"], body):  # late objects of it may be here already
        return "something of it is in the trash: bring it back first, or empty it"
    return ""


def studies_of(connection: sqlite3.Connection, correction: int) -> list[str]:
    """Return the Study Instance UIDs that a correction is about."""
    rows = connection.execute("SELECT study FROM corrected_studies WHERE correction=? ORDER BY study", (correction,))
    return [row[0] for row in rows]


def _in_trash(connection: sqlite3.Connection, correction: int, body: dict[str, Any]) -> bool:
    """Return whether anything that a correction changed is in the trash: its rows there are as they were corrected."""
    images = [key.partition(" ")[2] for key in body["rows"] if key.startswith("instances ")]
    series = {int(key.partition(" ")[2]) for key in body["rows"] if key.startswith("series ")}
    for level, study, uid in connection.execute(
        "SELECT DISTINCT t.level, t.study, d.series_uid FROM trash t JOIN trashed d ON d.trash = t.id"
        " WHERE t.study IN (SELECT study FROM corrected_studies WHERE correction=?)", (correction,),
    ).fetchall():  # fmt: skip
        row = away.kept_series(connection, study, uid)
        if level == "study" or (row is not None and row["id"] in series):
            return True
    return connection.execute(
        "SELECT 1 FROM trashed WHERE sop_instance IN (SELECT value FROM json_each(?) UNION ALL"
        " SELECT new FROM renamed_instances WHERE correction=? UNION ALL"
        " SELECT sop_instance FROM rejected_instances WHERE correction=? AND awaited=0) LIMIT 1",
        (json.dumps(images), correction, correction),
    ).fetchone() is not None  # fmt: skip
