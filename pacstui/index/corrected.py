"""What an object is to say where that differs from what it says: read from the rows of the index."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pacstui.dicom.dictionary import tag_of
from pacstui.index.more import IMAGE_MORE, key_of

PATIENT: Final = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
"""What the index knows of a patient, in the order of its columns below."""

STUDY: Final = (
    "StudyDate", "StudyTime", "AccessionNumber", "StudyID", "StudyDescription", "ReferringPhysicianName",
    "InstitutionName",
)  # fmt: skip
"""What it knows of a study in columns; likewise."""
_SAYING: Final = (*PATIENT, *STUDY)

_ROW: Final = (
    "SELECT s.id, s.study, s.patient_name, s.patient_id, s.issuer, s.birth_date, s.sex, s.date, s.time, s.accession,"
    " s.study_id, s.description, s.referring, s.institution, s.corrected, s.identity, s.conflict, s.received, s.hidden,"
    " e.series, e.corrected, i.sop_instance"
    " FROM instances i JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study WHERE i.sop_instance = ?"
)
_RENAMED: Final = (
    "WITH RECURSIVE known(old, new) AS ("
    " SELECT r.old, r.new FROM series e JOIN instances i ON i.series = e.id"
    " JOIN renamed_instances r ON r.new = i.sop_instance WHERE e.study = ?"
    " UNION SELECT r.old, k.new FROM known k JOIN renamed_instances r ON r.new = k.old)"
    " SELECT old, new FROM known"
)
_STEPS: Final = 64
_MOVED: Final = "SELECT study, series, to_study, to_series FROM redirects WHERE to_study = ? ORDER BY correction"
FLAG: Final = "CASE WHEN s.corrected != '' OR s.identity != 0 OR e.corrected != '' THEN s.id ELSE 0 END"
"""In a query over studies s and series e: the study's number where objects may say something else than the index."""


@dataclass(frozen=True, slots=True)
class Said:
    """What an object is to say. ``values`` and ``patient`` are text by path; ``patient`` is for objects of one of the
    patients ``once`` where that names any. ``by_hand`` is true where a person decided it; ``at`` is when, in
    microseconds since 1970."""

    study: int
    values: dict[str, str] = field(default_factory=dict)
    patient: dict[str, str] = field(default_factory=dict)
    once: tuple[tuple[str, str], ...] = ()
    by_hand: bool = True
    at: int = 0


def said(connection: sqlite3.Connection, sop_instance: str) -> Said | None:
    """Return what an object is to say, None if the index has no such object."""
    row = connection.execute(_ROW, (sop_instance,)).fetchone()
    if row is None:
        return None
    key, study, *held = row[:14]
    of_study, identity, conflict, received, hidden, series, of_series, instance = row[14:]
    values = {"SOPInstanceUID": instance}
    if not hidden:  # what was rejected leaves, if ever, as what it was
        values |= {"StudyInstanceUID": study, "SeriesInstanceUID": series}
    overlay = _read(of_study) | _read(of_series)
    body = connection.execute("SELECT body FROM corrected_instances WHERE sop_instance=?", (instance,)).fetchone()
    if body is not None:
        overlay |= _read(body[0])
    now = dict(zip(_SAYING, held, strict=True))
    values |= {path: now.get(path, value) for path, value in overlay.items()}
    whole = {path: now[path] for path in PATIENT if path not in overlay} if identity else {}
    once: tuple[tuple[str, str], ...] = ()
    if whole and conflict:  # objects of somebody else are among them: those stay what they are
        rows = connection.execute("SELECT patient_id, issuer FROM former_identities WHERE study=?", (study,))
        once = ((now["PatientID"], now["IssuerOfPatientID"]), *((each[0], each[1]) for each in rows))
    at = connection.execute(
        "SELECT max(c.at) FROM corrected_studies t JOIN corrections c ON c.id = t.correction"
        " WHERE t.study = ? AND c.state = 'on'", (study,),
    ).fetchone()[0]  # fmt: skip
    by_hand = at is not None
    if at is None:
        told = connection.execute(
            "SELECT changed FROM persons WHERE patient_id=? AND issuer=?",
            (now["PatientID"], now["IssuerOfPatientID"]),
        ).fetchone()
        at = told[0] if told is not None else received
    return Said(key, values, whole, once, by_hand, int(at))


_IMAGE: Final = {"InstanceNumber": 2, "ContentDate": 3, "ContentTime": 4}
"""What the index has of an image in columns: where it stands in the values of its row."""


def said_image(connection: sqlite3.Connection, sop_instance: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the values of an image's row (:attr:`pacstui.index.entry.Entry.instance`) with what was corrected of it;
    themselves where nothing was."""
    row = connection.execute("SELECT body FROM corrected_instances WHERE sop_instance=?", (sop_instance,)).fetchone()
    if row is None:
        return values
    found = list(values)
    for path, value in _read(row[0]).items():
        if path in _IMAGE:
            found[_IMAGE[path]] = value
    found[-1] = kept(found[-1], row[0], IMAGE_MORE)
    return tuple(found)


def differs(connection: sqlite3.Connection, sop_instance: str, notes: bool = False) -> int | None:
    """Return the number of an object's study where it may say something else than the index does, 0 where not, None
    where nobody is to find it any more; of what is hidden, rejection ``notes`` are found if so wanted."""
    row = connection.execute(
        f"SELECT {FLAG}, s.hidden FROM instances i JOIN series e ON e.id = i.series"  # noqa: S608 - of ours
        " JOIN studies s ON s.id = e.study WHERE i.sop_instance=?", (sop_instance,),
    ).fetchone()  # fmt: skip
    if row is None:
        return None
    if row[1] and not (notes and connection.execute(
        "SELECT 1 FROM corrections WHERE note_uid=? AND note_uid != ''", (sop_instance,)
    ).fetchone()):  # fmt: skip
        return None
    return int(row[0])


def carried(connection: sqlite3.Connection, sop_instance: str) -> str:
    """Return the SOP Instance UID that an object itself has, by the one that the index knows it by."""
    for _ in range(_STEPS):
        row = connection.execute("SELECT old FROM renamed_instances WHERE new=?", (sop_instance,)).fetchone()
        if row is None:
            break
        sop_instance = str(row[0])
    return sop_instance


def uids(connection: sqlite3.Connection, study: int) -> dict[str, str]:
    """Return the new UIDs of objects and series of a study, and its own, by those that objects may refer to."""
    row = connection.execute("SELECT study FROM studies WHERE id=?", (study,)).fetchone()
    if row is None:
        return {}
    found = {str(old): str(new) for old, new in connection.execute(_RENAMED, (study,))}
    moved = connection.execute(_MOVED, (row[0],)).fetchall()
    for _, series, _, to_series in moved:
        if series and series != to_series:
            found[series] = to_series
    # References to the study as a whole follow only where all of it went; a part's siblings may still be there.
    for old, series, to_study, _ in moved:
        if not series and old != to_study:
            found[old] = to_study
    return found


def kept(found: str, said: str, tags: Mapping[int, str], held: str = "") -> str:
    """Return the JSON that was read from an object, with what was corrected put in; ``held`` is what a row had, of
    which what was corrected in a sequence stays."""
    if not said:
        return found
    more: dict[str, str] = json.loads(found) if found else {}
    before: dict[str, str] = json.loads(held) if held else {}
    for path, value in _read(said).items():
        top = path.partition("[")[0]
        tag = tag_of(top)
        if tag in tags:
            more[key_of(tag)] = value if top == path else before.get(key_of(tag), "")
    some = {key: value for key, value in more.items() if value}
    return json.dumps(some, ensure_ascii=False, separators=(",", ":")) if some else ""


def _read(text: str) -> dict[str, str]:
    found = json.loads(text) if text else {}
    return {str(path): str(value) for path, value in found.items()} if isinstance(found, dict) else {}
