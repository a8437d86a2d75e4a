"""Writes rows for stored objects: the hot path, on the driver, with a cache so that a known series costs no look-up.

Everything here runs on the writer lane's thread inside its transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pacstui.index import away, identities, rejected
from pacstui.index.corrected import said_image
from pacstui.index.counters import Counters
from pacstui.index.entry import Beside, Entry, Found, Place
from pacstui.index.fold import fold, name_keys
from pacstui.index.identities import Identity, former_ids, search_text
from pacstui.index.redirects import Belongs, any_renamed, current, followed, marked, renamed

_CACHE = 4096

_INSERT_INSTANCE = (
    "INSERT INTO instances (series, sop_instance, sop_class, transfer_syntax, number, date, time, image_type, frames,"
    " rows, columns, more, digest, meta_digest, data_offset, size, path, calling, received)"
    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)
_REPLACE_INSTANCE = (
    "UPDATE instances SET series=?, sop_class=?, transfer_syntax=?, number=?, date=?, time=?, image_type=?, frames=?,"
    " rows=?, columns=?, more=?, digest=?, meta_digest=?, data_offset=?, size=?, path=?, calling=?, received=?,"
    " missing=0 WHERE id=?"
)
_FIND = (
    "SELECT i.id, i.digest, i.transfer_syntax, i.path, i.size, i.data_offset, i.series, s.study, i.missing"
    " FROM instances i JOIN series s ON s.id = i.series WHERE i.sop_instance = ?"
)
_STUDY_FILL = ("patient_name", "birth_date", "sex", "date", "time", "accession", "study_id", "description",
               "referring", "institution", "more")  # fmt: skip
_SERIES_FILL = ("number", "modality", "description", "station", "body_part", "protocol", "date", "time", "more")


_STUDY_LIST = ", ".join(_STUDY_FILL)
_SERIES_LIST = ", ".join(_SERIES_FILL)
_SET_STUDY = ", ".join(f"{column}=?" for column in _STUDY_FILL)
_SET_SERIES = ", ".join(f"{column}=?" for column in _SERIES_FILL)
# The parts put together are constants of this module.
_FIND_STUDY = (
    "SELECT s.id, s.patient, s.patient_id, s.issuer, s.conflict, s.marked, s.calling, s.search, p.person,"  # noqa: S608
    " s.corrected != '',"
    f" {', '.join(f's.{column}' for column in _STUDY_FILL)} FROM studies s JOIN patients p ON p.id = s.patient"
    " WHERE s.study=?"
)
_UPDATE_STUDY = (
    "UPDATE studies SET conflict=?, marked=?, calling=?, name_key=?, other_name_key=?, accession_key=?, search=?,"  # noqa: S608
    f" {_SET_STUDY} WHERE id=?"
)
_INSERT_STUDY = (
    "INSERT INTO studies (patient, study, patient_id, patient_id_key, issuer, name_key, other_name_key, accession_key,"  # noqa: S608
    f" search, calling, marked, received, changed, conflict, {_STUDY_LIST})"
    " VALUES (" + ",".join("?" * (14 + len(_STUDY_FILL))) + ")"
)
_FIND_PATIENT = "SELECT id, name, birth_date, sex, person FROM patients WHERE patient_id=? AND issuer=? AND scope=?"
_FIND_SERIES = f"SELECT id, corrected != '', {_SERIES_LIST} FROM series WHERE study=? AND series=?"  # noqa: S608
_UPDATE_SERIES = f"UPDATE series SET {_SET_SERIES} WHERE id=?"  # noqa: S608
_INSERT_SERIES = (
    f"INSERT INTO series (study, series, {_SERIES_LIST}) VALUES (" + ",".join("?" * (2 + len(_SERIES_FILL))) + ")"  # noqa: S608
)


@dataclass(slots=True)
class _Ids:
    patient: int
    study: int
    series: int
    conflict: str
    belongs: Belongs | None = None  # where a correction put its siblings, if not where it says
    corrected: bool = False  # whether anything of its series was
    hidden: bool = False  # whether it lies with what was rejected


class IndexWriter:
    """Adds objects to the index, a transaction at a time: ``add`` and ``replace`` for each, then ``flush`` once.

    ``beside`` writes what follows from an object in the same transaction.
    """

    def __init__(self, beside: Beside | None = None) -> None:
        self._beside = beside
        self._seen: dict[tuple[Any, ...], _Ids] = {}
        self._renamed: bool | None = None
        self._away: bool | None = None
        self._rejected: bool | None = None
        self._counters = Counters()

    def forget(self) -> None:
        """Drop everything that a transaction which was rolled back has left behind."""
        self._seen.clear()
        self._renamed = self._away = self._rejected = None
        self._counters.clear()
        if self._beside is not None:
            self._beside.forget()

    def forget_known(self) -> None:
        """Drop what is remembered of rows, because somebody else changed them."""
        self._seen.clear()

    def find(self, connection: sqlite3.Connection, sop_instance: str) -> Found | None:
        """Return the stored instance of that UID."""
        row = connection.execute(_FIND, (sop_instance,)).fetchone()
        if row is None and self._has_renamed(connection):
            row = connection.execute(_FIND, (current(connection, sop_instance),)).fetchone()
        return Found._make(row) if row else None

    def _has_renamed(self, connection: sqlite3.Connection) -> bool:
        if self._renamed is None:
            self._renamed = any_renamed(connection)
        return self._renamed

    def add(self, connection: sqlite3.Connection, entry: Entry, place: Place, received: int) -> str:
        """Insert an instance; return why its study is doubtful, empty if it is not.

        ``received`` is in microseconds since 1970.
        """
        ids, entry = self._placed(connection, entry, received)
        digest, meta_digest, data_offset, size, path = place
        connection.execute(
            _INSERT_INSTANCE,
            (ids.series, entry.sop_instance, *entry.instance, digest, meta_digest, data_offset, size, path,
             entry.calling, received),
        )  # fmt: skip
        self._counters.add(ids.series, ids.study, 1, size)
        if self._beside is not None and entry.onward and not ids.hidden:
            self._beside.stored(connection, entry, size, received)
        return ids.conflict

    def _placed(self, connection: sqlite3.Connection, entry: Entry, received: int) -> tuple[_Ids, Entry]:
        """Return the rows that an object belongs to, and its entry as corrections have it."""
        if (aside := self._aside(connection, entry, received)) is not None:
            return aside
        ids = self._ids(connection, entry, received)
        uid = entry.sop_instance
        if ids.belongs is not None:
            for correction in ids.belongs.renames:
                self._renamed, uid = True, renamed(connection, correction, uid)
            entry = entry._replace(sop_instance=uid, study=ids.belongs.study, series=ids.belongs.series)
        return ids, self._said(connection, entry) if ids.corrected else entry

    @staticmethod
    def _said(connection: sqlite3.Connection, entry: Entry) -> Entry:
        """Return an entry with what was corrected of that single object."""
        instance = said_image(connection, entry.sop_instance, entry.instance)
        return entry if instance is entry.instance else entry._replace(instance=instance)

    def _aside(self, connection: sqlite3.Connection, entry: Entry, received: int) -> tuple[_Ids, Entry] | None:
        """Return the place of an object that was rejected by itself, in the hidden study, and its entry; None for any
        other."""
        if self._rejected is None:
            self._rejected = rejected.any_rejected(connection)
        found = rejected.of(connection, entry.sop_instance) if self._rejected else None
        if found is None:
            return None
        there = followed(connection, entry.study, entry.series)
        told = rejected.Said(there.study, there.series, *entry.patient[:2], *entry.study_values[:2])
        if not rejected.holds(connection, found, told):
            return None
        rejected.came(connection, found, told)
        series = there.series if found.awaited else found.series
        entry = entry._replace(sop_instance=found.sop_instance, study=found.to_study, series=series)
        study, patient, _ = self._study(connection, entry, received, True)
        if connection.execute("UPDATE studies SET hidden=1, conflict='' WHERE id=? AND hidden=0", (study,)).rowcount:
            away.settle_patient(connection, patient)
        key, _ = self._series_row(connection, entry, study)
        return _Ids(patient, study, key, "", hidden=True), self._said(connection, entry)

    def replace(self, connection: sqlite3.Connection, old: Found, entry: Entry, place: Place, received: int) -> str:
        """Let an instance's row describe other content; return why its study is doubtful, empty if it is not."""
        ids, entry = self._placed(connection, entry, received)
        digest, meta_digest, data_offset, size, path = place
        connection.execute(
            _REPLACE_INSTANCE,
            (ids.series, *entry.instance, digest, meta_digest, data_offset, size, path, entry.calling, received,
             old.id),
        )  # fmt: skip
        self._counters.add(old.series, old.study, -1, -old.size)
        self._counters.add(ids.series, ids.study, 1, size)
        if self._beside is not None and entry.onward and not ids.hidden:
            self._beside.stored(connection, entry, size, received)
        return ids.conflict

    def moved(self, connection: sqlite3.Connection, old: Found, place: Place) -> None:
        """Note that the same content lies in another file now."""
        connection.execute(
            "UPDATE instances SET meta_digest=?, data_offset=?, path=?, missing=0 WHERE id=?",
            (place.meta_digest, place.data_offset, place.path, old.id),
        )

    def set_aside(
        self, connection: sqlite3.Connection, received: int, sop_instance: str, calling: str, reason: str, path: str,
        size: int, digest: bytes,
    ) -> None:  # fmt: skip
        """Insert a row for an object in quarantine."""
        connection.execute(
            "INSERT INTO quarantine (received, sop_instance, calling, reason, path, bytes, digest)"
            " VALUES (?,?,?,?,?,?,?)",
            (received, sop_instance, calling, reason, path, size, digest),
        )

    def is_set_aside(self, connection: sqlite3.Connection, sop_instance: str, digest: bytes) -> str:
        """Return where that very content is in quarantine, empty if it is not."""
        row = connection.execute(
            "SELECT path FROM quarantine WHERE sop_instance=? AND digest=?", (sop_instance, digest)
        ).fetchone()
        return str(row[0]) if row else ""

    def flush(self, connection: sqlite3.Connection, day: str, received: int) -> None:
        """Write the counters of everything since the last flush."""
        self._counters.flush(connection, day, received)
        if self._beside is not None:
            self._beside.flush(connection)

    def _ids(self, connection: sqlite3.Connection, entry: Entry, received: int) -> _Ids:
        ids = self._seen.get(entry.known)
        if ids is not None:
            return ids
        known = entry.known
        found = followed(connection, entry.study, entry.series)
        belongs = found if found.by >= 0 else None
        if belongs is not None:
            entry = entry._replace(study=belongs.study, series=belongs.series)
        study, patient, conflict = self._study(connection, entry, received, belongs is not None)
        series, corrected = self._series_row(connection, entry, study)
        hidden = False
        if belongs is not None:
            hidden = marked(connection, series, belongs)
        ids = _Ids(patient, study, series, conflict, belongs, corrected or belongs is not None, hidden)
        if len(self._seen) >= _CACHE:
            self._seen.clear()
        self._seen[known] = ids
        return ids

    def _patient(self, connection: sqlite3.Connection, entry: Entry) -> int:
        name, birth_date, sex = entry.study_values[:3]
        row = connection.execute(_FIND_PATIENT, entry.patient).fetchone()
        if row is None:
            return self._new_patient(connection, entry.patient, (name, birth_date, sex), int(entry.marked), 0)
        merged = (name or row[1], birth_date or row[2], sex or row[3])
        if merged != row[1:4] and not row[4]:
            connection.execute(
                "UPDATE patients SET name=?, birth_date=?, sex=?, name_key=? WHERE id=?",
                (*merged, name_keys(merged[0])[0], row[0]),
            )
        return int(row[0])

    def _person(self, connection: sqlite3.Connection, identity: Identity, values: Sequence[str], marked: int) -> int:
        """Return the patient's row that follows a person."""
        row = connection.execute(_FIND_PATIENT, (identity.patient_id, identity.issuer, "")).fetchone()
        if row is None:
            key = (identity.patient_id, identity.issuer, "")
            return self._new_patient(connection, key, values, marked, identity.person)
        if not row[4]:
            identities.describe(connection, identity, row[0])
        return int(row[0])

    def _new_patient(
        self, connection: sqlite3.Connection, key: tuple[str, str, str], values: Sequence[str], marked: int, person: int
    ) -> int:
        name, birth_date, sex = values
        cursor = connection.execute(
            "INSERT INTO patients (patient_id, issuer, scope, name, name_key, birth_date, sex, marked, person)"
            " VALUES (?,?,?,?,?,?,?,?,?)",
            (*key, name, name_keys(name)[0], birth_date, sex, marked, person),
        )
        self._counters.patients += 1
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _study(self, connection: sqlite3.Connection, entry: Entry, received: int, moved: bool) -> tuple[int, int, str]:
        row = connection.execute(_FIND_STUDY, (entry.study,)).fetchone()
        if row is None and self._has_away(connection) and (kept := away.kept(connection, entry.study)) is not None:
            self._back(connection, kept, received)
            row = connection.execute(_FIND_STUDY, (entry.study,)).fetchone()
        if row is None:
            return self._first(connection, entry, received)
        key, patient, patient_id, issuer, conflict, marked, calling, search, person, corrected, *values = row
        mine, theirs = (patient_id, issuer), entry.patient[:2]
        other = mine != theirs
        alias = other and identities.is_alias(connection, entry.study, mine, theirs, *entry.study_values[:2])
        why = ""
        if other and not alias:
            why = f"objects of patient {_shown(theirs)} came under a study of {_shown(mine)}"
        elif not (other or person or corrected or moved):
            self._patient(connection, entry)
        # A study keeps what it was first told; only blanks are filled, and not from another patient's object, nor
        # patient data of which a person's row is the source.
        # What a person has said is right stays.
        if (other and not alias) or corrected:
            merged = values
        else:
            merged = [old or new for old, new in zip(values, entry.study_values, strict=True)]
            if person or alias:
                merged[:3] = values[:3]
        callers = _joined(calling, entry.calling)
        changed = (merged, conflict or why, marked or int(entry.marked), callers)
        if changed != (values, conflict, marked, calling):
            connection.execute(
                _UPDATE_STUDY,
                (conflict or why, changed[2], callers, *name_keys(merged[0]), fold(merged[5]),
                 search_text(merged[0], patient_id, merged[5], merged[7], former_ids(search)), *merged, key),
            )  # fmt: skip
        return key, patient, why

    def _has_away(self, connection: sqlite3.Connection) -> bool:
        if self._away is None:
            self._away = away.any_kept(connection)
        return self._away

    def _back(self, connection: sqlite3.Connection, kept: dict[str, dict[str, Any]], received: int) -> None:
        """Insert the row of a study that was corrected and deleted, without anything in it."""
        _, fresh = away.study_again(connection, kept["patient"], kept["study"] | {"changed": received})
        self._counters.patients += fresh
        self._counters.studies += 1

    def _series_back(self, connection: sqlite3.Connection, entry: Entry, study: int) -> bool:
        """Insert the row of a series of a corrected study that was deleted, saying what it said; false if there is
        none."""
        was = away.kept_series(connection, entry.study, entry.series) if self._has_away(connection) else None
        if was is None:
            return False
        if not was["corrected"]:
            was |= dict(zip(_SERIES_FILL, entry.series_values, strict=True))
        away.series_again(connection, study, entry.study, was)
        self._counters.series += 1
        connection.execute("UPDATE studies SET series=series+1 WHERE id=?", (study,))
        self._modality(connection, study, str(was["modality"]))
        return True

    def _first(self, connection: sqlite3.Connection, entry: Entry, received: int) -> tuple[int, int, str]:
        """Insert a study's row: under the patient whose person its ID means, unless its objects contradict that."""
        patient_id, issuer, _ = entry.patient
        name, birth_date, sex = entry.study_values[:3]
        identity = identities.owner(connection, patient_id, issuer)
        if identity is None:
            patient = self._patient(connection, entry)
            return self._new_study(connection, entry, patient, received), patient, ""
        if identity.contradicts(name, birth_date):
            why = identities.contradiction(identity, name, birth_date)
            patient = self._patient(connection, entry)
            return self._new_study(connection, entry, patient, received, why), patient, why
        values = identity.demographics(name, birth_date, sex)
        patient = self._person(connection, identity, values, int(entry.marked))
        study = self._new_study(connection, entry, patient, received)
        identities.take(connection, identity, patient, study)  # as a change, for that is one to what the objects say
        return study, patient, ""

    def _new_study(
        self, connection: sqlite3.Connection, entry: Entry, patient: int, received: int, conflict: str = ""
    ) -> int:
        values = entry.study_values
        patient_id, issuer, _ = entry.patient
        connection.execute("UPDATE patients SET hidden=0 WHERE id=? AND hidden!=0", (patient,))
        cursor = connection.execute(
            _INSERT_STUDY,
            (patient, entry.study, patient_id, fold(patient_id), issuer, *name_keys(values[0]), fold(values[5]),
             search_text(values[0], patient_id, values[5], values[7]), entry.calling, int(entry.marked),
             received, received, conflict, *values),
        )  # fmt: skip
        self._counters.studies += 1
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _series_row(self, connection: sqlite3.Connection, entry: Entry, study: int) -> tuple[int, bool]:
        """Return the number of an object's series, and whether anything of it was corrected."""
        row = connection.execute(_FIND_SERIES, (study, entry.series)).fetchone()
        if row is None and self._series_back(connection, entry, study):
            row = connection.execute(_FIND_SERIES, (study, entry.series)).fetchone()
        if row is not None:
            key, corrected, *values = row
            merged = values if corrected else [old or new for old, new in zip(values, entry.series_values, strict=True)]
            if merged != values:
                connection.execute(_UPDATE_SERIES, (*merged, key))
                self._modality(connection, study, merged[1])
            return int(key), bool(corrected)
        cursor = connection.execute(_INSERT_SERIES, (study, entry.series, *entry.series_values))
        self._counters.series += 1
        connection.execute("UPDATE studies SET series=series+1 WHERE id=?", (study,))
        self._modality(connection, study, entry.series_values[1])
        assert cursor.lastrowid is not None
        return cursor.lastrowid, False

    def _modality(self, connection: sqlite3.Connection, study: int, modality: str) -> None:
        known = connection.execute("SELECT modalities FROM studies WHERE id=?", (study,)).fetchone()[0]
        joined = _joined(known, modality)
        if joined != known:
            connection.execute("UPDATE studies SET modalities=? WHERE id=?", (joined, study))


def _joined(values: str, value: str) -> str:
    """Return a backslash-separated set of values with one more, in order."""
    value = value.replace("\\", "/")
    if not value:
        return values
    return "\\".join(sorted({value, *values.split("\\")} - {""}))


def _shown(patient: Sequence[str]) -> str:
    return identities.shown(patient[0], patient[1])
