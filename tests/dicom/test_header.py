"""The header walker: what it reads, what it tolerates, and that it never calls a cut data set whole."""

from __future__ import annotations

import struct
import zlib

import pytest

from pacstui.dicom import deflated, header
from tests.archive.objects import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    ITEM_END,
    JPEG,
    SEQUENCE_END,
    UNDEFINED,
    Object,
    deflate,
    element,
    encapsulated,
    item,
)


def read(data: bytes, syntax: str = EXPLICIT) -> header.Header:
    found = header.read(data, syntax)
    assert found is not None
    return found


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED])
def test_reads_every_encoding(syntax: str) -> None:
    thing = Object(name="MÜLLER^ANNA")
    found = read(thing.encode(syntax), syntax)
    assert found.complete
    assert not found.marked
    assert found.pixels
    assert (found.sop_instance, found.study, found.series) == (thing.sop, thing.study, thing.series)
    assert found.patient_name == "MÜLLER^ANNA"
    assert found.get(0x00280010) == "16"


@pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview])
def test_takes_any_buffer(buffer: type) -> None:
    assert read(buffer(Object().encode())).complete


def _sequence(*items: bytes) -> bytes:
    return element(0x00081032, "SQ", b"", length=UNDEFINED) + b"".join(items) + SEQUENCE_END


def _open_item() -> bytes:
    """An item of undefined length, without its end."""
    return item(element(0x00080100, "SH", "A1"), UNDEFINED)


@pytest.mark.parametrize(
    ("tag", "raw"),
    [
        pytest.param(0x00080000, element(0x00080000, "UL", struct.pack("<I", 4)), id="group length"),
        pytest.param(0x00090000, element(0x00090000, "UN", struct.pack("<I", 0)), id="group length as UN"),
        pytest.param(
            0x00081032,
            element(0x00081032, "SQ", b"", length=UNDEFINED) + item(element(0x00080100, "SH", "A1")),
            id="sequence without its delimiter",
        ),
    ],
)
def test_case_031_retired_and_missing_elements_are_tolerated(tag: int, raw: bytes) -> None:
    thing = Object({tag: ("raw", raw)})
    found = read(thing.encode())
    assert found.complete
    assert found.series == thing.series


@pytest.mark.parametrize(
    "raw", [_sequence(_open_item()), _sequence(_open_item(), _open_item() + ITEM_END)], ids=["last", "first"]
)
def test_case_031_an_item_without_its_end_is_refused_by_that_name(raw: bytes) -> None:
    found = read(Object({0x00081032: ("raw", raw)}).encode())
    assert (found.cut, found.complete) == (True, False)
    assert found.problem == "an item of undefined length ends without its delimiter (PS3.5 7.5.2)"


@pytest.mark.parametrize("padded", [False, True])
def test_case_033_deflated_with_and_without_padding(padded: bool) -> None:
    for extra in range(40):
        thing = Object(description="D" * extra)
        data = deflate(thing.encode())
        if len(data) % 2:
            break
    found = read(data + b"\0" if padded else data, DEFLATED)
    assert found.complete
    assert found.sop_instance == thing.sop


def test_case_033_a_cut_deflate_stream_is_not_complete() -> None:
    data = Object().encode(DEFLATED)
    for end in range(len(data)):
        assert not read(data[:end], DEFLATED).complete


def test_a_deflate_bomb_is_bounded() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(bytes(32 << 20)) + packer.flush()
    kept, total, ended = deflated.inflate(bomb, 0)
    assert len(kept) < 10 << 20
    assert total == 32 << 20
    assert ended


def test_what_inflates_beyond_the_bound_is_refused_by_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflated, "LIMIT", 20_000_000)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = Object({0x7FE00010: None}).encode()
    data = packer.compress(start) + packer.compress(bytes(1 << 25)) + packer.flush()
    found = read(data, DEFLATED)
    assert (found.cut, found.problem) == (True, "the data set inflates to more than 20.0 MB")


def test_deflated_pixels_beyond_the_kept_part_are_measured() -> None:
    thing = Object(pixels=bytes(12 << 20))
    assert read(thing.encode(DEFLATED), DEFLATED).complete
    short = deflate(thing.encode()[:-2])
    assert not read(short, DEFLATED).complete


def _unknown_sequence(inner_syntax: str) -> bytes:
    code = element(0x00080102, "SH", "99", inner_syntax)
    nested = element(0x00191020, "SQ", b"", IMPLICIT, UNDEFINED) + item(element(0x00080100, "SH", "A1", IMPLICIT))
    nested += SEQUENCE_END
    content = code + (nested if inner_syntax == IMPLICIT else b"")
    return element(0x00191010, "UN", b"", length=UNDEFINED) + item(content, UNDEFINED) + ITEM_END + SEQUENCE_END


@pytest.mark.parametrize("inner", [IMPLICIT, EXPLICIT])
def test_case_037_unknown_vr_of_undefined_length_is_a_sequence(inner: str) -> None:
    thing = Object({0x00191010: ("raw", _unknown_sequence(inner))})
    found = read(thing.encode())
    assert found.complete
    assert found.series == thing.series


@pytest.mark.parametrize("pad", [b" ", b"\0", b"  ", b"\0\0"])
def test_case_045_padding_is_no_part_of_a_uid(pad: bytes) -> None:
    assert read(Object(study=b"1.2.3.45" + pad).encode()).study == "1.2.3.45"


@pytest.mark.parametrize(
    ("date", "time", "wanted"),
    [
        ("2003.11.25", "14:05:06", ("20031125", "140506")),
        ("20031125", "140506.123", ("20031125", "140506.123")),
        ("2003-11-25", "14:05", ("20031125", "1405")),
        ("", "", ("", "")),
        ("unknown", "soon", ("unknown", "soon")),
    ],
)
def test_case_057_old_dates_and_times(date: str, time: str, wanted: tuple[str, str]) -> None:
    found = read(Object(date=date, time=time).encode())
    assert (found.get(0x00080020), found.get(0x00080030)) == wanted


@pytest.mark.parametrize("frames", ["0", "", "14.5", "1,25", "x"])
def test_case_059_odd_numbers_are_kept(frames: str) -> None:
    found = read(Object({0x00280008: ("IS", frames)}).encode())
    assert found.complete
    assert found.get(0x00280008) == frames


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_case_061_cut_anywhere_is_never_complete(syntax: str) -> None:
    more = {0x00081032: ("raw", _sequence(_open_item() + ITEM_END))} if syntax == EXPLICIT else {}
    data = Object(more).encode(syntax)
    assert read(data, syntax).complete
    for end in range(len(data)):
        found = read(data[:end], syntax)
        assert not found.complete, end
        assert found.problem, end


def test_case_061_encapsulated_pixel_data() -> None:
    whole = Object({0x7FE00010: ("raw", encapsulated([b"\xff\xd8" + bytes(200), bytes(100)]))}).encode()
    assert read(whole, JPEG).complete
    for end in range(whole.index(b"\xe0\x7f"), len(whole)):
        assert not read(whole[:end], JPEG).complete, end
    without = Object({0x7FE00010: ("raw", encapsulated([bytes(200)], delimiter=False))}).encode()
    found = read(without, JPEG)
    assert found.cut
    assert "(7FE0,0010)" in found.problem


def test_an_image_without_pixels_is_told_from_a_cut_one() -> None:
    found = read(Object({0x7FE00010: None}).encode())
    assert not found.complete
    assert not found.cut
    assert found.problem == "the image has no pixel data"


@pytest.mark.parametrize("length", [255, 4095])
@pytest.mark.parametrize("pad", [b"", b"\0", b"\x7f"])
def test_case_017_odd_pixel_data(length: int, pad: bytes) -> None:
    odd = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, length) + bytes(length) + pad
    assert read(Object({0x7FE00010: ("raw", odd)}).encode()).complete


def test_elements_of_future_and_missing_vrs() -> None:
    future = struct.pack("<HH2sHI", 0x0009, 0x1001, b"ZZ", 0, 6) + b"ABCDEF"
    without = struct.pack("<HHI", 0x0009, 0x1002, 4) + b"GHIJ"
    assert read(Object({0x00091001: ("raw", future), 0x00091002: ("raw", without)}).encode()).complete


@pytest.mark.parametrize("data", [b"", b"\0", bytes(range(256)) * 4, b"\xff" * 100, b"GET / HTTP/1.1\r\n\r\n"])
def test_nonsense_has_no_uids(data: bytes) -> None:
    found = read(data)
    assert found.sop_instance == found.study == ""


def test_deep_nesting_costs_no_recursion() -> None:
    depth = 20_000
    data = (
        element(0x00081032, "SQ", b"", length=UNDEFINED)
        + (item(b"", UNDEFINED) + element(0x00081032, "SQ", b"", length=UNDEFINED)) * depth
    )
    assert read(data).cut
    assert read(data + (SEQUENCE_END + ITEM_END) * depth + SEQUENCE_END).cut is False


def test_a_walk_with_few_steps_says_that_it_needs_more() -> None:
    data = Object({0x00090000 + i: ("LO", "X") for i in range(0x1000, 0x1064)}).encode()
    assert header.read(data, EXPLICIT, steps=50) is None
    assert header.read(data, EXPLICIT, steps=5000) is not None


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_guesses_an_encoding(syntax: str) -> None:
    assert header.guess_transfer_syntax(Object().encode(syntax)) == syntax


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7 blah blah", b"\x89PNG\r\n\x1a\n1234", b"hello world, hello"])
def test_guesses_nothing_from_other_files(data: bytes) -> None:
    assert header.guess_transfer_syntax(data) == ""
