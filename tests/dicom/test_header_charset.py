"""Text of any character set: right where it can be, marked where it cannot, never an error."""

from __future__ import annotations

import warnings

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_charset_files

from pacstui.dicom import charset, header
from tests.archive.objects import EXPLICIT, Object


@pytest.mark.parametrize(
    ("terms", "raw", "wanted", "marked"),
    [
        ("ISO_IR 192", "Müller^X".encode(), "Müller^X", False),
        ("ISO_IR 100", "Müller^X".encode("latin_1"), "Müller^X", False),
        ("ISO IR 192", "Müller^X".encode(), "Müller^X", True),
        ("ISO_2022_IR_6", "Müller^X".encode(), "Müller^X", True),
        ("ISO-8859-1", "Müller^X".encode("latin_1"), "Müller^X", True),
        ("KLINGON", "Müller^X".encode(), "Müller^X", True),
        ("", "Müller^X".encode("latin_1"), "Müller^X", True),
        ("ISO_IR 192", "Müller^X".encode("latin_1"), "M\N{REPLACEMENT CHARACTER}ller^X", True),
        ("ISO_IR 100", b"DOE^JANE", "DOE^JANE", False),
        ("KLINGON", b"DOE^JANE", "DOE^JANE", False),
        ("ISO 2022 IR 100/ISO 2022 IR 6", b"{DOE}^\xe9", "{DOE}^é", True),
    ],
)
def test_case_053_and_055_best_effort_with_a_mark(terms: str, raw: bytes, wanted: str, marked: bool) -> None:
    found = header.read(Object(charset=terms, name=raw).encode(), EXPLICIT)
    assert found is not None
    assert found.complete
    assert (found.patient_name, found.marked) == (wanted, marked)


@pytest.mark.parametrize("path", sorted(p for p in map(str, get_charset_files()) if p.endswith(".dcm")))
def test_agrees_with_pydicom_on_its_files(path: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = pydicom.dcmread(path)
        name = str(wanted.get("PatientName", ""))
    with open(path, "rb") as file:
        raw = file.read()
    start = 132 + 12 + int.from_bytes(raw[140:144], "little")
    found = header.read(raw, wanted.file_meta.TransferSyntaxUID, start=start)
    assert found is not None
    assert found.patient_name.rstrip("=") == name
    assert not found.marked


@given(raw=st.binary(max_size=64), terms=st.one_of(st.text(max_size=20), st.sampled_from(
    ["ISO 2022 IR 87", "\\ISO 2022 IR 149", "ISO_IR 192", "GB18030", "\\ISO 2022 IR 58", "ISO_IR 13"])))  # fmt: skip
def test_any_bytes_become_text_that_can_be_stored(raw: bytes, terms: str) -> None:
    text, _ = charset.decode(raw, terms)
    text.encode("utf-8")
    charset.decode(b"\x1b" + raw, terms)[0].encode("utf-8")
