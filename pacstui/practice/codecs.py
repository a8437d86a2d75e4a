"""Two lossless encoders for the pictures that equipment sends compressed: RLE and JPEG Lossless.

Only what modalities do: RLE Lossless (PS3.5 Annex G) and JPEG process 14, selection value 1 (ITU-T T.81 Annex H,
PS3.5 8.2.1), for 8 or 16 bits allocated, unsigned. Both work on whole arrays, so that a slice takes milliseconds.
"""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pacstui.practice.phantoms import Bytes, Words


def _packbits(row: Bytes) -> bytes:
    """Return one row as PackBits runs; a row never shares a run with the next (PS3.5 G.3.1)."""
    edges = np.flatnonzero(np.diff(row)) + 1
    starts = np.concatenate(([0], edges))
    lengths = np.diff(np.concatenate((starts, [row.size])))
    raw = row.tobytes()
    out = bytearray()
    literal = 0  # start of bytes not written yet
    for start, length in zip(starts[lengths > 2].tolist(), lengths[lengths > 2].tolist(), strict=True):
        _literals(out, raw[literal:start])
        literal = start + length
        while length > 128:
            out += bytes((129, raw[start]))
            length -= 128
        if length > 1:
            out += bytes((257 - length, raw[start]))
        elif length:
            out += bytes((0, raw[start]))
    _literals(out, raw[literal:])
    return bytes(out)


def _literals(out: bytearray, raw: bytes) -> None:
    for at in range(0, len(raw), 128):
        piece = raw[at : at + 128]
        out.append(len(piece) - 1)
        out += piece


def rle(picture: Bytes | Words) -> bytes:
    """Return one frame as RLE Lossless: rows x columns, or rows x columns x 3 for RGB."""
    planes: list[Bytes] = []
    for sample in range(1 if picture.ndim == 2 else picture.shape[2]):
        plane = picture if picture.ndim == 2 else picture[:, :, sample]
        if plane.dtype.itemsize == 1:
            planes.append(np.ascontiguousarray(plane, np.uint8))
        else:
            planes.extend(((plane >> 8).astype(np.uint8), (plane & 0xFF).astype(np.uint8)))
    segments = []
    for plane in planes:
        coded = b"".join(_packbits(row) for row in plane)
        segments.append(coded + b"\0" * (len(coded) % 2))
    header = np.zeros(16, "<u4")
    header[0] = len(segments)
    header[1 : len(segments) + 1] = 64 + np.cumsum([0] + [len(segment) for segment in segments[:-1]])
    return header.tobytes() + b"".join(segments)


# Code lengths by category of difference; a canonical code (T.81 Annex C) that favours small differences.
_COUNTS = (0, 1, 4, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0)
_ORDER = (4, 5, 3, 6, 2, 7, 1, 0, 8, 9, 10, 11, 12, 13, 14, 15, 16)


@lru_cache(maxsize=1)
def _huffman() -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return code and code length for each category 0 to 16."""
    codes, lengths = np.zeros(17, np.int32), np.zeros(17, np.int32)
    code, used = 0, 0
    for length, many in enumerate(_COUNTS, 1):
        for _ in range(many):
            codes[_ORDER[used]], lengths[_ORDER[used]] = code, length
            code, used = code + 1, used + 1
        code <<= 1
    return codes, lengths


def jpeg_lossless(picture: Bytes | Words, *, bits: int) -> bytes:
    """Return one frame of grey pixels as JPEG Lossless, first-order prediction (process 14, selection value 1).

    ``bits`` is the precision, 8 to 16; all values must fit in.
    """
    rows, columns = picture.shape
    value = picture.astype(np.int32)
    predicted = np.empty_like(value)
    predicted[:, 1:] = value[:, :-1]
    predicted[1:, 0] = value[:-1, 0]
    predicted[0, 0] = 1 << (bits - 1)
    difference = (value - predicted).ravel()
    difference = (difference + 32768) % 65536 - 32768
    size = np.abs(difference)
    category = np.where(size > 0, np.floor(np.log2(np.maximum(size, 1))).astype(np.int32) + 1, 0)
    extra = np.where(difference < 0, difference + (np.int32(1) << category) - 1, difference)
    codes, lengths = _huffman()
    tail = np.where(category == 16, 0, category)
    word = (codes[category] << tail) | np.where(category == 16, 0, extra)
    length = lengths[category] + tail
    total = int(length.sum())
    ends = np.cumsum(length, dtype=np.int32)
    which = np.repeat(np.arange(length.size), length)
    shift = ends[which] - 1 - np.arange(total, dtype=np.int32)
    stream = np.ones(total + -total % 8, np.uint8)
    stream[:total] = np.right_shift(word[which], shift) & 1
    coded = np.packbits(stream).tobytes().replace(b"\xff", b"\xff\x00")
    table = bytes((0, *_COUNTS, *_ORDER))
    frame = struct.pack(">HBHHB3B", 11, bits, rows, columns, 1, 1, 0x11, 0)
    return b"".join(
        (
            b"\xff\xd8",
            b"\xff\xc3" + frame,
            b"\xff\xc4" + struct.pack(">H", len(table) + 2) + table,
            b"\xff\xda\x00\x08\x01\x01\x00\x01\x00\x00",
            coded,
            b"\xff\xd9",
        )
    )
