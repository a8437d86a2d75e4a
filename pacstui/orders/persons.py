"""Patients as messages tell of them: rows of ``persons``. Everything here runs on the writer lane, in a transaction.

What ``body`` may hold: ``names`` (all names that the patient and those merged into it ever had), ``name_parts`` (the
groups of the name, by representation), ``other_ids`` (lists of ID, issuer, type), ``deleted`` (columns that a message
emptied), ``address``, ``phone``, ``mother``, ``visit`` (class, location, attending, number, status, admitted,
discharged), ``allergies`` and ``alerts`` (lists of text), ``pregnancy`` (1 to 4, PS3.3 C.2.2.4), ``weight_kg``,
``size_m``, ``died``.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pacstui.hl7v2.message import NULL, Message, Segment
from pacstui.hl7v2.outcome import DATA_TYPE, REQUIRED, UNKNOWN_KEY, Fault, Refused
from pacstui.index.fold import name_keys
from pacstui.orders import coding
from pacstui.settings import OrdersSettings

_COLUMNS: Final = "id, patient_id, issuer, name, birth_date, sex, body, merged_into, source"
_BY_ID: Final = f"SELECT {_COLUMNS} FROM persons WHERE id=?"  # noqa: S608 - a constant
_BY_KEY: Final = f"SELECT {_COLUMNS} FROM persons WHERE patient_id=? AND issuer=?"  # noqa: S608
_BY_PATIENT_ID: Final = f"SELECT {_COLUMNS} FROM persons WHERE patient_id=?"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Identifier:
    """An ID of a patient (CX): the ID, its assigning authority, its type of HL7 table 0203."""

    id: str
    issuer: str
    type: str = ""

    @property
    def shown(self) -> str:
        """The ID for people, with its issuer in brackets."""
        return f"{self.id} ({self.issuer})" if self.issuer else self.id


@dataclass(frozen=True, slots=True)
class Person:
    """A row of ``persons``. ``merged_into`` is the survivor's row, 0 if it is one itself."""

    id: int
    patient_id: str
    issuer: str
    name: str = ""
    birth_date: str = ""
    sex: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    merged_into: int = 0
    source: str = ""

    @property
    def shown(self) -> str:
        """The ID for people."""
        return Identifier(self.patient_id, self.issuer).shown


def _person(row: Sequence[Any]) -> Person:
    return Person(row[0], row[1], row[2], row[3], row[4], row[5], json.loads(row[6]), row[7], row[8])


def by_id(connection: sqlite3.Connection, id: int) -> Person:
    """Return a person that exists."""
    return _person(connection.execute(_BY_ID, (id,)).fetchone())


def by_key(connection: sqlite3.Connection, patient_id: str, issuer: str) -> Person | None:
    """Return the person with exactly that ID and issuer."""
    row = connection.execute(_BY_KEY, (patient_id, issuer)).fetchone()
    return _person(row) if row else None


def survivor(connection: sqlite3.Connection, person: Person) -> Person:
    """Return whom this person was merged into, itself if into nobody."""
    return by_id(connection, person.merged_into) if person.merged_into else person


def named(
    connection: sqlite3.Connection, identifier: Identifier, local_issuer: str
) -> tuple[Identifier, Person | None]:
    """Return the person that an ID means, and the ID with its issuer.

    An ID without an issuer has the local one, else the only one that is known for it. An issuer that comes later is
    that of the person who was known without one; the row that is returned has none yet then.

    Raises
    ------
    Ambiguous
        When there are two and none is meant.
    """
    issuer = identifier.issuer or local_issuer
    person = by_key(connection, identifier.id, issuer)
    if person is not None:
        return replace(identifier, issuer=issuer), person
    if issuer:
        return replace(identifier, issuer=issuer), by_key(connection, identifier.id, "")
    rows = connection.execute(_BY_PATIENT_ID, (identifier.id,)).fetchall()
    if len(rows) > 1:
        raise Ambiguous(identifier.id, tuple(row[2] for row in rows))
    if rows:
        person = _person(rows[0])
        return replace(identifier, issuer=person.issuer), person
    return identifier, None


class Ambiguous(Exception):
    """An ID without an issuer is that of several persons."""

    def __init__(self, id: str, issuers: tuple[str, ...]) -> None:
        super().__init__(
            f"ID {id} comes without an assigning authority, and {', '.join(sorted(issuers))} have one each"
        )


def identifiers(segment: Segment, number: int, told: list[Fault]) -> list[Identifier]:
    """Return the IDs of a field of type CX, as they stand.

    Raises
    ------
    Refused
        When one is longer than DICOM allows (PS3.5 6.2, LO): a shortened ID could be somebody else's.
    """
    found: list[Identifier] = []
    for repetition in range(1, segment.repetitions(number) + 1):
        id = coding.plain(segment.value(number, 1, 1, repetition))
        if not id:
            continue
        issuer = coding.plain(segment.value(number, 4, 1, repetition) or segment.value(number, 4, 2, repetition))
        for text, component in ((id, 1), (issuer, 4)):
            if len(text) > coding.LONG:
                raise Refused(
                    Fault(segment.name, number, DATA_TYPE, f"{text[:20]}... has {len(text)} characters",
                          f"An ID has at most {coding.LONG} in DICOM", component=component)
                )  # fmt: skip
        found.append(Identifier(id, issuer, coding.plain(segment.value(number, 5, 1, repetition)).upper()))
    return found


def chosen(found: Sequence[Identifier], issuers: Sequence[str]) -> list[Identifier]:
    """Return the IDs with the one first that is the Patient ID: of a preferred issuer, of type MR, of type PI."""

    def rank(identifier: Identifier) -> tuple[int, int]:
        at = issuers.index(identifier.issuer) if identifier.issuer in issuers else len(issuers)
        return at, {"MR": 0, "PI": 1, "": 2}.get(identifier.type, 3)

    if not found:
        return []
    first = min(found, key=rank)
    return [first, *(each for each in dict.fromkeys(found) if each != first)]


def patient(message: Message, segment: Segment, settings: OrdersSettings, told: list[Fault]) -> list[Identifier]:
    """Return the patient's IDs of a PID, the Patient ID first.

    Raises
    ------
    Refused
        When there is none.
    """
    found = chosen(identifiers(segment, 3, told), settings.issuers)
    if not found:  # before v2.3.1 it stood in PID-2
        found = identifiers(segment, 2, told)
    if not found:
        raise Refused(Fault(segment.name, 3, REQUIRED, "there is no patient ID", "Send one in PID-3"))
    return found


def resolved(
    connection: sqlite3.Connection, segment: Segment, number: int, identifier: Identifier, settings: OrdersSettings
) -> tuple[Identifier, Person | None]:
    """Return the person that an ID in a field means; not yet the survivor if it was merged.

    Raises
    ------
    Refused
        When several could be meant.
    """
    try:
        identifier, person = named(connection, identifier, settings.local_issuer)
    except Ambiguous as fault:
        raise Refused(
            Fault(segment.name, number, UNKNOWN_KEY, str(fault), "Send the assigning authority", component=4),
            patient=identifier.id,
        ) from fault
    return identifier, person


def insert(connection: sqlite3.Connection, identifier: Identifier, source: str, at: int) -> Person:
    """Make a person with nothing but an ID."""
    cursor = connection.execute(
        "INSERT INTO persons (patient_id, issuer, source, created, changed) VALUES (?,?,?,?,?)",
        (identifier.id, identifier.issuer, source, at, at),
    )
    assert cursor.lastrowid is not None
    return Person(cursor.lastrowid, identifier.id, identifier.issuer, source=source)


def save(connection: sqlite3.Connection, person: Person, at: int) -> None:
    """Write a person's row."""
    connection.execute(
        "UPDATE persons SET patient_id=?, issuer=?, name=?, name_key=?, birth_date=?, sex=?, body=?, merged_into=?,"
        " changed=? WHERE id=?",
        (person.patient_id, person.issuer, person.name, name_keys(person.name)[0], person.birth_date, person.sex,
         json.dumps(person.body, ensure_ascii=False, separators=(",", ":")), person.merged_into, at, person.id),
    )  # fmt: skip


def told_of(person: Person, segment: Segment, ids: Sequence[Identifier], told: list[Fault]) -> Person:
    """Return a person with what a PID says: what is empty stays, what is `NULL` goes."""
    body = dict(person.body)
    deleted = set(body.get("deleted", ()))
    name = _name(person, segment, body, told)
    birth_date, sex = person.birth_date, person.sex
    given = segment.value(7)
    if given == NULL:
        birth_date = ""
    elif given:
        read = coding.date(given)
        if read is None:
            told.append(coding.at(segment, 7, f"{given[:20]} is no date and was left out"))
        else:
            birth_date = read
    given = segment.value(8)
    if given == NULL:
        sex = ""
    elif given:
        known = coding.sex(given)
        if known is None:
            told.append(coding.at(segment, 8, f"{given[:20]} is not in table 0001 and was left out"))
        else:
            sex = known
    for column, number, now in (("name", 5, name), ("birth_date", 7, birth_date), ("sex", 8, sex)):
        if segment.value(number) == NULL:
            deleted.add(column)
        elif now:
            deleted.discard(column)
    _set(body, "deleted", sorted(deleted))
    for key, number in (("address", 11), ("phone", 13), ("mother", 6)):
        _text(body, key, segment, number)
    died = segment.value(29)
    if died:
        _set(body, "died", "" if died == NULL else coding.date(died) or "")
    if name and name not in body.get("names", ()):
        body["names"] = [*body.get("names", ()), name]
    if len(ids) > 1:
        mine = (person.patient_id, person.issuer)
        others = {(i.id, i.issuer): [i.id, i.issuer, i.type] for i in ids if (i.id, i.issuer) != mine}
        before = {(each[0], each[1]): each for each in body.get("other_ids", ())}
        _set(body, "other_ids", list((before | others).values()))
    return replace(person, name=name, birth_date=birth_date, sex=sex, body=body)


def _set(body: dict[str, Any], key: str, value: Any) -> None:
    if value:
        body[key] = value
    else:
        body.pop(key, None)


def _text(body: dict[str, Any], key: str, segment: Segment, number: int) -> None:
    """Take a field as words, its first repetition that has any."""
    if segment.value(number) == NULL:
        body.pop(key, None)
        return
    for repetition in range(1, segment.repetitions(number) + 1):
        parts = [coding.plain(part) for part in segment.components(number, repetition)]
        words = ", ".join(part for part in parts if part)
        if words:
            body[key] = words
            return


def _name(person: Person, segment: Segment, body: dict[str, Any], told: list[Fault]) -> str:
    """Return the name that PID-5 gives, by representation; the legal one, else the first.

    An empty component leaves what is there, unless family or given name are others: those are another name, of which
    nothing of the old one stays.
    """
    count = segment.repetitions(5)
    if not count:
        return person.name
    if segment.raw(5) == NULL:
        body.pop("name_parts", None)
        return ""
    legal = [r for r in range(1, count + 1) if segment.value(5, 7, 1, r).upper() == "L"]
    kind = "L" if legal else segment.value(5, 7, 1, 1).upper()
    old: dict[str, list[str]] = body.get("name_parts", {})
    new: dict[str, list[str]] = {}
    for repetition in range(1, count + 1):
        if segment.value(5, 7, 1, repetition).upper() != kind:
            continue
        parts = coding.group(segment, 5, repetition, told)
        form = segment.value(5, 8, 1, repetition).upper()
        form = form if form in ("I", "P") else "A"
        if any(parts) and form not in new:
            new[form] = parts
    if not new:
        return person.name
    same = all(_same_person(old.get(form), parts) for form, parts in new.items())
    made: dict[str, list[str]] = dict(old) if same else {}
    for form, parts in new.items():
        before = old.get(form, ["", "", "", "", ""])
        kept = _same_person(before, parts)
        made[form] = [
            "" if part == NULL else part or (was if kept or number == 0 else "")
            for number, (part, was) in enumerate(zip(parts, before, strict=True))
        ]
    _set(body, "name_parts", made)
    return "=".join(coding.joined(segment, 5, made.get(form, ()), told) for form in "AIP").rstrip("=")


def _same_person(before: list[str] | None, parts: Sequence[str]) -> bool:
    """Return whether family and given name are those before, as far as both are given."""
    if before is None:
        return True
    return all(not part or not was or part in (was, NULL) for part, was in zip(parts[:2], before[:2], strict=True))
