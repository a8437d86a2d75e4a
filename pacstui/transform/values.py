"""What a value of each VR may be (PS3.5 6.2), and how text becomes one."""

from __future__ import annotations

import re
from datetime import date
from struct import Struct
from struct import error as StructError
from typing import Final

from pacstui.dicom.dictionary import vr_of
from pacstui.dicom.uids import valid_uid
from pacstui.transform.tree import NUMBER_VRS, STRING_VRS, Element, Item

LONGEST: Final = {
    "AE": 16, "CS": 16, "DS": 16, "IS": 12, "LO": 64, "LT": 10240, "SH": 16, "ST": 1024, "TM": 14, "DT": 26, "UI": 64,
}  # fmt: skip
ONE_VALUE: Final = frozenset(("LT", "ST", "UT", "UR"))
"""VRs in which a backslash is a character like others (PS3.5 6.2)."""

SETTABLE: Final = STRING_VRS | frozenset(NUMBER_VRS)
_CODE = re.compile(r"[A-Z0-9 _]*")
_DECIMAL = re.compile(r" *[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)? *", re.ASCII)
_WHOLE = re.compile(r" *[+-]?\d+ *", re.ASCII)
_AGE = re.compile(r"\d{3}[DWMY]", re.ASCII)
_TIME = re.compile(r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?", re.ASCII)
_ZONE = re.compile(r"[+-](?:0\d|1[0-4])[0-5]\d", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1a\x1c-\x1f\x7f]")
_LAYOUT = re.compile(r"[\t\n\f\r]")


def split(vr: str, text: str) -> list[str]:
    """Return the values that a text holds."""
    return [text] if vr in ONE_VALUE else text.split("\\")


def wrong(vr: str, text: str, *, told: bool = True) -> str:
    """Return why ``text`` cannot be the value of an element with this VR, empty if it can.

    The value is quoted where it may be ``told``: one from an object may be the patient's.
    """
    if vr not in SETTABLE:
        return f"a value of VR {vr} cannot be set by text"
    for value in split(vr, text) if text else ():
        quoted = f'"{_short(value)}"' if told else "the value"
        why = _wrong_number(vr, value, quoted) if vr in NUMBER_VRS else _wrong_text(vr, value, quoted)
        if why:
            return why
    return ""


def _wrong_number(vr: str, value: str, quoted: str) -> str:
    try:
        number: int | float = float(value) if vr in ("FL", "FD") else int(value)
        Struct("<" + NUMBER_VRS[vr]).pack(number)
    except (ValueError, StructError, OverflowError):
        return f"{quoted} is no number that {vr} holds"
    return ""


def _wrong_text(vr: str, value: str, quoted: str) -> str:
    plain = _LAYOUT.sub("", value) if vr in ("LT", "ST", "UT") else value
    if _CONTROL.search(plain):
        return f"{vr} holds no control characters"
    if vr == "PN":
        groups = value.split("=")
        if len(groups) > 3 or any(len(group) > 64 or group.count("^") > 4 for group in groups):
            return "a name (PN) has up to three groups of 64 characters and five components"
        return ""
    longest = LONGEST.get(vr)
    if longest is not None and len(value) > longest:
        return f"it has {len(value)} characters, {vr} holds {longest}"
    return _wrong_form(vr, value, quoted) if value else ""


def _wrong_form(vr: str, value: str, quoted: str) -> str:
    if vr == "CS" and not _CODE.fullmatch(value):
        return f"{quoted} is no code string (CS): capitals, digits, blanks and underscores"
    if vr == "DS" and not _DECIMAL.fullmatch(value):
        return f"{quoted} is no decimal number (DS)"
    if vr == "IS" and not (_WHOLE.fullmatch(value) and -(2**31) <= int(value) < 2**31):
        return f"{quoted} is no whole number (IS)"
    if vr == "AS" and not _AGE.fullmatch(value):
        return f"{quoted} is no age (AS) as 042Y"
    if vr == "DA" and not _is_date(value):
        return f"{quoted} is no date (DA) as 20260131"
    if vr == "TM" and not _TIME.fullmatch(value):
        return f"{quoted} is no time (TM) as 143000"
    if vr == "DT" and not _is_moment(value):
        return f"{quoted} is no date and time (DT) as 20260131143000"
    if vr == "UI" and not valid_uid(value):
        return f"{quoted} is no UID"
    if vr == "UR" and (" " in value.strip() or not value.isascii()):
        return "an address (UR) has no blanks"
    if vr == "AE" and not (value.isascii() and value.strip()):
        return f"{quoted} is no AE title"
    return ""


def _is_date(value: str) -> bool:
    if len(value) != 8 or not (value.isascii() and value.isdigit()):
        return False
    try:
        date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        return False
    return True


def _is_moment(value: str) -> bool:
    """Return whether it is a DT: a date, in parts if need be, a time, and an offset from UTC."""
    zone = re.search(r"[+-]", value)
    if zone is not None and not _ZONE.fullmatch(value[zone.start() :]):
        return False
    plain = value[: zone.start()] if zone is not None else value
    day, time = plain[:8], plain[8:]
    if len(day) in (4, 6) and day.isdigit() and not time:
        return len(day) == 4 or 1 <= int(day[4:]) <= 12
    return _is_date(day) and (not time or _TIME.fullmatch(time) is not None)


def _short(value: str) -> str:
    return value if len(value) <= 40 else value[:39] + "\N{HORIZONTAL ELLIPSIS}"


def element_of(item: Item, vr: str, text: str) -> Element:
    """Return an element with this text; binary numbers are in the byte order of the item."""
    if vr not in NUMBER_VRS:
        return Element(vr, text)
    if not text:
        return Element(vr)
    one = Struct((">" if item.big else "<") + NUMBER_VRS[vr])
    numbers = (float(value) if vr in ("FL", "FD") else int(value) for value in text.split("\\"))
    return Element(vr, b"".join(one.pack(number) for number in numbers))


def vr_at(item: Item, tag: int, wanted: str = "") -> str:
    """Return the VR that an element has or would get."""
    element = item.elements.get(tag)
    if element is not None and element.items is None and element.vr != "UN":
        return element.vr
    return wanted or vr_of(tag)
