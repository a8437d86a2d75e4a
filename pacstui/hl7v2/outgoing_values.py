"""What notifications can say of a study and of an order, the built-in templates, and looking the values up."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pacstui.hl7v2.outgoing_template import Composite, PersonName, Value

VALUES: Final[Mapping[str, str]] = {
    "control": "control ID of this message",
    "now": "time at which it is made; {now:%Y%m%d} for a form of its own",
    "own_application": "[hl7] application",
    "own_facility": "[hl7] facility",
    "application": "application of the receiver",
    "facility": "facility of the receiver",
    "charset": "charset of the receiver (MSH-18)",
    "patient_id": "Patient ID",
    "issuer": "Issuer of Patient ID",
    "patient_name": "Patient's Name, as XPN",
    "birth_date": "Patient's Birth Date",
    "sex": "Patient's Sex",
    "accession": "Accession Number",
    "study_uid": "Study Instance UID",
    "study_id": "Study ID",
    "study_time": "Study Date and Time",
    "description": "Study Description, or the order's procedure",
    "modality": "modality; several with / between them",
    "institution": "Institution Name",
    "referring": "Referring Physician's Name, as XCN",
    "series": "number of series here",
    "instances": "number of instances here",
    "received": "time at which the last of them came",
    "calling": "AE title that sent them",
    "placer": "placer order number (ORC-2)",
    "filler": "filler order number (ORC-3)",
    "procedure_id": "Requested Procedure ID",
    "code": "code of the procedure ordered",
    "scheme": "its coding scheme",
    "procedure": "its meaning",
    "priority": "priority of the order",
    "status": "ORC-5: IP, CM or DC; CM for a study received",
    "began": "when the procedure was begun, as the modality said",
    "ended": "when it was ended",
    "station": "AE title of the modality that performed it",
    "why": "reason for which it was discontinued",
}

_HEADER: Final = (
    "MSH|^~\\&|{own_application}|{own_facility}|{application}|{facility}|{now}||%s|{control}|P|2.5||||||{charset}\n"
    "PID|1||{patient_id}^^^{issuer}||{patient_name}||{birth_date}|{sex}\n"
)
BUILT_IN: Final[Mapping[tuple[str, str], str]] = {
    ("study received", "ORU^R01"): _HEADER % "ORU^R01^ORU_R01" + "?ORC|RE|{placer}|{filler}\n"
    "OBR|1|{placer}|{filler}|{code}^{description}^{scheme}|||{study_time}|||||||||{referring}||{accession}||||"
    "{received}||{modality}|R\n"
    "OBX|1|ST|113014^DICOM Study^DCM||{study_uid}||||||R|||{received}\n"
    "OBX|2|NM|SERIES^Number of series^L||{series}||||||R\n"
    "OBX|3|NM|INSTANCES^Number of instances^L||{instances}||||||R\n",
    ("study received", "ORM^O01"): _HEADER % "ORM^O01^ORM_O01" + "ORC|SC|{placer}|{filler}||{status}||||{received}\n"
    "OBR|1|{placer}|{filler}|{code}^{description}^{scheme}|||{study_time}|||||||||{referring}||{accession}||||"
    "{received}||{modality}\n"
    "OBX|1|ST|113014^DICOM Study^DCM||{study_uid}||||||R\n",
    ("study received", "OMG^O19"): _HEADER % "OMG^O19^OMG_O19" + "ORC|SC|{placer}|{filler}||{status}||||{received}\n"
    "OBR|1|{placer}|{filler}|{code}^{description}^{scheme}|||{study_time}|||||||||{referring}||{accession}||||"
    "{received}||{modality}\n"
    "OBX|1|ST|113014^DICOM Study^DCM||{study_uid}||||||R\n",
    ("order status", "ORM^O01"): _HEADER % "ORM^O01^ORM_O01" + "ORC|SC|{placer}|{filler}||{status}||||{now}\n"
    "OBR|1|{placer}|{filler}|{code}^{procedure}^{scheme}|||{began}|{ended}||||||||||{accession}||||||{modality}\n"
    "?NTE|1||{why}\n",
    ("order status", "OMG^O19"): _HEADER % "OMG^O19^OMG_O19" + "ORC|SC|{placer}|{filler}||{status}||||{now}\n"
    "OBR|1|{placer}|{filler}|{code}^{procedure}^{scheme}|||{began}|{ended}||||||||||{accession}||||||{modality}\n"
    "?NTE|1||{why}\n",
}
"""Templates by what they tell and their message type."""

STATUS: Final[Mapping[str, str]] = {"in progress": "IP", "completed": "CM", "discontinued": "DC"}
"""Order status (HL7 table 0038) by the state of an order."""

_STUDY_COLUMNS: Final = (
    "study", "patient_name", "patient_id", "issuer", "birth_date", "sex", "date", "time", "accession", "study_id",
    "description", "referring", "institution", "modalities", "calling", "series", "instances", "received",
)  # fmt: skip


def study(connection: sqlite3.Connection, uid: str) -> dict[str, Value] | None:
    """Return what there is to say of a study, with its order's numbers; none if the archive does not have it."""
    found = connection.execute(
        f"SELECT {', '.join(_STUDY_COLUMNS)} FROM studies WHERE study=?",  # noqa: S608 - names of columns, ours
        (uid,),
    ).fetchone()
    if found is None:
        return None
    row: dict[str, Any] = dict(zip(_STUDY_COLUMNS, found, strict=True))
    values: dict[str, Value] = {
        "study_uid": row["study"], "patient_id": row["patient_id"], "issuer": row["issuer"],
        "patient_name": PersonName(row["patient_name"]), "birth_date": row["birth_date"], "sex": row["sex"],
        "accession": row["accession"], "study_id": row["study_id"], "study_time": stamp(row["date"], row["time"]),
        "description": row["description"], "modality": row["modalities"].replace("\\", "/"),
        "institution": row["institution"], "referring": PersonName(row["referring"], numbered=True),
        "series": row["series"], "instances": row["instances"],
        "received": datetime.fromtimestamp(row["received"] / 1e6, UTC).astimezone(), "calling": row["calling"],
        "status": "CM",
    }  # fmt: skip
    ident = order_of(connection, uid, row["accession"])
    if ident:
        told = order(connection, ident) or {}
        for name in ("placer", "filler", "procedure_id", "code", "scheme", "procedure", "priority", "order"):
            values[name] = told.get(name, "")
        for name in ("accession", "description"):
            if not values[name]:
                values[name] = told.get(name if name == "accession" else "procedure", "")
    return values


def order_of(connection: sqlite3.Connection, uid: str, accession: str) -> int:
    """Return the order that a study belongs to: that of its match, else of its UID, else the only one with its
    Accession Number; 0 for none."""
    row = connection.execute(
        'SELECT "order" FROM matches WHERE study=? AND state=\'matched\' AND "order"!=0', (uid,)
    ).fetchone()
    if row is None:
        row = connection.execute(
            "SELECT id FROM orders WHERE study=? AND study!='' ORDER BY id DESC", (uid,)
        ).fetchone()
    if row is None and accession:
        rows = connection.execute(
            "SELECT id FROM orders WHERE accession=? AND accession_key!='' AND state!='cancelled' LIMIT 2", (accession,)
        ).fetchall()
        row = rows[0] if len(rows) == 1 else None
    return int(row[0]) if row is not None else 0


_ORDER_COLUMNS: Final = (
    "o.id", "o.placer", "o.filler", "o.accession", "o.procedure_id", "o.study", "o.state", "o.priority", "o.code",
    "o.scheme", "o.description", "o.referring", "p.patient_id", "p.issuer", "p.name", "p.birth_date", "p.sex",
)  # fmt: skip


def order(connection: sqlite3.Connection, ident: int) -> dict[str, Value] | None:
    """Return what there is to say of an order and of what was performed of it; none if there is no such order."""
    found = connection.execute(
        f"SELECT {', '.join(_ORDER_COLUMNS)} FROM orders o LEFT JOIN persons p ON p.id = o.person WHERE o.id=?",  # noqa: S608
        (ident,),
    ).fetchone()
    if found is None:
        return None
    row: dict[str, Any] = {
        name.partition(".")[2]: value or "" for name, value in zip(_ORDER_COLUMNS, found, strict=True)
    }
    values: dict[str, Value] = {
        "order": str(ident), "placer": row["placer"], "filler": row["filler"], "accession": row["accession"],
        "procedure_id": row["procedure_id"], "study_uid": row["study"], "priority": row["priority"],
        "code": row["code"], "scheme": row["scheme"], "procedure": row["description"],
        "description": row["description"], "referring": PersonName(row["referring"], numbered=True),
        "patient_id": row["patient_id"], "issuer": row["issuer"], "patient_name": PersonName(row["name"]),
        "birth_date": row["birth_date"], "sex": row["sex"], "status": STATUS.get(row["state"], ""),
    }  # fmt: skip
    steps = connection.execute(
        "SELECT DISTINCT modality FROM steps WHERE \"order\"=? AND modality!='' ORDER BY modality", (ident,)
    ).fetchall()
    values["modality"] = "/".join(row[0] for row in steps)
    done = connection.execute(
        "SELECT p.started, p.ended, p.station_ae, p.reason FROM performed_steps l"
        " JOIN performed p ON p.id = l.performed"
        ' WHERE l.step IN (SELECT id FROM steps WHERE "order"=?) ORDER BY p.changed DESC, p.id DESC LIMIT 1', (ident,),
    ).fetchone()  # fmt: skip
    if done is not None:
        values |= {"began": done[0], "ended": done[1], "station": done[2]}
        values["why"] = done[3] if row["state"] == "discontinued" else ""
    return values


def stamp(date: str, time: str) -> str:
    """Return DICOM's date and time as one time of HL7 (TS), as precise as they are; empty without a date."""
    date = date.replace(".", "").strip()
    if len(date) != 8 or not date.isdigit():
        return ""
    time = time.replace(":", "").partition(".")[0].strip()
    return date + (time[:6] if time.isdigit() and len(time) in (4, 6) else "")


def addressed(values: Mapping[str, Value], **more: str) -> dict[str, Value]:
    """Return values with those of sender and receiver, which are HL7's HD."""
    return {**values, **{name: Composite(value) for name, value in more.items()}}
