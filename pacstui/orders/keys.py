"""The attributes of the modality worklist (PS3.4 Table K.6-1) that can be asked for here, and where they are kept."""

from __future__ import annotations

from typing import Final

from pacstui.dicom.sequences import Inner

STEP: Final = 0x00400100
"""Scheduled Procedure Step Sequence."""

MODALITY, STATION_AE, START_DATE, START_TIME = 0x00080060, 0x00400001, 0x00400002, 0x00400003
STEP_ID, STEP_STATUS = 0x00400009, 0x00400020
ACCESSION, STUDY, PROCEDURE_ID = 0x00080050, 0x0020000D, 0x00401001
PLACER, FILLER = 0x00402016, 0x00402017
NAME, PATIENT_ID, ISSUER = 0x00100010, 0x00100020, 0x00100021

_ISSUER: Final[Inner] = {0x00400031: "UT", 0x00400032: "UT", 0x00400033: "CS"}
CODE: Final[Inner] = {
    0x00080100: "SH", 0x00080102: "SH", 0x00080103: "SH", 0x00080104: "LO", 0x00080119: "UC", 0x00080120: "UR",
}  # fmt: skip
"""A code (PS3.3 8.8)."""

_REFERENCE: Final[Inner] = {0x00081150: "UI", 0x00081155: "UI"}

STEP_KEYS: Final[Inner] = {
    MODALITY: "CS",
    0x00321070: "LO",  # Requested Contrast Agent
    STATION_AE: "AE",
    START_DATE: "DA",
    START_TIME: "TM",
    0x00400004: "DA",  # Scheduled Procedure Step End Date
    0x00400005: "TM",  # Scheduled Procedure Step End Time
    0x00400006: "PN",  # Scheduled Performing Physician's Name
    0x00400007: "LO",  # Scheduled Procedure Step Description
    0x00400008: CODE,  # Scheduled Protocol Code Sequence
    STEP_ID: "SH",
    0x00400010: "SH",  # Scheduled Station Name
    0x00400011: "SH",  # Scheduled Procedure Step Location
    0x00400012: "LO",  # Pre-Medication
    STEP_STATUS: "CS",
    0x00400400: "LT",  # Comments on the Scheduled Procedure Step
}

KEYS: Final[Inner] = {
    0x00080020: "DA",  # Study Date
    0x00080030: "TM",  # Study Time
    ACCESSION: "SH",
    0x00080051: _ISSUER,  # Issuer of Accession Number Sequence
    0x00080080: "LO",  # Institution Name
    0x00080090: "PN",  # Referring Physician's Name
    0x00081080: "LO",  # Admitting Diagnoses Description
    0x00081110: _REFERENCE,  # Referenced Study Sequence
    0x00081120: _REFERENCE,  # Referenced Patient Sequence
    NAME: "PN",
    PATIENT_ID: "LO",
    ISSUER: "LO",
    0x00100024: _ISSUER,  # Issuer of Patient ID Qualifiers Sequence
    0x00100030: "DA",  # Patient's Birth Date
    0x00100032: "TM",  # Patient's Birth Time
    0x00100040: "CS",  # Patient's Sex
    0x00101002: {PATIENT_ID: "LO", ISSUER: "LO", 0x00100022: "CS"},  # Other Patient IDs Sequence
    0x00101001: "PN",  # Other Patient Names
    0x00101020: "DS",  # Patient's Size
    0x00101030: "DS",  # Patient's Weight
    0x00101040: "LO",  # Patient's Address
    0x00102000: "LO",  # Medical Alerts
    0x00102110: "LO",  # Allergies
    0x00102154: "SH",  # Patient's Telephone Numbers
    0x00102160: "SH",  # Ethnic Group
    0x001021A0: "CS",  # Smoking Status
    0x001021B0: "LT",  # Additional Patient History
    0x001021C0: "US",  # Pregnancy Status
    0x00104000: "LT",  # Patient Comments
    STUDY: "UI",
    0x00321032: "PN",  # Requesting Physician
    0x00321033: "LO",  # Requesting Service
    0x00321060: "LO",  # Requested Procedure Description
    0x00321064: CODE,  # Requested Procedure Code Sequence
    0x00380008: "CS",  # Visit Status ID
    0x00380010: "LO",  # Admission ID
    0x00380014: _ISSUER,  # Issuer of Admission ID Sequence
    0x00380050: "LO",  # Special Needs
    0x00380300: "LO",  # Current Patient Location
    0x00380500: "LO",  # Patient State
    STEP: STEP_KEYS,
    PROCEDURE_ID: "SH",
    0x00401002: "LO",  # Reason for the Requested Procedure
    0x00401003: "SH",  # Requested Procedure Priority
    0x00401004: "LO",  # Patient Transport Arrangements
    0x00401005: "LO",  # Requested Procedure Location
    0x00401008: "LO",  # Confidentiality Code
    0x00401009: "SH",  # Reporting Priority
    0x00401010: "PN",  # Names of Intended Recipients of Results
    0x0040100A: CODE,  # Reason for Requested Procedure Code Sequence
    0x00401400: "LT",  # Requested Procedure Comments
    0x00402004: "DA",  # Issue Date of Imaging Service Request
    0x00402005: "TM",  # Issue Time of Imaging Service Request
    PLACER: "LO",  # Placer Order Number / Imaging Service Request
    FILLER: "LO",  # Filler Order Number / Imaging Service Request
    0x00402400: "LT",  # Imaging Service Request Comments
    0x00403001: "LO",  # Confidentiality Constraint on Patient Data Description
}

REQUIRED: Final = frozenset((STEP, NAME, PATIENT_ID, MODALITY, STATION_AE, START_DATE, START_TIME, 0x00400006))
"""Matching keys of type R: every SCP has to support them."""

TERMS: Final = {
    "scheduled": "SCHEDULED", "arrived": "ARRIVED", "in progress": "STARTED", "completed": "COMPLETED",
    "discontinued": "DISCONTINUED", "cancelled": "CANCELED",
}  # fmt: skip
"""Scheduled Procedure Step Status for each state of a step (PS3.3 C.4.10)."""
