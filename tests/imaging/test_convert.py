"""Another transfer syntax without loss: what a receiver gets means what was stored."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from pacstui.dicom.syntaxes import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, PLAIN
from pacstui.imaging.convert import NotConvertible, _head, convert, may_convert
from tests.interop.kept import data_set_of
from tests.interop.samples import JPEG, RLE, sample


def opened(data: bytes, syntax: str) -> Dataset:
    return dcmread(BytesIO(_head(syntax) + data))


def syntax_of(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID)


@pytest.mark.parametrize("target", PLAIN)
@pytest.mark.parametrize(
    "name", ["MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "image_dfl.dcm", "rtplan.dcm"]
)
def test_plain_syntaxes_become_each_other(name: str, target: str) -> None:
    path = sample(name)
    source = syntax_of(path)
    data = data_set_of(path)
    there = convert(data, source, target)
    before, after = dcmread(path), opened(there, target)
    if "PixelData" in before:
        assert np.array_equal(before.pixel_array, after.pixel_array)
    back = opened(convert(there, target, source), source)
    assert {element.tag for element in before} == {element.tag for element in back}
    for element in before:
        if element.VR not in ("OB", "OW", "OB or OW"):
            assert back[element.tag].value == element.value


@pytest.mark.parametrize("target", [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED])
def test_lossless_compression_is_undone(target: str) -> None:
    path = sample("MR_small_RLE.dcm")
    there = opened(convert(data_set_of(path), RLE, target), target)
    assert np.array_equal(there.pixel_array, dcmread(sample("MR_small.dcm")).pixel_array)
    assert there.SOPInstanceUID == dcmread(path).SOPInstanceUID


@pytest.mark.parametrize(
    "name",
    ["US1_J2KR.dcm", "693_J2KR.dcm", "emri_small_jpeg_ls_lossless.dcm", "emri_small_jpeg_2k_lossless.dcm",
     "SC_rgb_rle_2frame.dcm", "SC_rgb_rle_16bit.dcm"],
)  # fmt: skip
def test_pixels_of_other_codecs_stay_as_they_are(name: str) -> None:
    path = sample(name)
    there = opened(convert(data_set_of(path), syntax_of(path), EXPLICIT), EXPLICIT)
    before = dcmread(path)
    assert np.array_equal(before.pixel_array, there.pixel_array)
    assert there.SOPInstanceUID == before.SOPInstanceUID
    assert (there.Rows, there.Columns, there.BitsStored) == (before.Rows, before.Columns, before.BitsStored)


@pytest.mark.parametrize("source", [JPEG + "50", JPEG + "51", JPEG + "81", JPEG + "91", "1.2.3"])
def test_what_would_lose_something_is_refused_by_name(source: str) -> None:
    assert not may_convert(source, EXPLICIT)
    with pytest.raises(NotConvertible, match="without loss"):
        convert(b"", source, EXPLICIT)


def test_nothing_is_compressed() -> None:
    assert not may_convert(EXPLICIT, RLE)
    assert convert(b"as it is", RLE, RLE) == b"as it is"


def test_what_cannot_be_read_or_decoded_is_told() -> None:
    data = data_set_of(sample("MR_small_RLE.dcm"))
    with pytest.raises(NotConvertible, match="cannot be decoded"):
        convert(data[:-3000], RLE, EXPLICIT)
