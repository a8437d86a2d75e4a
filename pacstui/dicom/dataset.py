"""Small data sets, sequences included, to read and to write: the identifiers and lists of queries, retrievals and
commitments (PS3.5 7). Objects never pass through here.

Values stay bytes; :meth:`DataSet.text` decodes them with the data set's own character set. Reading tolerates what can
be understood: VRs that differ from the dictionary, missing delimiters, odd lengths, group lengths.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import Final

from pacstui.dicom import charset
from pacstui.dicom.dictionary import vr_of
from pacstui.dicom.syntaxes import BIG_ENDIAN, DEFLATED, IMPLICIT


def _vrs(names: str) -> frozenset[str]:
    return frozenset(names.split())


CHARSET: Final = 0x00080005
TEXT_VRS: Final = _vrs("LO LT PN SH ST UC UT")
"""VRs that Specific Character Set applies to (PS3.5 6.1.2.2)."""

LONG_VRS: Final = _vrs("OB OD OF OL OV OW SQ SV UC UN UR UT UV")
KNOWN_VRS: Final = LONG_VRS | _vrs("AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US")
_BLANK: Final = _vrs("AE AS CS DA DS DT IS LO LT PN SH ST TM UC UR UT")
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DEPTH: Final = 16
_INFLATED: Final = 1 << 26
_ELEMENTS: Final = 1_000_000


class DataSetError(Exception):
    """The bytes cannot be followed; the message says where."""


@dataclass(slots=True)
class Element:
    """One element: ``value`` without regard to padding, or ``items`` for a sequence."""

    vr: str
    value: bytes = b""
    items: list[DataSet] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing but padding: a zero-length value or item."""
        if self.vr == "SQ":
            return not any(len(item) for item in self.items)
        return not self.value.strip(b" \0")


class DataSet:
    """Elements by tag, in ascending order when written."""

    __slots__ = ("_elements", "_terms")

    def __init__(self, elements: dict[int, Element] | None = None, terms: str = "") -> None:
        self._elements = {} if elements is None else elements
        self._terms = terms

    def __len__(self) -> int:
        return len(self._elements)

    def __contains__(self, tag: int) -> bool:
        return tag in self._elements

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._elements))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DataSet) and self._elements == other._elements

    def __repr__(self) -> str:
        return f"DataSet({', '.join(f'{tag:08X} {self._elements[tag]!r}' for tag in self)})"

    def get(self, tag: int) -> Element | None:
        """Return an element, none where it is absent."""
        return self._elements.get(tag)

    def __getitem__(self, tag: int) -> Element:
        return self._elements[tag]

    def __setitem__(self, tag: int, element: Element) -> None:
        self._elements[tag] = element

    def pop(self, tag: int) -> None:
        """Remove an element if it is there."""
        self._elements.pop(tag, None)

    @property
    def terms(self) -> str:
        """Specific Character Set, values divided by backslashes; that of the enclosing data set where an item has none
        of its own (PS3.3 C.12.1.1.2)."""
        own = self._elements.get(CHARSET)
        return self._terms if own is None else own.value.decode("latin_1").strip(" \0")

    def text(self, tag: int) -> str:
        """Return the value of an element as text without padding, several values divided by backslashes; empty where it
        is absent. Never fails."""
        element = self._elements.get(tag)
        if element is None:
            return ""
        if element.vr in TEXT_VRS:
            return charset.decode(element.value, self.terms)[0].strip(" \0")
        return element.value.decode("latin_1").strip(" \0")

    def uid(self, tag: int) -> str:
        """Return a UID without padding, empty where it is absent."""
        return self.text(tag)

    def uids(self, tag: int) -> list[str]:
        """Return the values of a UID element that has a list."""
        return [each.strip(" \0") for each in self.text(tag).split("\\") if each.strip(" \0")]

    def items(self, tag: int) -> list[DataSet]:
        """Return the items of a sequence, none where it is absent."""
        element = self._elements.get(tag)
        return [] if element is None else element.items

    def put(self, tag: int, text: str, vr: str = "", codec: str = "ascii") -> None:
        """Set an element to text in ``codec``, which the data set's character set has to name; what it cannot carry
        becomes ``?``. Padded to even length (PS3.5 6.2)."""
        vr = vr or vr_of(tag)
        value = text.encode(codec, "replace")
        if len(value) & 1:
            value += b"\0" if vr == "UI" else b" "
        self._elements[tag] = Element(vr, value)

    def put_items(self, tag: int, items: Iterable[DataSet]) -> None:
        """Set a sequence."""
        self._elements[tag] = Element("SQ", items=list(items))


class _Order:
    __slots__ = ("big", "explicit", "implicit", "short", "u32")

    def __init__(self, mark: str) -> None:
        self.explicit, self.implicit = Struct(mark + "HH2sH"), Struct(mark + "HHI")
        self.u32, self.short = Struct(mark + "I"), Struct(mark + "H")
        self.big = mark == ">"


_LITTLE, _BIG = _Order("<"), _Order(">")


class _Reader:
    def __init__(self, data: bytes, order: _Order, explicit: bool) -> None:
        self.data = data
        self.order = order
        self.explicit = explicit
        self.left = _ELEMENTS

    def data_set(self, at: int, end: int, terms: str, depth: int, explicit: bool, item: bool) -> tuple[DataSet, int]:
        """Read elements from ``at`` to ``end``, or to the delimiter of an ``item`` of undefined length."""
        found: dict[int, Element] = {}
        whole = DataSet(found, terms)
        while at < end:
            if at + 8 > end:
                if not any(self.data[at:end]):
                    break  # padding of the whole
                raise DataSetError("the data set ends inside the head of an element")
            self.left -= 1
            if self.left < 0:
                raise DataSetError("the data set has too many elements")
            group, number, length = self.order.implicit.unpack_from(self.data, at)
            tag = group << 16 | number
            if group == 0xFFFE:
                if item and tag == _ITEM_END:
                    return whole, at + 8
                if tag in (_ITEM_END, _SEQUENCE_END):
                    return whole, at
                raise DataSetError(f"({group:04X},{number:04X}) where an element was expected")
            start = at + 8
            vr = ""
            if explicit:
                letters = self.data[at + 4 : at + 6].decode("latin_1")
                if letters in KNOWN_VRS:
                    vr = letters
                    length = self.order.explicit.unpack_from(self.data, at)[3]
                    if vr in LONG_VRS:
                        if start + 4 > end:
                            raise DataSetError(f"the data set ends inside the head of ({group:04X},{number:04X})")
                        length = self.order.u32.unpack_from(self.data, start)[0]
                        start += 4
                elif letters.isalpha() and letters.isupper():
                    raise DataSetError(f"({group:04X},{number:04X}) has the unknown VR {letters}")
            if not vr:
                vr = vr_of(tag)
                if vr == "UN" and length == _UNDEFINED:
                    vr = "SQ"  # PS3.5 6.2.2
            if vr == "SQ" or length == _UNDEFINED:
                inner = explicit and vr != "UN"
                element, at = self.sequence(start, length, end, whole, depth, inner, tag)
            else:
                at = start + length
                if at > end:
                    raise DataSetError(f"the data set ends inside the value of ({group:04X},{number:04X})")
                element = Element(vr, self.data[start:at])
            if number:  # group lengths say nothing
                found[tag] = element
        return whole, at

    def sequence(
        self, at: int, length: int, end: int, outer: DataSet, depth: int, explicit: bool, tag: int
    ) -> tuple[Element, int]:
        if depth >= _DEPTH:
            raise DataSetError("sequences are nested too deeply")
        stop = end if length == _UNDEFINED else at + length
        if stop > end:
            raise DataSetError(f"the data set ends inside the sequence ({tag >> 16:04X},{tag & 0xFFFF:04X})")
        items: list[DataSet] = []
        while at < stop:
            if at + 8 > stop:
                raise DataSetError(f"the data set ends inside the sequence ({tag >> 16:04X},{tag & 0xFFFF:04X})")
            group, number, size = self.order.implicit.unpack_from(self.data, at)
            here = group << 16 | number
            if here == _SEQUENCE_END:
                return Element("SQ", items=items), at + 8
            if here == _ITEM_END:
                at += 8
                continue
            if here != _ITEM:
                if length == _UNDEFINED:
                    return Element("SQ", items=items), at  # the delimiter is missing
                raise DataSetError(f"({group:04X},{number:04X}) where an item was expected")
            at += 8
            until = stop if size == _UNDEFINED else at + size
            if until > stop:
                raise DataSetError(f"the data set ends inside an item of ({tag >> 16:04X},{tag & 0xFFFF:04X})")
            item, at = self.data_set(at, until, outer.terms, depth + 1, explicit, size == _UNDEFINED)
            items.append(item)
            if size != _UNDEFINED:
                at = until
        return Element("SQ", items=items), at


def decode(data: bytes, transfer_syntax: str) -> DataSet:
    """Read a data set.

    Raises
    ------
    DataSetError
        Where it cannot be followed, or inflates to more than 64 MiB.
    """
    if transfer_syntax == DEFLATED:
        packer = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = packer.decompress(data, _INFLATED)
        except zlib.error as error:
            raise DataSetError(f"the deflated data set cannot be read: {error}") from None
        if packer.unconsumed_tail:
            raise DataSetError("the deflated data set is too large")
    order = _BIG if transfer_syntax == BIG_ENDIAN else _LITTLE
    reader = _Reader(data, order, transfer_syntax != IMPLICIT)
    found, at = reader.data_set(0, len(data), "", 0, reader.explicit, False)
    if at < len(data):
        raise DataSetError("an item or sequence ends that did not begin")
    return found


def decode_items(data: bytes, big: bool, explicit: bool, terms: str) -> list[DataSet]:
    """Read the value of a sequence: its items, with or without the delimiter at the end.

    Parameters
    ----------
    terms
        Specific Character Set of the data set that the sequence is in.

    Raises
    ------
    DataSetError
        Where it cannot be followed.
    """
    reader = _Reader(data, _BIG if big else _LITTLE, explicit)
    return reader.sequence(0, _UNDEFINED, len(data), DataSet(terms=terms), 0, explicit, 0)[0].items


def encode(data_set: DataSet, transfer_syntax: str) -> bytes:
    """Write a data set. Sequences and items have undefined length; values are written as they are.

    Values of numbers are the caller's to bring into the byte order of the transfer syntax.
    """
    order = _BIG if transfer_syntax == BIG_ENDIAN else _LITTLE
    out: list[bytes] = []
    _write(data_set, order, transfer_syntax != IMPLICIT, out)
    whole = b"".join(out)
    if transfer_syntax == DEFLATED:
        packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        whole = packer.compress(whole) + packer.flush()
        whole += bytes(len(whole) & 1)
    return whole


def _write(data_set: DataSet, order: _Order, explicit: bool, out: list[bytes]) -> None:
    for tag in data_set:
        element = data_set[tag]
        vr, value = element.vr, element.value
        size = _UNDEFINED if vr == "SQ" and element.items else len(value)
        if size != _UNDEFINED and size & 1:
            value += b" " if vr in _BLANK else b"\0"
            size += 1
        if not explicit:
            out.append(order.implicit.pack(tag >> 16, tag & 0xFFFF, size))
        elif vr in LONG_VRS:
            out.append(order.explicit.pack(tag >> 16, tag & 0xFFFF, vr.encode("ascii"), 0) + order.u32.pack(size))
        elif size > 0xFFFF:
            out.append(order.explicit.pack(tag >> 16, tag & 0xFFFF, b"UN", 0) + order.u32.pack(size))  # PS3.5 6.2.2
        else:
            out.append(order.explicit.pack(tag >> 16, tag & 0xFFFF, vr.encode("ascii"), size))
        if size != _UNDEFINED:
            out.append(value)
            continue
        for item in element.items:
            out.append(order.implicit.pack(0xFFFE, 0xE000, _UNDEFINED))
            _write(item, order, explicit, out)
            out.append(order.implicit.pack(0xFFFE, 0xE00D, 0))
        out.append(order.implicit.pack(0xFFFE, 0xE0DD, 0))
