"""JPEG Lossless becomes plain: the samples that were recorded, or a reason why not."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate_extended

from pacstui.dicom.syntaxes import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT
from pacstui.imaging.convert import NotConvertible, convert, may_convert
from pacstui.imaging.jpeg import decoded
from pacstui.practice.codecs import jpeg_lossless
from tests.imaging.encoded import ANY_ORDER, FIRST_ORDER, data_of, object_of, opened, saved, stream
from tests.interop import dcmtk
from tests.interop.kept import data_set_of
from tests.interop.samples import sample

REAL = ("JPEG-LL.dcm", "JPGLosslessP14SV1_1s_1f_8b.dcm", "SC_rgb_jpeg_gdcm.dcm")
JFIF = b"\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0"
ADOBE_YCC = b"\xff\xee\x00\x0eAdobe\0d\0\0\0\0\1"
random = np.random.default_rng(4)


def noise(bits: int, *shape: int) -> Any:
    return random.integers(0, 1 << bits, shape or (11, 13))


def plain(found: Dataset, target: str = EXPLICIT) -> Dataset:
    return opened(convert(data_of(found), ANY_ORDER, target), target)


def refused(found: Dataset) -> str:
    with pytest.raises(NotConvertible) as caught:
        convert(data_of(found), ANY_ORDER, EXPLICIT)
    return caught.value.message


@pytest.mark.parametrize("rows_between", [0, 1, 4])
@pytest.mark.parametrize("predictor", range(1, 8))
@pytest.mark.parametrize("bits", [2, 4, 7, 8, 9, 10, 12, 14, 16])
def test_every_predictor_and_depth_gives_the_samples_back(bits: int, predictor: int, rows_between: int) -> None:
    picture = noise(bits)
    coded = stream(picture, bits, predictor, rows_between=rows_between)
    there = plain(object_of([coded], picture, bits, 8 if bits <= 8 else 16))
    size = 1 if bits <= 8 else 2
    native = picture.astype(f"<u{size}").tobytes()
    assert there.PixelData == native + bytes(len(native) % 2)
    assert ("OB" if bits <= 8 else "OW") == there["PixelData"].VR


@pytest.mark.parametrize(
    ("precision", "stored", "allocated"), [(16, 12, 16), (8, 8, 16), (8, 12, 16), (4, 4, 16), (8, 4, 8), (16, 16, 32)]
)
def test_a_stream_of_another_depth_than_is_stored_fills_what_is_allocated(
    precision: int, stored: int, allocated: int
) -> None:
    picture = noise(min(precision, allocated))
    there = plain(object_of([stream(picture, precision)], picture, stored, allocated))
    native = picture.astype(f"<u{allocated // 8}").tobytes()
    assert there.PixelData == native + bytes(len(native) % 2)
    assert (there.BitsAllocated, there.BitsStored, there.HighBit) == (allocated, stored, stored - 1)


def test_negative_numbers_stay_negative_for_who_reads_whole_words() -> None:
    picture = random.integers(-2048, 2048, (11, 13))
    there = plain(object_of([stream(picture & 0xFFF, 12)], picture, 12, 16, PixelRepresentation=1))
    assert np.array_equal(np.frombuffer(there.PixelData, "<i2").reshape(11, 13), picture)


@pytest.mark.parametrize("before", [b"", JFIF, ADOBE_YCC], ids=["bare", "JFIF", "Adobe"])
@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_colours_are_never_changed_and_stand_pixel_by_pixel(
    photometric: str, planar: int, interleaved: bool, before: bytes
) -> None:
    """Whatever the stream says of colours: the data set tells (PS3.5 8.2.1), and a wrong 1 there counts for nothing."""
    picture = noise(8, 10, 13, 3)
    coded = stream(picture, 8, interleaved=interleaved, before=before)
    found = object_of([coded], picture, 8, 8, PhotometricInterpretation=photometric, PlanarConfiguration=planar)
    there = plain(found)
    assert there.PixelData == picture.astype("u1").tobytes()
    assert (there.PhotometricInterpretation, there.PlanarConfiguration) == (photometric, 0)


@pytest.mark.parametrize("target", [EXPLICIT, IMPLICIT, DEFLATED, BIG_ENDIAN])
def test_frames_stand_one_after_the_other_and_nothing_else_changes(target: str) -> None:
    pictures = [noise(12) for _ in range(3)]
    more = {"LossyImageCompression": "01", "LossyImageCompressionRatio": "7", "PixelPaddingValue": 5}
    found = object_of([stream(each, 12) for each in pictures], pictures[0], 12, 16, **more)
    there = plain(found, target)
    order = ">u2" if target == BIG_ENDIAN else "<u2"
    assert there.PixelData == b"".join(each.astype(order).tobytes() for each in pictures)
    changed = {element.tag for element in found if there[element.tag].value != element.value}
    assert changed == {0x7FE00010}
    assert {element.tag for element in there} == {element.tag for element in found}


def test_tables_of_fragments_go_with_the_fragments() -> None:
    pictures = [noise(8, 10, 12) for _ in range(2)]
    found = object_of([stream(each, 8) for each in pictures], pictures[0], 8, 8)
    coded = encapsulate_extended([stream(each, 8) for each in pictures])
    found.PixelData, found.ExtendedOffsetTable, found.ExtendedOffsetTableLengths = coded
    found["PixelData"].is_undefined_length = True
    there = plain(found)
    assert there.PixelData == b"".join(each.astype("u1").tobytes() for each in pictures)
    assert "ExtendedOffsetTable" not in there
    assert "ExtendedOffsetTableLengths" not in there


def test_an_icon_is_decoded_with_its_picture() -> None:
    picture, small = noise(8, 10, 12), noise(8, 4, 4)
    icon = object_of([stream(small, 8)], small, 8, 8)
    there = plain(object_of([stream(picture, 8)], picture, 8, 8, IconImageSequence=[icon]))
    assert there.IconImageSequence[0].PixelData == small.astype("u1").tobytes()
    assert not there.IconImageSequence[0]["PixelData"].is_undefined_length


def test_an_object_without_pixels_is_written_anew() -> None:
    found = object_of([stream(noise(8), 8)], noise(8), 8, 8)
    del found.PixelData
    assert plain(found, IMPLICIT).PatientName == "Test^JPEG"


def test_what_stream_and_data_set_say_differently_is_refused() -> None:
    picture = noise(12)
    coded = stream(picture, 12)
    assert "11 x 13 x 1 samples" in refused(object_of([coded], picture, 12, 16, Rows=12))
    assert "do not fit into 8" in refused(object_of([coded], picture, 8, 8))
    assert "has 2 frames, and holds 1" in refused(object_of([coded], picture, 12, 16, NumberOfFrames=2))
    assert "holds more" in refused(object_of([coded, coded], picture, 12, 16, NumberOfFrames="1"))
    assert "Rows is missing" in refused(object_of([coded], picture, 12, 16, Rows=None))
    assert "longer than an element" in refused(object_of([coded], picture, 12, 16, Rows=65535, NumberOfFrames=100000))
    other = coded.replace(b"\xff\xc3", b"\xff\xc0", 1)
    assert "another JPEG process (SOF0)" in refused(object_of([other], picture, 12, 16))
    colour = stream(noise(8, 10, 12, 3), 8)
    at = colour.index(b"\xff\xc3") + 11
    halved = colour[:at] + b"\x21" + colour[at + 1 :]
    assert "sampled unequally" in refused(object_of([halved], noise(8, 10, 12, 3), 8, 8))


def test_damaged_streams_are_refused_not_guessed_at() -> None:
    picture = noise(12, 40, 40)
    coded = stream(picture, 12)
    for short in (6, 40, len(coded) // 2, len(coded) - 30):
        assert "cannot be decoded" in refused(object_of([coded[:-short]], picture, 12, 16))
    middle = len(coded) // 2
    broken = coded[:middle] + b"\xf7" * 9 + coded[middle + 9 :]
    assert "no Huffman code" in refused(object_of([broken], picture, 12, 16))
    assert "like a JPEG stream" in refused(object_of([b"nothing at all"], picture, 12, 16))


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("target", [EXPLICIT, IMPLICIT])
@dcmtk.needed
def test_real_objects_are_decoded_as_dcmtk_does(name: str, target: str, tmp_path: Path) -> None:
    path = sample(name)
    other = tmp_path / "other.dcm"
    subprocess.run([dcmtk.program("dcmdjpeg"), "+cn", "+px", str(path), str(other)], check=True)
    before, there = dcmread(path), dcmread(other)
    ours = opened(convert(data_set_of(path), FIRST_ORDER, target), target)
    assert ours.PixelData == there.PixelData
    assert ours.SOPInstanceUID == before.SOPInstanceUID
    for keyword in ("PhotometricInterpretation", "PlanarConfiguration", "BitsStored", "Rows", "LossyImageCompression"):
        assert ours.get(keyword) == there.get(keyword) == before.get(keyword)


@pytest.mark.parametrize("options", [["+e1"], *(["+el", "+sv", str(each)] for each in range(1, 8))], ids=" ".join)
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "SC_rgb.dcm", "SC_rgb_2frame.dcm", "OBXXXX1A.dcm"])
@dcmtk.needed
def test_what_dcmtk_compresses_comes_back(name: str, options: list[str], tmp_path: Path) -> None:
    path = sample(name)
    there = tmp_path / "there.dcm"
    subprocess.run([dcmtk.program("dcmcjpeg"), *options, "+un", str(path), str(there)], check=True)
    syntax = str(dcmread(there).file_meta.TransferSyntaxUID)
    assert syntax in (ANY_ORDER, FIRST_ORDER)
    assert opened(convert(data_set_of(there), syntax, EXPLICIT), EXPLICIT).PixelData == dcmread(path).PixelData


@dcmtk.needed
def test_our_encoder_is_no_private_language(tmp_path: Path) -> None:
    """What the tests encode, others decode to the same."""
    picture = noise(16, 20, 30)
    for predictor in range(1, 8):
        path, other = tmp_path / "ours.dcm", tmp_path / "theirs.dcm"
        saved(object_of([stream(picture, 16, predictor, rows_between=3)], picture, 16, 16), path)
        subprocess.run([dcmtk.program("dcmdjpeg"), str(path), str(other)], check=True)
        assert dcmread(other).PixelData == picture.astype("<u2").tobytes()


def test_both_syntaxes_are_converted_from() -> None:
    assert may_convert(ANY_ORDER, IMPLICIT)
    assert may_convert(FIRST_ORDER, EXPLICIT)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_what_the_practice_hospital_sends_compressed_is_decoded(bits: int) -> None:
    picture = noise(bits, 33, 21).astype("u1" if bits <= 8 else "u2")
    assert np.array_equal(decoded(jpeg_lossless(picture, bits=bits)), picture)
