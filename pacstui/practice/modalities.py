"""The images of each kind of equipment: phantom, modality attributes and their series, one function a modality.

Each function takes an order and yields recipes: a recipe makes one data set when it is called, so that a study of
120 slices is never in memory at once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacstui.practice import phantoms
from pacstui.practice.headers import (
    Order,
    Series,
    add_pixels,
    add_plane,
    add_window,
    code,
    ds,
    header,
)
from pacstui.practice.patients import uid
from pacstui.practice.phantoms import Body

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
CR = "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
MG = "1.2.840.10008.5.1.4.1.1.1.2"
US = "1.2.840.10008.5.1.4.1.1.6.1"
US_MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One instance to be: its UIDs, and ``make(transfer_syntax)`` that draws it and fills in its header."""

    sop_class: str
    sop_instance: str
    series: str
    make: Callable[[str], Dataset]


@dataclass(frozen=True, slots=True)
class Examination:
    """What a modality is asked to do; ``low`` and ``high`` bound the part of the trunk or the number of images."""

    description: str
    body_part: str
    low: float = 0.0
    high: float = 1.0
    contrast: bool = False


EXAMINATIONS: dict[str, tuple[Examination, ...]] = {
    "CT": (
        Examination("CT CHEST W CONTRAST", "CHEST", 0.02, 0.58, True),
        Examination("CT CHEST LOW DOSE", "CHEST", 0.02, 0.58),
        Examination("CT ABDOMEN PELVIS W CONTRAST", "ABDOMEN", 0.42, 1.0, True),
        Examination("CT CHEST ABDOMEN PELVIS W CONTRAST", "CHESTABDPELVIS", 0.02, 1.0, True),
        Examination("CT KUB WO CONTRAST", "ABDOMEN", 0.55, 1.0),
    ),
    "MR": (
        Examination("MR BRAIN WO CONTRAST", "BRAIN"),
        Examination("MR BRAIN STROKE PROTOCOL", "BRAIN"),
        Examination("MR HEAD FOLLOW UP", "HEAD"),
    ),
    "CR": (Examination("XR CHEST PA", "CHEST", 1, 1), Examination("XR CHEST PA AND LATERAL", "CHEST", 2, 2)),
    "DX": (Examination("XR CHEST PA", "CHEST", 1, 1), Examination("XR CHEST 2 VIEWS", "CHEST", 2, 2)),
    "US": (
        Examination("US ABDOMEN COMPLETE", "ABDOMEN", 8, 20),
        Examination("US RENAL", "KIDNEY", 5, 12),
        Examination("US LIVER DOPPLER", "LIVER", 6, 14),
    ),
    "MG": (Examination("MG SCREENING BILATERAL", "BREAST"), Examination("MG DIAGNOSTIC BILATERAL", "BREAST")),
}


def _body(order: Order, rng: random.Random) -> Body:
    lesion = rng.choice((0.0, 0.0, 0.6, 1.0))
    return Body(rng.randrange(2**31), order.patient.girth, rng.uniform(-0.03, 0.03), lesion)


def ct(order: Order, what: Examination, rng: random.Random) -> Iterator[Recipe]:
    """Yield one axial series of 40 to 120 slices."""
    body = _body(order, rng)
    frame = uid(rng)
    slices = int(40 + 80 * (what.high - what.low) * rng.uniform(0.85, 1.0))
    series = Series(uid(rng), 2, "AXIAL 5.0 MEDIASTINUM" if what.low < 0.4 else "AXIAL 5.0 SOFT TISSUE", frame, 20.0)
    step = 620.0 * (what.high - what.low) / slices
    current = rng.randrange(110, 260)

    def make(number: int, instance: str, syntax: str) -> Dataset:
        z = what.low + (what.high - what.low) * (number - 1) / max(1, slices - 1)
        d = header(order, series, "CT", CT, instance, number)
        d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        d.PatientPosition = "HFS"
        d.AcquisitionNumber = 1
        if what.contrast:
            d.ContrastBolusAgent = "SYNTHETIC CONTRAST"
            d.ContrastBolusRoute = "IV"
        d.KVP, d.XRayTubeCurrent, d.ExposureTime = "120", current, 500
        d.Exposure = current // 2
        d.FilterType, d.ConvolutionKernel = "BODY", "SOFT 30"
        d.DataCollectionDiameter = d.ReconstructionDiameter = "380"
        d.GantryDetectorTilt, d.TableHeight, d.RotationDirection = "0", "152", "CW"
        d.SpacingBetweenSlices = ds(step)
        add_plane(d, 380 / 256, (-190.0, -190.0, -step * (number - 1)), 5.0)
        d.RescaleIntercept, d.RescaleSlope, d.RescaleType = str(phantoms.CT_INTERCEPT), "1", "HU"
        chest = (-600, 1500, "LUNG") if what.low < 0.4 else (300, 1500, "BONE")
        add_window(d, (40, 400, "SOFT TISSUE"), chest)
        picture = phantoms.ct(z, body, contrast=what.contrast, noise=16.0)
        add_pixels(d, [picture], syntax, bits=12)
        return d

    for number in range(1, slices + 1):
        yield _recipe(CT, uid(rng), series, number, make)


def _recipe(
    sop_class: str, instance: str, series: Series, number: int, make: Callable[[int, str, str], Dataset]
) -> Recipe:
    return Recipe(sop_class, instance, series.uid, lambda syntax: make(number, instance, syntax))


# weighting: description, sequence, variant, options, repetition, echo, inversion (ms), flip angle, window
_MR_SEQUENCES = {
    "T1": ("T1 SE AX", "SE", "NONE", "", 520.0, 12.0, 0.0, 90, (480, 900)),
    "T2": ("T2 TSE AX", "SE", "SK", "", 4200.0, 98.0, 0.0, 150, (560, 1100)),
    "FLAIR": ("T2 FLAIR AX", ["SE", "IR"], "SK", "FS", 9000.0, 110.0, 2500.0, 150, (500, 1000)),
    "DWI": ("DWI B1000 AX", "EP", "SK", "FS", 5100.0, 92.0, 0.0, 90, (450, 950)),
}


def mr(order: Order, what: Examination, rng: random.Random) -> Iterator[Recipe]:
    """Yield two to four series of the same 12 to 16 slices."""
    body = _body(order, rng)
    frame = uid(rng)
    slices = rng.randrange(12, 17)
    weightings = ["T2", "FLAIR", "DWI", "T1"] if "STROKE" in what.description else rng.sample(("T1", "T2", "FLAIR"), 3)
    for index, weighting in enumerate(weightings[: rng.randrange(2, len(weightings) + 1)], 1):
        series = Series(uid(rng), index, _MR_SEQUENCES[weighting][0], frame, 60.0 + 180.0 * index)
        for number in range(1, slices + 1):
            yield _recipe(MR, uid(rng), series, number, _mr_slice(order, series, weighting, body, slices))


def _mr_slice(
    order: Order, series: Series, weighting: str, body: Body, slices: int
) -> Callable[[int, str, str], Dataset]:
    _, sequence, variant, options, repetition, echo, inversion, flip, window = _MR_SEQUENCES[weighting]

    def make(number: int, instance: str, syntax: str) -> Dataset:
        d = header(order, series, "MR", MR, instance, number)
        d.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
        d.PatientPosition = "HFS"
        d.AcquisitionNumber = 1
        d.ScanningSequence, d.SequenceVariant, d.ScanOptions = sequence, variant, options
        d.MRAcquisitionType, d.SequenceName = "2D", weighting.lower()
        d.RepetitionTime, d.EchoTime, d.EchoTrainLength = ds(repetition), ds(echo), 1 if weighting == "T1" else 15
        if inversion:
            d.InversionTime = ds(inversion)
        d.FlipAngle, d.NumberOfAverages, d.ImagingFrequency = str(flip), "1", "63.87"
        d.ImagedNucleus, d.EchoNumbers, d.MagneticFieldStrength = "1H", 1, "1.5"
        d.SpacingBetweenSlices, d.PercentSampling, d.PercentPhaseFieldOfView = "6", "100", "100"
        d.PixelBandwidth, d.InPlanePhaseEncodingDirection = "130", "ROW"
        d.ReceiveCoilName = "HEAD"
        add_plane(d, 230 / 192, (-115.0, -115.0, -40.0 + 6.0 * number), 5.0)
        add_window(d, (*window, "ALGO1"))
        z = 0.04 + 0.90 * (number - 1) / (slices - 1)
        add_pixels(d, [phantoms.mr(z, body, weighting=weighting)], syntax, bits=12)
        return d

    return make


def chest(order: Order, what: Examination, rng: random.Random, *, modality: str = "CR") -> Iterator[Recipe]:
    """Yield the one or two views of a chest, by imaging plate (CR) or flat detector (DX)."""
    body = _body(order, rng)
    for number in range(1, int(what.high) + 1):
        lateral = number == 2
        series = Series(uid(rng), number, "CHEST LAT" if lateral else "CHEST PA", "", 15.0 * number)
        make = _digital(order, series, body, lateral) if modality == "DX" else _plate(order, series, body, lateral)
        yield _recipe(DX if modality == "DX" else CR, uid(rng), series, number, make)


def _plate(order: Order, series: Series, body: Body, lateral: bool) -> Callable[[int, str, str], Dataset]:
    def make(number: int, instance: str, syntax: str) -> Dataset:
        d = header(order, series, "CR", CR, instance, number)
        d.ImageType = ["DERIVED", "PRIMARY"]
        d.ViewPosition = "LL" if lateral else "PA"
        d.PatientOrientation = ["A", "F"] if lateral else ["L", "F"]
        d.AcquisitionNumber = 1
        d.KVP, d.PlateType, d.CassetteOrientation, d.Exposure = "125", "STANDARD", "PORTRAIT", 3
        d.ImagerPixelSpacing = d.PixelSpacing = ["0.8", "0.8"]
        d.RescaleIntercept, d.RescaleSlope, d.RescaleType = "0", "1", "US"
        add_window(d, (2048, 3600, "STANDARD"))
        add_pixels(d, [phantoms.chest(body, lateral=lateral)], syntax, bits=12)
        return d

    return make


def _projection(d: Dataset, *, kvp: float, spacing_mm: float, detector: str) -> None:
    """Add what the digital X-ray and mammography images share (PS3.3 C.8.11)."""
    d.PresentationIntentType = "FOR PRESENTATION"
    d.PixelIntensityRelationship, d.PixelIntensityRelationshipSign = "LOG", -1
    d.RescaleIntercept, d.RescaleSlope, d.RescaleType = "0", "1", "US"
    d.PresentationLUTShape = "IDENTITY"
    d.DetectorType, d.DetectorConfiguration, d.DetectorID = detector, "AREA", "DET1"
    d.ImagerPixelSpacing = [ds(spacing_mm), ds(spacing_mm)]
    d.KVP, d.ExposureTime, d.Exposure = ds(kvp), 12, 3
    d.AcquisitionContextSequence = Sequence()


def _digital(order: Order, series: Series, body: Body, lateral: bool) -> Callable[[int, str, str], Dataset]:
    def make(number: int, instance: str, syntax: str) -> Dataset:
        d = header(order, series, "DX", DX, instance, number)
        d.ImageType = ["DERIVED", "PRIMARY", ""]
        d.PatientOrientation = ["A", "F"] if lateral else ["L", "F"]
        _projection(d, kvp=125, spacing_mm=0.7, detector="SCINTILLATOR")
        d.PixelSpacing = ["0.7", "0.7"]
        d.ImageLaterality = "U"
        d.AnatomicRegionSequence = Sequence([code("51185008", "Chest")])
        d.ViewPosition = "LL" if lateral else "PA"
        view = code("399198007", "left lateral") if lateral else code("399348003", "postero-anterior")
        view.ViewModifierCodeSequence = Sequence()
        d.ViewCodeSequence = Sequence([view])
        d.PatientOrientationCodeSequence = Sequence([code("10904000", "erect")])
        add_window(d, (2048, 3600, "STANDARD"))
        add_pixels(d, [phantoms.chest(body, lateral=lateral)], syntax, bits=12)
        return d

    return make


def mg(order: Order, what: Examination, rng: random.Random) -> Iterator[Recipe]:
    """Yield the four standard views: R CC, L CC, R MLO, L MLO."""
    body = _body(order, rng)
    for number, (left, oblique) in enumerate(((False, False), (True, False), (False, True), (True, True)), 1):
        view = f"{'L' if left else 'R'} {'MLO' if oblique else 'CC'}"
        series = Series(uid(rng), number, view, "", 30.0 * number)
        yield _recipe(MG, uid(rng), series, number, _mammogram(order, series, body, left, oblique))


def _mammogram(
    order: Order, series: Series, body: Body, left: bool, oblique: bool
) -> Callable[[int, str, str], Dataset]:
    def make(number: int, instance: str, syntax: str) -> Dataset:
        d = header(order, series, "MG", MG, instance, number)
        d.ImageType = ["DERIVED", "PRIMARY", ""]
        towards = "A" if left else "P"
        d.PatientOrientation = [towards, "FL" if left else "FR"] if oblique else [towards, "R" if left else "L"]
        _projection(d, kvp=29, spacing_mm=0.45, detector="DIRECT")
        d.ImageLaterality, d.OrganExposed = "L" if left else "R", "BREAST"
        d.AnatomicRegionSequence = Sequence([code("76752008", "Breast")])
        d.PositionerType, d.ViewPosition = "MAMMOGRAPHIC", "MLO" if oblique else "CC"
        d.PositionerPrimaryAngle = "45" if oblique else "0"
        d.BodyPartThickness, d.CompressionForce = "52", "110"
        d.AnodeTargetMaterial, d.FilterMaterial = "TUNGSTEN", "RHODIUM"
        view = code("399368009", "medio-lateral oblique") if oblique else code("399162004", "cranio-caudal")
        view.ViewModifierCodeSequence = Sequence()
        d.ViewCodeSequence = Sequence([view])
        d.BreastImplantPresent, d.PartialView = "NO", "NO"
        add_window(d, (1700, 3000, "STANDARD"))
        add_pixels(d, [phantoms.breast(body, left=left, oblique=oblique)], syntax, bits=12)
        return d

    return make


def us(order: Order, what: Examination, rng: random.Random) -> Iterator[Recipe]:
    """Yield 5 to 20 stills, some with colour, and one short loop."""
    body = _body(order, rng)
    series = Series(uid(rng), 1, order.description.removeprefix("US "), "", 5.0)
    count = rng.randrange(int(what.low), int(what.high) + 1)
    for number in range(1, count + 1):
        loop = number == count
        colour = not loop and (number % 4 == 0 or ("DOPPLER" in what.description and number % 2 == 0))
        here = Body(body.seed + number // 3, body.girth, body.tilt, body.lesion)
        sop_class = US_MULTIFRAME if loop else US
        yield _recipe(sop_class, uid(rng), series, number, _ultrasound(order, series, here, loop, colour))


def _ultrasound(
    order: Order, series: Series, body: Body, loop: bool, colour: bool
) -> Callable[[int, str, str], Dataset]:
    def make(number: int, instance: str, syntax: str) -> Dataset:
        d = header(order, series, "US", US_MULTIFRAME if loop else US, instance, number)
        d.ImageType = ["ORIGINAL", "PRIMARY", "ABDOMINAL", "0010" if colour else "0001"]
        d.PatientOrientation = ""
        d.Laterality = ""
        d.TransducerData, d.TransducerType = "C5", "CURVED LINEAR"
        d.MechanicalIndex, d.DepthOfScanField = "1.1", 160
        region = Dataset()
        region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 2 if colour else 1, 0
        region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 0
        region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 319, 239
        region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
        region.PhysicalDeltaX = region.PhysicalDeltaY = 0.068
        d.SequenceOfUltrasoundRegions = Sequence([region])
        d.UltrasoundColorDataPresent = 1 if colour else 0
        phase = (number % 8) / 8
        if loop:
            frames = [phantoms.sector(body, frame=index / 8) for index in range(8)]
            d.NumberOfFrames, d.FrameTime, d.FrameIncrementPointer = 8, "83.3", 0x00181063
            d.CineRate = d.RecommendedDisplayFrameRate = 12
        else:
            frames = [(phantoms.doppler if colour else phantoms.sector)(body, frame=phase)]
        add_pixels(d, frames, syntax, bits=8)
        return d

    return make
