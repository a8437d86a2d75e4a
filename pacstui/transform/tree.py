"""An object of any size as a tree of its elements: what is large stays where it is (PS3.5 7, PS3.10 7.1).

Values stay bytes until somebody asks for their text. The pixel data and whatever else is longer than 64 KiB is only a
`Span` of the source, so that a large object costs as much memory as its header.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import BinaryIO, Final

from pacstui.dicom import charset
from pacstui.dicom.dataset import KNOWN_VRS, LONG_VRS, TEXT_VRS
from pacstui.dicom.dictionary import vr_of
from pacstui.dicom.header import guess_transfer_syntax
from pacstui.dicom.syntaxes import BIG_ENDIAN, IMPLICIT, WHOLLY_DEFLATED
from pacstui.dicom.uids import trim_uid, valid_uid
from pacstui.transform.faults import TransformError, named
from pacstui.transform.source import Source, Span, inflated_data

CHARSET: Final = 0x00080005
PIXELS: Final = frozenset((0x7FE00010, 0x7FE00008, 0x7FE00009))
ASCII_VRS: Final = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"))
STRING_VRS: Final = ASCII_VRS | TEXT_VRS
NUMBER_VRS: Final = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}

_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_KEPT: Final = 1 << 16
_TEXT_KEPT: Final = 1 << 22
_DEPTH: Final = 48
_ELEMENTS: Final = 1_000_000


@dataclass(slots=True)
class Element:
    """One element.

    ``value`` is what was read, text that is to be encoded, or a span of the source; ``items`` are those of a sequence.
    ``open`` marks a value of undefined length that is copied as it stands, without its delimiter: fragments (PS3.5
    A.4), or what a sender knew as UN (PS3.5 6.2.2).
    """

    vr: str
    value: bytes | str | Span = b""
    items: list[Item] | None = None
    open: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is no value, or nothing but padding."""
        if self.items is not None:
            return not self.items
        if isinstance(self.value, Span):
            return self.value.size == 0
        return not self.value.strip(" \0") if isinstance(self.value, str) else not self.value.strip(b" \0")


@dataclass(slots=True)
class Item:
    """A data set, or an item of a sequence, with its elements by tag; ``big`` says big endian."""

    elements: dict[int, Element] = field(default_factory=dict)
    parent: Item | None = None
    big: bool = False

    @property
    def terms(self) -> str:
        """Specific Character Set, that of the enclosing data set where an item has none (PS3.3 C.12.1.1.2)."""
        own = self.elements.get(CHARSET)
        if own is None:
            return self.parent.terms if self.parent is not None else ""
        return own.value.strip(" \0") if isinstance(own.value, str) else raw(own).decode("latin_1").strip(" \0")

    def text(self, tag: int) -> str:
        """Return the text of an element, values divided by backslashes; empty where it is absent. Never fails."""
        element = self.elements.get(tag)
        return "" if element is None else text_of(self, element)

    def put(self, tag: int, vr: str, text: str) -> None:
        """Set an element to text; it is encoded when the object is written."""
        self.elements[tag] = Element(vr, text)

    def below(self) -> Iterator[Item]:
        """Yield this item and all that are nested in it."""
        yield self
        for element in self.elements.values():
            for item in element.items or ():
                yield from item.below()


Note = Callable[[Item, int, str, "Element | None", "Element | None"], None]
"""Is told of each change: where, what was done, and the element before and after."""


def raw(element: Element) -> bytes:
    """Return the bytes of an element that is at hand, none for what was left in the source."""
    return element.value if isinstance(element.value, bytes) else b""


def text_of(item: Item, element: Element) -> str:
    """Return an element's value as text without padding; numbers in decimals, nothing for other binary values."""
    if isinstance(element.value, str):
        return element.value
    value = raw(element)
    if element.vr in TEXT_VRS:
        return charset.decode(value, item.terms)[0].strip(" \0")
    if element.vr in ASCII_VRS:
        return value.decode("latin_1").strip(" \0")
    letter = NUMBER_VRS.get(element.vr)
    if letter is None or not value:
        return ""
    one = Struct((">" if item.big else "<") + letter)
    return "\\".join(f"{number[0]:.10g}" if letter in "fd" else str(number[0])
                     for number in one.iter_unpack(value[: len(value) // one.size * one.size]))  # fmt: skip


@dataclass(slots=True)
class Part10:
    """An object: its data set as a tree, and where the values are that were left behind."""

    syntax: str
    root: Item
    source: Source
    inflated: BinaryIO | None = None

    def close(self) -> None:
        """Let go of what was inflated."""
        if self.inflated is not None:
            self.inflated.close()


def open_object(file: BinaryIO, syntax: str = "", at: int = 0) -> Part10:
    """Read a file with or without preamble and file meta information, or a data set that begins at ``at`` and has the
    transfer syntax that is given.

    Raises
    ------
    TransformError
        Where its bytes cannot be followed.
    """
    source = Source(file)
    if not syntax:
        syntax, at = _head(source)
    inflated = None
    if syntax in WHOLLY_DEFLATED:
        inflated = inflated_data(source, at)
        source, at = Source(inflated), 0
    reader = _Reader(source, syntax == BIG_ENDIAN)
    root = Item(big=syntax == BIG_ENDIAN)
    end = reader.item(root, at, source.size, 0, syntax != IMPLICIT, False)
    if end < source.size and source.take(end, 8).strip(b"\0"):
        raise TransformError("an item or sequence ends that did not begin", "repair the object at its source")
    return Part10(syntax, root, source, inflated)


def _head(source: Source) -> tuple[str, int]:
    """Return the transfer syntax, and where the data set begins."""
    at = 132 if source.take(128, 4) == b"DICM" else 4 if source.take(0, 4) == b"DICM" else 0
    syntax = ""
    head = source.take(at, 12)
    while len(head) >= 8 and head[:2] == b"\2\0":
        size, start = int.from_bytes(head[6:8], "little"), at + 8
        if head[4:6].decode("latin_1") in LONG_VRS:
            size, start = int.from_bytes(head[8:12], "little"), at + 12
        elif not head[4:6].isalpha():  # meta information without VRs: not allowed, but met
            size = int.from_bytes(head[4:8], "little")
        if head[2:4] == b"\x10\0":
            syntax = trim_uid(source.take(start, min(size, 64)))
        at = start + size
        head = source.take(at, 12)
    syntax = syntax or guess_transfer_syntax(source.take(at, 1 << 12))
    if not syntax:
        raise TransformError("it is no DICOM object, or its transfer syntax is not told and cannot be guessed")
    if not valid_uid(syntax):
        raise TransformError("what stands as its transfer syntax is no UID")
    return syntax, at


class _Reader:
    def __init__(self, source: Source, big: bool) -> None:
        self.source = source
        mark = ">" if big else "<"
        self.big = big
        self.head, self.u32, self.u16 = Struct(mark + "HHI"), Struct(mark + "I"), Struct(mark + "H")
        self.left = _ELEMENTS

    def item(self, item: Item, at: int, end: int, depth: int, explicit: bool, closes: bool) -> int:
        """Read elements into ``item`` up to ``end``, or to the delimiter of one that has no length."""
        take, elements = self.source.take, item.elements
        while at < end:
            head = take(at, 12)
            if len(head) < 8 or at + 8 > end:
                if not any(head[: end - at]):
                    return end  # padding of the whole
                raise TransformError("the data set ends inside the head of an element")
            self.left -= 1
            if self.left < 0:
                raise TransformError("the data set has more than a million elements")
            group, number, size = self.head.unpack_from(head)
            tag = group << 16 | number
            if group == 0xFFFE:
                if closes and tag == _ITEM_END:
                    return at + 8
                if tag in (_ITEM_END, _SEQUENCE_END):
                    return at
                raise TransformError(f"({group:04X},{number:04X}) stands where an element was expected")
            vr, size, start = self._vr(head, at, tag, size, explicit, end)
            if vr == "SQ" or size == _UNDEFINED:
                element, at = self._open(item, tag, vr, start, size, end, depth, explicit)
            else:
                at = start + size
                if at > end:
                    raise TransformError(f"the data set ends inside the value of {named(tag)}")
                element = self._element(item, tag, vr, start, size, depth)
            if number:  # group lengths would be wrong afterwards (PS3.5 7.2: retired)
                elements[tag] = element
        return at

    def _vr(self, head: bytes, at: int, tag: int, size: int, explicit: bool, end: int) -> tuple[str, int, int]:
        """Return VR, length and where the value begins."""
        if not explicit:
            return vr_of(tag), size, at + 8
        letters = head[4:6].decode("latin_1")
        if letters in LONG_VRS:
            if len(head) < 12:
                raise TransformError(f"the data set ends inside the head of {named(tag)}")
            return letters, self.u32.unpack_from(head, 8)[0], at + 12
        short = self.u16.unpack_from(head, 6)[0]
        if letters in KNOWN_VRS:
            return letters, short, at + 8
        if not (letters.isascii() and letters.isalpha() and letters.isupper()):
            return vr_of(tag), size, at + 8  # encoded without VR, as some writers do
        if at + 8 + short <= end and self._follows(at + 8 + short, end, tag):
            return "UN", short, at + 8
        return "UN", self.u32.unpack_from(head.ljust(12, b"\0"), 8)[0], at + 12  # a VR of the future (PS3.5 7.1.2)

    def _follows(self, at: int, end: int, tag: int) -> bool:
        """Return whether what stands at ``at`` may well be the element after ``tag``."""
        head = self.source.take(at, 4)
        if at == end or len(head) < 4:
            return at == end
        group, number = self.u16.unpack_from(head)[0], self.u16.unpack_from(head, 2)[0]
        return bool(group == 0xFFFE or tag < (group << 16 | number) < tag + 0x01000000)

    def _element(self, item: Item, tag: int, vr: str, start: int, size: int, depth: int) -> Element:
        if vr == "UN" and not tag >> 16 & 1:
            vr = self._known(tag)
            if vr == "SQ":
                return self._in_un(item, tag, start, size, depth)
        if size > (_TEXT_KEPT if vr in STRING_VRS else _KEPT):
            if start + size > self.source.size:
                raise TransformError(f"the data set ends inside the value of {named(tag)}")
            return Element(vr, Span(start, size))
        value = self.source.take(start, size)
        if len(value) < size:
            raise TransformError(f"the data set ends inside the value of {named(tag)}")
        return Element(vr, value)

    def _known(self, tag: int) -> str:
        """Return the VR of an element whose sender did not know it; its bytes are little endian (PS3.5 6.2.2)."""
        vr = vr_of(tag)
        return vr if not self.big or vr in STRING_VRS else "UN"

    def _in_un(self, item: Item, tag: int, start: int, size: int, depth: int) -> Element:
        """Read a sequence that was sent as UN: implicit VR, but some writers keep the VRs."""
        for explicit in (False, True):
            left = self.left
            try:
                found, at = self._sequence(item, tag, start, size, start + size, depth, explicit)
            except TransformError:
                self.left = left
                continue
            if at == start + size:
                return found
        return Element("UN", Span(start, size) if size > _KEPT else self.source.take(start, size))

    def _open(self, item: Item, tag: int, vr: str, start: int, size: int, end: int, depth: int, explicit: bool
              ) -> tuple[Element, int]:  # fmt: skip
        if vr == "UN" and self._known(tag) == "SQ":
            vr, explicit = "SQ", False
        if vr == "SQ":
            return self._sequence(item, tag, start, size, end, depth, explicit)
        fragments = vr != "UN"
        at = self._fragments(tag, start, end) if fragments else self._past(tag, start, end, depth)
        return Element(vr, Span(start, at - 8 - start), open=True), at

    def _fragments(self, tag: int, at: int, end: int) -> int:
        """Return where the fragments of an encapsulated value end (PS3.5 A.4)."""
        while at + 8 <= end:
            group, number, size = self.head.unpack_from(self.source.take(at, 8))
            at += 8
            if group << 16 | number == _SEQUENCE_END:
                return at
            if group << 16 | number != _ITEM or size == _UNDEFINED:
                raise TransformError(f"({group:04X},{number:04X}) stands where a fragment of {named(tag)} was expected")
            at += size
        raise TransformError(f"the data set ends inside {named(tag)}")

    def _past(self, tag: int, start: int, end: int, depth: int) -> int:
        """Return where a value of undefined length ends that is not looked into."""
        at = self._sequence(Item(), tag, start, _UNDEFINED, end, depth, False)[1]
        if self.source.take(at - 8, 4) != self.head.pack(0xFFFE, 0xE0DD, 0)[:4]:
            raise TransformError(f"{named(tag)} has no end")
        return at

    def _sequence(self, outer: Item, tag: int, at: int, size: int, end: int, depth: int, explicit: bool
                  ) -> tuple[Element, int]:  # fmt: skip
        if depth >= _DEPTH:
            raise TransformError(f"sequences are nested too deeply in {named(tag)}")
        stop = end if size == _UNDEFINED else at + size
        if stop > end:
            raise TransformError(f"the data set ends inside {named(tag)}")
        items: list[Item] = []
        while at < stop:
            head = self.source.take(at, 8)
            if len(head) < 8 or at + 8 > stop:
                raise TransformError(f"the data set ends inside {named(tag)}")
            group, number, length = self.head.unpack(head)
            here = group << 16 | number
            if here == _SEQUENCE_END:
                return Element("SQ", items=items), at + 8
            at += 8
            if here == _ITEM_END:
                continue
            if here != _ITEM:
                if size == _UNDEFINED:
                    return Element("SQ", items=items), at - 8  # the delimiter is missing
                raise TransformError(f"({group:04X},{number:04X}) stands where an item of {named(tag)} was expected")
            until = stop if length == _UNDEFINED else at + length
            if until > stop:
                raise TransformError(f"the data set ends inside an item of {named(tag)}")
            item = Item(parent=outer, big=self.big)
            at = self.item(item, at, until, depth + 1, explicit, length == _UNDEFINED)
            items.append(item)
            if length != _UNDEFINED:
                at = until
        return Element("SQ", items=items), at
