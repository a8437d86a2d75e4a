"""What can be corrected, at which level, and where the index has it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from pacstui.dicom.dictionary import keyword_of, tag_of, vr_of
from pacstui.errors import BadRequest
from pacstui.index.more import IMAGE_MORE, SERIES_MORE, STUDY_MORE, key_of
from pacstui.text import safe
from pacstui.transform.values import wrong

PATIENT, STUDY, SERIES, IMAGE = "patient", "study", "series", "image"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute; ``column`` is where the level's row has it, empty where that is in its JSON, or nowhere."""

    keyword: str
    level: str
    column: str = ""

    @property
    def tag(self) -> int:
        return tag_of(self.keyword)

    @property
    def vr(self) -> str:
        return vr_of(self.tag)

    @property
    def held(self) -> str:
        """The key in the row's JSON, empty where the index does not have it."""
        known = {STUDY: STUDY_MORE, SERIES: SERIES_MORE, IMAGE: IMAGE_MORE}.get(self.level, {})
        return key_of(self.tag) if not self.column and self.tag in known else ""


def _all(level: str, *named: str) -> list[Attribute]:
    return [Attribute(each.partition("=")[0], level, each.partition("=")[2]) for each in named]


KNOWN: Final = {
    each.keyword: each
    for each in (
        *_all(PATIENT, "PatientName=patient_name", "PatientID=patient_id", "IssuerOfPatientID=issuer",
              "PatientBirthDate=birth_date", "PatientSex=sex"),
        *_all(STUDY, "AccessionNumber=accession", "StudyID=study_id", "StudyDescription=description",
              "StudyDate=date", "StudyTime=time", "ReferringPhysicianName=referring", "InstitutionName=institution",
              "RequestedProcedureDescription", "RequestedProcedureID", "AdmissionID", "ReasonForStudy",
              "AdmittingDiagnosesDescription", "NameOfPhysiciansReadingStudy", "PatientAge", "PatientSize",
              "PatientWeight"),
        *_all(SERIES, "SeriesNumber=number", "SeriesDescription=description", "Modality=modality",
              "StationName=station", "BodyPartExamined=body_part", "ProtocolName=protocol", "SeriesDate=date",
              "SeriesTime=time", "Laterality", "OperatorsName", "PerformingPhysicianName", "PatientPosition",
              "InstitutionalDepartmentName", "PerformedProcedureStepDescription"),
        *_all(IMAGE, "InstanceNumber=number", "ContentDate=date", "ContentTime=time", "ImageLaterality",
              "ImageComments", "PatientOrientation", "ViewPosition", "AcquisitionDate", "AcquisitionTime",
              "AcquisitionNumber"),
    )
}  # fmt: skip
"""By keyword (PS3.6)."""

VALUES: Final = {"PatientSex": ("M", "F", "O"), "Laterality": ("L", "R"), "ImageLaterality": ("L", "R", "U", "B")}
"""Enumerated values (PS3.3 C.7.1.1, C.7.3.1, C.7.6.1): receivers refuse or misread others."""


def of(keyword: str, levels: tuple[str, ...], value: str) -> Attribute:
    """Return an attribute that may be corrected at one of some levels, its value checked.

    Raises
    ------
    BadRequest
        That says what is wrong with it.
    """
    found = KNOWN.get(keyword)
    if found is None:
        near = keyword_of(tag_of(keyword)) if tag_of(keyword) else ""
        why = "is not one that is corrected here" if near else "is no keyword of the standard (PS3.6)"
        offered = ", ".join(each.keyword for each in KNOWN.values() if each.level in levels)
        raise BadRequest(f"{safe(keyword, 64)} {why}", f"there are: {offered}")
    if found.level not in levels:
        chosen = {PATIENT: "the study", STUDY: "the study", SERIES: "series", IMAGE: "images"}
        raise BadRequest(
            f"{keyword} belongs to the {found.level}: what is chosen are {chosen[levels[-1]]}",
            f"choose {chosen[found.level]} for it",
        )
    one_of = VALUES.get(keyword, ())
    if value.strip() and one_of and value.strip() not in one_of:
        raise BadRequest(f"{keyword} is {', '.join(one_of[:-1])} or {one_of[-1]}, not {safe(value.strip(), 16)}",
                         "leave it empty where that is not known")  # fmt: skip
    why = wrong(found.vr, value, told=False)
    if why:
        raise BadRequest(f"{keyword}: {why}", f"a value of VR {found.vr} (PS3.5 6.2)")
    return found


def more_with(text: str, values: dict[str, str]) -> str:
    """Return a row's JSON of attributes with some values set, by key; blank ones are left out of it."""
    held = json.loads(text) if text else {}
    held |= values
    some = {key: value for key, value in held.items() if value}
    return json.dumps(some, ensure_ascii=False, separators=(",", ":")) if some else ""
