"""Corrected studies and series that are not in the index: what comes of them again, from the trash, a backup or its
sender, lands where it was, as it was corrected.

Their rows are kept from the deletion on, whether they are in the trash or gone for good, as long as a correction of
the study stands. Everything here runs on the writer lane's thread.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any, Final

from pacstui.index import identities

Row = dict[str, Any]
_CORRECTED: Final = (
    "SELECT 1 FROM corrected_studies t JOIN corrections c ON c.id = t.correction"
    " WHERE t.study=? AND c.state='on' LIMIT 1"
)
_KEPT: Final = "SELECT body FROM away WHERE study=? AND series=?"
_EMPTY: Final = {"instances": 0, "bytes": 0}


def is_corrected(connection: sqlite3.Connection, study: str) -> bool:
    """Return whether a correction of a study stands."""
    return connection.execute(_CORRECTED, (study,)).fetchone() is not None


def any_kept(connection: sqlite3.Connection) -> bool:
    """Return whether rows of anything are kept."""
    return connection.execute("SELECT 1 FROM away LIMIT 1").fetchone() is not None


def kept(connection: sqlite3.Connection, study: str) -> dict[str, Row] | None:
    """Return the rows of a corrected study, and of its patient, that was deleted; None if it is none."""
    row = connection.execute(_KEPT, (study, "")).fetchone()
    found: dict[str, Row] | None = json.loads(row[0]) if row is not None else None
    if found is None:
        return None
    found["study"] |= {"series": 0, "modalities": "", **_EMPTY}
    return found


def kept_series(connection: sqlite3.Connection, study: str, series: str) -> Row | None:
    """Return the row of a series of a corrected study that was deleted, None if it is none."""
    row = connection.execute(_KEPT, (study, series)).fetchone()
    return json.loads(row[0])["series"] | _EMPTY if row is not None else None


def all_series(connection: sqlite3.Connection, study: str) -> list[Row]:
    """Return the rows of all series of a study that are kept."""
    rows = connection.execute("SELECT body FROM away WHERE study=? AND series!=''", (study,))
    return [json.loads(row[0])["series"] | _EMPTY for row in rows]


def keep(
    connection: sqlite3.Connection, study: str, series: Iterable[Row], whole: tuple[Row, Row] | None = None
) -> None:
    """Keep rows of a study that are about to go, if a correction of it stands.

    Parameters
    ----------
    series
        Rows of its series.
    whole
        Rows of its patient and of itself, where it goes too.
    """
    if not is_corrected(connection, study):
        return
    told = {str(row["series"]): {"series": row} for row in series}
    if whole is not None:
        told[""] = {"patient": whole[0], "study": whole[1]}
    connection.executemany(
        "INSERT OR REPLACE INTO away (study, series, body) VALUES (?,?,?)",
        [(study, uid, json.dumps(body, ensure_ascii=False, separators=(",", ":"))) for uid, body in told.items()],
    )


def renamed_series(connection: sqlite3.Connection, study: str, row: Row, to_study: str, series: str) -> None:
    """Keep a series of a study, by its row, as one of another study from now on."""
    back(connection, study, str(row["series"]))
    connection.execute(
        "INSERT OR REPLACE INTO away (study, series, body) VALUES (?,?,?)",
        (to_study, series, json.dumps({"series": row | {"series": series}}, ensure_ascii=False, separators=(",", ":"))),
    )


def back(connection: sqlite3.Connection, study: str, series: str = "") -> None:
    """Drop what is kept of a study or series that is in the index again."""
    connection.execute("DELETE FROM away WHERE study=? AND series=?", (study, series))


def tidy(connection: sqlite3.Connection, correction: int) -> None:
    """Drop what is kept of the studies of a correction that was undone, where no other one stands."""
    connection.execute(
        "DELETE FROM away WHERE study IN (SELECT study FROM corrected_studies WHERE correction=?) AND study NOT IN"
        " (SELECT t.study FROM corrected_studies t JOIN corrections c ON c.id = t.correction WHERE c.state='on')",
        (correction,),
    )
    # Where the rejection note lies that is about to go to the trash: no study has that UID any more then.
    connection.execute(
        "DELETE FROM redirects WHERE correction=0 AND to_study IN"
        " (SELECT study FROM corrected_studies WHERE correction=?)", (correction,),
    )  # fmt: skip


def insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> int:
    """Insert a row that was kept, as far as the table has its columns now."""
    known = {each[1] for each in connection.execute(f"PRAGMA table_info({table})")}
    row = {name: value for name, value in row.items() if name in known}
    names = ", ".join(f'"{name}"' for name in row)
    marks = ",".join("?" * len(row))
    cursor = connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def numbered_as_was(connection: sqlite3.Connection, table: str, row: Row) -> int:
    """Insert a row that was away, with the number that it had: corrections are undone by numbers."""
    row = dict(row)
    if connection.execute(f"SELECT 1 FROM {table} WHERE id=?", (row.get("id"),)).fetchone():  # noqa: S608 - ours
        del row["id"]  # given anew before numbers were never used twice
    return insert(connection, table, row)


def study_again(connection: sqlite3.Connection, patient: Row, study: Row) -> tuple[int, bool]:
    """Insert a study that was away, with the identity of today; return its number, and whether its patient is new."""
    identities.brought_up(connection, patient, study)
    row = connection.execute(
        "SELECT id FROM patients WHERE patient_id = ? AND issuer = ? AND scope = ?",
        (patient["patient_id"], patient["issuer"], patient["scope"]),
    ).fetchone()
    study["patient"] = row[0] if row is not None else numbered_as_was(connection, "patients", patient)
    back(connection, study["study"])
    key = insert(connection, "studies", study)
    settle_patient(connection, study["patient"])
    return key, row is None


def settle_patient(connection: sqlite3.Connection, patient: int) -> None:
    """Hide a patient of whom nothing is seen, show one of whom something is."""
    connection.execute(
        "UPDATE patients SET hidden = NOT EXISTS (SELECT 1 FROM studies s WHERE s.patient = patients.id"
        " AND s.hidden = 0) WHERE id=?", (patient,),
    )  # fmt: skip


def series_again(connection: sqlite3.Connection, study: int, uid: str, was: Row) -> int:
    """Insert a series that was away into a study, by its number and its UID; return the number of the series."""
    back(connection, uid, str(was["series"]))
    return numbered_as_was(connection, "series", {**was, "study": study})


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
        body["of_series"] = [new if number == old else number for number in body.get("of_series", ())]
        told = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        if told != text:
            connection.execute("UPDATE corrections SET body=? WHERE id=?", (told, correction))
