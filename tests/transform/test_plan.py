"""The plan as whoever sends copies calls it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pacstui.errors import PacsError, Unavailable
from pacstui.transform import Context, TransformError, read_key
from tests.transform.making import CT, basic, image, part10, plan, read


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_the_outcome_names_what_is_sent(syntax: str) -> None:
    out = BytesIO()
    outcome = basic().write(BytesIO(part10(image(), syntax)), out)
    found = read(out.getvalue())
    assert (outcome.sop_class, outcome.sop_instance, outcome.transfer_syntax) == (CT, found.SOPInstanceUID, syntax)
    again = BytesIO()
    data_set = out.getvalue()[outcome.data_set_at :]
    how = plan({"attribute": "StudyID", "action": "set", "value": "{route}"})
    how.write(BytesIO(b"before" + data_set), again, Context(route="r"), syntax=syntax, at=6)
    assert read(again.getvalue()).StudyID == "r"
    assert read(again.getvalue()).PatientID == found.PatientID


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is no DICOM object"),
        (b"%PDF-1.4 and so on", "it is no DICOM object"),
        (part10(image())[:-3], "ends inside the value of PixelData (7FE0,0010)"),
        (part10(image())[:300], "the data set ends inside"),
        (part10(image(), DeflatedExplicitVRLittleEndian)[:-9], "deflated data set"),
    ],
)
def test_what_is_no_whole_object_is_a_fault(data: bytes, says: str) -> None:
    with pytest.raises(TransformError) as caught:
        basic().apply(data)
    assert says in caught.value.message


def test_faults_do_not_tell_who_the_patient_is() -> None:
    for attribute in ("StudyDate", "Modality", "PatientWeight", "Rows"):
        with pytest.raises(PacsError) as caught:
            plan({"attribute": attribute, "action": "set", "value": "{PatientName}"}).apply(part10(image()))
        assert attribute in str(caught.value)
        assert "Testmann" not in str(caught.value)


def test_the_key_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "pseudonyms.key"
    key = read_key(path)
    assert len(key) == 32
    assert read_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("ab")
    with pytest.raises(Unavailable, match="too short") as caught:
        read_key(path)
    assert "backup" in caught.value.hint
    path.write_text("no key")
    with pytest.raises(Unavailable, match="no hexadecimal number"):
        read_key(path)
    with pytest.raises(Unavailable, match="there is no key"):
        read_key(tmp_path / "none", make=False)
