"""What the basic profile and its options leave, and what they do not."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacstui.transform import Person, Refused, TransformError, find_back
from pacstui.transform.deidentify import Deidentifier
from tests.transform.making import CT, basic, image, part10, read

US, SC, PDF = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("6.1", "7", "104.1"))


def patient(**values: Any) -> Dataset:
    return image(
        **{
            "StudyDate": "20260110", "StudyTime": "101500", "AccessionNumber": "A-77123", "StudyID": "12",
            "ReferringPhysicianName": "Haus^Gregor", "InstitutionName": "Klinikum Nirgendwo", "PatientSex": "F",
            "PatientBirthDate": "19610321", "PatientAge": "064Y", "PatientWeight": "70", "StationName": "CTSTATION",
            "DeviceSerialNumber": "SER-1", "Manufacturer": "ACME", "StudyDescription": "CT Thorax native Testmann 64J",
            "FrameOfReferenceUID": "1.2.3.4.9", "SeriesDate": "20260110", "OtherPatientIDs": "X-1",
            **values,
        }
    )  # fmt: skip


def done(data: Dataset, *options: str, **settings: Any) -> Dataset:
    return read(basic(*options, **settings).apply(part10(data)))


def test_the_basic_profile() -> None:
    found = done(patient())
    assert found.PatientID == str(found.PatientName)
    assert found.PatientID.startswith("P")
    assert len(found.PatientID) == 13
    for name in ("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "ReferringPhysicianName", "PatientBirthDate",
                 "PatientSex"):  # fmt: skip
        assert found[name].value in ("", None), name
    for name in ("InstitutionName", "PatientAge", "PatientWeight", "StationName", "DeviceSerialNumber", "SeriesDate",
                 "StudyDescription", "OtherPatientIDs"):  # fmt: skip
        assert name not in found, name
    assert (found.Manufacturer, found.Modality, found.SOPClassUID) == ("ACME", "CT", CT)
    assert found.FrameOfReferenceUID.startswith("2.25.")
    assert found.PixelData == b"\1\2\3\4\5\6\7\x08"


def test_it_says_what_was_done() -> None:
    found = done(patient(DeidentificationMethod="by hand, Dr. Haus"), "clean-descriptors", "retain-modified-dates")
    assert found.PatientIdentityRemoved == "YES"
    assert "Haus" not in found.DeidentificationMethod
    codes = [(item.CodeValue, item.CodingSchemeDesignator) for item in found.DeidentificationMethodCodeSequence]
    assert codes == [("113100", "DCM"), ("113105", "DCM"), ("113107", "DCM")]
    assert found.LongitudinalTemporalInformationModified == "MODIFIED"
    assert done(patient()).LongitudinalTemporalInformationModified == "REMOVED"
    assert done(patient(), "retain-full-dates").LongitudinalTemporalInformationModified == "UNMODIFIED"


def test_the_same_patient_is_the_same_in_all_objects_and_another_in_another_project() -> None:
    first, second = done(patient()), done(patient(SOPInstanceUID="1.2.3.4.5", PatientName="Testmann^E."))
    assert first.PatientID == second.PatientID
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    elsewhere = done(patient(), project="another")
    assert elsewhere.PatientID != first.PatientID
    assert elsewhere.StudyInstanceUID != first.StudyInstanceUID
    assert done(patient(IssuerOfPatientID="B")).PatientID != first.PatientID
    assert done(patient(PatientID="")).PatientID == done(patient(PatientID="", SOPInstanceUID="1.9")).PatientID


def test_with_the_key_and_a_list_a_pseudonym_is_found_back() -> None:
    plan = basic()
    found = read(plan.apply(part10(patient())))
    people = [Person(f"4711-08{number:02}") for number in range(30)]
    assert find_back(plan.pseudonyms, found.PatientID, people) == [Person("4711-0815")]
    assert find_back(basic(project="other").pseudonyms, found.PatientID, people) == []


def test_references_between_objects_stay_whole() -> None:
    data = patient(SOPClassUID="1.2.840.10008.5.1.4.1.1.11.1")
    data.ReferencedSeriesSequence = Sequence([Dataset()])
    series = data.ReferencedSeriesSequence[0]
    series.SeriesInstanceUID = "1.2.3.4.3"
    series.ReferencedImageSequence = Sequence([Dataset()])
    series.ReferencedImageSequence[0].ReferencedSOPClassUID = CT
    series.ReferencedImageSequence[0].ReferencedSOPInstanceUID = "1.2.3.4.1"
    image_, referring = done(patient()), done(data)
    reference = referring.ReferencedSeriesSequence[0]
    assert reference.SeriesInstanceUID == image_.SeriesInstanceUID
    assert reference.ReferencedImageSequence[0].ReferencedSOPInstanceUID == image_.SOPInstanceUID
    assert reference.ReferencedImageSequence[0].ReferencedSOPClassUID == CT


def test_options_that_retain() -> None:
    found = done(
        patient(), "retain-uids", "retain-device-identity", "retain-institution-identity",
        "retain-patient-characteristics", "retain-full-dates",
    )  # fmt: skip
    assert (found.StudyInstanceUID, found.StationName, found.DeviceSerialNumber) == ("1.2.3.4.2", "CTSTATION", "SER-1")
    assert (found.InstitutionName, found.PatientSex, found.PatientAge) == ("Klinikum Nirgendwo", "F", "064Y")
    assert (found.StudyDate, found.SeriesDate, found.StudyTime) == ("20260110", "20260110", "101500")
    assert found.PatientBirthDate in ("", None)


def test_modified_dates_are_shifted_by_days_that_a_patient_has_in_common() -> None:
    data = patient(AcquisitionDateTime="20260110101500.000", ContentDate="20260112")
    found, other = (done(each, "retain-modified-dates") for each in (data, patient(PatientID="another")))
    assert found.StudyDate != "20260110"
    assert found.StudyTime == "101500"
    assert (found.ContentDate > found.StudyDate) is True
    from datetime import datetime

    shift = datetime(2026, 1, 10) - datetime.strptime(found.StudyDate, "%Y%m%d")
    assert 31 <= shift.days <= 1856
    assert datetime(2026, 1, 12) - datetime.strptime(found.ContentDate, "%Y%m%d") == shift
    assert found.AcquisitionDateTime == found.StudyDate + "101500.000"
    assert other.StudyDate != found.StudyDate
    assert found.PatientBirthDate in ("", None)
    assert done(patient(StudyDate="2026"), "retain-modified-dates").StudyDate != "2026"


def test_descriptions_keep_known_words_only() -> None:
    found = done(patient(), "clean-descriptors")
    assert found.StudyDescription == "CT Thorax native"
    named = patient(StudyDescription="CT Hand links, Dr. Haus", ReferringPhysicianName="Hand^Eva")
    assert done(named, "clean-descriptors").StudyDescription == "CT"
    assert done(named, "clean-descriptors", words=["Links"]).StudyDescription == "CT links"
    assert "StudyDescription" not in done(patient(StudyDescription="Dr. Haus"), "clean-descriptors")


def test_names_and_numbers_in_the_wrong_place_are_removed() -> None:
    data = patient(
        BodyPartExamined="4711-0815", Manufacturer="Erika Testmann", ManufacturerModelName="made for ERIKA  TESTMANN",
        SoftwareVersions="A-77123", ImageType=["ORIGINAL", "PRIMARY", "4711-0815"], KVP="120",
    )  # fmt: skip
    data.SharedFunctionalGroupsSequence = Sequence([Dataset()])
    data.SharedFunctionalGroupsSequence[0].StainSequence = None
    data.SharedFunctionalGroupsSequence[0].FilterType = "testmann"
    found = done(data)
    assert (found.BodyPartExamined, found.Manufacturer, found.ManufacturerModelName) == ("REMOVED",) * 3
    assert found.SoftwareVersions == "REMOVED"
    assert list(found.ImageType)[:2] == ["ORIGINAL", "PRIMARY"]
    assert "4711" not in str(found)
    assert found.KVP == 120


def test_private_attributes_go_unless_they_are_known_to_be_safe() -> None:
    data = patient()
    block = data.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x10, "LO", "Testmann")
    data.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", b"Testmann^Erika")
    data.private_block(0x0031, "OURS", create=True).add_new(0x01, "LO", "4711-0815")
    assert not [each for each in done(data) if each.tag.is_private]
    found = done(data, "retain-safe-private")
    assert [(each.tag.group, each.tag.elem) for each in found if each.tag.is_private] == [(0x19, 0x10), (0x19, 0x100C)]
    found = done(data, "retain-safe-private", safe_private=["(0031,xx01,OURS)"])
    assert found.private_block(0x0031, "OURS")[0x01].value == "REMOVED"


def test_overlays_and_curves_go() -> None:
    data = patient()
    data.add_new((0x6000, 0x0010), "US", 2)
    data.add_new((0x6000, 0x3000), "OW", b"\0\0")
    data.add_new((0x6000, 0x4000), "LT", "Testmann")
    data.add_new((0x5000, 0x3000), "OW", b"\0\0")
    assert not [each for each in done(data) if each.tag.group >> 8 in (0x50, 0x60)]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"BurnedInAnnotation": "YES"}, "BurnedInAnnotation is YES"),
        ({"RecognizableVisualFeatures": "YES"}, "RecognizableVisualFeatures"),
        ({"SOPClassUID": US}, "often has text in the picture"),
        ({"SOPClassUID": SC, "Modality": "CT"}, "often has text in the picture"),
        ({"Modality": "XC"}, "modality is XC"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]}, "label of the slide"),
        ({"SpecimenLabelInImage": "YES"}, "label of the slide"),
        ({"ConversionType": "SD"}, "captured or digitized"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "picture of a screen"),
    ],
)
def test_what_a_person_has_to_look_at_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(Refused, match=says) as caught:
        done(patient(**values))
    assert "burned_in" in caught.value.hint
    assert done(patient(**values), burned_in="send").PatientIdentityRemoved == "YES"
    if says not in ("BurnedInAnnotation is YES", "RecognizableVisualFeatures", "label of the slide"):
        assert done(patient(**values, BurnedInAnnotation="NO")).PatientIdentityRemoved == "YES"


def test_an_overlay_in_the_pixels_is_refused() -> None:
    data = patient()
    data.add_new((0x6000, 0x0102), "US", 12)
    with pytest.raises(Refused, match=r"overlay .group 6000. is stored in its pixels"):
        done(data)


def report() -> Dataset:
    data = image(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", Modality="SR")
    del data.PixelData
    texts = [("TEXT", "TextValue", "121071", "Finding of Testmann"), ("PNAME", "PersonName", "121008", "Haus^Gregor"),
             ("NUM", "", "121033", ""), ("CODE", "", "121032", ""), ("DATE", "Date", "126201", "20260110"),
             ("UIDREF", "UID", "112002", "1.2.3.4.3"), ("CODE", "", "121058", "")]  # fmt: skip
    items = []
    for kind, keyword, code, value in texts:
        item = Dataset()
        item.RelationshipType, item.ValueType = "CONTAINS", kind
        item.ConceptNameCodeSequence = Sequence([Dataset()])
        name = item.ConceptNameCodeSequence[0]
        name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = code, "DCM", "x"
        if keyword:
            setattr(item, keyword, value)
        items.append(item)
    data.ContentSequence = Sequence(items)
    return data


def test_the_content_of_a_report_is_replaced_or_cleaned() -> None:
    found = done(report())
    assert [(item.ValueType, item.TextValue) for item in found.ContentSequence] == [("TEXT", "REMOVED")]
    cleaned = done(report(), "clean-structured-content")
    assert [item.ValueType for item in cleaned.ContentSequence] == ["DATE", "UIDREF", "CODE"]
    assert cleaned.ContentSequence[0].Date == "19000101"
    assert done(image()).SeriesInstanceUID == cleaned.ContentSequence[1].UID
    kept = done(report(), "clean-structured-content", "retain-patient-characteristics")
    assert [item.ValueType for item in kept.ContentSequence] == ["NUM", "CODE", "DATE", "UIDREF", "CODE"]


def test_a_document_is_replaced_by_one_of_its_kind() -> None:
    data = image(
        SOPClassUID=PDF, Modality="DOC", EncapsulatedDocument=b"%PDF-1.4 Testmann^Erika", DocumentTitle="Testmann"
    )
    del data.PixelData
    found = done(data)
    assert found.EncapsulatedDocument.startswith(b"%PDF-1.4\n1 0 obj")
    assert found.DocumentTitle in ("", None)


def test_annotations_lose_their_text() -> None:
    data = image(SOPClassUID="1.2.840.10008.5.1.4.1.1.11.1", Modality="PR")
    del data.PixelData
    data.GraphicAnnotationSequence = Sequence([Dataset()])
    annotation = data.GraphicAnnotationSequence[0]
    annotation.GraphicLayer = "LAYER"
    annotation.TextObjectSequence = Sequence([Dataset()])
    annotation.TextObjectSequence[0].UnformattedTextValue = "Testmann 21.3.1961"
    annotation.GraphicObjectSequence = Sequence([Dataset()])
    annotation.GraphicObjectSequence[0].GraphicType = "POLYLINE"
    found = done(data).GraphicAnnotationSequence[0]
    assert [item.UnformattedTextValue for item in found.TextObjectSequence] == ["REMOVED"]
    assert "GraphicObjectSequence" not in found
    found = done(data, "clean-graphics").GraphicAnnotationSequence[0]
    assert [item.UnformattedTextValue for item in found.TextObjectSequence] == ["REMOVED"]
    assert found.GraphicObjectSequence[0].GraphicType == "POLYLINE"


def test_changes_come_after_the_profile_and_see_what_it_left() -> None:
    change = {"attribute": "ClinicalTrialSubjectID", "action": "set", "value": "{PatientID}/{AccessionNumber}"}
    found = done(patient(), change=[change])
    assert found.ClinicalTrialSubjectID == found.PatientID + "/"


def test_a_text_too_long_to_be_looked_through_is_no_reason_to_send_it() -> None:
    data = patient()
    data.add_new("ExtendedCodeMeaning", "LT", "x" * 5_000_000)
    with pytest.raises(TransformError, match=r"ExtendedCodeMeaning .*too long to be looked through"):
        done(data)


def test_a_plan_has_no_state() -> None:
    plan = basic()
    assert isinstance(plan.deidentifier, Deidentifier)
    data = part10(patient())
    assert plan.apply(data) == plan.apply(data)


def test_a_nested_patient_is_who_it_is_at_the_top() -> None:
    data = patient()
    data.MultienergyCTAcquisitionSequence = Sequence([Dataset(), Dataset(), Dataset()])
    for item, number in zip(data.MultienergyCTAcquisitionSequence, ("4711-0815", "", "other"), strict=True):
        item.PatientName = "Testmann^Erika"
        if number:
            item.PatientID = number
    found = done(data)
    same, none, other = found.MultienergyCTAcquisitionSequence
    assert same.PatientID == same.PatientName == none.PatientName == found.PatientID
    assert other.PatientID == done(patient(PatientID="other")).PatientID


def test_only_uids_that_the_standard_has_stay() -> None:
    data = patient(IrradiationEventUID=["1.2.840.10008.1.1", "1.2.840.10008.99.4711"])
    known, made_up = done(data).IrradiationEventUID
    assert known == "1.2.840.10008.1.1"
    assert made_up.startswith("2.25.")
