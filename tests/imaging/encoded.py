"""Makes JPEG Lossless objects for tests: an encoder of our own (ITU-T T.81 annex H), so that every process is there."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from pacstui.imaging.convert import _head

ANY_ORDER, FIRST_ORDER = "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"


class _Bits:
    """Bits into bytes, 00 stuffed after FF (T.81 F.1.2.3)."""

    def __init__(self) -> None:
        self.out = bytearray()
        self._held = self._count = 0

    def put(self, value: int, count: int) -> None:
        self._held = self._held << count | value
        self._count += count
        while self._count >= 8:
            self._count -= 8
            byte = self._held >> self._count & 0xFF
            self.out += bytes((byte, 0)) if byte == 0xFF else bytes((byte,))
        self._held &= (1 << self._count) - 1

    def fill(self) -> None:
        if self._count:
            self.put((1 << 8 - self._count) - 1, 8 - self._count)


def _predicted(rows: Any, y: int, x: int, first: int, predictor: int, precision: int) -> int:
    """Return the prediction for a sample (T.81 Table H.1, H.1.2.1)."""
    if y == first:
        return 1 << precision - 1 if x == 0 else rows[y][x - 1]
    above = rows[y - 1][x]
    if x == 0:
        return above
    left, before = rows[y][x - 1], rows[y - 1][x - 1]
    return (
        left, above, before, left + above - before, left + (above - before >> 1), above + (left - before >> 1),
        left + above >> 1,
    )[predictor - 1]  # fmt: skip


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _scan(planes: Sequence[list[list[int]]], predictor: int, precision: int, rows_between: int) -> Iterator[bytes]:
    bits, first, marks = _Bits(), 0, 0
    for y in range(len(planes[0])):
        if rows_between and y and y % rows_between == 0:
            bits.fill()
            yield bytes(bits.out) + bytes((0xFF, 0xD0 + marks % 8))
            bits, first, marks = _Bits(), y, marks + 1
        for x in range(len(planes[0][0])):
            for plane in planes:
                wide = plane[y][x] - _predicted(plane, y, x, first, predictor, precision) & 0xFFFF
                difference = wide - 0x10000 if wide > 0x8000 else wide
                size = abs(difference).bit_length()
                bits.put(size, 5)
                if 0 < size < 16:
                    bits.put(difference if difference > 0 else difference + (1 << size) - 1, size)
    bits.fill()
    yield bytes(bits.out)


def stream(
    picture: Any, precision: int, predictor: int = 1, *, rows_between: int = 0, interleaved: bool = True,
    before: bytes = b"",
) -> bytes:  # fmt: skip
    """Return samples (rows x columns, or x 3) as a stream; ``before`` are segments that come first."""
    picture = np.asarray(picture)
    planes = [picture.tolist()] if picture.ndim == 2 else [picture[:, :, at].tolist() for at in range(picture.shape[2])]
    components = range(1, len(planes) + 1)
    out = b"\xff\xd8" + before
    frame = struct.pack(">BHHB", precision, *picture.shape[:2], len(planes))
    out += _segment(0xC3, frame + b"".join(bytes((each, 0x11, 0)) for each in components))
    out += _segment(0xC4, bytes((0, 0, 0, 0, 0, 17, *[0] * 11, *range(17))))
    if rows_between:
        out += _segment(0xDD, struct.pack(">H", rows_between * picture.shape[1]))
    for scan in [components] if interleaved else [[each] for each in components]:
        head = bytes((len(scan), *(byte for each in scan for byte in (each, 0)), predictor, 0, 0))
        out += _segment(0xDA, head)
        out += b"".join(_scan([planes[each - 1] for each in scan], predictor, precision, rows_between))
    return out + b"\xff\xd9"


def object_of(streams: Sequence[bytes], picture: Any, stored: int, allocated: int, **more: Any) -> Dataset:
    """Return an object with these streams as its frames, which all look like ``picture``."""
    picture = np.asarray(picture)
    found = Dataset()
    found.SOPClassUID, found.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "2.25.4711"
    found.StudyInstanceUID, found.SeriesInstanceUID = "2.25.1", "2.25.2"
    found.PatientID, found.PatientName, found.Modality = "P1", "Test^JPEG", "OT"
    found.Rows, found.Columns = picture.shape[:2]
    found.SamplesPerPixel = 1 if picture.ndim == 2 else picture.shape[2]
    found.PhotometricInterpretation = "MONOCHROME2" if picture.ndim == 2 else "RGB"
    if picture.ndim > 2:
        found.PlanarConfiguration = 0
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = allocated, stored, stored - 1, 0
    if len(streams) > 1:
        found.NumberOfFrames = len(streams)
    found.PixelData = encapsulate(list(streams))
    found["PixelData"].VR = "OB"
    found["PixelData"].is_undefined_length = True
    for keyword, value in more.items():
        setattr(found, keyword, value)
    return found


def data_of(found: Dataset) -> bytes:
    """Return a data set as bytes, Explicit VR Little Endian."""
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = False, True
    write_dataset(out, found)
    return bytes(out.getvalue())


def saved(found: Dataset, path: Path, syntax: str = ANY_ORDER) -> Path:
    """Write an object into a file."""
    path.write_bytes(_head(syntax) + data_of(found))
    return path


def opened(data: bytes, syntax: str) -> Dataset:
    """Return a data set as pydicom reads it."""
    return dcmread(BytesIO(_head(syntax) + data))
