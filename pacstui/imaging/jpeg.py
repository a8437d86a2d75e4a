"""JPEG Lossless (ITU-T T.81 annexes B and H; DICOM 4.57 and 4.70): what a stream holds, and its samples.

Written for streams of strangers: what they say is checked against what is there, to the last bit, and nothing but
Python and numpy is at work. A stream that is damaged, cut short or of another process is refused with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from pacstui.imaging.huffman import BadStream, Table, differences
from pacstui.imaging.predict import samples

_SOI: Final = b"\xff\xd8"
_SOF3, _DHT, _EOI, _SOS, _DRI = 0xC3, 0xC4, 0xD9, 0xDA, 0xDD
_OTHER_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {_SOF3, _DHT, 0xC8, 0xCC}
_RESTARTS: Final = range(0xD0, 0xD8)


class Shape(NamedTuple):
    """What a frame header says (T.81 B.2.2): bits of a sample, and how many samples there are."""

    precision: int
    rows: int
    columns: int
    components: int


@dataclass(slots=True)
class _Reading:
    """How far a stream is read."""

    stream: bytes
    at: int = 2
    shape: Shape | None = None
    names: bytes = b""
    tables: dict[int, Table] = field(default_factory=dict)
    interval: int = 0

    def segment(self) -> tuple[int, bytes]:
        """Return the next marker and what belongs to it; the stream's end counts as EOI."""
        stream = self.stream
        while stream[self.at : self.at + 2] == b"\xff\xff":  # fill bytes
            self.at += 1
        if len(stream) < self.at + 2 or stream[self.at] != 0xFF:
            raise BadStream(f"there is no marker at byte {self.at}")
        marker = stream[self.at + 1]
        if marker == _EOI:
            return marker, b""
        length = int.from_bytes(stream[self.at + 2 : self.at + 4], "big")
        body = stream[self.at + 4 : self.at + 2 + length]
        if length < 2 or len(body) != length - 2:
            raise BadStream(f"the segment at byte {self.at} is cut short")
        self.at += 2 + length
        return marker, body


def shape_of(stream: bytes) -> Shape:
    """Return what a stream says that it holds.

    Raises
    ------
    BadStream
        When it is none of this process, or broken before its first scan.
    """
    return _headed(stream)[0]


def decoded(stream: bytes) -> Any:
    """Return the samples of a stream as an array of rows, columns, and components where there are several.

    They are ``uint8`` where a sample has up to eight bits, else ``uint16``.

    Raises
    ------
    BadStream
        When it is damaged, or of a kind that DICOM does not have.
    """
    shape, reading, body = _headed(stream)
    found: dict[int, Any] = {}
    while True:
        for component, plane in _scan(reading, shape, body):
            if component in found:
                raise BadStream("a component is there twice")
            found[component] = plane
        if len(found) == shape.components:
            break
        body = _to_scan(reading)
    planes = [found[component] for component in range(shape.components)]
    return planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)


def _headed(stream: bytes) -> tuple[Shape, _Reading, bytes]:
    """Read to the first scan; return what is known then, and the header of the scan."""
    if stream[:2] != _SOI:
        raise BadStream("it does not begin like a JPEG stream")
    reading = _Reading(stream)
    body = _to_scan(reading)
    if reading.shape is None:
        raise BadStream("it has no frame header")
    return reading.shape, reading, body


def _to_scan(reading: _Reading) -> bytes:
    """Take in tables and headers up to the next scan; return that one's header."""
    while True:
        marker, body = reading.segment()
        if marker == _SOS:
            return body
        if marker == _EOI:
            raise BadStream("it ends before all components are there")
        if marker in _OTHER_FRAMES:
            raise BadStream(f"it is of another JPEG process (SOF{marker - 0xC0})")
        if marker == _SOF3:
            reading.shape, reading.names = _frame(body)
        elif marker == _DHT:
            _take_tables(body, reading.tables)
        elif marker == _DRI and len(body) == 2:
            reading.interval = int.from_bytes(body, "big")


def _frame(body: bytes) -> tuple[Shape, bytes]:
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise BadStream("its frame header has a wrong length")
    rows, columns = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    shape = Shape(body[0], rows, columns, body[5])
    if not (2 <= shape.precision <= 16 and rows and columns and shape.components):
        raise BadStream(f"it has {shape.components} components of {rows} x {columns} samples of {shape.precision} bits")
    if shape.components > 1 and set(body[7::3]) != {0x11}:
        raise BadStream("its components are sampled unequally")
    return shape, body[6::3]


def _take_tables(body: bytes, tables: dict[int, Table]) -> None:
    """Take in Huffman tables (T.81 B.2.4.2)."""
    while body:
        counts, values = body[1:17], body[17 : 17 + sum(body[1:17])]
        if len(counts) != 16 or len(values) != sum(counts):
            raise BadStream("a Huffman table is cut short")
        tables[body[0]] = Table(counts, values)
        body = body[17 + len(values) :]


def _scan(reading: _Reading, shape: Shape, body: bytes) -> list[tuple[int, Any]]:
    """Decode one scan; return its components by their place in the frame (T.81 B.2.3)."""
    count = body[0] if body else 0
    if not count or len(body) != 4 + 2 * count:
        raise BadStream("a scan's header has a wrong length")
    components, tables = [], []
    for name, selector in zip(body[1 : 1 + 2 * count : 2], body[2 : 2 + 2 * count : 2], strict=True):
        if name not in reading.names or selector >> 4 not in reading.tables:
            raise BadStream("a scan is of a component or with a table that is not there")
        components.append(reading.names.index(name))
        tables.append(reading.tables[selector >> 4])
    predictor, transform = body[1 + 2 * count], body[3 + 2 * count] & 15
    if not 1 <= predictor <= 7 or transform >= shape.precision:
        raise BadStream(f"it has predictor {predictor} and point transform {transform}")
    rows, spare = divmod(reading.interval, shape.columns) if reading.interval else (shape.rows, 0)
    if spare:
        raise BadStream("it is restarted within a row")
    parts = _parts(reading)
    if len(parts) != -(-shape.rows // rows):
        raise BadStream(f"it has {len(parts)} parts between restarts for {shape.rows} rows")
    planes = np.empty((count, shape.rows, shape.columns), "u1" if shape.precision <= 8 else "<u2")
    for at, part in enumerate(parts):
        band = planes[:, at * rows : (at + 1) * rows]
        wide = differences(part, tables, band.size).reshape(*band.shape[1:], count)
        for each in range(count):
            band[each] = samples(wide[:, :, each], predictor, shape.precision, transform)
    return list(zip(components, planes, strict=True))


def _parts(reading: _Reading) -> list[bytes]:
    """Return the entropy-coded segments of a scan, without stuffed bytes (T.81 F.1.2.3)."""
    data = np.frombuffer(reading.stream, "u1")
    fills = np.flatnonzero(data[reading.at : -1] == 0xFF) + reading.at
    follows = data[fills + 1]
    parts: list[bytes] = []
    for mark in fills[(follows != 0) & (follows != 0xFF)].tolist():
        parts.append(reading.stream[reading.at : mark].rstrip(b"\xff").replace(b"\xff\x00", b"\xff"))
        marker = reading.stream[mark + 1]
        reading.at = mark
        if marker not in _RESTARTS:
            return parts
        if marker != _RESTARTS[(len(parts) - 1) % 8]:
            raise BadStream("a part between restarts is missing")
        reading.at = mark + 2
    raise BadStream("it is cut short")
