"""Unique identifiers: what is valid, what is storage, and names for people (PS3.5 9, PS3.6 A)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from pacstui import __version__
from pacstui.dicom import syntaxes
from pacstui.dicom.dictionary import uid_table
from pacstui.dicom.syntaxes import TRANSFER_SYNTAXES

IMPLEMENTATION_CLASS_UID: Final = "2.25.115354286517474905047880919637005001149"
"""Ours, on a root derived from a UUID (PS3.5 B.2)."""

IMPLEMENTATION_VERSION_NAME: Final = f"PACSTUI_{__version__}"[:16]

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
VERIFICATION: Final = "1.2.840.10008.1.1"
EXPLICIT_VR_LITTLE_ENDIAN: Final = syntaxes.EXPLICIT
_STORAGE_ROOT: Final = "1.2.840.10008.5.1.4.1.1."
_STORAGE_LEAVES: Final = """
1 1.1 1.1.1 1.2 1.2.1 1.3 1.3.1 2 2.1 2.2 3 3.1 4 4.1 4.2 4.3 4.4 5 6 6.1 6.2 6.3 7 7.1 7.2 7.3 7.4 8 9 9.1 9.1.1
9.1.2 9.1.3 9.1.4 9.2.1 9.3.1 9.4.1 9.4.2 9.5.1 9.6.1 9.6.2 9.7.1 9.7.2 9.7.3 9.7.4 9.8.1 9.100.1 9.100.2 10 11 11.1
11.2 11.3 11.4 11.5 11.6 11.7 11.8 11.9 11.10 11.11 11.12 12.1 12.1.1 12.2 12.2.1 12.3 13.1.1 13.1.2 13.1.3 13.1.4
13.1.5 14.1 14.2 20 30 66 66.1 66.2 66.3 66.4 66.5 66.6 66.7 66.8 67 68.1 68.2 77.1 77.1.1 77.1.1.1 77.1.2 77.1.2.1
77.1.3 77.1.4 77.1.4.1 77.1.5.1 77.1.5.2 77.1.5.3 77.1.5.4 77.1.5.5 77.1.5.6 77.1.5.7 77.1.5.8 77.1.6 77.1.7 77.1.8
77.1.9 77.2 78.1 78.2 78.3 78.4 78.5 78.6 78.7 78.8 79.1 80.1 81.1 82.1 88.1 88.2 88.3 88.4 88.11 88.22 88.33 88.34
88.35 88.40 88.50 88.59 88.65 88.67 88.68 88.69 88.70 88.71 88.72 88.73 88.74 88.75 88.76 88.77 90.1 91.1 104.1 104.2
104.3 104.4 104.5 128 128.1 129 130 131 200.1 200.2 200.3 200.7 200.8 201.1 481.1 481.2 481.3 481.4 481.5 481.6 481.7
481.8 481.9 481.10 481.11 481.12 481.13 481.14 481.15 481.16 481.17 481.18 481.19 481.20 481.21 481.22 481.23 481.24
481.25 501.1 501.2.1 501.2.2 501.3 501.4 501.5 501.6 601.1 601.2
"""
_STORAGE_ELSEWHERE: Final = """
1.2.840.10008.5.1.1.27 1.2.840.10008.5.1.1.29 1.2.840.10008.5.1.1.30 1.2.840.10008.5.1.4.34.1 1.2.840.10008.5.1.4.34.7
1.2.840.10008.5.1.4.34.10 1.2.840.10008.5.1.4.38.1 1.2.840.10008.5.1.4.39.1 1.2.840.10008.5.1.4.43.1
1.2.840.10008.5.1.4.44.1 1.2.840.10008.5.1.4.45.1
"""

STORAGE_CLASSES: Final[frozenset[str]] = frozenset(
    [_STORAGE_ROOT + leaf for leaf in _STORAGE_LEAVES.split()] + _STORAGE_ELSEWHERE.split()
)
"""Every SOP class whose instances are sent by C-STORE: PS3.4 B.5 and GG; retired, trial, DICOS and DICONDE ones too."""

_SHORT_NAMES: Final = {
    VERIFICATION: "Verification",
    APPLICATION_CONTEXT: "DICOM Application Context",
    "1.2.840.10008.5.1.4.1.1.1": "CR Image Storage",
    "1.2.840.10008.5.1.4.1.1.1.1": "DX Image Storage, for presentation",
    "1.2.840.10008.5.1.4.1.1.1.2": "MG Image Storage, for presentation",
    "1.2.840.10008.5.1.4.1.1.2": "CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.4": "MR Image Storage",
    "1.2.840.10008.5.1.4.1.1.6.1": "US Image Storage",
    "1.2.840.10008.5.1.4.1.1.3.1": "US Multi-frame Image Storage",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture Image Storage",
    "1.2.840.10008.5.1.4.1.1.20": "NM Image Storage",
    "1.2.840.10008.5.1.4.1.1.128": "PET Image Storage",
}

_VALID = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)


def valid_uid(text: str) -> bool:
    """Say whether ``text`` is a UID that can be used: digits and dots, at most 64 (PS3.5 9.1).

    Components with leading zeros are against the standard but common, harmless, and tolerated.
    """
    return len(text) <= 64 and _VALID.fullmatch(text) is not None


def trim_uid(value: bytes | str) -> str:
    """Return a UID without its padding: NUL as it should be, blanks as some send (PS3.5 6.2, VR UI)."""
    text = value if isinstance(value, str) else value.decode("latin-1")
    return text.strip("\0 ")


def is_storage(uid: str) -> bool:
    """Say whether ``uid`` is a storage SOP class that is known."""
    return uid in STORAGE_CLASSES


@lru_cache(maxsize=1024)
def name_of(uid: str) -> str:
    """Return the name of a UID for people, the UID itself where it has none.

    The names beyond the usual ones come from pydicom's table, which is loaded at the first need.
    """
    known = TRANSFER_SYNTAXES.get(uid) or _SHORT_NAMES.get(uid)
    if known:
        return known
    if not uid.startswith("1.2.840.10008.") or not valid_uid(uid):
        return uid
    entry = uid_table().get(uid)
    return entry[0] if entry and entry[0] else uid
