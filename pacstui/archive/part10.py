"""The part of a DICOM file before its data set: preamble, prefix and file meta information (PS3.10 7.1).

Our files carry the SHA-256 of their data set in the private information of the meta information, so that each can be
verified by itself, with the index lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from struct import Struct, pack
from typing import Final

from pacstui.dicom import header, syntaxes
from pacstui.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

PREFIX: Final = b"DICM"
DIRECTORY: Final = "1.2.840.10008.1.3.10"
DIGEST_BYTES: Final = 32
NO_DIGEST: Final = bytes(DIGEST_BYTES)
HEAD_LIMIT: Final = 1 << 20

_PRIVATE_CREATOR: Final = IMPLEMENTATION_CLASS_UID + ".1"
_ELEMENT = Struct("<HH2sH")
_LONG_ELEMENT = Struct("<HH2sHI")


def _short(element: int, vr: bytes, value: bytes) -> bytes:
    if len(value) & 1:
        value += b"\0" if vr == b"UI" else b" "
    return _ELEMENT.pack(2, element, vr, len(value)) + value


@lru_cache(maxsize=512)
def _parts(sop_class: str, transfer_syntax: str, source: str) -> tuple[bytes, bytes]:
    version = _LONG_ELEMENT.pack(2, 0x0001, b"OB", 0, 2) + b"\0\1"
    head = version + _short(0x0002, b"UI", sop_class.encode("ascii"))
    tail = _short(0x0010, b"UI", transfer_syntax.encode("ascii"))
    tail += _short(0x0012, b"UI", IMPLEMENTATION_CLASS_UID.encode("ascii"))
    tail += _short(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME.encode("ascii"))
    if source:
        tail += _short(0x0016, b"AE", source.encode("ascii", "replace")[:16])
    tail += _short(0x0100, b"UI", _PRIVATE_CREATOR.encode("ascii"))
    return head, tail + _LONG_ELEMENT.pack(2, 0x0102, b"OB", 0, DIGEST_BYTES)


def encode(sop_class: str, sop_instance: str, transfer_syntax: str, source: str, digest: bytes) -> bytes:
    """Return preamble, prefix and file meta information; the last 32 bytes are ``digest``.

    ``source`` is the calling AE title. The length does not depend on ``digest``: a file that is written before its
    digest is known gets it later at the same place.
    """
    head, tail = _parts(sop_class, transfer_syntax, source)
    body = head + _short(0x0003, b"UI", sop_instance.encode("ascii")) + tail + digest
    return bytes(128) + PREFIX + _ELEMENT.pack(2, 0, b"UL", 4) + pack("<I", len(body)) + body


def with_digest(meta: bytes, digest: bytes) -> bytes:
    """Return what `encode` returned, with another digest."""
    return meta[:-DIGEST_BYTES] + digest


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the data set of a file; the data set begins at ``offset``. ``digest`` is empty in files
    that others made; texts are empty where the file does not say."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    source: str
    digest: bytes
    offset: int


class NotDicom(Exception):
    """The bytes are no DICOM file; the message says what they look like."""


class NeedMore(Exception):
    """The head goes on beyond the bytes given."""


def is_marked(data: bytes | bytearray | memoryview) -> bool:
    """Return whether the prefix of a DICOM file is there, whatever follows."""
    return _start(data) > 0


def _start(data: bytes | bytearray | memoryview) -> int:
    """Return where the file meta information begins: after preamble and prefix, as far as they are there."""
    return 132 if bytes(data[128:132]) == PREFIX else 4 if bytes(data[:4]) == PREFIX else 0


def parse(data: bytes | bytearray | memoryview, whole: bool) -> Head:
    """Read the head of a file, with or without preamble, prefix and meta information.

    Parameters
    ----------
    data
        The file's first bytes.
    whole
        Whether they are the whole file.

    Raises
    ------
    NotDicom
        With a word on what it is instead.
    NeedMore
        When ``whole`` is false and more bytes are needed.
    """
    if len(data) < 144 and not whole:
        raise NeedMore
    start = _start(data)
    prefixed = start > 0
    found: dict[int, bytes] = {}
    at = start
    while True:
        if at + 12 > len(data):
            if not whole:
                raise NeedMore
            if at + 8 > len(data):
                break
        group, element, vr, n = _ELEMENT.unpack_from(data, at)
        if group != 2:
            break
        value = at + 8
        if vr in (b"OB", b"UN", b"OW", b"UT", b"SQ"):
            n = int.from_bytes(data[value : value + 4], "little")
            value += 4
        elif not vr.isalpha():
            n = int.from_bytes(data[at + 4 : at + 8], "little")  # meta information without VRs: not allowed, but met
        if n > HEAD_LIMIT:
            raise NotDicom("its file meta information makes no sense")
        if value + n > len(data):
            if whole:
                raise NotDicom("it ends inside its file meta information")
            raise NeedMore
        found[element] = bytes(data[value : value + n])
        at = value + n
    syntax = _uid(found.get(0x0010, b""))
    if not syntax:
        if not whole and len(data) < at + 4096:
            raise NeedMore
        syntax = header.guess_transfer_syntax(data, at)
        if not syntax:
            raise NotDicom("its transfer syntax is not told and cannot be guessed" if prefixed else _looks(data))
        if not prefixed and not found and not _plausible(data, syntax):
            raise NotDicom(_looks(data))
    digest = found.get(0x0102, b"") if _uid(found.get(0x0100, b"")) == _PRIVATE_CREATOR else b""
    source = found.get(0x0016, b"").decode("ascii", "replace").strip(" \0")
    return Head(_uid(found.get(0x0002, b"")), _uid(found.get(0x0003, b"")), syntax, source, digest, at)


def _uid(value: bytes) -> str:
    return value.decode("ascii", "replace").strip(" \0")


def _plausible(data: bytes | bytearray | memoryview, syntax: str) -> bool:
    """Return whether a file without any head begins like a data set: group 0008 or so, then a further element."""
    order = "big" if syntax == syntaxes.BIG_ENDIAN else "little"
    return int.from_bytes(data[:2], order) in (0x0004, 0x0008, 0x0010)  # type: ignore[arg-type]


def _looks(data: bytes | bytearray | memoryview) -> str:
    """Say what a file that is no DICOM looks like."""
    head = bytes(data[:16])
    if not head:
        return "it is empty"
    for magic, name in _KNOWN.items():
        if head.startswith(magic):
            return f"it is no DICOM file but {name}"
    return "it is no DICOM file"


_KNOWN = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "gzip data",
    b"<?xml": "an XML document",
    b"{": "a JSON document",
    b"SQLite": "an SQLite database",
}
