"""Corrected studies that were deleted: a late object of one, or one from a backup, lands where its siblings were, as
these were corrected, and not under the patient that it says.

Everything here runs on the writer lane's thread.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Final

from pacstui.index import identities

_CORRECTED: Final = (
    "SELECT 1 FROM corrected_studies t JOIN corrections c ON c.id = t.correction"
    " WHERE t.study=? AND c.state='on' LIMIT 1"
)
_GONE: Final = "corrected study "
_KEPT: Final = "SELECT rows FROM trash WHERE study=? ORDER BY id DESC LIMIT 1"


def kept(connection: sqlite3.Connection, study: str) -> dict[str, Any] | None:
    """Return the rows of a corrected study that was deleted, None if it is none."""
    if connection.execute(_CORRECTED, (study,)).fetchone() is None:
        return None
    row = connection.execute(_KEPT, (study,)).fetchone()
    row = row or connection.execute("SELECT value FROM state WHERE name=?", (_GONE + study,)).fetchone()
    found: dict[str, Any] | None = json.loads(row[0]) if row is not None else None
    return found if found and found.get("study") and found.get("patient") else None


def remember(connection: sqlite3.Connection, study: str) -> None:
    """Keep what a corrected study was when it leaves the trash: a backup, or its sender, may bring it back."""
    found = kept(connection, study)
    if found is not None and connection.execute("SELECT 1 FROM studies WHERE study=?", (study,)).fetchone() is None:
        told = json.dumps({"patient": found["patient"], "study": found["study"]})
        connection.execute("INSERT OR REPLACE INTO state (name, value) VALUES (?,?)", (_GONE + study, told))


def insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> int:
    """Insert a row that was kept, as far as the table has its columns now."""
    known = {each[1] for each in connection.execute(f"PRAGMA table_info({table})")}
    row = {name: value for name, value in row.items() if name in known}
    names = ", ".join(f'"{name}"' for name in row)
    marks = ",".join("?" * len(row))
    cursor = connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def study_again(connection: sqlite3.Connection, patient: dict[str, Any], study: dict[str, Any]) -> tuple[int, bool]:
    """Insert a study that was away, with the identity of today; return its number, and whether its patient is new."""
    identities.brought_up(connection, patient, study)
    row = connection.execute(
        "SELECT id FROM patients WHERE patient_id = ? AND issuer = ? AND scope = ?",
        (patient["patient_id"], patient["issuer"], patient["scope"]),
    ).fetchone()
    if row is None:
        patient.pop("id")
    study["patient"] = row[0] if row is not None else insert(connection, "patients", patient)
    return insert(connection, "studies", study), row is None


def series_as_kept(connection: sqlite3.Connection, series: int, was: dict[str, Any], study: str) -> None:
    """Let a series that came anew say what it said when it was corrected, and let it be the one that was."""
    if was.get("corrected"):
        rows = connection.execute("SELECT * FROM series WHERE id=? AND corrected=''", (series,))
        names = {each[0] for each in rows.description} - {"id", "study", "series", "instances", "bytes"}
        if rows.fetchone() is not None:
            some = [name for name in was if name in names]
            settled = ", ".join(f'"{name}"=?' for name in some)
            connection.execute(
                f"UPDATE series SET {settled} WHERE id=?",  # noqa: S608 - columns of ours
                (*(was[name] for name in some), series),
            )
    numbered(connection, study, int(was["id"]), series)


def numbered(connection: sqlite3.Connection, study: str, old: int, new: int) -> None:
    """Let the corrections of a study know a series by its new number: they are undone by numbers."""
    if old == new:
        return
    rows = connection.execute(
        "SELECT c.id, c.body FROM corrected_studies t JOIN corrections c ON c.id = t.correction"
        " WHERE t.study=? AND c.state='on'", (study,),
    ).fetchall()  # fmt: skip
    for correction, text in rows:
        body = json.loads(text)
        body["rows"] = {f"series {new}" if key == f"series {old}" else key: one for key, one in body["rows"].items()}
        body["made"] = [
            [table, new if (table, number) == ("series", old) else number] for table, number in body["made"]
        ]
        body["images"] = [[image, new if series == old else series] for image, series in body["images"]]
        told = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        if told != text:
            connection.execute("UPDATE corrections SET body=? WHERE id=?", (told, correction))
