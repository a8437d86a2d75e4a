"""The walker beside pydicom, on pydicom's own test files and on arbitrary bytes."""

from __future__ import annotations

import os
import time
import warnings
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_files

from pacstui.archive import part10
from pacstui.dicom import header
from tests.archive.objects import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, JPEG, Object

SYNTAXES = [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED, JPEG]
FILES = sorted(
    path
    for path in {str(each) for each in get_testdata_files()}
    if os.path.isfile(path) and not path.endswith((".txt", ".json", ".icc", "DICOMDIR"))
)


def _plain(element: Any) -> str:
    value = element.value
    if value is None:
        return ""
    if isinstance(value, str) or element.VR == "PN":
        return str(value)
    if isinstance(value, (list, pydicom.multival.MultiValue)):
        return "\\".join(str(each) for each in value)
    return str(value)


@pytest.mark.parametrize("path", FILES, ids=[os.path.basename(path) for path in FILES])
def test_index_tags_are_those_that_pydicom_reads(path: str) -> None:
    with open(path, "rb") as file:
        raw = file.read()
    try:
        head = part10.parse(raw, True)
    except part10.NotDicom:
        pytest.skip("no head that can be read")
    if head.sop_class == part10.DIRECTORY:
        pytest.skip("a directory")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        pairs = [(tag, _plain(wanted[tag])) for tag in header.WANTED if tag in wanted and wanted[tag].VR != "SQ"]
    found = header.read(raw, head.transfer_syntax, start=head.offset)
    assert found is not None
    for tag, text in pairs:
        kind = header.WANTED[tag]
        if kind == header.WANTED[0x00080020]:
            text = header.normal_date(text)
        elif kind == header.WANTED[0x00080030]:
            text = header.normal_time(text)
        assert found.get(tag).strip() == text.strip(), f"{tag:08X}"


def test_truncated_files_are_told() -> None:
    cut = {}
    for path in FILES:
        with open(path, "rb") as file:
            raw = file.read()
        try:
            head = part10.parse(raw, True)
        except part10.NotDicom:
            continue
        found = header.read(raw, head.transfer_syntax, start=head.offset)
        assert found is not None
        if found.cut:
            cut[os.path.basename(path)] = found.problem
    assert set(cut) == {"MR_truncated.dcm", "rtplan_truncated.dcm", "emri_small_jpeg_2k_lossless_too_short.dcm"}


@given(data=st.binary(max_size=600), syntax=st.sampled_from(SYNTAXES))
def test_arbitrary_bytes_never_raise(data: bytes, syntax: str) -> None:
    found = header.read(data, syntax)
    assert found is not None
    for text in (found.problem, *found.values.values()):
        text.encode("utf-8")


@st.composite
def _mutated(draw: st.DrawFn) -> tuple[bytes, str]:
    syntax = draw(st.sampled_from([EXPLICIT, IMPLICIT, BIG_ENDIAN]))
    data = bytearray(Object().encode(syntax))
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=8))
        if not data:
            break
    return bytes(data), syntax


@given(case=_mutated())
def test_damaged_objects_never_raise(case: tuple[bytes, str]) -> None:
    data, syntax = case
    assert header.read(data, syntax) is not None


@given(data=st.binary(max_size=600), whole=st.booleans())
def test_arbitrary_file_heads_are_told_or_refused(data: bytes, whole: bool) -> None:
    for prefix in (b"", bytes(128) + b"DICM"):
        try:
            part10.parse(prefix + data, whole)
        except (part10.NotDicom, part10.NeedMore):
            pass


@settings(max_examples=20, deadline=None)
@given(unit=st.binary(min_size=1, max_size=16), syntax=st.sampled_from([EXPLICIT, IMPLICIT, BIG_ENDIAN]))
def test_a_megabyte_of_anything_is_walked_quickly(unit: bytes, syntax: str) -> None:
    data = unit * ((1 << 20) // len(unit))
    started = time.process_time()
    header.read(data, syntax)
    assert time.process_time() - started < 1.5
