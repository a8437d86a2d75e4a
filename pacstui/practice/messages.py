"""HL7 v2.5 messages as a RIS writes them: admissions, updates, merges, and orders in three dialects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from pacstui.practice.roster import ISSUER

ESCAPES = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "~": "\\R\\", "&": "\\T\\"}
SCHEME = "99PRA"


@dataclass(frozen=True, slots=True)
class Who:
    """A patient as the RIS has them; ``name`` is a PN value with its groups."""

    patient_id: str
    name: str
    born: date | None
    sex: str
    ward: str = ""


@dataclass(frozen=True, slots=True)
class Ordered:
    """One order of one procedure with one step."""

    who: Who
    placer: str
    filler: str
    accession: str
    procedure_id: str
    step_id: str
    study: str
    code: str
    description: str
    modality: str
    station: str
    room: str
    start: datetime
    priority: str
    referrer: str
    reason: str = ""


def escaped(text: str) -> str:
    """Return text as one component."""
    return "".join(ESCAPES.get(char, char) for char in text)


def ts(when: datetime) -> str:
    """Return a TS value to the second."""
    return f"{when:%Y%m%d%H%M%S}"


def header(kind: str, control: str, when: datetime, charset: str) -> str:
    """Return the MSH segment."""
    ends = "PRACTICE RIS|PRACTICE HOSPITAL|PACSTUI|RADIOLOGY"
    return f"MSH|^~\\&|{ends}|{ts(when)}||{kind}|{control}|P|2.5||||||{charset}"


def xpn(name: str) -> str:
    """Return a PN value as repetitions of XPN, one for each group (HL7 2.A.89: A, I and P)."""
    repetitions = []
    for group, form in zip(name.split("="), ("A", "I", "P"), strict=False):
        if group.strip("^"):
            family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
            parts = [escaped(part) for part in (family, given, middle, suffix, prefix)]
            repetitions.append("^".join([*parts, "", "L", form]))
    return "~".join(repetitions)


def pid(who: Who) -> str:
    """Return the PID segment."""
    ident = f"{escaped(who.patient_id)}^^^{ISSUER}^MR" if who.patient_id else ""
    born = f"{who.born:%Y%m%d}" if who.born else ""
    return f"PID|1||{ident}||{xpn(who.name)}||{born}|{who.sex}"


def pv1(who: Who, referrer: str = "") -> str:
    """Return the PV1 segment: where the patient lies, who sent them."""
    kind = "I" if who.ward else "O"
    family, given, *_ = (*referrer.split("^"), "", "")
    doctor = f"^{escaped(family)}^{escaped(given)}" if referrer else ""
    return f"PV1|1|{kind}|{escaped(who.ward)}|||||{doctor}"


def joined(*segments: str) -> str:
    """Return a message of these segments."""
    return "\r".join(segment for segment in segments if segment) + "\r"


def adt(event: str, who: Who, control: str, when: datetime, charset: str = "UNICODE UTF-8") -> str:
    """Return an ADT message about one patient."""
    head = header(f"ADT^{event}^ADT_A01", control, when, charset)
    return joined(head, f"EVN|{event}|{ts(when)}", pid(who), pv1(who))


def merge(survivor: Who, prior: Who, control: str, when: datetime) -> str:
    """Return A40: everything of ``prior`` belongs to ``survivor``."""
    head = header("ADT^A40^ADT_A39", control, when, "UNICODE UTF-8")
    return joined(head, f"EVN|A40|{ts(when)}", pid(survivor), f"MRG|{escaped(prior.patient_id)}^^^{ISSUER}^MR")


_PRIORITIES = {"STAT": "S", "HIGH": "A", "ROUTINE": "R"}


def order(
    what: Ordered, control_code: str, control: str, when: datetime, *, kind: str = "ORM^O01^ORM_O01",
    status: str = "", charset: str = "UNICODE UTF-8", why: str = "",
) -> str:  # fmt: skip
    """Return an order message.

    Parameters
    ----------
    control_code
        ORC-1: NW new, XO changed, CA cancelled, HD on hold, RL released, SC another status.
    kind
        MSH-9: ORM^O01^ORM_O01, OMG^O19^OMG_O19 or OMI^O23^OMI_O23, which has an IPC segment for the step.
    why
        ORC-16: the reason of the control code.
    """
    start, priority = ts(what.start), _PRIORITIES.get(what.priority, "R")
    quantity = f"^^^{start}^^{priority}"
    orc = f"ORC|{control_code}|{what.placer}|{what.filler}||{status}||{quantity}||{ts(when)}"
    orc += f"|||||||^{escaped(why)}" if why else ""
    code = f"{what.code}^{escaped(what.description)}^{SCHEME}"
    obr = [""] * 45
    values = {
        0: "OBR", 1: "1", 2: what.placer, 3: what.filler, 4: code, 5: priority, 6: start, 18: what.accession,
        19: what.procedure_id, 20: what.step_id, 24: what.modality, 27: quantity, 31: f"^{escaped(what.reason)}",
        36: start,
    }  # fmt: skip
    for at, value in values.items():
        obr[at] = value
    zds = f"ZDS|{what.study}^PRACTICE RIS^Application^DICOM" if what.study else ""
    ipc = ""
    if kind.startswith("OMI"):
        ipc = (
            f"IPC|{what.accession}|{what.procedure_id}|{what.study}|{what.step_id}|{what.modality}|{code}||"
            f"^{escaped(what.room)}|{what.station}"
        )
        zds = ""
    tq1 = f"TQ1|1||||||{start}||{priority}" if kind.startswith("OM") else ""
    return joined(
        header(kind, control, when, charset), pid(what.who), pv1(what.who, what.referrer), orc, tq1,
        "|".join(obr).rstrip("|"), ipc, zds,
    )  # fmt: skip
