"""Reads what the index needs from an encoded data set, and tells whether the data set is whole.

Nothing is decoded that is not indexed, values are skipped by their length, and the walk is linear in the number of
elements: arbitrary bytes never raise and never take long. The encodings are those of PS3.5: explicit and implicit VR
little endian (A.1, A.2), explicit VR big endian (A.3) and deflated (A.5).
"""

from __future__ import annotations

import mmap
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import Struct
from struct import error as StructError
from typing import Final

from pacstui.dicom import charset
from pacstui.dicom.sequences import SEQUENCES, Inner, items_text
from pacstui.dicom.syntaxes import BIG_ENDIAN, EXPLICIT, IMPLICIT, WHOLLY_DEFLATED
from pacstui.text import size

Buffer = bytes | bytearray | memoryview | mmap.mmap

_UNDEFINED = 0xFFFFFFFF
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_SHORT = frozenset(
    (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
     b"ST", b"TM", b"UI", b"UL", b"US")
)  # fmt: skip
_PIXELS = frozenset((0x7FE00010, 0x7FE00008, 0x7FE00009, 0x7FE00001, 0x00287FE0))
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_STEPS = 20_000_000
_VALUE_LIMIT = 1024
_ITEMS_LIMIT = 16384
_INFLATE_KEEP = 8 << 20
# One element has at most 4 GiB (PS3.5 7.1.1), so what is larger than two is no honest data set.
_INFLATE_LIMIT = 9_000_000_000
_LET_GO = 1 << 24
_NEVER = 1 << 62

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


_OPEN_ITEM = "an item of undefined length ends without its delimiter (PS3.5 7.5.2)"


class _Lost(Exception):
    """The data set cannot be followed further; the message says why."""


class _Spent(Exception):
    """The walk took more steps than the caller allows in one go."""


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


class _Order:
    """The unpackers of one byte order."""

    __slots__ = ("explicit", "implicit", "u16", "u32")

    def __init__(self, mark: str) -> None:
        self.explicit = Struct(mark + "HH2sH").unpack_from
        self.implicit = Struct(mark + "HHI").unpack_from
        self.u16 = Struct(mark + "H").unpack_from
        self.u32 = Struct(mark + "I").unpack_from


_LITTLE, _BIG = _Order("<"), _Order(">")


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
        data, length, ended = inflate(data, start)
        start = 0
    order = _BIG if transfer_syntax == BIG_ENDIAN else _LITTLE
    found: dict[int, bytes] = {}
    sequences: dict[int, tuple[bytes, bool]] = {}
    header = Header()
    try:
        if length > _INFLATE_LIMIT and transfer_syntax in WHOLLY_DEFLATED:
            raise _Lost(f"the data set inflates to more than {size(_INFLATE_LIMIT)}")
        header.pixels = _walk(data, start, length, order, transfer_syntax != IMPLICIT, found, sequences, steps)
        if not ended:
            raise _Lost("the deflated data set ends too early")
    except _Lost as lost:
        header.problem, header.cut = str(lost), True
    except _Spent:
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


def inflate(data: Buffer, start: int) -> tuple[bytes, int, bool]:
    """Inflate a deflated data set (RFC 1951, PS3.5 A.5), bounded.

    Returns
    -------
    tuple
        The first 8 MiB, the full length in bytes, and whether the stream came to its end. A stream that grows beyond
        9 GB is given up.
    """
    packer = zlib.decompressobj(-zlib.MAX_WBITS)
    kept = bytearray()
    total = 0
    view = memoryview(data)
    let_go = start + _LET_GO if isinstance(data, mmap.mmap) else _NEVER
    try:
        for at in range(start, len(view), 1 << 16):
            if at > let_go:
                let_go = _let_go(data, at)
            rest: bytes | memoryview = view[at : at + (1 << 16)]
            while len(rest) and not packer.eof:
                out = packer.decompress(rest, 1 << 20)
                rest = packer.unconsumed_tail
                total += len(out)
                if len(kept) < _INFLATE_KEEP:
                    kept += out
                if total > _INFLATE_LIMIT:
                    return bytes(kept), total, False
            if packer.eof:
                break
    except zlib.error:
        return bytes(kept), len(kept), False
    finally:
        view.release()
    return bytes(kept), total, packer.eof


def _let_go(data: Buffer, pos: int) -> int:
    """Give back the memory of a mapped file before ``pos``, which has been looked at; return where to do so again.

    Without that a walk over the fragments of a large object maps all of it.
    """
    assert isinstance(data, mmap.mmap)
    if hasattr(mmap, "MADV_DONTNEED"):
        data.madvise(mmap.MADV_DONTNEED, 0, pos - pos % mmap.PAGESIZE)
    return pos + _LET_GO


def _walk(
    data: Buffer, pos: int, end: int, order: _Order, explicit: bool, found: dict[int, bytes],
    sequences: dict[int, tuple[bytes, bool]], steps: int,
) -> bool:  # fmt: skip
    """Visit the elements of the top level; return whether there are pixel data. ``end`` may lie beyond ``data``."""
    pixels = False
    known = min(len(data), end)
    unpack, u32 = order.explicit, order.u32
    wanted, long_vrs, short_vrs = WANTED, _LONG, _SHORT
    budget = [steps]
    taken = 0
    odd = False
    while pos < end:
        taken += 1
        if taken > budget[0]:
            raise _Spent
        if pos + 8 > known:
            if known < end:
                return pixels
            return _tail(data, pos, end, odd, pixels)
        if explicit:
            group, element, vr, n = unpack(data, pos)
            at = pos + 8
            if vr in short_vrs:
                pass
            elif vr in long_vrs:
                if at + 4 > known:
                    raise _Lost(f"the data set ends inside the head of ({group:04X},{element:04X})")
                n = u32(data, at)[0]
                at += 4
            else:
                n, at = _strange_vr(data, pos, known, group, element, vr, n, order)
        else:
            group, element, n = order.implicit(data, pos)
            vr = b""
            at = pos + 8
        tag = group << 16 | element
        if n == _UNDEFINED:
            if group == 0xFFFE:
                pos = at
                continue
            budget[0] -= taken
            taken = 0
            pos = _skip(data, at, known, order, explicit and vr != b"UN", tag, budget)
            if tag in SEQUENCES and pos - at <= _ITEMS_LIMIT:
                sequences.setdefault(tag, (bytes(data[at:pos]), explicit and vr != b"UN"))
            if known < end and pos >= known:
                return True
            if tag in _PIXELS:
                pixels = True
            continue
        stop = at + n
        if stop > end:
            raise _Lost(f"the data set ends inside the value of ({group:04X},{element:04X})")
        if tag in wanted:
            if wanted[tag] != _SEQUENCE:
                found.setdefault(tag, bytes(data[at : min(stop, at + _VALUE_LIMIT)]))
            elif 0 < n <= _ITEMS_LIMIT and stop <= known:
                sequences.setdefault(tag, (bytes(data[at:stop]), explicit and vr != b"UN"))
        elif tag in _PIXELS:
            pixels = True
        odd = n & 1 == 1
        pos = stop
    return pixels


def _tail(data: Buffer, pos: int, end: int, odd: bool, pixels: bool) -> bool:
    """Judge fewer than eight bytes at the end: padding of an odd last value or of the whole is harmless."""
    if not any(data[pos:end]):
        return pixels
    if odd and end - pos == 1:
        return pixels
    raise _Lost("the data set ends inside the head of an element")


def _strange_vr(
    data: Buffer, pos: int, end: int, group: int, element: int, vr: bytes, short: int, order: _Order
) -> tuple[int, int]:
    """Return length and value position of an element whose VR is not in the standard.

    No letters: the element is encoded without VR, as some writers do inside of explicit data sets; letters: a VR of the
    future, with a 32-bit length (PS3.5 7.1.2), unless the short form leads to a plausible next tag.
    """
    if not (65 <= vr[0] <= 90 and 65 <= vr[1] <= 90) or group == 0xFFFE:
        return order.u32(data, pos + 4)[0], pos + 8
    next_at = pos + 8 + short
    if next_at == end:
        return short, pos + 8
    if next_at + 4 <= end and order.u16(data, next_at)[0] >= group:
        following = order.u16(data, next_at)[0] << 16 | order.u16(data, next_at + 2)[0]
        if following > (group << 16 | element):
            return short, pos + 8
    if pos + 12 <= end:
        return order.u32(data, pos + 8)[0], pos + 12
    return short, pos + 8


def _skip(data: Buffer, pos: int, end: int, order: _Order, explicit: bool, tag: int, budget: list[int]) -> int:
    """Return the position after a value of undefined length: a sequence (PS3.5 7.5) or fragments (A.4).

    A sequence's missing delimiter is tolerated where the next tag tells what was meant; an item's is not, as hardly
    any receiver could read the object. Depth costs no recursion.
    """
    pixels = tag in _PIXELS
    # One entry a level: (in an item, explicit VR). An item's elements may hold further sequences.
    levels: list[tuple[bool, bool]] = [(False, explicit)]
    unpack, plain = order.explicit, order.implicit
    left = budget[0]
    let_go = pos + _LET_GO if isinstance(data, mmap.mmap) else _NEVER
    try:
        while True:
            left -= 1
            if left < 0:
                raise _Spent
            if pos > let_go:
                let_go = _let_go(data, pos)
            inside, vr_given = levels[-1]
            group, element, n = plain(data, pos)
            if group == 0xFFFE:
                at = pos + 8
                if element == 0xE000:
                    if inside:
                        raise _Lost(_OPEN_ITEM)
                    if n == _UNDEFINED:
                        levels.append((True, _item_explicit(data, at, end, order, vr_given)))
                        pos = at
                        continue
                    pos = at + n
                    if pos > end:
                        break
                    continue
                if element == 0xE0DD:
                    if inside:
                        raise _Lost(_OPEN_ITEM)
                    levels.pop()
                elif element == 0xE00D:
                    if inside:
                        levels.pop()
                else:
                    raise _Lost(f"({group:04X},{element:04X}) where an item was expected")
                pos = at
                if not levels:
                    return pos
                continue
            if not inside:
                if pixels and len(levels) == 1:
                    raise _Lost(f"({group:04X},{element:04X}) where a fragment of the pixel data was expected")
                levels.pop()  # the sequence ended without its delimiter
                if not levels:
                    return pos
                continue
            at = pos + 8
            un = False
            if vr_given:
                _, _, vr, n = unpack(data, pos)
                if vr in _LONG:
                    n = order.u32(data, at)[0]
                    at += 4
                    un = vr == b"UN"
                elif vr not in _SHORT:
                    n, at = _strange_vr(data, pos, end, group, element, vr, n, order)
            if n == _UNDEFINED:
                levels.append((False, vr_given and not un))
                pos = at
                continue
            pos = at + n
            if pos > end:
                break
    except StructError:
        pass
    finally:
        budget[0] = left
    what = "pixel data" if pixels else "sequence"
    raise _Lost(f"the data set ends inside the {what} ({tag >> 16:04X},{tag & 0xFFFF:04X})")


def _item_explicit(data: Buffer, pos: int, end: int, order: _Order, explicit: bool) -> bool:
    """Return whether an item of undefined length is encoded with VRs.

    In a value of VR UN it is not (PS3.5 6.2.2), but some writers keep the VRs: believed only when reading without
    VRs would lead out of the data set.
    """
    if explicit or pos + 8 > end:
        return explicit
    _, _, vr, _ = order.explicit(data, pos)
    return (vr in _SHORT or vr in _LONG) and pos + 8 + order.u32(data, pos + 4)[0] > end


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


def _decode(found: dict[int, bytes], sequences: dict[int, tuple[bytes, bool]], header: Header, order: _Order) -> None:
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
        text = items_text(tag, raw, order is _BIG, explicit, terms)
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
    if vr in _SHORT or vr in _LONG:
        little, big = _LITTLE.u16(head)[0], _BIG.u16(head)[0]
        return EXPLICIT if little <= big else BIG_ENDIAN
    group, _, n = _LITTLE.implicit(head)
    if 2 <= group <= 0x0040 and n <= min(len(data) - start - 8, 1 << 20):
        return IMPLICIT
    return ""
