"""Corrections of what a study, series or image says: assigning to an order or a patient, and editing."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from pacstui.contract.corrections import ChangeText
from pacstui.dicom.dictionary import tag_of
from pacstui.errors import BadRequest, NotFound
from pacstui.index.corrected import PATIENT as WHO
from pacstui.index.more import key_of
from pacstui.qc import attributes
from pacstui.qc.attributes import IMAGE, KNOWN, PATIENT, SERIES, STUDY, Attribute, more_with
from pacstui.qc.ledger import Ledger, Row, change, keys_of, rows_of
from pacstui.qc.plans import (
    Plan,
    Policy,
    Request,
    counted,
    doubts_of,
    images_of,
    renaming,
    sent_to,
    series_of,
    uids_of,
    visible,
    who,
)
from pacstui.text import person, plural, safe

_REQUEST: Final = "RequestAttributesSequence"
_PROCEDURE: Final = f"{_REQUEST}[0].RequestedProcedureID"
COLUMNS: Final = ("patient_name", "patient_id", "issuer", "birth_date", "sex")


def order_of(connection: sqlite3.Connection, ident: int) -> tuple[Row, Row]:
    """Return an order and its patient."""
    rows = rows_of(connection, "SELECT * FROM orders WHERE id=?", (ident,))
    if not rows:
        raise NotFound(f"there is no order {ident}", "pacstui worklist list has them")
    return rows[0], person_of(connection, rows[0]["person"])


def person_of(connection: sqlite3.Connection, ident: int) -> Row:
    """Return a patient as the RIS knows them, the survivor where two were merged."""
    rows = rows_of(connection, "SELECT * FROM persons WHERE id=?", (ident,))
    if not rows:
        raise NotFound("the order has no patient", "look at the order; the RIS has to send it again")
    return person_of(connection, rows[0]["merged_into"]) if rows[0]["merged_into"] else rows[0]


def known_patient(connection: sqlite3.Connection, patient_id: str, issuer: str) -> dict[str, str]:
    """Return a patient that the RIS or the archive knows, by the columns of a study."""
    if not patient_id.strip():
        raise BadRequest("which patient?", "give an order, or a Patient ID and its issuer")
    for table, ident in (("persons", "issuer"), ("patients", "issuer")):
        where = "patient_id=?" + (f" AND {ident}=?" if issuer else "")
        values = (patient_id, issuer) if issuer else (patient_id,)
        rows = rows_of(connection, f"SELECT * FROM {table} WHERE {where} ORDER BY id", values)  # noqa: S608 - ours
        if len({row["issuer"] for row in rows}) > 1:
            issuers = ", ".join(safe(row["issuer"], 64) or "(none)" for row in rows)
            raise BadRequest(f"several patients have the ID {safe(patient_id, 64)}", f"give the issuer, of: {issuers}")
        if rows:
            row = person_of(connection, rows[0]["id"]) if table == "persons" else rows[0]
            return {name: str(row[name.removeprefix("patient_") if name == "patient_name" else name])
                    for name in COLUMNS}  # fmt: skip
    raise NotFound(
        f"no patient with the ID {safe(patient_id, 64)} is known here",
        "correct the ID and name by edit instead, or wait for the RIS to send the patient",
    )


def assign(connection: sqlite3.Connection, request: Request, policy: Policy) -> Plan:
    """Plan giving a study to an order, or to a patient."""
    study = visible(connection, request.study)
    new: dict[str, str] = {}
    paths: dict[str, str] = {}
    doubts: list[str] = []
    what = "patient"
    if request.order:
        order, owner = order_of(connection, request.order)
        now = {name: str(owner["name" if name == "patient_name" else name]) for name in COLUMNS}
        for keyword, column in (("AccessionNumber", "accession"), ("StudyDescription", "description"),
                                ("ReferringPhysicianName", "referring")):  # fmt: skip
            if order[column]:
                new[keyword] = order[column]
        if order["procedure_id"]:
            paths[_PROCEDURE] = order["procedure_id"]
        if order["accession"]:
            paths[f"{_REQUEST}[0].AccessionNumber"] = order["accession"]
        what = f"order {safe(order['accession'] or order['placer'] or str(order['id']), 64)}"
        doubts += _about_order(connection, order, study)
    else:
        now = known_patient(connection, request.patient_id, request.issuer)
    if (now["patient_id"], now["issuer"]) == _whose(study):  # what nobody has told of the patient stays
        now = {name: value or str(study[name]) for name, value in now.items()}
    new |= {KEYWORDS[name]: value for name, value in now.items()}
    plan = _plan(connection, request, policy, study, series_of(connection, study), [], new, paths)
    if not plan.changes and not study["conflict"] and not _to_move(connection, request, policy, study):
        raise BadRequest(f"the study says all of that already: it is of {what} {who(study)}", "nothing is to be done")
    count = counted(plan.series, plan.instances)
    named = f"{person(now['patient_name'])} ({safe(now['patient_id'], 64)})"
    of = f", now of {who(study)}," if (now["patient_id"], now["issuer"]) != _whose(study) else ""
    plan.sentence = f"Gives the study{of} with {count} to {what + ' of ' if request.order else ''}{named}"
    plan.doubts += doubts + strange(now, study)
    plan.already = _already(plan, new)
    return plan


def _already(plan: Plan, new: Mapping[str, str]) -> list[ChangeText]:
    """Return what an order or patient gives and the study has: where the index follows the RIS, that is much of it."""
    changed = {each.attribute for each in plan.changes}
    return [
        ChangeText(KNOWN[keyword].level, keyword, safe(value, 200), safe(value, 200))
        for keyword, value in new.items() if value.strip() and keyword not in changed
    ]  # fmt: skip


def _to_move(connection: sqlite3.Connection, request: Request, policy: Policy, study: Row) -> bool:
    return bool(uid_of_order(connection, request, policy, study))


def uid_of_order(connection: sqlite3.Connection, request: Request, policy: Policy, study: Row) -> str:
    """Return the Study Instance UID that a study gets with its order, empty if it keeps its own."""
    if policy.study_uid != "order" or not request.order:
        return ""
    uid = str(order_of(connection, request.order)[0]["study"])
    taken = connection.execute("SELECT 1 FROM studies WHERE study=?", (uid,)).fetchone()
    return "" if uid == study["study"] or taken is not None else uid


KEYWORDS: Final[dict[str, str]] = {each.column: each.keyword for each in KNOWN.values() if each.level == PATIENT}


def spelled(keyword: str) -> str:
    """Return a keyword in words: patient name, study ID."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]+", keyword)
    return " ".join(part if part.isupper() else part.lower() for part in parts)


def _whose(study: Row) -> tuple[str, str]:
    return study["patient_id"], study["issuer"]


def strange(now: Mapping[str, str], study: Row) -> list[str]:
    """Return what of the new patient contradicts what the study says of its patient's body."""
    told = []
    if now["sex"] and study["sex"] and now["sex"] != study["sex"]:
        told.append(f"the sex differs: {safe(study['sex'], 8)} in the images, {safe(now['sex'], 8)} in the new patient")
    if now["birth_date"] and study["birth_date"] and now["birth_date"] != study["birth_date"]:
        told.append("the birth date differs")
    return told


def _about_order(connection: sqlite3.Connection, order: Row, study: Row) -> list[str]:
    told = []
    if order["state"] in ("cancelled", "discontinued"):
        told.append(f"the order is {order['state']}")
    if order["study"] and order["study"] != study["study"]:
        other = connection.execute("SELECT instances FROM studies WHERE study=?", (order["study"],)).fetchone()
        if other is not None:
            told.append(f"the order has {plural(other[0], 'image')} already, under its own Study Instance UID")
    others = connection.execute(
        "SELECT count(*) FROM studies WHERE accession=? AND accession != '' AND id != ? AND hidden = 0",
        (order["accession"], study["id"]),
    ).fetchone()[0]
    if others:
        told.append(f"{plural(others, 'other study is', 'other studies are')} here with its accession number")
    planned = {row[0] for row in connection.execute('SELECT modality FROM steps WHERE "order"=?', (order["id"],))}
    made = set(study["modalities"].split("\\")) - {"PR", "SR", "KO", ""}
    if planned - {""} and made and not planned & made:
        told.append(f"it was ordered for {'/'.join(sorted(planned - {''}))}, the images are {'/'.join(sorted(made))}")
    return told


def edit(connection: sqlite3.Connection, request: Request, policy: Policy) -> Plan:
    """Plan changing what a study, some of its series, or some of its images say."""
    study = visible(connection, request.study)
    if not request.changes:
        raise BadRequest("what is to be changed?", "give attributes by keyword, as PatientName = DOE^JANE")
    series = series_of(connection, study, request.series)
    images = images_of(connection, study, request.images)
    levels = (PATIENT, STUDY)
    if request.images:
        levels = (IMAGE,)  # type: ignore[assignment]
    elif request.series or all(KNOWN[k].level == SERIES for k, _ in request.changes if k in KNOWN):
        levels = (SERIES,)  # type: ignore[assignment]
        if not request.series and len(series) > 1 and all(k in KNOWN for k, _ in request.changes):
            raise BadRequest(
                f"{request.changes[0][0]} belongs to a series, and the study has {len(series)}", "choose series for it"
            )
    new = {}
    for keyword, value in request.changes:
        attribute = attributes.of(keyword, levels, value.strip())
        new[attribute.keyword] = value.strip()
    plan = _plan(connection, request, policy, study, series, images, new, {})
    if not plan.changes:
        raise BadRequest("all of it says that already", "nothing is to be done")
    named = " and ".join(dict.fromkeys(spelled(each.attribute) for each in plan.changes))
    where = {
        IMAGE: f"{plural(len(images), 'image')} of {who(study)}",
        SERIES: f"{counted(plan.series, plan.instances)} of {who(study)}",
    }.get(levels[0], f"the study of {who(study)} with {counted(plan.series, plan.instances)}")
    plan.sentence = f"Changes {named} of {where}"
    if levels[0] == PATIENT:
        plan.doubts += _other_studies(connection, study, new)
    return plan


def _other_studies(connection: sqlite3.Connection, study: Row, new: Mapping[str, str]) -> list[str]:
    """Return what other studies of the patient say against it."""
    told = []
    if "PatientID" in new or "IssuerOfPatientID" in new:
        key = (new.get("PatientID", study["patient_id"]), new.get("IssuerOfPatientID", study["issuer"]))
        row = connection.execute(
            "SELECT name, birth_date, sex FROM patients WHERE patient_id=? AND issuer=? AND scope='' AND id != ?",
            (*key, study["patient"]),
        ).fetchone()
        if key[0] and row is not None:
            told.append(
                f"that ID is known here: {person(row[0])}, born {safe(row[1], 8) or '?'}, {safe(row[2], 4) or '?'}"
            )
            sex = new.get("PatientSex", study["sex"])
            if row[2] and sex and row[2] != sex:
                told.append(f"the sex of that patient differs: {safe(row[2], 8)}")
    elif {"PatientName", "PatientBirthDate", "PatientSex"} & new.keys():
        others = connection.execute(
            "SELECT count(*) FROM studies WHERE patient=? AND id != ? AND hidden = 0", (study["patient"], study["id"])
        ).fetchone()[0]
        if others:
            stay = "stays as it is" if others == 1 else "stay as they are"
            told.append(f"{plural(others, 'other study', 'other studies')} of this patient {stay}")
    return told


def _plan(
    connection: sqlite3.Connection, request: Request, policy: Policy, study: Row, series: list[Row],
    images: list[Row], new: dict[str, str], paths: dict[str, str],
) -> Plan:  # fmt: skip
    """Return the plan of setting attributes, by keyword, and what stands in sequences, by path."""
    changes = []
    for keyword, value in new.items():
        attribute = KNOWN[keyword]
        rows = {IMAGE: images, SERIES: series}.get(attribute.level, [study])
        olds = sorted({_held(connection, attribute, row) for row in rows})
        if any(old != value for old in olds):
            shown = safe(olds[0], 200) if len(olds) == 1 else f"({len(olds)} values)"
            changes.append(ChangeText(attribute.level, keyword, shown, safe(value, 200)))
    for path, value in paths.items():
        overlay = _overlay(study["corrected"])
        if overlay.get(path) != value and path == _PROCEDURE:
            olds = sorted({_requested(row, path) for row in series})
            if olds != [value]:
                shown = safe(olds[0], 200) if len(olds) == 1 else f"({len(olds)} values)"
                changes.append(ChangeText(STUDY, "RequestedProcedureID", shown, safe(value, 200)))
    of_study = {k: v for k, v in new.items() if KNOWN[k].level in (PATIENT, STUDY)}
    other = any(each.attribute in ("PatientID", "IssuerOfPatientID") for each in changes)
    instances = len(images) or sum(row["instances"] for row in series)
    sent = sent_to(connection, study["study"], uids_of(connection, series, images))
    renames = bool(changes) and renaming(policy, False, other, sent)
    plan = Plan(
        request, study, "", changes, [study["study"]], len({row["series"] for row in images} or series), instances,
        renames, sent, doubts_of(connection, study), of_series=tuple(row["id"] for row in series),
        of_images=tuple(row["sop_instance"] for row in images),
        salient=[[row["id"] for row in images], sorted(paths.items())],
    )  # fmt: skip

    def steps(ledger: Ledger) -> None:
        ledger.studies.add(study["study"])
        if of_study or paths:
            say_study(ledger, study["id"], of_study, paths)
        for row in series if any(KNOWN[k].level == SERIES for k in new) else ():
            _say_row(ledger, "series", row, {k: v for k, v in new.items() if KNOWN[k].level == SERIES})
        for row in images:
            _say_image(ledger, row, new)
        if renames:
            ledger.redirect(study["study"], "", study["study"], "", True)
            for row in series_of(connection, study):
                ledger.rename(row["id"])
                ledger.set("series", row["id"], corrected=ledger.row("series", row["id"])["corrected"] or "{}")

    plan.steps = steps
    plan.says = (of_study, paths)
    return plan


def _overlay(text: str) -> dict[str, str]:
    return json.loads(text) if text else {}


def _held(connection: sqlite3.Connection, attribute: Attribute, row: Row) -> str:
    """Return what a row says of an attribute now."""
    if attribute.column:
        return str(row[attribute.column])
    if attribute.level == IMAGE:
        body = connection.execute(
            "SELECT body FROM corrected_instances WHERE sop_instance=?", (row["sop_instance"],)
        ).fetchone()
        overlay = _overlay(body[0] if body is not None else "")
    else:
        overlay = _overlay(row["corrected"])
    if attribute.keyword in overlay:
        return overlay[attribute.keyword]
    return str(_overlay(row["more"]).get(attribute.held, "")) if attribute.held else ""


def _requested(series: Row, path: str) -> str:
    """Return what the first item of Request Attributes Sequence of a series says."""
    items = _items(series)
    return str(items[0].get(key_of(tag_of(path.rpartition(".")[2])), "")) if items else ""


def _items(series: Row) -> list[dict[str, Any]]:
    held = _overlay(series["more"]).get(key_of(tag_of(_REQUEST)), "")
    found = json.loads(held) if held else []
    return found if isinstance(found, list) else []


def say_study(ledger: Ledger, ident: int, new: Mapping[str, str], paths: Mapping[str, str]) -> None:
    """Let a study say something: its row, what is searched, its patient, and its copies."""
    row = ledger.row("studies", ident)
    columns: dict[str, Any] = {KNOWN[k].column: v for k, v in new.items() if KNOWN[k].column}
    held = {KNOWN[k].held: v for k, v in new.items() if KNOWN[k].held}
    if held:
        columns["more"] = more_with(row["more"], held)
    overlay = _overlay(row["corrected"]) | dict(new) | dict(paths)
    if set(new) & set(WHO):  # who it is is said as a whole
        overlay |= {KEYWORDS[name]: str(columns.get(name, row[name])) for name in COLUMNS}
    columns["corrected"] = json.dumps(overlay, ensure_ascii=False)
    columns |= keys_of(row | columns)
    old = (row["patient_id"], row["issuer"])
    key = (str(columns.get("patient_id", old[0])), str(columns.get("issuer", old[1])))
    if key != old:
        ledger.former(row["study"], *old)
        now = row | columns
        columns["patient"] = ledger.patient(*key, now["patient_name"], now["birth_date"], now["sex"], row["study"])
    if set(new) & set(WHO):
        columns["conflict"] = ""
    ledger.set("studies", ident, **columns)
    change(ledger.connection, "studies", ident, {"identity": row["identity"]})  # it is a correction, not ADT
    if key != old:
        ledger.settle_patient(row["patient"])
        ledger.settle_patient(int(columns["patient"]))
    elif set(columns) & set(COLUMNS):
        alone = ledger.connection.execute(
            "SELECT count(*) FROM studies WHERE patient=?", (row["patient"],)
        ).fetchone()[0] == 1  # fmt: skip
        if alone:
            now = row | columns
            ledger.set("patients", row["patient"], name=now["patient_name"], name_key=now["name_key"],
                       birth_date=now["birth_date"], sex=now["sex"])  # fmt: skip
    if paths:
        _say_requested(ledger, ident, paths)


def _say_requested(ledger: Ledger, study: int, paths: Mapping[str, str]) -> None:
    """Let what is found of the requests of a study's series follow."""
    for series in rows_of(ledger.connection, "SELECT * FROM series WHERE study=?", (study,)):
        items = _items(series) or [{}]
        items[0] |= {key_of(tag_of(path.rpartition(".")[2])): value for path, value in paths.items()}
        text = json.dumps(items, ensure_ascii=False, separators=(",", ":"))
        ledger.set("series", series["id"], more=more_with(series["more"], {key_of(tag_of(_REQUEST)): text}))


def _say_row(ledger: Ledger, table: str, row: Row, new: Mapping[str, str]) -> None:
    columns: Row = {KNOWN[k].column: v for k, v in new.items() if KNOWN[k].column}
    held = {KNOWN[k].held: v for k, v in new.items() if KNOWN[k].held}
    if held:
        columns["more"] = more_with(row["more"], held)
    columns["corrected"] = json.dumps(_overlay(row["corrected"]) | dict(new), ensure_ascii=False)
    ledger.set(table, row["id"], **columns)
    if "modality" in columns:
        ledger.recount(row["study"])


def _say_image(ledger: Ledger, row: Row, new: Mapping[str, str]) -> None:
    columns: Row = {KNOWN[k].column: v for k, v in new.items() if KNOWN[k].column}
    held = {KNOWN[k].held: v for k, v in new.items() if KNOWN[k].held}
    if held:
        columns["more"] = more_with(row["more"], held)
    if columns:
        ledger.set("instances", row["id"], **columns)
    ledger.image(row["sop_instance"], new)
    series = ledger.row("series", row["series"])
    ledger.set("series", series["id"], corrected=series["corrected"] or "{}")
