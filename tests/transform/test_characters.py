"""Text stays in the character set of the object, or all of it moves to UTF-8."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.data import get_charset_files
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacstui.transform import TransformError
from tests.transform.making import basic, changed, image, part10, plan, read
from tests.transform.test_changes import change


def latin() -> Dataset:
    data = image(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg", StudyDescription="Schädel")
    data.RequestAttributesSequence = Sequence([Dataset()])
    data.RequestAttributesSequence[0].RequestedProcedureDescription = "Füße"
    return data


def test_a_value_that_fits_leaves_the_character_set() -> None:
    found = changed(latin(), change("InstitutionName", "set", "Köln"))
    assert (found.SpecificCharacterSet, found.InstitutionName, found.PatientName) == (
        "ISO_IR 100",
        "Köln",
        "Müller^Jörg",
    )


def test_one_that_does_not_brings_the_whole_object_to_utf_8() -> None:
    data = latin()
    data.ContentSequence = Sequence([Dataset()])
    data.ContentSequence[0].SpecificCharacterSet = "ISO_IR 144"
    data.ContentSequence[0].TextValue = "Привет"
    written = plan(change("InstitutionName", "set", "東京")).apply(part10(data))
    found = read(written)
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert (found.InstitutionName, found.PatientName, found.StudyDescription) == ("東京", "Müller^Jörg", "Schädel")
    assert found.RequestAttributesSequence[0].RequestedProcedureDescription == "Füße"
    assert found.ContentSequence[0].TextValue == "Привет"
    assert "SpecificCharacterSet" not in found.ContentSequence[0]
    assert "Müller".encode() in written


def test_text_that_cannot_be_read_is_a_fault_only_where_it_has_to_be_read() -> None:
    data = image(SpecificCharacterSet="ISO_IR 192")
    data.add_new("StudyDescription", "LO", b"Sch\xe4del")
    assert changed(data, change("InstitutionName", "set", "東京")).InstitutionName == "東京"
    data.SpecificCharacterSet = "ISO_IR 13"
    data.add_new("StudyDescription", "LO", b"\x85")
    with pytest.raises(TransformError, match=r"StudyDescription \(0008,1030\): its text is not in the character set"):
        changed(data, change("InstitutionName", "set", "東京"))


def test_what_is_no_text_takes_ascii_only() -> None:
    data = image(PatientID="Ä1", SpecificCharacterSet="ISO_IR 100")
    with pytest.raises(TransformError, match="AE"):
        changed(data, change("StationAETitle", "set", "{PatientID}"))


@pytest.mark.parametrize("path", get_charset_files(), ids=lambda path: str(path).rpartition("/")[2])
def test_real_character_sets_survive_the_way_to_utf_8(path: str) -> None:
    import pydicom

    before = pydicom.dcmread(path, force=True)
    if "SOPClassUID" not in before or "SOPInstanceUID" not in before:
        pytest.skip("not an object that could be sent")
    data = Path(path).read_bytes()
    found = read(plan(change("InstitutionName", "set", "ΔЯ東京")).apply(data))
    before.decode()
    found.decode()
    assert found.PatientName == before.PatientName
    assert str(before.PatientName) not in str(read(basic(burned_in="send").apply(data)))
