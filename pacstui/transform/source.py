"""Where the bytes of an object are: a file that is read here and there, inflated first where need be."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Final, cast

from pacstui.transform.faults import TransformError

_WINDOW: Final = 1 << 14
_PIECE: Final = 1 << 20
_INFLATED_IN_MEMORY: Final = 8 << 20
_INFLATED: Final = 1 << 33


@dataclass(frozen=True, slots=True)
class Span:
    """A value that was left in the source: ``size`` bytes from ``at`` on."""

    at: int
    size: int


class Source:
    """A file that is read here and there, through a small window."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)
        self._window, self._from = b"", 0

    def take(self, at: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``at`` on, fewer at the end of the file."""
        start = at - self._from
        if start < 0 or start + size > len(self._window):
            self._file.seek(at)
            if size > _WINDOW:
                return self._file.read(size)
            self._window, self._from, start = self._file.read(_WINDOW), at, 0
        return self._window[start : start + size]

    def pieces(self, span: Span) -> Iterator[bytes]:
        """Yield the bytes of a span, a megabyte at a time."""
        at, left = span.at, span.size
        while left:
            self._file.seek(at)
            piece = self._file.read(min(left, _PIECE))
            if not piece:
                raise TransformError("the object became shorter while it was read")
            yield piece
            at, left = at + len(piece), left - len(piece)


def inflated_data(source: Source, at: int) -> BinaryIO:
    """Return a deflated data set (RFC 1951, PS3.5 A.5) as a file, which lies on the disk where it is large."""
    out = SpooledTemporaryFile(max_size=_INFLATED_IN_MEMORY)  # noqa: SIM115
    packer = zlib.decompressobj(-zlib.MAX_WBITS)
    total = 0
    try:
        for piece in source.pieces(Span(at, source.size - at)):
            rest = piece
            while rest and not packer.eof:
                some = packer.decompress(rest, _PIECE)
                rest = packer.unconsumed_tail
                total += len(some)
                if total > _INFLATED:
                    raise TransformError("the deflated data set is larger than 8 GiB")
                out.write(some)
    except zlib.error as error:
        raise TransformError(f"the deflated data set cannot be read: {error}") from None
    if not packer.eof:
        raise TransformError("the deflated data set ends too early")
    return cast(BinaryIO, out)
