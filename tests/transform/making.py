"""Objects to be transformed, and plans to do it with."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from pacstui import transform
from pacstui.settings import TransformSettings
from pacstui.transform import Context, Plan

SECRET = bytes(range(32))
CT = "1.2.840.10008.5.1.4.1.1.2"
CONTEXT = Context("CT1", "PACSTUI", "workstation", "WS1", "all", "20260131", "143000")


def plan(*changes: dict[str, Any], **settings: Any) -> Plan:
    """Return a plan of these changes."""
    given = {"name": "test", "change": changes, **settings}
    return transform.compile(TransformSettings.model_validate(given), SECRET)


def basic(*options: str, **settings: Any) -> Plan:
    """Return a plan that de-identifies."""
    return plan(profile="basic", options=options, **{"project": "test", **settings})


def image(**values: Any) -> Dataset:
    """Return a small CT image with these attributes."""
    found = Dataset()
    found.SOPClassUID, found.SOPInstanceUID = CT, "1.2.3.4.1"
    found.StudyInstanceUID, found.SeriesInstanceUID = "1.2.3.4.2", "1.2.3.4.3"
    found.PatientID, found.PatientName, found.Modality = "4711-0815", "Testmann^Erika", "CT"
    found.Rows = found.Columns = 2
    found.PixelRepresentation = 0
    found.BitsAllocated = found.BitsStored = 16
    found.add_new(0x7FE00010, "OW", b"\1\2\3\4\5\6\7\x08")
    for name, value in values.items():
        setattr(found, name, value)
    return found


def part10(data: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Return a data set as a file."""
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.preamble = b"PREAMBLE" * 16
    out = BytesIO()
    pydicom.dcmwrite(out, data, enforce_file_format=True)
    return out.getvalue()


def changed(data: Dataset, *changes: dict[str, Any], syntax: str = ExplicitVRLittleEndian, **settings: Any) -> Dataset:
    """Return what these changes make of an object."""
    return read(plan(*changes, **settings).apply(part10(data, syntax), CONTEXT))


def read(data: bytes) -> Dataset:
    """Read a file that was made here; it is a valid one."""
    found = pydicom.dcmread(BytesIO(data))
    assert data[:132] == bytes(128) + b"DICM"
    assert found.file_meta.MediaStorageSOPInstanceUID == found.SOPInstanceUID
    return found
