"""Undoes a correction: rows are what they were, objects that came since go back with their siblings."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from pacstui.errors import BadRequest, NotFound
from pacstui.index import away, identities
from pacstui.qc.gone import lay_down, put_up
from pacstui.qc.hindrance import hindrance, studies_of
from pacstui.qc.ledger import (
    COUNTERS,
    IDENTITY,
    Row,
    change,
    day_count,
    modalities,
    put,
    recount,
    recount_series,
    rename_waiting,
    row_of,
    rows_of,
    take_name,
)


def undo(connection: sqlite3.Connection, correction: int, by: str, at: int) -> Row:
    """Undo a correction; return its row as it was.

    Raises
    ------
    NotFound, BadRequest
        When there is none, or something depends on it.
    """
    found = row_of(connection, "corrections", correction)
    if found is None:
        raise NotFound(f"there is no correction {correction}", "pacstui corrections list has them")
    why = hindrance(connection, found)
    if why:
        raise BadRequest(f"correction {correction} cannot be undone: {why}", "")
    for study in studies_of(connection, correction):
        put_up(connection, study, at)
    _Undoing(connection, found, at).run()
    connection.execute("UPDATE corrections SET state='undone', undone_by=?, undone=? WHERE id=?", (by, at, correction))
    for study in studies_of(connection, correction):
        lay_down(connection, study, at)
    away.tidy(connection, correction)
    return found


class _Undoing:
    def __init__(self, connection: sqlite3.Connection, correction: Row, at: int) -> None:
        self.connection = connection
        self.id = int(correction["id"])
        self.note = str(correction["note_uid"])
        self.began = int(correction["at"])
        self.at = at
        self.body: dict[str, Any] = json.loads(correction["body"])
        self.made = {(table, ident) for table, ident in self.body["made"]}
        self.touched: set[int] = set()
        self.patients: dict[int, int] = {}
        self.brought: set[int] = set()
        self.days = dict.fromkeys(("patients", "studies", "series"), 0)

    def run(self) -> None:
        self._names()
        self._bring_back()
        self._series()
        self._images()
        self._columns()
        self._rest()
        for study in self.touched:
            if row_of(self.connection, "studies", study) is not None:
                recount_series(self.connection, study)
        self._unmake()
        for patient in self.brought:  # whose study is with another one since, or away
            self._left(patient)
        for what, amount in self.days.items():
            if amount:
                day_count(self.connection, self.at, what, amount)

    def _names(self) -> None:
        """Give objects their former SOP Instance UIDs, those that came since as well."""
        rename_waiting(self.connection, self.id, "new", "old")
        rows = self.connection.execute(
            "SELECT r.old, r.new, i.id FROM renamed_instances r LEFT JOIN instances i ON i.sop_instance = r.new"
            " WHERE r.correction=?", (self.id,),
        ).fetchall()  # fmt: skip
        for old, new, ident in rows:  # also of what was deleted: it may come again
            take_name(self.connection, ident, new, old)
        self.connection.execute("DELETE FROM renamed_instances WHERE correction=?", (self.id,))

    def _bring_back(self) -> None:
        """Insert what was dropped: patients before studies before series."""
        order = ("patients", "studies", "series")
        for table, row in sorted(self.body["gone"], key=lambda each: order.index(each[0])):
            if table == "patients":
                there = self.connection.execute(
                    "SELECT id FROM patients WHERE patient_id=? AND issuer=? AND scope=?",
                    (row["patient_id"], row["issuer"], row["scope"]),
                ).fetchone()
                if there is not None:
                    self.patients[row["id"]] = int(there[0])
                    continue
            elif table == "studies":
                if self._study(row["study"]) is not None:
                    continue
                row["patient"] = self._patient({"patient": row["patient"]}, row)
            old = row["id"]
            if table != "studies" and row_of(self.connection, table, old) is not None:  # somebody else has its number
                del row["id"]
            new = put(self.connection, table, row)
            self.days[table] += 1
            if table == "patients":
                self.patients[old] = new
                self.brought.add(new)
            elif table == "studies":
                self._bring_up(new)

    def _study(self, uid: str) -> int | None:
        row = self.connection.execute("SELECT id FROM studies WHERE study=?", (uid,)).fetchone()
        return int(row[0]) if row is not None else None

    def _series(self) -> None:
        """Put series back, those that came since as well; the rejection note stays where it is."""
        moved = rows_of(self.connection, "SELECT * FROM redirects WHERE correction=? AND series != ''", (self.id,))
        for redirect in moved:
            here, back = self._study(redirect["to_study"]), self._study(redirect["study"])
            if here is None or back is None:
                continue
            row = self.connection.execute(
                "SELECT id FROM series WHERE study=? AND series=?", (here, redirect["to_series"])
            ).fetchone()
            self.touched |= {here, back}
            if row is None or self._is_note(int(row[0])) or ("series", int(row[0])) in self.made:
                continue
            change(self.connection, "series", int(row[0]), {"study": back, "series": redirect["series"]})
            noted = self.body["rows"].get(f"series {row[0]}")
            if noted is None:  # it came since
                corrected = self.connection.execute("SELECT corrected FROM series WHERE id=?", row).fetchone()[0]
                change(self.connection, "series", int(row[0]), {"corrected": "" if corrected == "{}" else corrected})
        self.connection.execute("DELETE FROM redirects WHERE correction=?", (self.id,))

    def _is_note(self, series: int) -> bool:
        return (
            bool(self.note)
            and self.connection.execute(
                "SELECT 1 FROM instances WHERE series=? AND sop_instance=?", (series, self.note)
            ).fetchone()
            is not None
        )

    def _images(self) -> None:
        """Put single objects back that were rejected; the rejection note stays where it is."""
        rows = rows_of(
            self.connection,
            "SELECT r.sop_instance, r.study, r.series, i.id, i.series AS here, s.id AS hidden FROM rejected_instances r"
            " JOIN instances i ON i.sop_instance = r.sop_instance JOIN series e ON e.id = i.series"
            " JOIN studies s ON s.id = e.study AND s.study = r.to_study WHERE r.correction=? AND r.sop_instance != ?"
            " ORDER BY i.id", (self.id, self.note),
        )  # fmt: skip
        self.connection.execute("DELETE FROM rejected_instances WHERE correction=?", (self.id,))
        for row in rows:
            study = self._study_for(row["study"], row["hidden"])
            self.connection.execute(
                "UPDATE instances SET series=? WHERE id=?",
                (self._series_for(study, row["series"], row["here"]), row["id"]),
            )
            self.touched |= {study, row["hidden"]}

    def _study_for(self, uid: str, hidden: int) -> int:
        """Return the study that rejected objects go back to; made of the hidden one where they never were in it."""
        there = self._study(uid)
        if there is not None:
            return there
        row = row_of(self.connection, "studies", hidden)
        assert row is not None
        del row["id"]
        self.days["studies"] += 1
        made = put(self.connection, "studies", row | {"study": uid, "hidden": 0, "series": 0, "instances": 0})
        away.settle_patient(self.connection, row["patient"])
        return made

    def _series_for(self, study: int, uid: str, hidden: int) -> int:
        """Return the series that rejected objects go back to, likewise."""
        there = self.connection.execute("SELECT id FROM series WHERE study=? AND series=?", (study, uid)).fetchone()
        if there is not None:
            return int(there[0])
        row = row_of(self.connection, "series", hidden)
        assert row is not None
        del row["id"]
        self.days["series"] += 1
        return put(self.connection, "series", row | {"study": study, "series": uid})

    def _columns(self) -> None:
        """Put values back that nothing else has changed since; who the patient is in any case."""
        for key, columns in self.body["rows"].items():
            table, _, number = key.partition(" ")
            ident = int(number) if table != "instances" else self._image(number)
            if (table, ident) in self.made:
                continue
            here = row_of(self.connection, table, ident)
            if here is None:
                continue
            if table == "studies":
                self.touched.add(ident)
            back: Row = {}
            for name, (before, after) in columns.items():
                if table == "series" and name in ("study", "series"):
                    continue
                if name not in COUNTERS and (here[name] == after or (table == "studies" and name in IDENTITY)):
                    back[name] = before
            if "patient" in back:
                back["patient"] = self._patient(back, here)
            change(self.connection, table, ident, back)
            if back and "identity" not in back and table == "studies":
                change(self.connection, table, ident, {"identity": here["identity"]})
            if "patient" in back and table == "studies":
                self._left(int(here["patient"]))
            if table == "studies" and "patient_id" in back:
                self._bring_up(ident)

    def _image(self, sop_instance: str) -> int:
        row = self.connection.execute("SELECT id FROM instances WHERE sop_instance=?", (sop_instance,)).fetchone()
        return int(row[0]) if row is not None else 0

    def _bring_up(self, study: int) -> None:
        """Let a study that has its former patient again have the identity of today: ADT may have changed that since."""
        here = row_of(self.connection, "studies", study)
        assert here is not None
        identity = identities.owner(self.connection, here["patient_id"], here["issuer"])
        if identity is None or identity.contradicts(here["patient_name"], here["birth_date"]):
            return
        changed = self.connection.execute("SELECT changed FROM persons WHERE id=?", (identity.person,)).fetchone()
        if changed is None or changed[0] <= self.began:
            return
        was = int(here["patient"])
        now = self._patient(
            {"patient": 0, "patient_id": identity.patient_id, "issuer": identity.issuer}, here
        )  # fmt: skip
        identities.take(self.connection, identity, now, study)
        identities.describe(self.connection, identity, now)
        self._left(was)

    def _left(self, patient: int) -> None:
        """Delete a patient whose last study went to another one."""
        there = row_of(self.connection, "patients", patient)
        held = self.connection.execute("SELECT 1 FROM studies WHERE patient=?", (patient,)).fetchone()
        if there is not None and held is None:
            self.connection.execute("DELETE FROM patients WHERE id=?", (patient,))
            self.days["patients"] -= 1

    def _patient(self, back: Row, here: Row) -> int:
        """Return the row of the former patient, made anew where it is gone."""
        before = int(back["patient"])
        ident = self.patients.get(before, before)
        was = here | back
        key = (was["patient_id"], was["issuer"], "" if was["patient_id"] else was["study"])
        row = row_of(self.connection, "patients", ident)
        if row is not None and (row["patient_id"], row["issuer"], row["scope"]) == key:
            return ident
        found = self.connection.execute(
            "SELECT id FROM patients WHERE patient_id=? AND issuer=? AND scope=?", key
        ).fetchone()
        if found is not None:
            return int(found[0])
        self.days["patients"] += 1
        row = {
            "patient_id": key[0], "issuer": key[1], "scope": key[2], "name": was["patient_name"],
            "name_key": was["name_key"], "birth_date": was["birth_date"], "sex": was["sex"],
        }  # fmt: skip
        return put(self.connection, "patients", row)

    def _rest(self) -> None:
        connection = self.connection
        for sop_instance, body in self.body["bodies"].items():
            if body is None:
                connection.execute("DELETE FROM corrected_instances WHERE sop_instance=?", (sop_instance,))
            else:
                connection.execute("INSERT OR REPLACE INTO corrected_instances VALUES (?,?)", (sop_instance, body))
        connection.executemany(
            "DELETE FROM former_identities WHERE study=? AND patient_id=? AND issuer=?", self.body["former"]
        )
        connection.executemany("DELETE FROM pins WHERE study=?", [(study,) for study in self.body["pins"]])

    def _unmake(self) -> None:
        """Delete what was made, where nothing is in it any more."""
        order = ("series", "studies", "patients")
        below = {"series": ("instances", "series"), "studies": ("series", "study"), "patients": ("studies", "patient")}
        for table in order:
            if table == "studies":
                self._count_studies()
            for kind, ident in self.made:
                if kind != table or row_of(self.connection, table, ident) is None:
                    continue
                inner, column = below[table]
                held = self.connection.execute(
                    f"SELECT 1 FROM {inner} WHERE {column}=? LIMIT 1",  # noqa: S608 - names of ours
                    (ident,),
                ).fetchone()
                if held is None:
                    row = row_of(self.connection, table, ident)
                    self.connection.execute(f"DELETE FROM {table} WHERE id=?", (ident,))  # noqa: S608 - ours
                    self.days[table] -= 1
                    if table == "studies" and row is not None:
                        self._left(int(row["patient"]))  # it may have another number than when it was made
                elif table == "studies":
                    recount(self.connection, ident)

    def _count_studies(self) -> None:
        for study in self.touched:
            row = row_of(self.connection, "studies", study)
            if row is None or ("studies", study) in self.made:
                continue
            recount(self.connection, study)
            known = modalities(self.connection, study)
            if not set(known.split("\\")) <= set(row["modalities"].split("\\")):
                change(self.connection, "studies", study, {"modalities": known})
