"""Brings an object into another transfer syntax where nothing is lost by it.

pydicom reads and writes; it is loaded at the first need. What is kept in the archive is never changed: this makes a
copy for one receiver. The node converts by `pacstui.imaging.conversions`, which keeps decoders out of its process.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Final

from pacstui.dicom.syntaxes import (
    BIG_ENDIAN,
    DEFLATED,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    IMPLICIT,
    JPEG_2000_LOSSLESS,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_ANY,
    JPEG_LS_LOSSLESS,
    PLAIN,
    RLE,
)
from pacstui.dicom.uids import name_of
from pacstui.errors import PacsError
from pacstui.text import safe

if TYPE_CHECKING:
    from pydicom import Dataset

LOSSLESS: Final = frozenset((
    JPEG_LOSSLESS_ANY, JPEG_LOSSLESS, JPEG_LS_LOSSLESS, JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, RLE,
))  # fmt: skip
"""Compressed without loss, and there is a decoder: the pixels can be brought into a plain syntax as they were."""

APART: Final = LOSSLESS | {DEFLATED}
"""What is decoded or inflated in a process of its own."""

_STEP: Final = 1 << 16
_WORDS: Final = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


class NotConvertible(PacsError):
    """The object cannot be brought into that transfer syntax without loss; the message says why."""

    code = "not-convertible"


def may_convert(source: str, target: str) -> bool:
    """Return whether there is a way without loss between two transfer syntaxes."""
    return target in PLAIN and (source in PLAIN or source in LOSSLESS)


def convert(data: bytes, source: str, target: str, room_for: Callable[[int], None] = lambda size: None) -> bytes:
    """Return a data set in another transfer syntax; takes its time.

    ``room_for`` is told before something is decoded or inflated how many bytes that will take; it may raise
    `NotConvertible`.

    Raises
    ------
    NotConvertible
        When that would lose something, or when it cannot be read or decoded.
    """
    if source == target:
        return data
    if not may_convert(source, target):
        raise NotConvertible(f"{name_of(source)} cannot become {name_of(target)} without loss")
    from pydicom import dcmread
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    try:
        if source == DEFLATED:
            room_for(_inflated(data))
        whole = dcmread(BytesIO(_head(source) + data), force=True)
        if data and not len(whole):  # all that pydicom returns of a data set that ends too early
            raise NotConvertible(f"{name_of(source)} cannot be decoded: the data set ends in the middle of an element")
        if source in LOSSLESS:
            from pacstui.imaging.decode import decode

            decode(whole, source, room_for)
        if (source == BIG_ENDIAN) is not (target == BIG_ENDIAN):
            _swap(whole)
        out = DicomBytesIO()
        out.is_implicit_VR, out.is_little_endian = target == IMPLICIT, target != BIG_ENDIAN
        write_dataset(out, whole)
    except NotConvertible:
        raise
    except Exception as error:  # whatever a decoder or an odd object comes up with
        raise NotConvertible(f"{name_of(source)} cannot be decoded: {reason(error)}") from error
    return _deflated(out.getvalue()) if target == DEFLATED else out.getvalue()


def reason(error: BaseException) -> str:
    """Return in one line what a decoder complains of."""
    if isinstance(error, MemoryError):
        return "it takes more memory than it should"
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return safe(lines[-1].strip(), 200)


def _head(transfer_syntax: str) -> bytes:
    """Return what stands before a data set in a file (PS3.10 7.1), as short as it may be."""
    uid = transfer_syntax.encode("ascii")
    uid += bytes(len(uid) & 1)
    element = b"\x02\x00\x10\x00UI" + len(uid).to_bytes(2, "little") + uid
    return bytes(128) + b"DICM\x02\x00\x00\x00UL\x04\x00" + len(element).to_bytes(4, "little") + element


def _inflated(data: bytes) -> int:
    """Return how long a deflated data set is without keeping it: some bytes may stand for gigabytes."""
    reader, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    for at in range(0, len(data), _STEP):
        rest = data[at : at + _STEP]
        while rest:
            size += len(reader.decompress(rest, 16 * _STEP))
            rest = reader.unconsumed_tail
        if reader.eof:
            break
    return size


def _deflated(data: bytes) -> bytes:
    """Return a data set as an RFC 1951 stream of even length (PS3.5 A.5)."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    out = packer.compress(data) + packer.flush()
    return out + bytes(len(out) & 1)


def _swap(whole: Dataset) -> None:
    """Bring the words of binary values into the other byte order; pydicom does that for numbers only, and only for
    those that were looked at, as all are here."""
    for element in whole:
        if element.VR == "SQ":
            for item in element.value or ():
                _swap(item)
        elif element.VR in _WORDS and element.value:
            size = _WORDS[element.VR]
            if element.tag == 0x7FE00010 and int(whole.get("BitsAllocated", 16)) > 16:
                raise NotConvertible("pixels of more than 16 bits cannot change their byte order here")
            value = bytes(element.value)
            if len(value) % size:
                raise NotConvertible(f"{element.tag} has a broken length")
            out = bytearray(len(value))
            for at in range(size):
                out[at::size] = value[size - 1 - at :: size]
            element.value = bytes(out)
