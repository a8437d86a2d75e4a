"""The object that a test stores: a Secondary Capture image (PS3.3 A.8.1) of nobody, that says what it is."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Final

from pacstui.dicom.dataset import DataSet, Element, encode
from pacstui.text import safe

SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
PATIENT_NAME: Final = "TEST^OBJECT^^^"
PATIENT_ID: Final = "PACSTUI-TEST"
DESCRIPTION: Final = "TEST OBJECT, NO PATIENT, MAY BE DELETED"
_SIDE: Final = 64


def new_uid() -> str:
    """Return a UID derived from a UUID (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def specimen(made_by: str, at: datetime) -> tuple[str, DataSet]:
    """Return SOP Instance UID and data set of a new test object."""
    local = at.astimezone()
    instance = new_uid()
    data = DataSet()
    texts = {
        0x00080005: "ISO_IR 100",
        0x00080008: "DERIVED\\SECONDARY\\TEST",
        0x00080016: SECONDARY_CAPTURE,
        0x00080018: instance,
        0x00080020: f"{local:%Y%m%d}",
        0x00080023: f"{local:%Y%m%d}",
        0x00080030: f"{local:%H%M%S}",
        0x00080033: f"{local:%H%M%S}",
        0x00080050: "",
        0x00080060: "OT",
        0x00080064: "SYN",
        0x00080070: "pacstui",
        0x00080090: "",
        0x00081030: DESCRIPTION,
        0x0008103E: DESCRIPTION,
        0x00100010: PATIENT_NAME,
        0x00100020: PATIENT_ID,
        0x00100030: "",
        0x00100040: "O",
        0x00181016: "pacstui",
        0x0020000D: new_uid(),
        0x0020000E: new_uid(),
        0x00200010: "TEST",
        0x00200011: "1",
        0x00200013: "1",
        0x00200020: "",
        0x00204000: f"Test object of {safe(made_by, 16)}, no patient, may be deleted",
        0x00280004: "MONOCHROME2",
    }
    for tag, text in texts.items():
        data.put(tag, text)
    for tag, number in (
        (0x00280002, 1),
        (0x00280010, _SIDE),
        (0x00280011, _SIDE),
        (0x00280100, 8),
        (0x00280101, 8),
        (0x00280102, 7),
        (0x00280103, 0),
    ):
        data[tag] = Element("US", number.to_bytes(2, "little"))
    pixels = bytes(((x ^ y) * 4) & 0xFF for y in range(_SIDE) for x in range(_SIDE))
    data[0x7FE00010] = Element("OB", pixels)
    return instance, data


def encoded(data: DataSet, transfer_syntax: str) -> bytes:
    """Return the data set's bytes in an uncompressed little endian transfer syntax."""
    return encode(data, transfer_syntax)
