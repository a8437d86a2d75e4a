"""Single objects that were rejected, by their SOP Instance UIDs: those that are here lie in a hidden study, those that
come again, or come only after the note that rejects them, are filed there.

Everything here runs on the writer lane's thread.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Final, NamedTuple

from pacstui.index import identities

_FIND: Final = (
    "SELECT sop_instance, correction, study, series, to_study, note_study, awaited FROM rejected_instances"
    " WHERE sop_instance=? ORDER BY correction LIMIT 1"
)
_STEPS: Final = 64
_WHOSE: Final = "SELECT patient_id, issuer FROM studies WHERE study=?"


class Rejected(NamedTuple):
    """An object that is rejected. ``study`` and ``series`` are where it belongs, ``to_study`` is the hidden study that
    it lies in. ``awaited`` is 1 for one that has not come since a note named it; the note lies in ``note_study``."""

    sop_instance: str
    correction: int
    study: str
    series: str
    to_study: str
    note_study: str
    awaited: int


class Said(NamedTuple):
    """What an object that comes says of itself: where it belongs, and whose it is."""

    study: str
    series: str
    patient_id: str
    issuer: str
    name: str
    birth_date: str


def any_rejected(connection: sqlite3.Connection) -> bool:
    """Return whether any single object was rejected."""
    return connection.execute("SELECT 1 FROM rejected_instances LIMIT 1").fetchone() is not None


def of(connection: sqlite3.Connection, sop_instance: str) -> Rejected | None:
    """Return what rejects an object that carries this UID, or is known by it; None if nothing does."""
    for _ in range(_STEPS):
        row = connection.execute(_FIND, (sop_instance,)).fetchone()
        if row is not None:
            return Rejected._make(row)
        row = connection.execute("SELECT new FROM renamed_instances WHERE old=?", (sop_instance,)).fetchone()
        if row is None:
            break
        sop_instance = str(row[0])
    return None


def holds(connection: sqlite3.Connection, found: Rejected, said: Said) -> bool:
    """Return whether a rejection is of the object that comes: one that a note named before it came has to be of the
    note's patient, as those have that are here when a note comes."""
    if not found.awaited:
        return True
    row = connection.execute(_WHOSE, (found.note_study,)).fetchone()
    if row is None:
        kept = connection.execute("SELECT body FROM away WHERE study=? AND series=''", (found.note_study,)).fetchone()
        if kept is None:
            return False
        study = json.loads(kept[0])["study"]
        row = study["patient_id"], study["issuer"]
    mine, theirs = (str(row[0]), str(row[1])), (said.patient_id, said.issuer)
    if mine == theirs:
        return bool(mine[0]) or found.to_study == found.note_study  # without an ID, patients are those of one study
    return identities.is_alias(connection, found.note_study, mine, theirs, said.name, said.birth_date)


def came(connection: sqlite3.Connection, found: Rejected, said: Said) -> None:
    """Note that an object came that a note rejected before: in the history of its study as well."""
    if not found.awaited:
        return
    connection.execute(
        "UPDATE rejected_instances SET awaited=0, study=?, series=? WHERE sop_instance=? AND correction=?",
        (said.study, said.series, found.sop_instance, found.correction),
    )
    connection.execute("UPDATE corrections SET instances = instances + 1 WHERE id=?", (found.correction,))
    connection.executemany(
        "INSERT OR IGNORE INTO corrected_studies (correction, study) VALUES (?,?)",
        [(found.correction, said.study), (found.correction, found.to_study)],
    )
