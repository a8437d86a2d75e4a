"""Values of HL7 v2 data types as DICOM has them: CX, XPN, XCN, TS, CE and the tables for sex and priority.

What DICOM cannot hold is told, never left out in silence: each function takes ``told``, a list that gets the fault.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pacstui.hl7v2.message import NULL, Segment
from pacstui.hl7v2.outcome import DATA_TYPE, Fault

LONG: Final = 64
"""Most characters of an LO value and of a component group of a PN (PS3.5 6.2)."""
SHORT: Final = 16
_UID: Final = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
_TS: Final = re.compile(r"(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\.\d{1,4})?([+-]\d{4})?")
_SEX: Final = {"M": "M", "F": "F", "O": "O", "A": "O", "N": "O", "U": "", "": ""}
_PRIORITY: Final = {"S": "STAT", "A": "HIGH", "T": "HIGH", "P": "MEDIUM", "R": "ROUTINE", "C": "LOW"}
_WORDS: Final = frozenset(("STAT", "HIGH", "ROUTINE", "MEDIUM", "LOW"))
_BAD: Final = re.compile(r"[\\\x00-\x1f\x7f-\x9f]")
_NAME_BAD: Final = re.compile(r"[\\^=\x00-\x1f\x7f-\x9f]")
# Component n of a PN is component _ORDER[n] of an XPN: family, given, middle, prefix, suffix.
_ORDER: Final = (1, 2, 3, 5, 4)


def at(
    segment: Segment, field: int, text: str, component: int = 0, severity: str = "W", code: int = DATA_TYPE
) -> Fault:
    """Return a fault of a field."""
    return Fault(segment.name, field, code, text, component=component, severity=severity)


def plain(text: str) -> str:
    """Return a value without what DICOM does not allow in LO, SH and ST of one line; nothing for `NULL`."""
    if text == NULL:
        return ""
    return " ".join(_BAD.sub(" ", text).split()) if _BAD.search(text) else text.strip(" ")


def fitting(segment: Segment, field: int, text: str, most: int, told: list[Fault], component: int = 0) -> str:
    """Return a value that fits into ``most`` characters; that it was cut is told."""
    value = plain(text)
    if len(value) <= most:
        return value
    told.append(at(segment, field, f"{value[:20]}... has {len(value)} characters and was cut to {most}", component))
    return value[:most].rstrip(" ")


def uid(text: str) -> bool:
    """Return whether this is a UID (PS3.5 9.1)."""
    return len(text) <= LONG and _UID.fullmatch(text) is not None


def sex(text: str) -> str | None:
    """Return Patient's Sex for a value of HL7 table 0001; None if it is none of those."""
    return _SEX.get(text.strip().upper()[:1] if len(text.strip()) > 1 else text.strip().upper())


def priority(text: str) -> str:
    """Return Requested Procedure Priority (PS3.3 C.4.11) for a priority of HL7 table 0485, empty for an unknown one."""
    word = text.strip().upper()
    return word if word in _WORDS else _PRIORITY.get(word, "")


def date(text: str) -> str | None:
    """Return the date of a DT or TS as DA; None if it is none, or not of a whole day."""
    found = _TS.fullmatch(text.strip())
    if found is None or not found[3]:
        return None
    try:
        datetime(int(found[1]), int(found[2]), int(found[3]))  # noqa: DTZ001 - only whether there is such a day
    except ValueError:
        return None
    return f"{found[1]}{found[2]}{found[3]}"


def moment(text: str) -> tuple[str, str] | None:
    """Return date and time of a TS as DICOM has them, in local time; None if it is none. A time that is not given is
    empty, minutes and seconds that are not given are zero."""
    found = _TS.fullmatch(text.strip())
    if found is None or not found[3]:
        return None
    year, month, day, hour, minute, second, _, zone = found.groups()
    try:
        if hour and zone:
            stamp = f"{year}{month}{day}{hour}{minute or '00'}{second or '00'}{zone}"
            local = datetime.strptime(stamp, "%Y%m%d%H%M%S%z").astimezone()
            return local.strftime("%Y%m%d"), local.strftime("%H%M%S")
        datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), min(int(second or 0), 59))  # noqa: DTZ001
    except ValueError:
        return None
    return f"{year}{month}{day}", f"{hour}{minute or '00'}{second or '00'}" if hour else ""


def group(
    segment: Segment, field: int, repetition: int, told: list[Fault], first: int = 1, order: Sequence[int] = _ORDER
) -> list[str]:
    """Return the five components of one group of a PN from an XPN; `NULL` where the component is deleted."""
    parts: list[str] = []
    for number in order:
        value = segment.value(field, number + first - 1, 1, repetition)
        if value == NULL:
            parts.append(NULL)
            continue
        if _NAME_BAD.search(value):
            told.append(
                at(segment, field, "a character that DICOM has for its own use in names became a blank", number)
            )
            value = _NAME_BAD.sub(" ", value)
        parts.append(" ".join(value.split()))
    return parts


def joined(segment: Segment, field: int, parts: Sequence[str], told: list[Fault]) -> str:
    """Return a component group of a PN (PS3.5 6.2.1); that it was cut is told."""
    text = "^".join("" if part == NULL else part for part in parts).rstrip("^ ")
    if len(text) <= LONG:
        return text
    told.append(at(segment, field, f"the name has {len(text)} characters and was cut to {LONG}"))
    return text[:LONG].rstrip("^ ")


def staff(segment: Segment, field: int, told: list[Fault], repetition: int = 1) -> str:
    """Return the name of an XCN as PN; of one with an ID only, the ID as family name."""
    if not 0 < repetition <= segment.repetitions(field):
        return ""
    name = joined(segment, field, group(segment, field, repetition, told, 2), told)
    return name or fitting(segment, field, segment.value(field, 1, 1, repetition), LONG, told).replace("^", " ")
