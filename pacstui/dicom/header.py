"""Reads what the index needs from an encoded data set, and tells whether the data set is whole.

Nothing is decoded that is not indexed, values are skipped by their length, and the walk is linear in the number of
elements: arbitrary bytes never raise and never take long. The encodings are those of PS3.5: explicit and implicit VR
little endian (A.1, A.2), explicit VR big endian (A.3) and deflated (A.5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pacstui.dicom import charset, deflated
from pacstui.dicom.mapped import Buffer
from pacstui.dicom.sequences import SEQUENCES, Inner, items_text
from pacstui.dicom.syntaxes import BIG_ENDIAN, EXPLICIT, IMPLICIT, WHOLLY_DEFLATED
from pacstui.dicom.walk import BIG, LITTLE, LONG_VRS, SHORT_VRS, Lost, Order, Spent, walk
from pacstui.text import size

_STEPS = 20_000_000

CHARSET: Final = 0x00080005
_TEXT, _CODE, _UID, _DATE, _TIME, _SHORT_INT, _SEQUENCE = range(7)

WANTED: Final[dict[int, int]] = {
    CHARSET: _CODE,
    0x00080008: _CODE,  # Image Type
    0x00080016: _UID,
    0x00080018: _UID,
    0x00080020: _DATE,
    0x00080021: _DATE,
    0x00080023: _DATE,
    0x00080030: _TIME,
    0x00080031: _TIME,
    0x00080033: _TIME,
    0x00080050: _TEXT,  # Accession Number
    0x00080060: _CODE,  # Modality
    0x00080080: _TEXT,  # Institution Name
    0x00080090: _TEXT,  # Referring Physician's Name
    0x00081010: _TEXT,  # Station Name
    0x00081030: _TEXT,  # Study Description
    0x0008103E: _TEXT,  # Series Description
    0x00100010: _TEXT,  # Patient's Name
    0x00100020: _TEXT,  # Patient ID
    0x00100021: _TEXT,  # Issuer of Patient ID
    0x00100030: _DATE,  # Patient's Birth Date
    0x00100040: _CODE,  # Patient's Sex
    0x00180015: _CODE,  # Body Part Examined
    0x00181030: _TEXT,  # Protocol Name
    0x0020000D: _UID,
    0x0020000E: _UID,
    0x00200010: _TEXT,  # Study ID
    0x00200011: _CODE,  # Series Number
    0x00200013: _CODE,  # Instance Number
    0x00280008: _CODE,  # Number of Frames
    0x00280010: _SHORT_INT,  # Rows
    0x00280011: _SHORT_INT,  # Columns
}
"""The index tags and how each is read; :func:`want` adds others."""

_TEXT_VRS: Final = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_KINDS: Final = {"UI": _UID, "DA": _DATE, "TM": _TIME, "US": _SHORT_INT}
_PLAIN_VRS: Final = frozenset(("AE", "AS", "CS", "DS", "DT", "IS", "UR"))


def want(tags: Mapping[int, str]) -> None:
    """Read these tags from now on too; they are given with their VR.

    Raises
    ------
    ValueError
        For a VR that is no text, date, time, UID or unsigned short.
    """
    for tag, vr in tags.items():
        if vr not in _TEXT_VRS and vr not in _KINDS and vr not in _PLAIN_VRS:
            raise ValueError(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) has VR {vr}, which cannot be indexed")
        WANTED.setdefault(tag, _TEXT if vr in _TEXT_VRS else _KINDS.get(vr, _CODE))


def want_items(sequences: Mapping[int, Inner]) -> None:
    """Read these sequences from now on too, of their items what is given."""
    SEQUENCES.update(sequences)
    WANTED.update(dict.fromkeys(sequences, _SEQUENCE))


@dataclass(slots=True)
class Header:
    """What the index needs of a data set.

    ``values`` holds decoded, trimmed text by tag: dates and times normalised (DA ``2003.11.25`` is ``20031125``, TM
    ``14:05:06`` is ``140506``; PS3.5 6.2), UIDs without padding. Tags that are absent have no entry. ``marked`` is true
    when text had to be guessed or holds replacement characters. ``complete`` is true when every value that the data
    set announces is there; else ``problem`` says what is missing. ``pixels`` tells whether there are pixel data.
    ``cut`` is true when the bytes end too early or make no sense, false when they can be read but UIDs or an image's
    pixel data are missing.
    """

    values: dict[int, str] = field(default_factory=dict)
    marked: bool = False
    complete: bool = False
    problem: str = ""
    pixels: bool = False
    cut: bool = False

    def get(self, tag: int) -> str:
        """Return the text of ``tag``, empty if the data set has none."""
        return self.values.get(tag, "")

    @property
    def sop_class(self) -> str:
        return self.values.get(0x00080016, "")

    @property
    def sop_instance(self) -> str:
        return self.values.get(0x00080018, "")

    @property
    def study(self) -> str:
        return self.values.get(0x0020000D, "")

    @property
    def series(self) -> str:
        return self.values.get(0x0020000E, "")

    @property
    def patient_name(self) -> str:
        return self.values.get(0x00100010, "")

    @property
    def patient_id(self) -> str:
        return self.values.get(0x00100020, "")

    @property
    def modality(self) -> str:
        return self.values.get(0x00080060, "")


def read(data: Buffer, transfer_syntax: str, *, start: int = 0, steps: int = _STEPS) -> Header | None:
    """Read the header of the data set in ``data`` from ``start`` to the end.

    Parameters
    ----------
    data
        The encoded data set, whole.
    transfer_syntax
        UID of the transfer syntax that it is encoded in.
    start
        Where the data set begins in ``data``, in bytes.
    steps
        Number of elements and items after which the walk is given up.

    Returns
    -------
    Header or None
        None when ``steps`` did not suffice: read again with more, away from the event loop.
    """
    ended = True
    length = len(data)
    if transfer_syntax in WHOLLY_DEFLATED:
        data, length, ended = deflated.inflate(data, start)
        start = 0
    order = BIG if transfer_syntax == BIG_ENDIAN else LITTLE
    found: dict[int, bytes] = {}
    sequences: dict[int, tuple[bytes, bool]] = {}
    header = Header()
    try:
        if length > deflated.LIMIT and transfer_syntax in WHOLLY_DEFLATED:
            raise Lost(f"the data set inflates to more than {size(deflated.LIMIT)}")
        header.pixels = walk(data, start, length, order, transfer_syntax != IMPLICIT, WANTED, found, sequences, steps)
        if not ended:
            raise Lost("the deflated data set ends too early")
    except Lost as lost:
        header.problem, header.cut = str(lost), True
    except Spent:
        if steps < _STEPS:
            return None
        header.problem, header.cut = "the data set has too many elements", True
    _decode(found, sequences, header, order)
    if not header.cut:
        if not (header.sop_class and header.sop_instance and header.study and header.series):
            header.problem = "the data set does not name its class, instance, study or series"
        elif not header.pixels and (is_image(header.sop_class) or 0x00280010 in header.values):
            header.problem = "the image has no pixel data"
        else:
            header.complete = True
    return header


_DATE_OLD = re.compile(r"(\d{4})[.\-/](\d{2})[.\-/](\d{2})")
_TIME_OLD = re.compile(r"(\d{2}):(\d{2})(?::(\d{2}(?:\.\d{0,6})?))?")


def normal_date(text: str) -> str:
    """Return a DA as ``YYYYMMDD`` where it is written in an older form (PS3.5 6.2), else as it is."""
    match = _DATE_OLD.fullmatch(text)
    return "".join(match.groups()) if match else text


def normal_time(text: str) -> str:
    """Return a TM as ``HHMMSS.FFFFFF`` where it is written in an older form (PS3.5 6.2), else as it is."""
    match = _TIME_OLD.fullmatch(text)
    return "".join(part or "" for part in match.groups()) if match else text


def _decode(found: dict[int, bytes], sequences: dict[int, tuple[bytes, bool]], header: Header, order: Order) -> None:
    values = header.values
    terms = found.get(CHARSET, b"").decode("latin_1").strip(" \0")
    for tag, raw in found.items():
        kind = WANTED[tag]
        if kind == _SHORT_INT:
            if len(raw) == 2:
                values[tag] = str(order.u16(raw)[0])
            continue
        if raw.isascii() and b"\x1b" not in raw:
            text = raw.decode("ascii").strip(" \0")
        elif kind == _TEXT:
            text, doubt = charset.decode(raw, terms)
            text = text.strip(" \0")
            header.marked |= doubt
        else:
            text = raw.decode("latin_1").strip(" \0")
            header.marked = True
        if kind == _DATE and not text.isdigit():
            text = normal_date(text)
        elif kind == _TIME and ":" in text:
            text = normal_time(text)
        values[tag] = text
    for tag, (raw, explicit) in sequences.items():
        text = items_text(tag, raw, order is BIG, explicit, terms)
        if text:
            values[tag] = text


def is_image(sop_class: str) -> bool:
    """Return whether the objects of a standard storage SOP class always have pixel data (PS3.4 B.5)."""
    return sop_class in _IMAGES


_IMAGE_ENDS = (
    "1 1.1 1.1.1 1.2 1.2.1 1.3 1.3.1 2 2.1 2.2 3 3.1 4 4.1 4.3 4.4 5 6 6.1 6.2 7 7.1 7.2 7.3 7.4 12.1 12.1.1 12.2 "
    "12.2.1 12.3 13.1.1 13.1.2 13.1.3 13.1.4 13.1.5 14.1 14.2 20 77.1.1 77.1.1.1 77.1.2 77.1.2.1 77.1.3 77.1.4 "
    "77.1.4.1 77.1.5.1 77.1.5.2 77.1.5.4 77.1.6 128 128.1 130 481.1"
)
_IMAGES = frozenset("1.2.840.10008.5.1.4.1.1." + end for end in _IMAGE_ENDS.split())


def guess_transfer_syntax(data: Buffer, start: int = 0) -> str:
    """Return the uncompressed transfer syntax that a data set without file meta information looks like, else empty.

    The first elements of a data set have a low, even group; with VRs their letters stand at byte 4 (PS3.5 7.1).
    """
    if len(data) < start + 8:
        return ""
    head = bytes(data[start : start + 8])
    vr = head[4:6]
    if vr in SHORT_VRS or vr in LONG_VRS:
        little, big = LITTLE.u16(head)[0], BIG.u16(head)[0]
        return EXPLICIT if little <= big else BIG_ENDIAN
    group, _, n = LITTLE.implicit(head)
    if 2 <= group <= 0x0040 and n <= min(len(data) - start - 8, 1 << 20):
        return IMPLICIT
    return ""
