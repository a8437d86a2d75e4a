"""Writes a tree as a DICOM file of the transfer syntax that it was read in; what was left in the source is copied."""

from __future__ import annotations

import zlib
from struct import Struct, pack
from typing import BinaryIO, Final, Protocol

from pacstui.dicom import charset
from pacstui.dicom.dataset import LONG_VRS, TEXT_VRS
from pacstui.dicom.syntaxes import BIG_ENDIAN, DEFLATED, IMPLICIT
from pacstui.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, valid_uid
from pacstui.transform.faults import TransformError, named
from pacstui.transform.source import Source, Span
from pacstui.transform.tree import CHARSET, STRING_VRS, Element, Item, Part10

_UNDEFINED: Final = 0xFFFFFFFF
_SHORT: Final = 0xFFFF
_UTF8: Final = "ISO_IR 192"
_META = Struct("<HH2sH")


class _Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


def write_object(part: Part10, out: BinaryIO) -> int:
    """Write preamble, file meta information and data set; return where the data set begins, in bytes.

    The meta information is ours, not that of the source (PS3.10 7.1, PS3.15 E.1.1 7).
    """
    _encode(part)
    sop_class, instance = part.root.text(0x00080016), part.root.text(0x00080018)
    for tag, uid in ((0x00080016, sop_class), (0x00080018, instance)):
        if not valid_uid(uid):
            raise TransformError(f"{named(tag)} of the copy is no UID")
    head = _meta(sop_class, instance, part.syntax)
    out.write(head)
    deflated = part.syntax == DEFLATED or part.syntax.endswith((".4.95", ".4.205"))
    sink: _Sink = _Deflating(out) if deflated else out
    _Writer(sink, part.source, part.syntax).item(part.root)
    if isinstance(sink, _Deflating):
        sink.close()
    return len(head)


def _meta(sop_class: str, instance: str, syntax: str) -> bytes:
    body = pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\0\1"
    for element, vr, text in (
        (0x0002, b"UI", sop_class), (0x0003, b"UI", instance), (0x0010, b"UI", syntax),
        (0x0012, b"UI", IMPLEMENTATION_CLASS_UID), (0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
    ):  # fmt: skip
        value = text.encode("ascii")
        value += (b"\0" if vr == b"UI" else b" ") * (len(value) & 1)
        body += _META.pack(2, element, vr, len(value)) + value
    return bytes(128) + b"DICM" + _META.pack(2, 0, b"UL", 4) + pack("<I", len(body)) + body


class _Deflating:
    """Deflates what goes to a file (RFC 1951), to an even length (PS3.5 A.5)."""

    def __init__(self, out: BinaryIO) -> None:
        self._out, self._size = out, 0
        self._packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)

    def write(self, data: bytes) -> None:
        some = self._packer.compress(data)
        self._size += len(some)
        self._out.write(some)

    def close(self) -> None:
        some = self._packer.flush()
        self._out.write(some + bytes((self._size + len(some)) & 1))


class _Writer:
    def __init__(self, sink: _Sink, source: Source, syntax: str) -> None:
        mark = ">" if syntax == BIG_ENDIAN else "<"
        self.sink, self.source, self.explicit = sink, source, syntax != IMPLICIT
        self.plain, self.short, self.u32 = Struct(mark + "HHI"), Struct(mark + "HH2sH"), Struct(mark + "I")

    def item(self, item: Item) -> None:
        write, plain = self.sink.write, self.plain.pack
        for tag in sorted(item.elements):
            element = item.elements[tag]
            if element.items is not None:
                self.head(tag, "SQ", _UNDEFINED if element.items else 0)
                for each in element.items:
                    write(plain(0xFFFE, 0xE000, _UNDEFINED))
                    self.item(each)
                    write(plain(0xFFFE, 0xE00D, 0))
                if element.items:
                    write(plain(0xFFFE, 0xE0DD, 0))
                continue
            self.value(tag, element)

    def value(self, tag: int, element: Element) -> None:
        value = element.value
        assert not isinstance(value, str)
        size = value.size if isinstance(value, Span) else len(value)
        odd = size & 1 and not element.open
        self.head(tag, element.vr, _UNDEFINED if element.open else size + odd)
        if isinstance(value, Span):
            for piece in self.source.pieces(value):
                self.sink.write(piece)
        else:
            self.sink.write(value)
        if element.open:
            self.sink.write(self.plain.pack(0xFFFE, 0xE0DD, 0))
        elif odd:
            self.sink.write(b" " if element.vr in STRING_VRS and element.vr != "UI" else b"\0")

    def head(self, tag: int, vr: str, size: int) -> None:
        if not self.explicit:
            self.sink.write(self.plain.pack(tag >> 16, tag & 0xFFFF, size))
            return
        if vr not in LONG_VRS and size > _SHORT:
            vr = "UN"  # PS3.5 6.2.2
        letters = vr.encode("ascii")
        if vr in LONG_VRS:
            self.sink.write(self.short.pack(tag >> 16, tag & 0xFFFF, letters, 0) + self.u32.pack(size))
        else:
            self.sink.write(self.short.pack(tag >> 16, tag & 0xFFFF, letters, size))


def _encode(part: Part10) -> None:
    """Encode what was set as text: in the character set that the object has, else the whole object in UTF-8."""
    waiting: list[tuple[Item, int, Element]] = [
        (item, tag, element)
        for item in part.root.below()
        for tag, element in item.elements.items()
        if isinstance(element.value, str)
    ]
    done: list[tuple[Element, bytes]] = []
    for item, tag, element in waiting:
        assert isinstance(element.value, str)
        if element.vr in TEXT_VRS:
            value = charset.encode(element.value, item.terms)
            if value is None:
                _widen(part)
                return
        else:
            value = _ascii(tag, element)
        done.append((element, value))
    for element, value in done:
        element.value = value


def _ascii(tag: int, element: Element) -> bytes:
    assert isinstance(element.value, str)
    try:
        return element.value.encode("ascii")
    except UnicodeEncodeError:
        raise TransformError(f"{named(tag)}: {element.vr} holds characters of ASCII only (PS3.5 6.2)") from None


def _widen(part: Part10) -> None:
    """Bring all text of the object into UTF-8 (PS3.3 C.12.1.1.2, ISO_IR 192)."""
    texts: list[tuple[Element, bytes]] = []
    for item in part.root.below():
        for tag, element in item.elements.items():
            value = element.value
            if isinstance(value, str) and element.vr not in TEXT_VRS:
                texts.append((element, _ascii(tag, element)))
            elif element.vr in TEXT_VRS and element.items is None:
                if isinstance(value, Span):
                    value = b"".join(part.source.pieces(value))
                text = value if isinstance(value, str) else charset.decode(value, item.terms)[0]
                if "\N{REPLACEMENT CHARACTER}" in text:
                    raise TransformError(
                        f"{named(tag)}: its text is not in the character set that the object names, and other values"
                        " need a wider one", "replace or remove that attribute too"
                    )  # fmt: skip
                texts.append((element, text.encode("utf-8")))
    for element, encoded in texts:
        element.value = encoded
    for item in part.root.below():
        item.elements.pop(CHARSET, None)
    part.root.elements[CHARSET] = Element("CS", _UTF8.encode("ascii"))
