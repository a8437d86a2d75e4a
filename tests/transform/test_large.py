"""A large object is never held in memory, and its pixels are copied as they are."""

from __future__ import annotations

import hashlib
import tracemalloc
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from tests.transform.making import basic, image, part10, read

MEGA = 1 << 20


class Counting:
    """Takes what is written, keeps its digest and its length."""

    def __init__(self) -> None:
        self.size, self.digest = 0, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.size += len(data)
        self.digest.update(data[-64:])
        return len(data)


@pytest.mark.parametrize("encapsulated", [False, True])
def test_100_megabytes_take_a_few(tmp_path: Path, encapsulated: bool) -> None:
    data = image()
    del data.PixelData
    head = part10(data, JPEG2000Lossless if encapsulated else "1.2.840.10008.1.2.1")
    path = tmp_path / "large.dcm"
    with path.open("wb") as out:
        out.write(head)
        size = 0xFFFFFFFF if encapsulated else 100 * MEGA
        out.write(b"\xe0\x7f\x10\0OW\0\0" + size.to_bytes(4, "little"))
        if encapsulated:
            out.write(b"\xfe\xff\0\xe0\0\0\0\0")
            for _ in range(10):
                out.write(b"\xfe\xff\0\xe0" + (10 * MEGA).to_bytes(4, "little"))
                out.seek(10 * MEGA, 1)
            out.write(b"\xfe\xff\xdd\xe0\0\0\0\0")
        else:
            out.truncate(out.tell() + 100 * MEGA)
    plan = basic()
    plan.apply(part10(image()))  # what is loaded once is no part of it
    sink = Counting()
    tracemalloc.start()
    try:
        with path.open("rb") as source:
            plan.write(source, cast(Any, sink))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 100 * MEGA < sink.size < 100 * MEGA + 10_000
    assert peak < 6 * MEGA


def test_fragments_are_copied_as_they_are() -> None:
    frames = [bytes([number]) * (70_000 + 2 * number) for number in range(5)]
    data = image()
    data.PixelData = encapsulate(frames)
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    copy = basic().apply(part10(data, JPEG2000Lossless))
    assert read(copy).PixelData == data.PixelData
    assert read(copy).file_meta.TransferSyntaxUID == JPEG2000Lossless


def test_a_source_that_shrinks_is_a_fault(tmp_path: Path) -> None:
    from pacstui.transform import TransformError

    path = tmp_path / "shrinking.dcm"
    data = image()
    data.add_new(0x7FE00010, "OW", bytes(300_000))
    path.write_bytes(part10(data))

    class Shrinking(BytesIO):
        def write(self, data: Any) -> int:
            path.write_bytes(b"")
            return super().write(data)

    with path.open("rb", buffering=0) as source, pytest.raises(TransformError, match="became shorter"):
        basic().write(cast(Any, source), Shrinking())
