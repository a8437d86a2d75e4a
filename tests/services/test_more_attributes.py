"""Attributes beyond the usual ones: those that other archives return, and those that the settings ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacstui.dicom.dictionary import keyword_of, vr_of
from pacstui.index.attributes import ATTRIBUTES, IMAGE, PATIENT, SERIES, STUDY
from tests.archive.objects import Object
from tests.running import NodeProcess, free_port, running_node, until
from tests.services.test_query import ask, asking, keep

ORTHANC = {
    PATIENT: "PatientName PatientBirthDate PatientSex PatientID",
    STUDY: "StudyDate StudyTime StudyID StudyDescription AccessionNumber StudyInstanceUID "
           "RequestedProcedureDescription InstitutionName RequestingPhysician ReferringPhysicianName OtherPatientIDs",
    SERIES: "SeriesDate SeriesTime Modality Manufacturer StationName SeriesDescription BodyPartExamined SequenceName "
            "ProtocolName SeriesNumber CardiacNumberOfImages ImagesInAcquisition NumberOfTemporalPositions "
            "NumberOfSlices NumberOfTimeSlices SeriesInstanceUID ImageOrientationPatient SeriesType OperatorsName "
            "PerformedProcedureStepDescription AcquisitionDeviceProcessingDescription ContrastBolusAgent",
    IMAGE: "InstanceCreationDate InstanceCreationTime AcquisitionNumber ImageIndex InstanceNumber NumberOfFrames "
           "TemporalPositionIdentifier SOPInstanceUID ImagePositionPatient ImageComments",
}  # fmt: skip
"""What Orthanc keeps of each level by default."""


@pytest.mark.parametrize("level", ORTHANC)
def test_whatever_orthanc_returns_is_returned(level: str) -> None:
    known = {keyword_of(tag) for tag in ATTRIBUTES[level]}
    assert set(ORTHANC[level].split()) - known == set()


def test_each_attribute_has_the_vr_of_the_standard() -> None:
    for attributes in ATTRIBUTES.values():
        for tag, attribute in attributes.items():
            assert attribute.vr == vr_of(tag), keyword_of(tag)


RICH = Object(
    {
        0x00080070: ("LO", "M\u00dcSTER WERKE"), 0x00081070: ("PN", "OPERATOR^ONE"), 0x00101010: ("AS", "045Y"),
        0x00200012: ("IS", "7"), 0x00204000: ("LT", "a comment"), 0x00280100: ("US", 16), 0x00321060: ("LO", "CT HEAD"),
        0x001021F0: ("LO", "NONE"), 0x00181000: ("LO", "SN-1"), 0x00185101: ("CS", "AP"),
    }
)  # fmt: skip
PLAIN = RICH.beside()
PLAIN.tags = {tag: value for tag, value in PLAIN.tags.items() if tag not in (0x00204000, 0x00200012)}


def test_they_are_matched_and_returned(tmp_path: Path) -> None:
    with running_node(tmp_path / "node") as node:
        keep(node, RICH, PLAIN, Object())
        with asking(node.port) as caller:
            (study,), _, _ = caller.find(
                ask(StudyInstanceUID="", RequestedProcedureDescription="CT*", PatientAge="", RequestingPhysician="")
            )
            assert study.StudyInstanceUID == RICH.study
            assert (study.RequestedProcedureDescription, study.PatientAge) == ("CT HEAD", "045Y")
            assert study.RequestingPhysician == ""
            (series,), _, _ = caller.find(
                ask(level="SERIES", StudyInstanceUID=RICH.study, SeriesInstanceUID="", Manufacturer="M?STER*",
                    OperatorsName="operator*", SpecificCharacterSet="ISO_IR 192")
            )  # fmt: skip
            assert (series.Manufacturer, series.OperatorsName) == ("M\u00dcSTER WERKE", "OPERATOR^ONE")
            images, _, _ = caller.find(
                ask(level="IMAGE", StudyInstanceUID=RICH.study, SeriesInstanceUID=RICH.series, AcquisitionNumber="7",
                    ImageComments="", BitsAllocated=None)
            )  # fmt: skip
            assert [(i.SOPInstanceUID, i.ImageComments, i.BitsAllocated) for i in images] == [
                (RICH.sop, "a comment", 16)
            ]


def test_others_by_setting_and_for_what_is_stored_already(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node")
    node.start()
    keep(node, RICH)
    identifier = ask(StudyInstanceUID="", PatientReligiousPreference="N*")
    with asking(node.port) as caller:
        answers, statuses, _ = caller.find(identifier)
        assert (len(answers), statuses) == (1, [0xFF01]), "it is not known"
    assert node.stop() == 0
    node.config = (
        '[query]\nstudy_attributes = ["PatientReligiousPreference"]\nseries_attributes = ["DeviceSerialNumber"]\n'
        'image_attributes = ["ViewPosition"]\n'
    )
    node.start()
    with asking(node.port) as caller:
        assert caller.find(identifier)[0] == []
        node.call("storage", "reindex")
        until(lambda: any("1 object read into the index" in row["text"] for row in node.call("feed", "list")))
        (answer,), statuses, _ = caller.find(identifier)
        assert (answer.PatientReligiousPreference, statuses) == ("NONE", [0xFF00])
        late = RICH.beside()
        keep(node, late)
        (image,), _, _ = caller.find(
            ask(level="IMAGE", StudyInstanceUID=RICH.study, SeriesInstanceUID=RICH.series, SOPInstanceUID=late.sop,
                ViewPosition="AP", DeviceSerialNumber="", PatientReligiousPreference="")
        )  # fmt: skip
        assert (image.ViewPosition, image.DeviceSerialNumber) == ("AP", "SN-1")
    assert node.stop() == 0


@pytest.mark.parametrize("keyword", ["NoSuchKeyword", "PixelData", "ReferencedSeriesSequence"])
def test_what_cannot_be_indexed_is_told_at_the_start(tmp_path: Path, keyword: str) -> None:
    config = f'[query]\nimage_attributes = ["{keyword}"]\n'
    node = NodeProcess(tmp_path / "node", port=free_port(), config=config)
    with pytest.raises(AssertionError, match="ended at start with 1"):
        node.start()
    assert f"image_attributes: {keyword}" in node.log
    assert "Traceback" not in node.log
