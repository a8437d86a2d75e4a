"""What is common to the headers of all modalities: patient, study, series, equipment, pixels (PS3.3 C.7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacstui.dicom.syntaxes import EXPLICIT, IMPLICIT, JPEG_LOSSLESS, RLE
from pacstui.practice.codecs import jpeg_lossless, rle
from pacstui.practice.patients import Patient
from pacstui.practice.phantoms import Bytes, Words
from pacstui.practice.roster import ISSUER

MPPS = "1.2.840.10008.3.1.2.3.3"


@dataclass(frozen=True, slots=True)
class Equipment:
    """A device: what it calls itself and in which transfer syntax it likes to send."""

    ae_title: str
    manufacturer: str
    model: str
    software: str
    serial: str
    station: str
    operator: str
    transfer_syntax: str = EXPLICIT


@dataclass(frozen=True, slots=True)
class Order:
    """One examination: who, what, when, under which numbers; the last ones are empty where nobody gave any."""

    patient: Patient
    equipment: Equipment
    study: str
    study_id: str
    accession: str
    description: str
    body_part: str
    referrer: str
    when: datetime
    step_id: str = ""
    procedure_id: str = ""
    performed: str = ""
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an order. ``offset_s`` is when it began, in seconds after the study."""

    uid: str
    number: int
    description: str
    frame_of_reference: str
    offset_s: float = 0.0


def da(when: datetime) -> str:
    """Return a DA value."""
    return f"{when:%Y%m%d}"


def tm(when: datetime) -> str:
    """Return a TM value with milliseconds."""
    return f"{when:%H%M%S}.{when.microsecond // 1000:03}"


def ds(number: float) -> str:
    """Return a DS value of at most 16 characters."""
    return f"{number:.6g}"


def code(value: str, meaning: str, scheme: str = "SCT") -> Dataset:
    """Return an item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def header(order: Order, series: Series, modality: str, sop_class: str, sop_instance: str, number: int) -> Dataset:
    """Return a data set with the attributes that every image has, without those of image and modality."""
    patient, equipment = order.patient, order.equipment
    began = order.when + timedelta(seconds=series.offset_s)
    taken = began + timedelta(seconds=0.35 * number)
    d = Dataset()
    if patient.charset:
        d.SpecificCharacterSet = list(patient.charset) if len(patient.charset) > 1 else patient.charset[0]
    d.InstanceCreationDate, d.InstanceCreationTime = da(taken), tm(taken)
    d.SOPClassUID, d.SOPInstanceUID = sop_class, sop_instance

    d.PatientName = patient.name
    d.PatientID = patient.patient_id
    if patient.patient_id:
        d.IssuerOfPatientID = ISSUER
    d.PatientBirthDate = f"{patient.born:%Y%m%d}" if patient.born else ""
    d.PatientSex = patient.sex
    d.PatientComments = "Synthetic: made by the practice hospital, nobody's picture"

    d.StudyInstanceUID = order.study
    d.StudyDate, d.StudyTime = da(order.when), tm(order.when)
    d.ReferringPhysicianName = order.referrer
    d.StudyID, d.AccessionNumber = order.study_id, order.accession
    d.StudyDescription = order.description
    if patient.born:
        d.PatientAge = patient.age(order.when.date())
    d.PatientSize, d.PatientWeight = ds(patient.height_m), ds(patient.weight_kg)

    d.Modality = modality
    d.SeriesInstanceUID, d.SeriesNumber = series.uid, series.number
    d.SeriesDate, d.SeriesTime = da(began), tm(began)
    d.SeriesDescription = series.description
    d.ProtocolName = order.description
    d.BodyPartExamined = order.body_part
    d.OperatorsName = equipment.operator
    d.PerformedProcedureStepStartDate, d.PerformedProcedureStepStartTime = da(order.when), tm(order.when)
    d.PerformedProcedureStepID = f"PPS{order.study_id}"
    d.PerformedProcedureStepDescription = order.description
    if not order.by_hand:
        request = Dataset()
        request.ScheduledProcedureStepDescription = order.description
        request.ScheduledProcedureStepID = order.step_id or f"SPS{order.study_id}"
        request.RequestedProcedureID = order.procedure_id or f"RP{order.study_id}"
        d.RequestAttributesSequence = Sequence([request])
    if order.performed:
        step = Dataset()
        step.ReferencedSOPClassUID, step.ReferencedSOPInstanceUID = MPPS, order.performed
        d.ReferencedPerformedProcedureStepSequence = Sequence([step])

    d.Manufacturer, d.ManufacturerModelName = equipment.manufacturer, equipment.model
    d.InstitutionName = "PRACTICE HOSPITAL"
    d.InstitutionalDepartmentName = "RADIOLOGY"
    d.StationName = equipment.station
    d.SoftwareVersions, d.DeviceSerialNumber = equipment.software, equipment.serial

    d.AcquisitionDate, d.AcquisitionTime = da(taken), tm(taken)
    d.ContentDate, d.ContentTime = da(taken), tm(taken)
    d.InstanceNumber = number
    if series.frame_of_reference:
        d.FrameOfReferenceUID = series.frame_of_reference
        d.PositionReferenceIndicator = ""
    d.LossyImageCompression = "00"
    d.BurnedInAnnotation = "NO"
    return d


def add_plane(d: Dataset, spacing_mm: float, corner: tuple[float, float, float], thickness_mm: float) -> None:
    """Add the Image Plane module (PS3.3 C.7.6.2) of an axial slice."""
    d.PixelSpacing = [ds(spacing_mm), ds(spacing_mm)]
    d.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    d.ImagePositionPatient = [ds(value) for value in corner]
    d.SliceThickness = ds(thickness_mm)
    d.SliceLocation = ds(corner[2])


def add_window(d: Dataset, *windows: tuple[float, float, str]) -> None:
    """Add VOI windows (PS3.3 C.11.2): centre, width, explanation."""
    d.WindowCenter = [ds(centre) for centre, _, _ in windows]
    d.WindowWidth = [ds(width) for _, width, _ in windows]
    d.WindowCenterWidthExplanation = [text for _, _, text in windows]


def add_pixels(d: Dataset, frames: list[Bytes] | list[Words], transfer_syntax: str, *, bits: int) -> None:
    """Add the Image Pixel module (PS3.3 C.7.6.3) with ``frames``, compressed as the transfer syntax says."""
    first = frames[0]
    d.SamplesPerPixel = 3 if first.ndim == 3 else 1
    d.PhotometricInterpretation = "RGB" if first.ndim == 3 else "MONOCHROME2"
    d.Rows, d.Columns = first.shape[:2]
    d.BitsAllocated = 8 * first.dtype.itemsize
    d.BitsStored, d.HighBit = bits, bits - 1
    d.PixelRepresentation = 0
    if first.ndim == 3:
        d.PlanarConfiguration = 1 if transfer_syntax == RLE else 0
    if transfer_syntax in (RLE, JPEG_LOSSLESS):
        coded = [rle(frame) if transfer_syntax == RLE else jpeg_lossless(frame, bits=bits) for frame in frames]
        d.add_new(0x7FE00010, "OB", _encapsulated(coded))
        d["PixelData"].is_undefined_length = True
    else:
        raw = b"".join(frame.tobytes() for frame in frames)
        # Implicit VR Little Endian has OW only (PS3.5 A.1).
        wide = d.BitsAllocated == 16 or transfer_syntax == IMPLICIT
        d.add_new(0x7FE00010, "OW" if wide else "OB", raw + b"\0" * (len(raw) % 2))


def _encapsulated(frames: list[bytes]) -> bytes:
    """Return frames as fragments after a Basic Offset Table, without the delimiter (PS3.5 A.4)."""
    fragments = [frame + b"\0" * (len(frame) % 2) for frame in frames]
    offset, offsets = 0, []
    for fragment in fragments:
        offsets.append(offset)
        offset += 8 + len(fragment)
    out = [b"\xfe\xff\x00\xe0", (4 * len(offsets)).to_bytes(4, "little")]
    out += [value.to_bytes(4, "little") for value in offsets]
    for fragment in fragments:
        out += [b"\xfe\xff\x00\xe0", len(fragment).to_bytes(4, "little"), fragment]
    return b"".join(out)
