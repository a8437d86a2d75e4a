"""Attributes beyond the usual ones: those that other archives return, and those that the settings ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacstui.dicom.dictionary import keyword_of, vr_of
from pacstui.index.attributes import ATTRIBUTES, IMAGE, PATIENT, SERIES, STUDY
from tests.archive.objects import Object
from tests.running import NodeProcess, free_port, running_node, until
from tests.services.test_query import PATIENT_ROOT, ask, asking, keep

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


DCM4CHEE = {
    PATIENT: "PatientName PatientID IssuerOfPatientID TypeOfPatientID IssuerOfPatientIDQualifiersSequence "
             "PatientBirthDate PatientBirthTime PatientSex PatientInsurancePlanCodeSequence OtherPatientNames "
             "PatientPrimaryLanguageCodeSequence OtherPatientIDsSequence PatientBirthName PatientAddress "
             "PatientMotherBirthName MilitaryRank BranchOfService MedicalRecordLocator CountryOfResidence "
             "RegionOfResidence PatientTelephoneNumbers EthnicGroup PatientReligiousPreference PatientComments "
             "PatientSpeciesDescription PatientSpeciesCodeSequence PatientBreedDescription PatientBreedCodeSequence "
             "BreedRegistrationSequence ResponsiblePerson ResponsiblePersonRole ResponsibleOrganization "
             "ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName ClinicalTrialSiteID "
             "ClinicalTrialSiteName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID PatientIdentityRemoved "
             "DeidentificationMethod DeidentificationMethodCodeSequence SpecialNeeds PertinentDocumentsSequence "
             "ConfidentialityConstraintOnPatientDataDescription PatientClinicalTrialParticipationSequence",
    STUDY: "StudyDate StudyTime AccessionNumber IssuerOfAccessionNumberSequence ReferringPhysicianName "
           "StudyDescription ProcedureCodeSequence PhysiciansOfRecord PatientAge PatientSize PatientSizeCodeSequence "
           "PatientWeight MedicalAlerts Allergies SmokingStatus PregnancyStatus LastMenstrualDate PatientState "
           "AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence AdmissionID IssuerOfAdmissionIDSequence "
           "ReasonForVisit ReasonForVisitCodeSequence Occupation AdditionalPatientHistory PatientSexNeutered "
           "ServiceEpisodeID ServiceEpisodeDescription IssuerOfServiceEpisodeIDSequence StudyInstanceUID StudyID",
    SERIES: "SeriesDate SeriesTime Modality Manufacturer InstitutionName InstitutionCodeSequence StationName "
            "SeriesDescription InstitutionalDepartmentName InstitutionalDepartmentTypeCodeSequence Laterality "
            "InstitutionAddress PerformingPhysicianName ManufacturerModelName AnatomicRegionSequence "
            "ReferencedPerformedProcedureStepSequence BodyPartExamined SeriesInstanceUID SeriesNumber "
            "PerformedProcedureStepStartDate PerformedProcedureStepStartTime PerformedProcedureStepEndDate "
            "PerformedProcedureStepEndTime PerformedProtocolCodeSequence RequestAttributesSequence",
    IMAGE: "ImageType InstanceCreationDate InstanceCreationTime SOPClassUID SOPInstanceUID ContentDate ContentTime "
           "ReferencedSeriesSequence AnatomicRegionSequence InstanceNumber NumberOfFrames Rows Columns BitsAllocated "
           "ObservationDateTime ConceptNameCodeSequence VerifyingObserverSequence ReferencedRequestSequence "
           "CompletionFlag VerificationFlag ContentTemplateSequence DocumentTitle MIMETypeOfEncapsulatedDocument "
           "ContentLabel ContentDescription PresentationCreationDate PresentationCreationTime ContentCreatorName "
           "IdenticalDocumentsSequence CurrentRequestedProcedureEvidenceSequence ConcatenationUID ContainerIdentifier "
           "SOPInstanceUIDOfConcatenationSource AlternateContainerIdentifierSequence SpecimenUID SpecimenIdentifier "
           "IssuerOfTheContainerIdentifierSequence IssuerOfTheSpecimenIdentifierSequence",
}  # fmt: skip
"""What dcm4chee keeps of each level by default, but for Timezone Offset From UTC, which is another matter."""


@pytest.mark.parametrize("archive", [ORTHANC, DCM4CHEE], ids=["orthanc", "dcm4chee"])
@pytest.mark.parametrize("level", ORTHANC)
def test_whatever_other_archives_return_is_returned(archive: dict[str, str], level: str) -> None:
    known = {keyword_of(tag) for tag in ATTRIBUTES[level]}
    assert set(archive[level].split()) - known == set()


def test_each_attribute_has_the_vr_of_the_standard() -> None:
    for attributes in ATTRIBUTES.values():
        for tag, attribute in attributes.items():
            assert attribute.vr == vr_of(tag), keyword_of(tag)


RICH = Object(
    {
        0x00080070: ("LO", "M\u00dcSTER WERKE"), 0x00081070: ("PN", "OPERATOR^ONE"), 0x00101010: ("AS", "045Y"),
        0x00200012: ("IS", "7"), 0x00204000: ("LT", "a comment"), 0x00280100: ("US", 16), 0x00321060: ("LO", "CT HEAD"),
        0x00380300: ("LO", "NONE"), 0x00181000: ("LO", "SN-1"), 0x00185101: ("CS", "AP"),
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


def test_what_studies_tell_of_a_patient(tmp_path: Path) -> None:
    told = {0x00102160: ("SH", "X"), 0x00104000: ("LT", "deaf"), 0x00101001: ("PN", "ROE^JANE")}
    with running_node(tmp_path / "node") as node:
        keep(node, Object(told, patient="P1"), Object(patient="P1"), Object(patient="P2"))
        with asking(node.port, PATIENT_ROOT) as caller:
            keys = {"PatientComments": "", "EthnicGroup": "X", "OtherPatientNames": "roe*"}
            (patient,), statuses, _ = caller.find(ask(level="PATIENT", PatientID="", **keys))
            assert (patient.PatientID, patient.PatientComments, statuses) == ("P1", "deaf", [0xFF00])
            found, _, _ = caller.find(ask(level="PATIENT", PatientID="", PatientComments=""))
            assert {each.PatientID: each.PatientComments for each in found} == {"P1": "deaf", "P2": ""}


def test_others_by_setting_and_for_what_is_stored_already(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node")
    node.start()
    keep(node, RICH)
    identifier = ask(StudyInstanceUID="", CurrentPatientLocation="N*")
    with asking(node.port) as caller:
        answers, statuses, _ = caller.find(identifier)
        assert (len(answers), statuses) == (1, [0xFF01]), "it is not known"
    assert node.stop() == 0
    node.config = (
        '[query]\nstudy_attributes = ["CurrentPatientLocation"]\nseries_attributes = ["DeviceSerialNumber"]\n'
        'image_attributes = ["ViewPosition"]\n'
    )
    node.start()
    with asking(node.port) as caller:
        assert caller.find(identifier)[0] == []
        node.call("storage", "reindex")
        until(lambda: any("1 object read into the index" in row["text"] for row in node.call("feed", "list")))
        (answer,), statuses, _ = caller.find(identifier)
        assert (answer.CurrentPatientLocation, statuses) == ("NONE", [0xFF00])
        late = RICH.beside()
        keep(node, late)
        (image,), _, _ = caller.find(
            ask(level="IMAGE", StudyInstanceUID=RICH.study, SeriesInstanceUID=RICH.series, SOPInstanceUID=late.sop,
                ViewPosition="AP", DeviceSerialNumber="", CurrentPatientLocation="")
        )  # fmt: skip
        assert (image.ViewPosition, image.DeviceSerialNumber) == ("AP", "SN-1")
    assert node.stop() == 0


@pytest.mark.parametrize("keyword", ["NoSuchKeyword", "PixelData", "ReferencedImageSequence"])
def test_what_cannot_be_indexed_is_told_at_the_start(tmp_path: Path, keyword: str) -> None:
    config = f'[query]\nimage_attributes = ["{keyword}"]\n'
    node = NodeProcess(tmp_path / "node", port=free_port(), config=config)
    with pytest.raises(AssertionError, match="ended at start with 1"):
        node.start()
    assert f"image_attributes: {keyword}" in node.log
    assert "Traceback" not in node.log
