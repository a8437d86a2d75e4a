"""JPEG Lossless (ITU-T T.81 annex H, DICOM 4.57 and 4.70): what a stream says of itself, and its samples, by GDCM.

The decoder makes the best of a broken stream: it complains on standard error and returns samples that nobody recorded.
So its complaints are heard here, and what it would end the process for is kept from it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

_SOI: Final = b"\xff\xd8"
_SOF3: Final = 0xC3
_OTHER_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {_SOF3, 0xC4, 0xC8, 0xCC}
_SOS: Final = 0xDA
_ALONE: Final = frozenset((0x01, *range(0xD0, 0xD8)))


class BadStream(Exception):
    """The stream is none of JPEG Lossless, or broken; the message says where."""


class Shape(NamedTuple):
    """What a stream holds: bits of a sample, and how many samples."""

    precision: int
    rows: int
    columns: int
    components: int


def shape_of(stream: bytes) -> Shape:
    """Return what the frame header of a stream says (T.81 B.2.2).

    Raises
    ------
    BadStream
        When there is none before the first scan, when it is one of another process, or when its components are sampled
        unequally, which DICOM has no plain form of.
    """
    if stream[:2] != _SOI:
        raise BadStream("it does not begin like a JPEG stream")
    at = 2
    while True:
        while stream[at : at + 2] == b"\xff\xff":  # fill bytes
            at += 1
        if len(stream) < at + 4 or stream[at] != 0xFF:
            raise BadStream(f"there is no marker at byte {at}")
        marker = stream[at + 1]
        if marker in _ALONE:
            at += 2
            continue
        if marker == _SOS:
            raise BadStream("it has no frame header")
        if marker in _OTHER_FRAMES:
            raise BadStream(f"it is of another JPEG process (SOF{marker - 0xC0})")
        length = int.from_bytes(stream[at + 2 : at + 4], "big")
        if marker == _SOF3:
            return _header(stream[at + 4 : at + 2 + length])
        if length < 2:
            raise BadStream(f"the segment at byte {at} has no length")
        at += 2 + length


def _header(header: bytes) -> Shape:
    if len(header) < 6 or len(header) != 6 + 3 * header[5] or not header[5]:
        raise BadStream("its frame header has a wrong length")
    if len(set(header[7::3])) != 1:
        raise BadStream("its components are sampled unequally")
    rows, columns = int.from_bytes(header[1:3], "big"), int.from_bytes(header[3:5], "big")
    if header[5] not in (1, 3) or not 2 <= header[0] <= 16:
        raise BadStream(f"it has {header[5]} components of {header[0]} bits")
    return Shape(header[0], rows, columns, header[5])


def samples_of(stream: bytes, shape: Shape, syntax: str) -> bytes:
    """Return the samples of a stream, colour by pixel, each in one byte where it has up to eight bits, else in two.

    Raises
    ------
    BadStream
        When it is damaged, as far as that can be seen.
    """
    import gdcm

    container = 8 if shape.precision <= 8 else 16
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(stream)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    picture = gdcm.Image()
    picture.SetNumberOfDimensions(2)
    picture.SetDimensions((shape.columns, shape.rows, 1))
    picture.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.RGB if shape.components == 3 else gdcm.PhotometricInterpretation.MONOCHROME2
    picture.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    picture.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    # The whole container, not the bits of a sample: GDCM ends the process for less than eight.
    picture.SetPixelFormat(gdcm.PixelFormat(shape.components, container, container, container - 1, 0))
    with _complaints() as heard:
        found = picture.GetBuffer()
    if heard:
        raise BadStream(heard[0])
    if found is None:
        raise BadStream("it is cut short or damaged")
    return bytes(found.encode("utf-8", "surrogateescape"))  # GDCM's wrapper makes text of bytes


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Gather what native code writes to standard error; the list is filled at the end."""
    heard: list[str] = []
    reading, writing = os.pipe()
    kept = os.dup(2)
    for end in (reading, writing):
        os.set_blocking(end, False)  # who talks more than a pipe holds is not held up
    os.dup2(writing, 2)
    try:
        yield heard
    finally:
        os.dup2(kept, 2)
        with suppress(BlockingIOError):
            heard += os.read(reading, 4096).decode("utf-8", "replace").splitlines()
        for end in (reading, writing, kept):
            os.close(end)
