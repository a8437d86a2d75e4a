"""Small synthetic objects, encoded by hand so that every byte is known."""

from __future__ import annotations

import itertools
import struct
import zlib
from typing import Any

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
UNDEFINED = 0xFFFFFFFF

SHORT = {
    "charset": 0x00080005, "sop_class": 0x00080016, "sop": 0x00080018, "date": 0x00080020, "time": 0x00080030,
    "accession": 0x00080050, "modality": 0x00080060, "description": 0x00081030, "name": 0x00100010,
    "patient": 0x00100020, "study": 0x0020000D, "series": 0x0020000E, "number": 0x00200013, "pixels": 0x7FE00010,
}  # fmt: skip
_LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
_serial = itertools.count(1)


def uid() -> str:
    """Return a UID that no other call returns."""
    return f"2.25.987654321{next(_serial):06}"


def element(tag: int, vr: str, value: bytes | str, syntax: str = EXPLICIT, length: int | None = None) -> bytes:
    """Return one encoded element, padded to an even length unless a length is given."""
    mark = ">" if syntax == BIG_ENDIAN else "<"
    data = value.encode("utf-8") if isinstance(value, str) else value
    if length is None:
        if len(data) % 2:
            data += b"\0" if vr in ("UI", "OB", "UN") else b" "
        length = len(data)
    head = struct.pack(mark + "HH", tag >> 16, tag & 0xFFFF)
    if syntax == IMPLICIT:
        return head + struct.pack("<I", length) + data
    if vr in _LONG:
        return head + vr.encode() + struct.pack(mark + "HI", 0, length) + data
    return head + vr.encode() + struct.pack(mark + "H", length) + data


def item(content: bytes, length: int | None = None) -> bytes:
    """Return an item of a sequence or a fragment, little endian."""
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content) if length is None else length) + content


ITEM_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


class Object:
    """A secondary capture image of 16 x 16; ``tags`` overrides or, with None, drops elements: tag to (VR, value)."""

    def __init__(self, tags: dict[int, Any] | None = None, **names: Any) -> None:
        self.tags: dict[int, Any] = {
            0x00080005: ("CS", "ISO_IR 192"),
            0x00080016: ("UI", SECONDARY_CAPTURE),
            0x00080018: ("UI", uid()),
            0x00080020: ("DA", "20250111"),
            0x00080030: ("TM", "120000"),
            0x00080050: ("SH", "A1"),
            0x00080060: ("CS", "OT"),
            0x00081030: ("LO", "CHEST"),
            0x00100010: ("PN", "DOE^JANE"),
            0x00100020: ("LO", "P1"),
            0x0020000D: ("UI", uid()),
            0x0020000E: ("UI", uid()),
            0x00200011: ("IS", "1"),
            0x00200013: ("IS", "1"),
            0x00280010: ("US", 16),
            0x00280011: ("US", 16),
            0x7FE00010: ("OB", bytes(i % 251 for i in range(256))),
        }
        for name, value in names.items():
            tag = SHORT[name]
            self.tags[tag] = (self.tags[tag][0], value)
        for tag, value in (tags or {}).items():
            if value is None:
                self.tags.pop(tag, None)
            else:
                self.tags[tag] = value

    def text(self, tag: int) -> str:
        value = self.tags[tag][1]
        return value if isinstance(value, str) else value.decode("latin_1")

    @property
    def sop(self) -> str:
        return self.text(0x00080018)

    @property
    def study(self) -> str:
        return self.text(0x0020000D)

    @property
    def series(self) -> str:
        return self.text(0x0020000E)

    def beside(self, **names: Any) -> Object:
        """Return another instance of the same series."""
        names.setdefault("sop", uid())
        return self.copy(**names)

    def copy(self, **names: Any) -> Object:
        """Return the same instance with other values."""
        other = Object(**names)
        changed = {tag for tag in other.tags if tag in _named(names)}
        other.tags = {**self.tags, **{tag: other.tags[tag] for tag in changed}}
        return other

    def encode(self, syntax: str = EXPLICIT) -> bytes:
        """Return the data set's bytes."""
        inner = EXPLICIT if syntax in (DEFLATED, JPEG) else syntax
        mark = ">" if syntax == BIG_ENDIAN else "<"
        out = b""
        for tag in sorted(self.tags):
            vr, value = self.tags[tag]
            if vr == "raw":
                out += value
                continue
            if isinstance(value, int):
                value = struct.pack(mark + "H", value)
            out += element(tag, vr, value, inner)
        return deflate(out) if syntax == DEFLATED else out


def _named(names: dict[str, Any]) -> set[int]:
    return {SHORT[name] for name in names}


def deflate(data: bytes) -> bytes:
    """Return ``data`` as an RFC 1951 stream of whatever length it has."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def encapsulated(fragments: list[bytes], delimiter: bool = True) -> bytes:
    """Return encapsulated pixel data with an empty offset table."""
    out = element(0x7FE00010, "OB", b"", length=UNDEFINED) + item(b"")
    for fragment in fragments:
        out += item(fragment + b"\0" * (len(fragment) % 2))
    return out + (SEQUENCE_END if delimiter else b"")
