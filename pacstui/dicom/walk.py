"""Follows the elements of an encoded data set from one to the next, and tells where it breaks off.

Values are skipped by their length and the walk is linear in the number of elements: arbitrary bytes end in `Lost` or
`Spent`, and never take long.
"""

from __future__ import annotations

import mmap
from collections.abc import Container
from struct import Struct
from struct import error as StructError
from typing import Final

from pacstui.dicom import dataset
from pacstui.dicom.mapped import LET_GO, NEVER, Buffer, let_go
from pacstui.dicom.sequences import SEQUENCES

LONG_VRS: Final = frozenset(vr.encode() for vr in dataset.LONG_VRS)
SHORT_VRS: Final = frozenset(vr.encode() for vr in dataset.KNOWN_VRS - dataset.LONG_VRS)
"""The VRs as they stand in explicit data sets: with a length of 32 bits, and of 16 (PS3.5 7.1.2)."""

_UNDEFINED = 0xFFFFFFFF
_PIXELS = frozenset((0x7FE00010, 0x7FE00008, 0x7FE00009, 0x7FE00001, 0x00287FE0))
_VALUE_LIMIT = 1024
_ITEMS_LIMIT = 16384
_OPEN_ITEM = "an item of undefined length ends without its delimiter (PS3.5 7.5.2)"


class Lost(Exception):
    """The data set cannot be followed further; the message says why."""


class Spent(Exception):
    """The walk took more steps than the caller allows in one go."""


class Order:
    """The unpackers of one byte order."""

    __slots__ = ("explicit", "implicit", "u16", "u32")

    def __init__(self, mark: str) -> None:
        self.explicit = Struct(mark + "HH2sH").unpack_from
        self.implicit = Struct(mark + "HHI").unpack_from
        self.u16 = Struct(mark + "H").unpack_from
        self.u32 = Struct(mark + "I").unpack_from


LITTLE, BIG = Order("<"), Order(">")


def walk(
    data: Buffer, pos: int, end: int, order: Order, explicit: bool, wanted: Container[int], found: dict[int, bytes],
    sequences: dict[int, tuple[bytes, bool]], steps: int,
) -> bool:  # fmt: skip
    """Visit the elements of the top level; return whether there are pixel data.

    Parameters
    ----------
    end
        Where the data set ends, in bytes; that may lie beyond ``data``.
    wanted
        The tags whose values are kept in ``found`` (their first 1,024 bytes), or in ``sequences``, with whether their
        items have VRs, where they are among `SEQUENCES`.
    steps
        Number of elements and items that may be looked at.

    Raises
    ------
    Lost
        The data set breaks off, or makes no sense.
    Spent
        There are more elements than ``steps``.
    """
    pixels = False
    known = min(len(data), end)
    last = known - 8
    unpack, u32 = order.explicit, order.u32
    long_vrs, short_vrs = LONG_VRS, SHORT_VRS
    left = steps
    n = 0
    while pos < end:
        left -= 1
        if left < 0:
            raise Spent
        if pos > last:
            if known < end:
                return pixels
            return _tail(data, pos, end, n & 1 == 1, pixels)
        if explicit:
            group, element, vr, n = unpack(data, pos)
            at = pos + 8
            if vr in short_vrs:
                pass
            elif vr in long_vrs:
                if at + 4 > known:
                    raise Lost(f"the data set ends inside the head of ({group:04X},{element:04X})")
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
            n = 0
            if group == 0xFFFE:
                pos = at
                continue
            budget = [left]
            pos = _skip(data, at, known, order, explicit and vr != b"UN", tag, budget)
            left = budget[0]
            if tag in SEQUENCES and pos - at <= _ITEMS_LIMIT:
                sequences.setdefault(tag, (bytes(data[at:pos]), explicit and vr != b"UN"))
            if known < end and pos >= known:
                return True
            if tag in _PIXELS:
                pixels = True
            continue
        stop = at + n
        if stop > end:
            raise Lost(f"the data set ends inside the value of ({group:04X},{element:04X})")
        if tag in wanted:
            if tag not in SEQUENCES:
                if tag not in found:
                    found[tag] = bytes(data[at : stop if n <= _VALUE_LIMIT else at + _VALUE_LIMIT])
            elif 0 < n <= _ITEMS_LIMIT and stop <= known:
                sequences.setdefault(tag, (bytes(data[at:stop]), explicit and vr != b"UN"))
        elif tag in _PIXELS:
            pixels = True
        pos = stop
    return pixels


def _tail(data: Buffer, pos: int, end: int, odd: bool, pixels: bool) -> bool:
    """Judge fewer than eight bytes at the end: padding of an odd last value or of the whole is harmless."""
    if not any(data[pos:end]):
        return pixels
    if odd and end - pos == 1:
        return pixels
    raise Lost("the data set ends inside the head of an element")


def _strange_vr(
    data: Buffer, pos: int, end: int, group: int, element: int, vr: bytes, short: int, order: Order
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


def _skip(data: Buffer, pos: int, end: int, order: Order, explicit: bool, tag: int, budget: list[int]) -> int:
    """Return the position after a value of undefined length: a sequence (PS3.5 7.5) or fragments (A.4).

    A sequence's missing delimiter is tolerated where the next tag tells what was meant; an item's is not, as hardly
    any receiver could read the object. Depth costs no recursion.
    """
    pixels = tag in _PIXELS
    # One entry a level: (in an item, explicit VR). An item's elements may hold further sequences.
    levels: list[tuple[bool, bool]] = [(False, explicit)]
    unpack, plain = order.explicit, order.implicit
    left = budget[0]
    again = pos + LET_GO if isinstance(data, mmap.mmap) else NEVER
    try:
        while True:
            left -= 1
            if left < 0:
                raise Spent
            if pos > again:
                again = let_go(data, pos)
            inside, vr_given = levels[-1]
            group, element, n = plain(data, pos)
            if group == 0xFFFE:
                at = pos + 8
                if element == 0xE000:
                    if inside:
                        raise Lost(_OPEN_ITEM)
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
                        raise Lost(_OPEN_ITEM)
                    levels.pop()
                elif element == 0xE00D:
                    if inside:
                        levels.pop()
                else:
                    raise Lost(f"({group:04X},{element:04X}) where an item was expected")
                pos = at
                if not levels:
                    return pos
                continue
            if not inside:
                if pixels and len(levels) == 1:
                    raise Lost(f"({group:04X},{element:04X}) where a fragment of the pixel data was expected")
                levels.pop()  # the sequence ended without its delimiter
                if not levels:
                    return pos
                continue
            at = pos + 8
            un = False
            if vr_given:
                _, _, vr, n = unpack(data, pos)
                if vr in LONG_VRS:
                    n = order.u32(data, at)[0]
                    at += 4
                    un = vr == b"UN"
                elif vr not in SHORT_VRS:
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
    raise Lost(f"the data set ends inside the {what} ({tag >> 16:04X},{tag & 0xFFFF:04X})")


def _item_explicit(data: Buffer, pos: int, end: int, order: Order, explicit: bool) -> bool:
    """Return whether an item of undefined length is encoded with VRs.

    In a value of VR UN it is not (PS3.5 6.2.2), but some writers keep the VRs: believed only when reading without
    VRs would lead out of the data set.
    """
    if explicit or pos + 8 > end:
        return explicit
    _, _, vr, _ = order.explicit(data, pos)
    return (vr in SHORT_VRS or vr in LONG_VRS) and pos + 8 + order.u32(data, pos + 4)[0] > end
