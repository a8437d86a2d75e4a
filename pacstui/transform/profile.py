"""The basic profile with its options as one rule for each attribute (PS3.15 E.1 to E.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pacstui.dicom.dictionary import is_known, vr_of
from pacstui.transform.table import table

BASIC: Final = ("113100", "Basic Application Confidentiality Profile")
OPTIONS: Final[dict[str, tuple[str, str, str]]] = {
    "clean-graphics": ("g", "113103", "Clean Graphics Option"),
    "clean-structured-content": ("s", "113104", "Clean Structured Content Option"),
    "clean-descriptors": ("d", "113105", "Clean Descriptors Option"),
    "retain-full-dates": ("f", "113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "retain-modified-dates": ("m", "113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "retain-patient-characteristics": ("p", "113108", "Retain Patient Characteristics Option"),
    "retain-device-identity": ("v", "113109", "Retain Device Identity Option"),
    "retain-uids": ("u", "113110", "Retain UIDs Option"),
    "retain-safe-private": ("", "113111", "Retain Safe Private Option"),
    "retain-institution-identity": ("i", "113112", "Retain Institution Identity Option"),
}
"""Letter in the table, code and meaning of PS3.16 CID 7050."""

_STRUCTURAL: Final = frozenset((
    0x00080016, 0x0008001A, 0x0008001B, 0x00080062, 0x0008010C, 0x0008010D, 0x00080117, 0x00080118, 0x0008040E,
    0x00081150, 0x0008115A, 0x00083002, 0x00340003, 0x04000010, 0x04000510, 0x3010001F, 0x30100052, 0x30100053,
))  # fmt: skip
"""UIDs that name classes, transfer syntaxes and coding schemes (PS3.15 E.3.9 note 4)."""

_ALSO: Final[dict[int, str]] = {
    0x00080300: "X", 0x00080407: "X", 0x00080408: "X", 0x00080409: "X", 0x0008040B: "X", 0x0008041B: "X",
    0x0008041C: "X", 0x00081190: "X", 0x0040A160: "D", 0x0040A992: "X", 0x0040E001: "D", 0x0040E010: "X",
    0x0040E011: "X", 0x0040E030: "D", 0x0040E031: "X", 0x00404073: "X", 0x00420010: "Z", 0x00700006: "D",
    0x0074100A: "X", 0x04000120: "D", 0x04000520: "D", 0x0040A224: "X", 0x0040A33A: "X", 0x0040A074: "X",
    0x0040A089: "X", 0x00142006: "Z", 0x00140104: "Z", 0x00120062: "X", 0x00120063: "X", 0x00120064: "X",
    0x00280303: "X",
}  # fmt: skip
"""What the table leaves out and we do not: where copies lie, free text, and what we write ourselves."""

_CLASSIC_ENDS: Final = """
1 1.1 1.1.1 1.2 1.2.1 1.3 1.3.1 2 3 3.1 4 6 6.1 7 7.1 7.2 7.3 7.4 12.1 12.2 20 128 11.1 11.2 11.3 11.4 88.11 88.22 88.33
88.34 88.40 88.50 88.59 88.65 88.67 481.1 481.2 481.3 481.4 481.5 481.6 481.7 481.8 481.9 77.1.1 77.1.2 77.1.4 77.1.5.1
77.1.5.2 104.1 104.2
"""
_CLASSIC: Final = frozenset("1.2.840.10008.5.1.4.1.1." + end for end in _CLASSIC_ENDS.split())
_PET, _NM = "1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.20"
_RT, _SR, _PR = "1.2.840.10008.5.1.4.1.1.481.", "1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.11."
_PROJECTION: Final = tuple(f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("1.1", "1.2", "1.3"))
_CONTEXT: Final = (*_PROJECTION, "1.2.840.10008.5.1.4.1.1.77.")
_DERIVED: Final = (*_PROJECTION, _PR, _SR)
_DATED: Final = (_SR, _PR)

_TYPES: Final[dict[int, tuple[tuple[str, ...], str]]] = {
    0x00080021: ((_PET,), "D"), 0x00080031: ((_PET,), "D"), 0x00080022: ((_PET, _NM), "Z"),
    0x00080032: ((_PET, _NM), "Z"), 0x00400555: (_CONTEXT, "Z"), 0x00081070: ((_RT,), "Z"), 0x00081111: ((_SR,), "Z"),
    0x00081110: ((), "Z"), 0x00102203: (("",), "Z"), 0x30080105: ((_RT,), "Z"), 0x300A00B2: ((_RT,), "Z"),
    0x300E0008: ((_RT,), "Z"), 0x00081140: (_DERIVED, "U"), 0x00082112: (_DERIVED, "U"), 0x00080023: (_DATED, "D"),
    0x00080033: (_DATED, "D"), 0x00700084: ((), "D"), 0x00189919: (("",), "D"), 0x00180010: ((), "D"),
}  # fmt: skip
"""Classes (by the beginning of their UID) of the classic IODs in which an attribute has to be there, and the action
that this takes; in their others it may be absent, or empty where the table says so (PS3.3 A)."""

_RT_DATES: Final = frozenset((0x30080054, 0x30080056, 0x30080250, 0x30080251, 0x300A0006, 0x300A0007))
_WEIGHT: Final = {"X": 0, "Z": 1, "D": 2, "U*": 3}


@dataclass(frozen=True, slots=True)
class Profile:
    """Which action is taken on an attribute."""

    options: frozenset[str]

    @property
    def dates(self) -> str:
        """K, C or none: what the options say of dates."""
        return "K" if "retain-full-dates" in self.options else "C" if "retain-modified-dates" in self.options else ""

    def action(self, tag: int, vr: str, sop_class: str, top: bool) -> str:
        """Return X (remove), Z (empty), D (dummy), U (new UID), K (keep) or C (clean) for a standard attribute.

        Several letters of the table are resolved by the class of the object as far as it is known which attributes have
        to be there, else to what is valid in any case. What the table does not have is judged by its VR.
        """
        entry = table().get(tag)
        if entry is None:
            return self._unlisted(tag, vr)
        basic, options = entry
        said = {options[letter] for name in self.options if (letter := OPTIONS[name][0]) in options}
        if said:
            return "C" if "C" in said else "K"
        return resolved(tag, basic, sop_class, top)

    def _unlisted(self, tag: int, vr: str) -> str:
        if tag in _ALSO:
            return _ALSO[tag]
        if not is_known(tag):
            return "X"
        if vr == "SQ" or tag in _STRUCTURAL:
            return "K"
        if vr == "UI":
            return "K" if "retain-uids" in self.options else "U"
        if vr in ("DA", "DT", "TM"):
            return self.dates or "D"
        if vr == "PN":
            return "D"
        return "C" if vr in ("LT", "ST", "UT") and vr_of(tag) == vr and tag not in _PROSE_OF_CODES else "K"


_PROSE_OF_CODES: Final = frozenset((
    0x00080108, 0x00080114, 0x00080115, 0x00080116, 0x00080119, 0x00080120, 0x00400032, 0x20100010, 0x00620020,
))  # fmt: skip


def resolved(tag: int, basic: str, sop_class: str, top: bool) -> str:
    """Return the one action that an entry such as X/Z/D comes to (PS3.15 E.1.1)."""
    letters = basic.split("/")
    if len(letters) == 1:
        return basic
    if tag == 0x00100020:
        return "Z"
    strongest = max(letters, key=_WEIGHT.__getitem__).removesuffix("*")
    if not top or sop_class not in _CLASSIC:
        return strongest
    if tag in _RT_DATES:
        return strongest
    classes, needed = _TYPES.get(tag, ((), ""))
    return needed if classes and sop_class.startswith(classes) else letters[0]
