"""Where an object belongs whose study or series was corrected, and by which SOP Instance UID it is known now.

Objects never change, so a late one still says what its siblings said. Each correction leaves redirects; they are
followed in the order of the corrections. Everything here runs on the writer lane's thread or on a reader.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Final, NamedTuple
from uuid import uuid4

from pacstui.index import away
from pacstui.index.corrected import PATIENT, STUDY, carried

_STEPS: Final = 64
_NEXT: Final = (
    "SELECT correction, series, to_study, to_series, renames FROM redirects"
    " WHERE study=? AND series IN (?, '') AND correction>? ORDER BY correction, series DESC LIMIT 1"
)


class Belongs(NamedTuple):
    """Study and series that an object belongs to, and the corrections that gave its siblings new instance UIDs."""

    study: str
    series: str
    renames: tuple[int, ...] = ()
    by: int = -1  # the last correction that put them there, 0 for a rejection note of ours, -1 for none


def new_uid() -> str:
    """Return a UID that nobody has (PS3.5 B.2)."""
    return f"2.25.{uuid4().int}"


def followed(connection: sqlite3.Connection, study: str, series: str, after: int = -1) -> Belongs:
    """Return where an object belongs that says it is of a study and series; there itself if nothing was corrected.

    ``after`` is a correction: those up to it put it where it is said to be.
    """
    here, renames, last = Belongs(study, series), [], after
    for _ in range(_STEPS):
        row = connection.execute(_NEXT, (here.study, here.series, last)).fetchone()
        if row is None:
            break
        last, _, to_study, to_series, renames_too = row
        if not to_series:
            to_series = here.series
            if renames_too and to_study != here.study:  # a series that is new here: its siblings got new UIDs too
                to_series = new_uid()
            if to_study != here.study:
                connection.execute(
                    "INSERT INTO redirects (correction, study, series, to_study, to_series, renames) VALUES"
                    " (?,?,?,?,?,?)", (last, here.study, here.series, to_study, to_series, renames_too),
                )  # fmt: skip
        here = Belongs(to_study, to_series)
        if renames_too:
            renames.append(last)
    there = here.study == study or connection.execute("SELECT 1 FROM studies WHERE study=?", (here.study,)).fetchone()
    if there or away.kept(connection, here.study) is not None:
        return here._replace(renames=tuple(renames), by=last)
    return Belongs(study, series)  # what it was moved to is gone: it is what it says


def marked(connection: sqlite3.Connection, series: int, belongs: Belongs, *, fresh: bool = False) -> bool:
    """Let a series that came after its study was corrected say what its siblings say of patient and study; return
    whether they are hidden. One that says something already is left alone, unless it is ``fresh`` there."""
    hidden, corrected = connection.execute(
        "SELECT s.hidden, e.corrected FROM series e JOIN studies s ON s.id = e.study WHERE e.id=?", (series,)
    ).fetchone()
    if hidden or (corrected and not fresh):
        return bool(hidden)
    row = connection.execute(
        "SELECT e.corrected FROM redirects r JOIN studies s ON s.study = r.to_study"
        " JOIN series e ON e.study = s.id AND e.series = r.to_series WHERE r.correction=? AND e.id != ?"
        " AND e.corrected != '' LIMIT 1", (belongs.by, series),
    ).fetchone()  # fmt: skip
    if row is None:  # what they said is kept where they were deleted
        row = connection.execute(
            "SELECT json_extract(a.body, '$.series.corrected') FROM redirects r JOIN away a ON a.study = r.to_study"
            " AND a.series = r.to_series WHERE r.correction=? AND r.to_series != ''"
            " AND json_extract(a.body, '$.series.corrected') != '' LIMIT 1", (belongs.by,),
        ).fetchone()  # fmt: skip
    told = json.loads(row[0]) if row is not None else {}
    carried = {path: value for path, value in told.items() if path in PATIENT or path in STUDY}
    overlay = carried | (json.loads(corrected) if corrected else {})
    connection.execute("UPDATE series SET corrected=? WHERE id=?", (json.dumps(overlay, ensure_ascii=False), series))
    return False


def renamed(connection: sqlite3.Connection, correction: int, old: str) -> str:
    """Return the new SOP Instance UID that a correction gives an object; the same each time."""
    row = connection.execute(
        "SELECT new FROM renamed_instances WHERE old=? AND correction=?", (old, correction)
    ).fetchone()
    if row is not None:
        return str(row[0])
    new = new_uid()
    connection.execute("INSERT INTO renamed_instances (old, new, correction) VALUES (?,?,?)", (old, new, correction))
    connection.execute("UPDATE corrected_instances SET sop_instance=? WHERE sop_instance=?", (new, old))
    return new


def current(connection: sqlite3.Connection, sop_instance: str) -> str:
    """Return by which UID the index knows an object that carries, or once had, this one."""
    for _ in range(_STEPS):
        row = connection.execute("SELECT new FROM renamed_instances WHERE old=?", (sop_instance,)).fetchone()
        if row is None:
            break
        sop_instance = str(row[0])
    return sop_instance


def as_came(connection: sqlite3.Connection, study: str, series: str, sop_instance: str) -> tuple[str, str, str]:
    """Return the UIDs that an object itself carries, by those that the index knows it by: others know it by these."""
    row = connection.execute(
        "SELECT study, series FROM rejected_instances WHERE sop_instance=? AND to_study=?", (sop_instance, study)
    ).fetchone()
    study, series = row if row is not None else (study, series)
    last = 1 << 62
    for _ in range(_STEPS):
        row = connection.execute(
            "SELECT study, series, correction FROM redirects WHERE to_study=? AND to_series=? AND series != ''"
            " AND correction < ? ORDER BY correction DESC LIMIT 1", (study, series, last),
        ).fetchone()  # fmt: skip
        if row is None:
            break
        study, series, last = str(row[0]), str(row[1]), int(row[2])
    return study, series, carried(connection, sop_instance)


def any_renamed(connection: sqlite3.Connection) -> bool:
    """Return whether any object has another SOP Instance UID than it carries."""
    return connection.execute("SELECT 1 FROM renamed_instances LIMIT 1").fetchone() is not None
