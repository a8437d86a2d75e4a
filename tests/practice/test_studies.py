from __future__ import annotations

import hashlib
import io
import random
from datetime import UTC, date, datetime

import pytest
from pydicom import config, dcmread
from pydicom.charset import decode_element
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import UID

from pacstui.dicom.syntaxes import EXPLICIT, IMPLICIT, JPEG_LOSSLESS, RLE
from pacstui.practice.headers import Equipment
from pacstui.practice.patients import Patient, register
from pacstui.practice.studies import Instance, Study, plan

NOW = datetime(2026, 11, 25, 14, 3, 22, 123000, UTC)
PATIENTS = register(random.Random(1), NOW.date())

# Types 1 and 2 of the modules that are mandatory for the IOD (PS3.3 A), beyond those of every image.
EVERYWHERE = """SOPClassUID SOPInstanceUID PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID StudyDate
 StudyTime ReferringPhysicianName StudyID AccessionNumber Modality SeriesInstanceUID SeriesNumber Manufacturer
 InstanceNumber SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit
 PixelRepresentation PixelData"""
PLANE = """FrameOfReferenceUID PositionReferenceIndicator PixelSpacing ImageOrientationPatient ImagePositionPatient
 SliceThickness PatientPosition"""
PROJECTION = """PresentationIntentType PixelIntensityRelationship PixelIntensityRelationshipSign RescaleIntercept
 RescaleSlope RescaleType PresentationLUTShape LossyImageCompression BurnedInAnnotation DetectorType ImagerPixelSpacing
 AcquisitionContextSequence ImageLaterality AnatomicRegionSequence PatientOrientation ImageType WindowCenter"""
REQUIRED = {
    "CT": f"{PLANE} ImageType RescaleIntercept RescaleSlope KVP AcquisitionNumber WindowCenter WindowWidth",
    "MR": f"""{PLANE} ImageType ScanningSequence SequenceVariant ScanOptions MRAcquisitionType EchoTime EchoTrainLength
        RepetitionTime WindowCenter""",
    "CR": "BodyPartExamined ViewPosition KVP PlateType PatientOrientation WindowCenter",
    "DX": f"{PROJECTION} ViewCodeSequence",
    "MG": f"{PROJECTION} PositionerType OrganExposed ViewCodeSequence BreastImplantPresent",
    "US": "ImageType PatientOrientation SequenceOfUltrasoundRegions UltrasoundColorDataPresent",
}
MAY_BE_EMPTY = {
    "PatientID", "PatientBirthDate", "PatientSex", "ReferringPhysicianName", "PositionReferenceIndicator",
    "ScanOptions",
    "AcquisitionContextSequence", "PatientOrientation",
}  # fmt: skip


def study(modality: str, syntax: str = EXPLICIT, seed: object = 1, patients: tuple[Patient, ...] = PATIENTS) -> Study:
    equipment = Equipment(f"{modality}1", "PRACTICE", "MODEL", "1", "1", "ST1", "OP^ONE", syntax)
    return plan(modality, equipment, patients, random.Random(f"{seed}/{modality}"), NOW)


def read(instance: Instance) -> Dataset:
    """Read an instance as a receiver would, after a file meta group of its own."""
    meta = Dataset()
    meta.TransferSyntaxUID = instance.transfer_syntax
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_dataset(out, meta)
    group = out.getvalue()
    head = b"\0" * 128 + b"DICM" + b"\x02\0\0\0UL\x04\0" + len(group).to_bytes(4, "little") + group
    return dcmread(io.BytesIO(head + instance.data))


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings, "writing_validation_mode", config.RAISE)
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.RAISE)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, RLE, JPEG_LOSSLESS])
@pytest.mark.parametrize("modality", list(REQUIRED))
def test_instances_are_read_back_with_all_that_their_iod_requires(modality: str, syntax: str) -> None:
    if modality == "US" and syntax == JPEG_LOSSLESS:
        pytest.skip("colour is sent by RLE")
    made = study(modality, syntax)
    classes: set[str] = set()
    for recipe in made.recipes:
        if recipe.sop_class in classes:
            continue
        classes.add(recipe.sop_class)
        instance = made.instance(recipe, syntax)
        d = read(instance)
        for keyword in (EVERYWHERE + " " + REQUIRED[modality]).split():
            assert keyword in d, keyword
            assert keyword in MAY_BE_EMPTY or not d[keyword].is_empty, keyword
        assert d.SOPClassUID == recipe.sop_class
        assert d.SOPInstanceUID == recipe.sop_instance
        assert d.StudyInstanceUID == made.uid
        assert d.StudyDate == "20261125"
        assert d.Modality == modality
        assert instance.digest == hashlib.sha256(instance.data).hexdigest()
        frames = int(d.get("NumberOfFrames", 1))
        size = d.Rows * d.Columns * d.SamplesPerPixel * d.BitsAllocated // 8
        if syntax in (RLE, JPEG_LOSSLESS):
            assert len(list(generate_frames(d.PixelData, number_of_frames=frames))) == frames
        else:
            assert len(d.PixelData) == frames * size
    if modality == "US":
        assert len(classes) == 2


@pytest.mark.parametrize("modality", list(REQUIRED))
def test_every_element_is_even_and_in_order(modality: str) -> None:
    made = study(modality)
    d = read(made.instance(made.recipes[0], EXPLICIT))
    tags = [int(element.tag) for element in d]
    assert tags == sorted(tags)
    assert not any(element.tag.group % 2 for element in d)


def test_uids_are_valid_unique_and_made_of_uuids() -> None:
    uids: list[str] = []
    for seed in range(4):
        for modality in REQUIRED:
            made = study(modality, seed=seed)
            uids.append(made.uid)
            uids.extend(recipe.sop_instance for recipe in made.recipes)
            uids.extend({recipe.series for recipe in made.recipes})
    assert len(uids) == len(set(uids))
    for uid in uids:
        assert UID(uid).is_valid
        assert uid.startswith("2.25.")


@pytest.mark.parametrize("modality", list(REQUIRED))
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(modality: str) -> None:
    one, same, other = (study(modality, seed=seed) for seed in (5, 5, 6))
    assert one.instance(one.recipes[0], EXPLICIT) == same.instance(same.recipes[0], EXPLICIT)
    assert one.uid != other.uid


def test_studies_have_the_sizes_of_their_modality() -> None:
    bounds = {"CT": (40, 120), "MR": (24, 64), "CR": (1, 2), "DX": (1, 2), "US": (5, 20), "MG": (4, 4)}
    for modality, (low, high) in bounds.items():
        for seed in range(8):
            assert low <= len(study(modality, seed=seed).recipes) <= high


def test_slices_of_a_series_lie_one_after_the_other() -> None:
    made = study("CT")
    z = [read(made.instance(recipe, EXPLICIT)).ImagePositionPatient[2] for recipe in made.recipes[:4]]
    steps = [round(float(after - before), 3) for before, after in zip(z, z[1:], strict=False)]
    assert len(set(steps)) == 1
    assert steps[0] < 0


def test_a_comment_makes_other_content_under_the_same_uid() -> None:
    made = study("MR")
    first = made.instance(made.recipes[0], EXPLICIT)
    second = made.instance(made.recipes[0], EXPLICIT, comment="corrected")
    assert (first.sop_instance, first.study) == (second.sop_instance, second.study)
    assert first.digest != second.digest


def test_compressed_transfer_syntaxes_are_proposed_beside_plain_ones() -> None:
    contexts = study("MR", JPEG_LOSSLESS).contexts()
    assert [syntaxes for _, syntaxes in contexts] == [[JPEG_LOSSLESS], [EXPLICIT, IMPLICIT]]
    assert [syntaxes for _, syntaxes in study("CT", IMPLICIT).contexts()] == [[IMPLICIT]]


@pytest.mark.parametrize("number", range(len(PATIENTS)))
def test_every_name_survives_its_character_set(number: int) -> None:
    patient = PATIENTS[number]
    made = study("CR", patients=(patient,))
    d = read(made.instance(made.recipes[0], EXPLICIT))
    decode_element(d["PatientName"], d.get("SpecificCharacterSet"))
    assert str(d.PatientName) == patient.name
    assert d.PatientID == patient.patient_id


def test_the_register_has_scripts_and_one_patient_without_id() -> None:
    assert [patient.patient_id for patient in PATIENTS].count("") == 1
    charsets = {patient.charset for patient in PATIENTS}
    assert {("ISO_IR 100",), ("", "ISO 2022 IR 87"), ("", "ISO 2022 IR 149"), ("ISO_IR 192",)} <= charsets
    assert register(random.Random(1), date(2026, 11, 25)) == PATIENTS


def test_an_unknown_modality_is_refused() -> None:
    with pytest.raises(KeyError):
        study("XA")
