"""Acknowledgements (HL7 v2.5, 2.9.2 and 2.9.3; the segments MSH, MSA and ERR, 2.15)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pacstui.hl7v2 import charset
from pacstui.hl7v2.message import Delimiters, escape
from pacstui.hl7v2.outcome import ACCEPTED, Fault

_CONDITIONS: Final = {
    100: "Segment sequence error", 101: "Required field missing", 102: "Data type error",
    103: "Table value not found", 200: "Unsupported message type", 201: "Unsupported event code",
    202: "Unsupported processing id", 203: "Unsupported version id", 204: "Unknown key identifier",
    205: "Duplicate key identifier", 206: "Application record locked", 207: "Application internal error",
}  # fmt: skip
_FRAMING: Final = {0x0B: None, 0x1C: None, 0x0D: None, 0x0A: None}
_LONGEST: Final = 1000
_VERSION = re.compile(r"2(?:\.(\d+))?(?:\.(\d+))?$")
_USUAL: Final = Delimiters()
_COMMIT: Final = {"AA": "CA", "AE": "CE", "AR": "CR"}


@dataclass(frozen=True, slots=True)
class Head:
    """What of a message's MSH its answer needs; fields as they were sent."""

    marks: Delimiters = _USUAL
    application: str = ""
    facility: str = ""
    to_application: str = ""
    to_facility: str = ""
    kind: str = ""
    trigger: str = ""
    control: str = ""
    processing: str = "P"
    version: str = "2.5"
    accept: str = ""
    apply: str = ""
    charset: str = ""

    @property
    def enhanced(self) -> bool:
        """Whether the sender asks for the enhanced mode of acknowledgement (2.9.3)."""
        return bool(self.accept or self.apply)

    @property
    def number(self) -> tuple[int, int]:
        """The version as numbers, (5, 1) for 2.5.1."""
        found = _VERSION.match(self.version.split(self.marks.component)[0].strip())
        return (int(found[1] or 0), int(found[2] or 0)) if found else (5, 0)


def head_of(segment: str, marks: Delimiters) -> Head:
    """Return what an MSH segment says."""
    fields = [field.translate(_FRAMING)[:_LONGEST] for field in segment.split(marks.field, 20)]
    fields += [""] * (19 - len(fields))
    kind = fields[8].split(marks.repetition)[0].split(marks.component)

    def asked(text: str) -> str:
        return text.strip().upper() if text.strip() not in ("", '""') else ""

    return Head(
        marks, fields[2], fields[3], fields[4], fields[5], kind[0].strip(), kind[1].strip() if len(kind) > 1 else "",
        fields[9].split(marks.repetition)[0], fields[10], fields[11], asked(fields[14]), asked(fields[15]), fields[17],
    )  # fmt: skip


def wanted(condition: str, good: bool) -> bool:
    """Return whether an acknowledgement is asked for (table 0155); for a word that is none of the table: yes."""
    return {"AL": True, "NE": False, "ER": not good, "SU": good, "": False}.get(condition, True)


def answers(head: Head, code: str, text: str, faults: Iterable[Fault], at: datetime, serial: str, charset_name: str,
            *, kept: bool = True) -> list[tuple[str, bytes]]:  # fmt: skip
    """Return code and bytes of all that a message is answered with, in order; nothing if its sender wants nothing.

    Parameters
    ----------
    kept
        Whether the message itself was in order and is kept: in enhanced mode its keeping is acknowledged then, and what
        became of it apart from that.
    """
    faults = tuple(faults)
    if not head.enhanced:
        return [(code, _ack(head, code, text, faults, at, serial, charset_name))]
    out = []
    commit = "CA" if kept else _COMMIT.get(code, "CE")
    if wanted(head.accept, kept):
        told = (text, faults) if not kept else ("", ())
        out.append((commit, _ack(head, commit, *told, at, serial, charset_name)))
    if kept and wanted(head.apply, code == ACCEPTED):
        out.append((code, _ack(head, code, text, faults, at, serial + "A", charset_name)))
    return out


def _ack(
    head: Head, code: str, text: str, faults: tuple[Fault, ...], at: datetime, serial: str, charset_name: str
) -> bytes:
    m = head.marks
    new = head.number
    kind = ["ACK"]
    if head.trigger:
        kind.append(head.trigger)
        if new >= (3, 1):
            kind.append("ACK")
    moment = at.astimezone()
    fields = [
        "MSH", f"{m.component}{m.repetition}{m.escape}{m.subcomponent}", head.to_application, head.to_facility,
        head.application, head.facility, f"{moment:%Y%m%d%H%M%S%z}", "", m.component.join(kind), serial,
        head.processing or "P", head.version or "2.5", "", "", *(("NE", "NE") if head.enhanced else ("", "")), "",
        head.charset,
    ]  # fmt: skip
    lines = [m.field.join(fields).rstrip(m.field)]
    msa = ["MSA", code, head.control]
    if text and code[1] != "A":
        msa.append(escape(text[:80], m))
    lines.append(m.field.join(msa))
    lines += [_err(fault, m, new) for fault in faults]
    return charset.encode("".join(line.translate(_FRAMING) + "\r" for line in lines), charset_name)


def harmless(faults: Iterable[Fault]) -> str:
    """Return what is wrong and where, without a value of the message: no patient is told by it."""
    told = []
    for fault in faults:
        place = f"{fault.segment}-{fault.field}" if fault.field else fault.segment
        condition = _CONDITIONS.get(fault.condition, f"condition {fault.condition}").lower()
        told.append(f"{condition} ({place})" if place else condition)
    return ", ".join(told[:3]) or "it was refused"


def _err(fault: Fault, m: Delimiters, version: tuple[int, int]) -> str:
    """Return an ERR segment: since 2.5 with location, condition, severity, diagnosis and words for people; before that
    with the one field that it had."""
    condition = _CONDITIONS.get(fault.condition, "")
    field = str(fault.field) if fault.field else ""
    if version < (5, 0):
        coded = m.subcomponent.join((str(fault.condition), escape(fault.text or condition, m), "HL70357"))
        return m.field.join(("ERR", m.component.join((fault.segment, str(fault.occurrence), field, coded))))
    where = [fault.segment, str(fault.occurrence) if fault.segment else "", field]
    if fault.component:
        where += ["1", str(fault.component)]
    return m.field.join((
        "ERR", "", m.component.join(where).rstrip(m.component),
        m.component.join((str(fault.condition), condition, "HL70357")), fault.severity, "", "",
        escape(fault.hint[:250], m), escape(fault.text[:250], m),
    ))  # fmt: skip
