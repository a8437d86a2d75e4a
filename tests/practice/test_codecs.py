from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydicom.pixels.decoders.rle import _rle_decode_frame

from pacstui.practice import codecs, phantoms
from pacstui.practice.phantoms import Body

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)
SMOOTH = st.integers(0, 3)


def unpack(data: bytes, picture: np.ndarray) -> np.ndarray:
    rows, columns = picture.shape[:2]
    samples = picture.shape[2] if picture.ndim == 3 else 1
    raw = _rle_decode_frame(data, rows, columns, samples, 8 * picture.dtype.itemsize, ">")
    out = np.frombuffer(bytes(raw), picture.dtype)
    return out.reshape(samples, rows, columns).transpose(1, 2, 0) if samples > 1 else out.reshape(rows, columns)


def decode_lossless(data: bytes) -> np.ndarray:
    """A plain decoder of what the encoder promises: T.81 Annex H, one component, selection value 1."""
    at, counts, order = 2, b"", b""
    bits = rows = columns = 0
    while True:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == 0xC3:
            bits, rows, columns = body[0], int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
        elif marker == 0xC4:
            counts, order = body[1:17], body[17:]
        elif marker == 0xDA:
            break
    assert data.endswith(b"\xff\xd9")
    stream = "".join(f"{byte:08b}" for byte in data[at:-2].replace(b"\xff\x00", b"\xff"))
    table, code, used = {}, 0, 0
    for length, many in enumerate(counts, 1):
        for _ in range(many):
            table[f"{code:0{length}b}"] = order[used]
            code, used = code + 1, used + 1
        code <<= 1
    out, place = np.zeros((rows, columns), np.int64), 0
    for row in range(rows):
        for column in range(columns):
            end = place + 1
            while stream[place:end] not in table:
                end += 1
            size = table[stream[place:end]]
            place = end
            difference = 32768 if size == 16 else 0
            if 0 < size < 16:
                value = int(stream[place : place + size], 2)
                difference = value if value >> (size - 1) else value - (1 << size) + 1
                place += size
            if column:
                before = out[row, column - 1]
            else:
                before = out[row - 1, 0] if row else 1 << (bits - 1)
            out[row, column] = (before + difference) & 0xFFFF
    return out


@given(SHAPES.flatmap(lambda shape: hnp.arrays(np.uint8, shape, elements=SMOOTH | st.integers(0, 255))))
def test_rle_of_any_bytes_comes_back(picture: np.ndarray) -> None:
    assert (unpack(codecs.rle(picture), picture) == picture).all()


@given(SHAPES.flatmap(lambda shape: hnp.arrays(np.uint16, shape, elements=SMOOTH | st.integers(0, 65535))))
def test_rle_and_jpeg_lossless_of_any_words_come_back(picture: np.ndarray) -> None:
    assert (unpack(codecs.rle(picture), picture) == picture).all()
    assert (decode_lossless(codecs.jpeg_lossless(picture, bits=16)) == picture).all()


@pytest.mark.parametrize("length", [1, 2, 3, 127, 128, 129, 130, 255, 256, 257, 300])
def test_rle_runs_of_every_length(length: int) -> None:
    picture = np.array([[1, *[9] * length, 2, 3]], np.uint8)
    assert (unpack(codecs.rle(picture), picture) == picture).all()


def test_rle_of_colour_has_three_segments() -> None:
    picture = phantoms.doppler(Body(3))
    data = codecs.rle(picture)
    assert int.from_bytes(data[:4], "little") == 3
    assert (unpack(data, picture) == picture).all()


def test_pictures_get_smaller_and_come_back() -> None:
    picture = phantoms.mr(0.5, Body(3), size=64)
    data = codecs.jpeg_lossless(picture, bits=12)
    assert len(data) < 0.7 * picture.nbytes
    assert (decode_lossless(data) == picture).all()
