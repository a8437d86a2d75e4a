"""Compressed pixel data becomes native: the same pixels, and attributes that tell of them as they are now.

The decoders are native code and read what strangers wrote. A broken stream may end the process, so only that of
`pacstui.imaging.worker` loads this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from pydicom import DataElement, Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from pacstui.dicom.syntaxes import JPEG_LOSSLESS, JPEG_LOSSLESS_ANY, JPEG_LS_LOSSLESS, RLE
from pacstui.imaging.jpeg import decoded, shape_of

_JPEG: Final = frozenset((JPEG_LOSSLESS_ANY, JPEG_LOSSLESS))
_LONGEST: Final = 0xFFFFFFFE
_PIXELS: Final = 0x7FE00010
_ITEM: Final = b"\xfe\xff\x00\xe0"
_OFFSETS, _LENGTHS, _TOTAL = 0x7FE00001, 0x7FE00002, 0x7FE00003


class Undecodable(Exception):
    """The pixel data cannot be decoded to what was recorded; the message says why."""


def decode(whole: Dataset, syntax: str, room_for: Callable[[int], None]) -> None:
    """Decode all pixel data of a data set in place, that of icons in its sequences too.

    Parameters
    ----------
    syntax
        The transfer syntax that it is encoded in.
    room_for
        Is called with the number of bytes that decoded pixel data will take, before each decoding.

    Raises
    ------
    Undecodable
        When it cannot be decoded. A decoder may raise whatever it likes besides.
    """
    for element in whole:
        if element.VR == "SQ":
            for item in element.value or ():
                decode(item, syntax, room_for)
    if _PIXELS in whole and _encapsulated(whole[_PIXELS]):
        _decode_one(whole, syntax, room_for)
    for tag in (_OFFSETS, _LENGTHS, _TOTAL):  # they tell of fragments (PS3.3 C.7.6.3.1.8)
        if tag in whole:
            del whole[tag]


def _encapsulated(element: DataElement) -> bool:
    """Return whether pixel data are in fragments; icons may be native, and some writers forget the undefined length."""
    return element.is_undefined_length or bytes(element.value[:4]) == _ITEM


def _decode_one(whole: Dataset, syntax: str, room_for: Callable[[int], None]) -> None:
    allocated, samples = _number(whole, "BitsAllocated"), _number(whole, "SamplesPerPixel")
    if allocated not in (8, 16, 32):
        raise Undecodable(f"samples of {allocated} bits are not decoded here")
    one = _number(whole, "Rows") * _number(whole, "Columns") * samples * (allocated // 8)
    frames = max(1, int(whole.get("NumberOfFrames") or 1))
    if one * frames > _LONGEST:
        raise Undecodable("decoded it would be longer than an element can be")
    room_for(one * frames)
    wanted = np.dtype(f"<{'i' if whole.get('PixelRepresentation') else 'u'}{allocated // 8}")
    photometric = whole.PhotometricInterpretation
    out: list[bytes] = []
    for array, meant in (_jpeg if syntax in _JPEG else _others)(whole, syntax, frames):
        if array.dtype.itemsize > wanted.itemsize:
            raise Undecodable(f"its samples do not fit into {allocated} bits")
        out.append(array.astype(wanted, copy=False).tobytes())
        if len(out[-1]) != one:
            raise Undecodable(f"a frame decodes to {len(out[-1])} bytes, {one} are told")
        if len(out) > frames:
            break
        photometric = meant
    if len(out) != frames:
        more = "more" if len(out) > frames else str(len(out))
        raise Undecodable(f"it says that it has {frames} frames, and holds {more}")
    if one * frames % 2:
        out.append(b"\0")
    element = whole[_PIXELS]
    element.value = b"".join(out)
    element.is_undefined_length = False
    element.VR = "OB" if allocated == 8 else "OW"  # PS3.5 A.2
    whole.PhotometricInterpretation = photometric
    if samples > 1:
        whole.PlanarConfiguration = 0


def _number(whole: Dataset, keyword: str) -> int:
    value = whole.get(keyword)
    if not isinstance(value, int) or value <= 0:
        raise Undecodable(f"{keyword} is missing or makes no sense")
    return value


def _jpeg(whole: Dataset, syntax: str, frames: int) -> Iterator[tuple[Any, str]]:
    """Yield each frame of JPEG Lossless as an array, and its photometric interpretation, which stays (PS3.5 8.2.1)."""
    stored, allocated = _number(whole, "BitsStored"), whole.BitsAllocated
    told = (whole.Rows, whole.Columns, whole.SamplesPerPixel)
    offsets = None
    if _OFFSETS in whole and _LENGTHS in whole:
        offsets = (whole[_OFFSETS].value, whole[_LENGTHS].value)
    for stream in generate_frames(whole.PixelData, number_of_frames=frames, extended_offsets=offsets):
        shape = shape_of(stream)
        if shape[1:] != told:
            here, there = (" x ".join(str(number) for number in each) for each in (shape[1:], told))
            raise Undecodable(f"a frame has {here} samples (rows, columns, components), {there} are told")
        if shape.precision > allocated:
            raise Undecodable(f"its samples have {shape.precision} bits, which do not fit into {allocated}")
        array = decoded(stream)
        if whole.get("PixelRepresentation") and shape.precision == stored < allocated:
            array = _signed(array, stored, allocated)
        yield array, whole.PhotometricInterpretation


def _signed(array: Any, stored: int, allocated: int) -> Any:
    """Return two's complement numbers of ``stored`` bits in as many bits as are allocated: the process knows positive
    ones only, and leaves the rest of a container empty."""
    high = allocated - stored
    return (array.astype(f"<i{allocated // 8}") << high) >> high


def _others(whole: Dataset, syntax: str, frames: int) -> Iterator[tuple[Any, str]]:
    """Yield each frame of other syntaxes as an array, colour by pixel, and its photometric interpretation: a reversible
    transform of JPEG 2000 is undone by its decoder (PS3.5 8.2.4)."""
    if "TransferSyntaxUID" not in getattr(whole, "file_meta", ()):  # an item of a sequence
        whole.file_meta = FileMetaDataset()
        whole.file_meta.TransferSyntaxUID = UID(syntax)
    options: dict[str, Any] = {"correct_unused_bits": False} if syntax == RLE else {}
    plugin = "pyjpegls" if syntax == JPEG_LS_LOSSLESS else "pylibjpeg"
    as_it_is = whole.PhotometricInterpretation
    found = get_decoder(UID(syntax)).iter_array(whole, raw=True, decoding_plugin=plugin, **options)
    for array, told in found:
        yield array, as_it_is if syntax in (RLE, JPEG_LS_LOSSLESS) else str(told["photometric_interpretation"])
