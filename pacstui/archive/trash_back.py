"""Rows on their way back from the trash. Everything here runs on the writer lane, inside its transaction.

What comes back is, in the index, what corrections say of today: those that were made while it was away as well.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from pacstui.archive.trash_rows import INSTANCE, Days, recount_series, recount_study
from pacstui.index import away, identities, rejected
from pacstui.index.redirects import Belongs, followed, marked, renamed


def put_back(connection: sqlite3.Connection, entry: int, places: dict[int, str], at: int) -> None:
    """Give instances of an entry their rows in the index again.

    Parameters
    ----------
    places
        By number of the instance in the trash, the path of its file now.
    at
        The moment, for a study that was there meanwhile.
    """
    if not places:
        return
    kept = json.loads(connection.execute("SELECT rows FROM trash WHERE id = ?", (entry,)).fetchone()[0])
    days = Days()
    place = _Places(connection, entry, kept, days)
    columns = ", ".join(name for name in INSTANCE if name not in ("path", "sop_instance"))
    for key, path in places.items():
        sop_instance, uid, received, size = connection.execute(
            "SELECT sop_instance, series_uid, received, size FROM trashed WHERE id = ?", (key,)
        ).fetchone()
        series, now = place.of(sop_instance, uid)
        connection.execute(
            f"INSERT INTO instances (series, path, sop_instance, {columns})"  # noqa: S608 - columns of ours
            f" SELECT ?, ?, ?, {columns} FROM trashed WHERE id = ?", (series, path, now, key),
        )  # fmt: skip
        days.add(received, "instances")
        days.add(received, "bytes", size)
    place.count(at)
    days.put(connection)


class _Places:
    """Where instances of an entry go: to the study and series that they were of, where later corrections put these, or
    to the hidden study of what a rejection named that was not undone."""

    def __init__(self, connection: sqlite3.Connection, entry: int, kept: dict[str, Any], days: Days) -> None:
        self._connection = connection
        self._entry = entry
        self._kept = kept
        self._days = days
        self._studies: dict[str, tuple[int, bool]] = {}
        self._series: dict[tuple[str, str], int] = {}
        self._belongs: dict[str, Belongs] = {}
        self._rejects = rejected.any_rejected(connection)
        self._after = connection.execute(
            "SELECT coalesce(max(id), 0) FROM corrections WHERE at <= (SELECT at FROM trash WHERE id = ?)", (entry,)
        ).fetchone()[0]

    def of(self, sop_instance: str, series: str) -> tuple[int, str]:
        """Return the number of the series that an instance goes to, and its SOP Instance UID there."""
        row = self._kept["study"]
        if series not in self._belongs:
            self._belongs[series] = followed(self._connection, str(row["study"]), series, self._after)
        belongs = self._belongs[series]
        found = rejected.of(self._connection, sop_instance) if self._rejects else None
        if found is not None and found.to_study != row["study"]:
            said = rejected.Said(
                belongs.study, belongs.series, row["patient_id"], row["issuer"], row["patient_name"],
                row["birth_date"],
            )  # fmt: skip
            if rejected.holds(self._connection, found, said):
                rejected.came(self._connection, found, said)
                return self._row(found.to_study, series, series, Belongs(found.to_study, series), 1), sop_instance
        for correction in belongs.renames:
            sop_instance = renamed(self._connection, correction, sop_instance)
        return self._row(belongs.study, belongs.series, series, belongs), sop_instance

    def _row(self, study: str, series: str, was: str, belongs: Belongs, hidden: int = 0) -> int:
        """Return the number of a series; it was ``was`` when it was deleted."""
        if (study, series) not in self._series:
            kept, moved = self._kept, (study, series) != (self._kept["study"]["study"], was)
            if moved:
                fresh = {"study": study, "hidden": hidden, "corrected": "", "identity": 0, "conflict": "", "series": 0,
                         "instances": 0, "bytes": 0, "modalities": ""}  # fmt: skip
                kept = {
                    "patient": kept["patient"], "study": _unnumbered(kept["study"]) | fresh,
                    "series": [_unnumbered(each) | {"series": series, "corrected": each["corrected"] * (not hidden)}
                               for each in kept["series"] if each["series"] == was],
                }  # fmt: skip
            if study not in self._studies:
                self._studies[study] = _study_again(self._connection, kept, self._days)
            fresh_there = away.kept_series(self._connection, study, series) is None
            number = _series_again(
                self._connection, kept, self._studies[study][0], series, (self._entry, was), self._days
            )
            if moved and not hidden:
                marked(self._connection, number, belongs, fresh=fresh_there)
            self._series[study, series] = number
        return self._series[study, series]

    def count(self, at: int) -> None:
        """Count what is in the series and studies again; ``at`` is the moment, for a study that was there meanwhile."""
        for row in self._series.values():
            recount_series(self._connection, row)
        for study, new in self._studies.values():
            recount_study(self._connection, study, None if new else at)


def _unnumbered(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "id"}


def _study_again(connection: sqlite3.Connection, kept: dict[str, Any], days: Days) -> tuple[int, bool]:
    patient, study = dict(kept["patient"]), dict(kept["study"])
    there = connection.execute(
        "SELECT id, patient_id, issuer, conflict, calling FROM studies WHERE study = ?", (study["study"],)
    ).fetchone()
    if there is not None:
        key, patient_id, issuer, conflict, calling = there
        mine, theirs = (patient_id, issuer), (study["patient_id"], study["issuer"])
        told = (study["patient_name"], study["birth_date"])
        if mine != theirs and not conflict and not identities.is_alias(connection, study["study"], mine, theirs, *told):
            conflict = f"objects of patient {study['patient_id'] or 'without ID'} came back out of the trash"
        callers = "\\".join(sorted({*calling.split("\\"), *study["calling"].split("\\")} - {""}))
        connection.execute(
            "UPDATE studies SET conflict = ?, calling = ?, marked = max(marked, ?) WHERE id = ?",
            (conflict, callers, study["marked"], key),
        )
        return int(key), False
    newest = away.kept(connection, study["study"]) or {}
    key, fresh = away.study_again(connection, newest.get("patient", patient), newest.get("study", study))
    if fresh:
        days.add(study["received"], "patients")
    days.add(study["received"], "studies")
    return key, True


def _series_again(
    connection: sqlite3.Connection, kept: dict[str, Any], study: int, uid: str, gone: tuple[int, str], days: Days
) -> int:
    """Return the number of a series, inserted if it is not there; ``gone`` is entry and UID that it was deleted as."""
    was = next(dict(each) for each in kept["series"] if each["series"] == uid)
    of = str(kept["study"]["study"])
    row = connection.execute("SELECT id FROM series WHERE study = ? AND series = ?", (study, uid)).fetchone()
    if row is not None:
        if "id" in was:
            away.series_as_kept(connection, int(row[0]), was, of)
        return int(row[0])
    first = connection.execute("SELECT min(received) FROM trashed WHERE trash = ? AND series_uid = ?", gone).fetchone()[
        0
    ]
    days.add(first, "series")
    new = away.series_again(connection, study, of, away.kept_series(connection, of, uid) or was)
    if "id" in was:
        away.numbered(connection, of, int(was["id"]), new)
    return new
