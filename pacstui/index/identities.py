"""Whose a study is: the index follows what ADT messages say, while the bytes of objects stay as they came.

A person (a row of ``persons``) that is known for the Patient ID of a study gives it ID, issuer, name, birth date and
sex; what nobody told stays as the objects have it. An ID without an issuer means the local issuer's person, else the
only one that is known for the ID. A study whose objects contradict the person stays as it is and is marked. An ID that
objects carry and that is another one now is kept in ``former_identities``, so that more of them contradict nothing.
Everything here runs on the writer lane, inside its transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pacstui.index.fold import fold, name_keys

_PERSON: Final = (
    "SELECT p.issuer, (SELECT value FROM state WHERE name = 'local issuer'), s.id, s.patient_id, s.issuer, s.name,"
    " s.birth_date, s.sex, s.body, p.name = ''"
    " FROM persons p JOIN persons s ON s.id = CASE p.merged_into WHEN 0 THEN p.id ELSE p.merged_into END"
    " WHERE p.patient_id = ?"
)
_STUDIES: Final = (
    "SELECT id, study, patient_name, birth_date, sex, accession, description, conflict, patient_id, issuer, search"
    " FROM studies WHERE patient=?"
)
_STUDY: Final = f"{_STUDIES.rpartition(' WHERE')[0]} WHERE id=?"
_BY_UID: Final = "SELECT id, patient, patient_id, patient_name, birth_date, sex FROM studies WHERE study=?"
_MOVE: Final = (
    "UPDATE studies SET patient=?, patient_id=?, patient_id_key=?, issuer=?, patient_name=?, name_key=?,"
    " other_name_key=?, birth_date=?, sex=?, search=? WHERE id=?"
)
_SAY: Final = "objects say "
_PATIENT: Final = "SELECT id FROM patients WHERE patient_id=? AND issuer=? AND scope=''"


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as the index needs it. ``names`` are all that it ever had; ``deleted`` the columns that a message
    emptied; ``others`` further IDs by which it is found. Of an ID that was merged before anybody told of its patient,
    nothing can be contradicted: ``untold``."""

    person: int
    patient_id: str
    issuer: str
    name: str
    birth_date: str
    sex: str
    names: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    untold: bool = False

    @classmethod
    def of(cls, row: Sequence[Any]) -> Identity:
        """Return that of a row (id, patient_id, issuer, name, birth_date, sex, body, untold)."""
        body = json.loads(row[6])
        return cls(
            row[0], row[1], row[2], row[3], row[4], row[5],
            tuple(body.get("names", ())), tuple(body.get("deleted", ())),
            tuple(each[0] for each in body.get("other_ids", ())), bool(row[7]),
        )  # fmt: skip

    def demographics(self, name: str, birth_date: str, sex: str) -> tuple[str, str, str]:
        """Return name, birth date and sex of a study whose objects have those given."""
        return (
            self.name or ("" if "name" in self.deleted else name),
            self.birth_date or ("" if "birth_date" in self.deleted else birth_date),
            self.sex or ("" if "sex" in self.deleted else sex),
        )

    def is_called(self, name: str) -> bool:
        """Return whether a name shares a part with one that the person has or had; none at all says nothing."""
        parts = _parts(name)
        known = set().union(_parts(self.name), *(_parts(each) for each in self.names))
        return not parts or not known or bool(parts & known)

    def contradicts(self, name: str, birth_date: str) -> bool:
        """Return whether objects with that name and birth date are somebody else's: no part of the name is the
        person's, and the birth date does not say the same."""
        return not self.untold and not self.is_called(name) and not (birth_date and birth_date == self.birth_date)


def _parts(name: str) -> set[str]:
    """Return the parts of a name that tell people apart, folded."""
    return {part for group in name.split("=") for part in fold(group).replace("-", " ").split() if len(part) > 1}


def owner(connection: sqlite3.Connection, patient_id: str, issuer: str) -> Identity | None:
    """Return the person that an object's ID means, the survivor if it was merged; none if none is known or the ID is
    ambiguous."""
    if not patient_id:
        return None
    rows = connection.execute(_PERSON, (patient_id,)).fetchall()
    if not rows:
        return None
    issuer = issuer or rows[0][1] or ""
    if not issuer and len(rows) > 1:
        return None
    return next((Identity.of(row[2:]) for row in rows if row[0] == issuer or not issuer), None)


def set_local_issuer(connection: sqlite3.Connection, issuer: str) -> None:
    """Say which issuer the IDs have that come without one."""
    connection.execute(
        "INSERT INTO state (name, value) VALUES ('local issuer', ?)"
        " ON CONFLICT (name) DO UPDATE SET value=excluded.value",
        (issuer,),
    )


@dataclass(frozen=True, slots=True)
class Followed:
    """What changed: of studies that moved or changed, Study Instance UID, Patient ID, issuer, name, birth date and sex
    as they were before."""

    studies: tuple[tuple[str, str, str, str, str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.studies)


def follow(
    connection: sqlite3.Connection, identity: Identity, sources: Iterable[tuple[str, str]], *, known: bool
) -> Followed:
    """Let the studies of IDs follow a person.

    Parameters
    ----------
    identity
        The person.
    sources
        Patient ID and issuer of studies that are its; the empty issuer for those without one.
    known
        Whether it was known before: studies were compared with it when they came.
    """
    changed: list[tuple[str, str, str, str, str, str]] = []
    target = _row(connection, identity.patient_id, identity.issuer)
    for patient_id, issuer in sources:
        source = _row(connection, patient_id, issuer)
        if source is None:
            continue
        same = (patient_id, issuer) == (identity.patient_id, identity.issuer)
        rows = connection.execute(_STUDIES, (source,)).fetchall()
        ours = [row for row in rows if _follows(connection, identity, row, known)]
        if target is None and len(ours) == len(rows) and not same:
            connection.execute(
                "UPDATE patients SET patient_id=?, issuer=? WHERE id=?", (identity.patient_id, identity.issuer, source)
            )
            target = source
        elif target is None and ours:
            cursor = connection.execute(
                "INSERT INTO patients (patient_id, issuer) VALUES (?,?)", (identity.patient_id, identity.issuer)
            )
            target = cursor.lastrowid
        for row in ours:
            assert target is not None
            if _move(connection, identity, row, target, source):
                _, study, name, birth_date, sex, *_, was, of, _ = row
                changed.append((study, was, of, name, birth_date, sex))
        if source != target and len(ours) == len(rows):
            connection.execute("DELETE FROM patients WHERE id=?", (source,))
    if target is not None:
        describe(connection, identity, target)
    return Followed(tuple(changed))


def _row(connection: sqlite3.Connection, patient_id: str, issuer: str) -> int | None:
    found = connection.execute(_PATIENT, (patient_id, issuer)).fetchone()
    return int(found[0]) if found else None


def _follows(connection: sqlite3.Connection, identity: Identity, row: Sequence[Any], known: bool) -> bool:
    """Return whether a study is the person's by more than its ID; mark one that is not, and unmark one that is now."""
    key, _, name, birth_date, _, _, _, conflict, *_ = row
    if identity.is_called(name):
        if conflict.startswith(_SAY):
            connection.execute("UPDATE studies SET conflict='' WHERE id=?", (key,))
        return True
    if conflict:
        return False
    if known or not (birth_date and identity.birth_date and birth_date != identity.birth_date):
        return True
    connection.execute("UPDATE studies SET conflict=? WHERE id=?", (contradiction(identity, name, birth_date), key))
    return False


def contradiction(identity: Identity, name: str, birth_date: str) -> str:
    """Return why a study is doubtful whose objects have that name and birth date."""
    said = " ".join(part for part in (name, birth_date) if part)
    known = " ".join(part for part in (identity.name, identity.birth_date) if part)
    return f"{_SAY}{said}, patient {shown(identity.patient_id, identity.issuer)} is {known}"


def shown(patient_id: str, issuer: str) -> str:
    """Return an ID as people write it."""
    return (f"{patient_id} ({issuer})" if issuer else patient_id) or "without ID"


def take(connection: sqlite3.Connection, identity: Identity, patient: int, study: int) -> None:
    """Give a study, by its row, to a person and the person's row of patients."""
    _move(connection, identity, connection.execute(_STUDY, (study,)).fetchone(), patient, patient)


def give_back(
    connection: sqlite3.Connection, identity: Identity, study: str, before: tuple[str, str, str] | None
) -> bool:
    """Give a study, by its UID, to a person again from whom a merge took it; return whether it is there.

    ``before`` is name, birth date and sex that it had, none for a study that came since then.
    """
    row = connection.execute(_BY_UID, (study,)).fetchone()
    if row is None:
        return False
    key, source, _, *now = row
    target = _row(connection, identity.patient_id, identity.issuer)
    if target is None:
        target = connection.execute(
            "INSERT INTO patients (patient_id, issuer) VALUES (?,?)", (identity.patient_id, identity.issuer)
        ).lastrowid
    assert target is not None
    name, birth_date, sex = before or now
    connection.execute(
        "UPDATE studies SET patient_name=?, birth_date=?, sex=? WHERE id=?", (name, birth_date, sex, key)
    )
    take(connection, identity, target, key)
    # Its objects may go on to carry the ID that it has now, and not that of the other one.
    connection.execute(
        "DELETE FROM former_identities WHERE study=? AND patient_id IN (?, ?) AND issuer != ''",
        (study, identity.patient_id, row[2]),
    )
    describe(connection, identity, target)
    if connection.execute("SELECT 1 FROM studies WHERE patient=? LIMIT 1", (source,)).fetchone() is None:
        connection.execute("DELETE FROM patients WHERE id=?", (source,))
    return True


def _move(connection: sqlite3.Connection, identity: Identity, row: Sequence[Any], target: int, source: int) -> bool:
    key, study, name, birth_date, sex, accession, description, _, patient_id, issuer, search = row
    now = identity.demographics(name, birth_date, sex)
    text = search_text(now[0], identity.patient_id, accession, description, (*identity.others, *former_ids(search)),
                       patient_id)  # fmt: skip
    before = (source, patient_id, issuer, name, birth_date, sex, search)
    if before == (target, identity.patient_id, identity.issuer, *now, text):
        return False
    connection.execute(
        _MOVE,
        (target, identity.patient_id, fold(identity.patient_id), identity.issuer, now[0], *name_keys(now[0]), *now[1:],
         text, key),
    )  # fmt: skip
    if (patient_id, issuer) != (identity.patient_id, identity.issuer):
        remember(connection, study, patient_id, issuer)
    return True


def remember(connection: sqlite3.Connection, study: str, patient_id: str, issuer: str) -> None:
    """Keep an ID that objects of a study carry and that is another one now."""
    connection.execute(
        "INSERT INTO former_identities (study, patient_id, issuer) VALUES (?,?,?) ON CONFLICT DO NOTHING",
        (study, patient_id, issuer),
    )


def is_former(connection: sqlite3.Connection, study: str, patient_id: str, issuer: str) -> bool:
    """Return whether objects of a study may carry that ID."""
    row = connection.execute(
        "SELECT 1 FROM former_identities WHERE study=? AND patient_id=? AND issuer=?", (study, patient_id, issuer)
    ).fetchone()
    return row is not None


def describe(connection: sqlite3.Connection, identity: Identity, patient: int) -> None:
    """Write what the person says into its row of patients."""
    name, birth_date, sex = connection.execute(
        "SELECT name, birth_date, sex FROM patients WHERE id=?", (patient,)
    ).fetchone()
    now = identity.demographics(name, birth_date, sex)
    connection.execute(
        "UPDATE patients SET name=?, name_key=?, birth_date=?, sex=?, person=? WHERE id=?",
        (now[0], name_keys(now[0])[0], *now[1:], identity.person, patient),
    )


def former_ids(search: str) -> tuple[str, ...]:
    """Return the further IDs in a search text."""
    return tuple(search.split("\n")[4:])


def search_text(
    name: str, patient_id: str, accession: str, description: str, others: Iterable[str] = (), old: str = ""
) -> str:
    """Return the text by which a study is found: name, ID, Accession Number, description, other and former IDs."""
    lines = [fold(text) for text in (name.replace("=", " "), patient_id, accession, description)]
    more = {fold(each) for each in (*others, old)} - {"", lines[1]}
    return "\n".join((*lines, *sorted(more)))


def brought_up(connection: sqlite3.Connection, patient: dict[str, Any], study: dict[str, Any]) -> None:
    """Let rows of a patient and a study that were away, as they were then, have the identity of today."""
    patient_id, issuer = study["patient_id"], study["issuer"]
    identity = owner(connection, patient_id, issuer)
    if identity is None or identity.contradicts(study["patient_name"], study["birth_date"]):
        return
    name, birth_date, sex = identity.demographics(study["patient_name"], study["birth_date"], study["sex"])
    first, second = name_keys(name)
    study |= {
        "patient_id": identity.patient_id, "patient_id_key": fold(identity.patient_id), "issuer": identity.issuer,
        "patient_name": name, "name_key": first, "other_name_key": second, "birth_date": birth_date, "sex": sex,
        "search": search_text(name, identity.patient_id, study["accession"], study["description"],
                              (*identity.others, *former_ids(study["search"])), patient_id),
    }  # fmt: skip
    patient |= {
        "patient_id": identity.patient_id, "issuer": identity.issuer, "name": name, "name_key": first,
        "birth_date": birth_date, "sex": sex, "person": identity.person,
    }  # fmt: skip
    if (patient_id, issuer) != (identity.patient_id, identity.issuer):
        remember(connection, study["study"], patient_id, issuer)


def is_alias(
    connection: sqlite3.Connection,
    study: str,
    mine: tuple[str, str],
    other: tuple[str, str],
    name: str,
    birth_date: str,
) -> bool:
    """Return whether objects with another ID may come under a study: they carry a former one of it, or the ID is that
    of the same person. Objects that contradict the person may not."""
    if is_former(connection, study, *other):
        return True
    identity = owner(connection, *other)
    if identity is None or (identity.patient_id, identity.issuer) != mine or identity.contradicts(name, birth_date):
        return False
    remember(connection, study, *other)
    return True
