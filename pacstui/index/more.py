"""Attributes beyond those with a column of their own: kept as JSON, by tag, at study, series and instance.

Among them are those that other archives return by default, so that nobody misses them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from pacstui.dicom import header
from pacstui.dicom.header import Header
from pacstui.dicom.sequences import Inner

_PATIENT: Final = {
    0x00100022: "CS", 0x00100032: "TM", 0x00100033: "LO", 0x00100034: "LO", 0x00100035: "CS", 0x00100200: "CS",
    0x00100212: "UC", 0x00100213: "LO", 0x00100218: "UT", 0x00101000: "LO", 0x00101001: "PN", 0x00101005: "PN",
    0x00101040: "LO", 0x00101060: "PN", 0x00101080: "LO", 0x00101081: "LO", 0x00101090: "LO", 0x00102150: "LO",
    0x00102152: "LO", 0x00102154: "SH", 0x00102155: "LT", 0x00102160: "SH", 0x001021F0: "LO", 0x00102201: "LO",
    0x00102292: "LO", 0x00102297: "PN", 0x00102298: "CS", 0x00102299: "LO", 0x00104000: "LT", 0x00120010: "LO",
    0x00120020: "LO", 0x00120021: "LO", 0x00120030: "LO", 0x00120031: "LO", 0x00120040: "LO", 0x00120042: "LO",
    0x00120062: "CS", 0x00120063: "LO", 0x00120081: "LO", 0x00120082: "LO", 0x00380050: "LO", 0x00403001: "LO",
}  # fmt: skip
_STUDY: Final = {
    0x00081040: "LO", 0x00081048: "PN", 0x00081060: "PN", 0x00081080: "LO", 0x00101010: "AS", 0x00101020: "DS",
    0x00101022: "DS", 0x00101023: "DS", 0x00101024: "DS", 0x00101030: "DS", 0x00102000: "LO", 0x00102110: "LO",
    0x00102180: "SH", 0x001021A0: "CS", 0x001021B0: "LT", 0x001021C0: "US", 0x001021D0: "DA", 0x00102203: "CS",
    0x00321032: "PN", 0x00321060: "LO", 0x00321066: "UT", 0x00380010: "LO", 0x00380016: "LO", 0x00380060: "LO",
    0x00380062: "LO", 0x00380500: "LO",
}  # fmt: skip
_SERIES: Final = {
    0x00080070: "LO", 0x00080081: "ST", 0x00081050: "PN", 0x00081070: "PN", 0x00081090: "LO", 0x00180010: "LO",
    0x00180024: "SH", 0x00181090: "IS", 0x00181400: "LO", 0x00185100: "CS", 0x00200037: "DS", 0x00200052: "UI",
    0x00200060: "CS", 0x00200105: "IS", 0x00201002: "IS", 0x00400244: "DA", 0x00400245: "TM", 0x00400250: "DA",
    0x00400251: "TM", 0x00400253: "SH", 0x00400254: "LO", 0x00540081: "US", 0x00540101: "US", 0x00541000: "CS",
}  # fmt: skip
_IMAGE: Final = {
    0x00080012: "DA", 0x00080013: "TM", 0x00080022: "DA", 0x0008002A: "DT", 0x00080032: "TM", 0x00200012: "IS",
    0x00200032: "DS", 0x00200100: "IS", 0x00200242: "UI", 0x00201041: "DS", 0x00204000: "LT", 0x00209161: "UI",
    0x00280004: "CS", 0x00280100: "US", 0x00400512: "LO", 0x00400551: "LO", 0x00400554: "UI", 0x0040A032: "DT",
    0x0040A491: "CS", 0x0040A493: "CS", 0x00420010: "ST", 0x00420012: "LO", 0x00541330: "US", 0x00700080: "CS",
    0x00700081: "LO", 0x00700082: "DA", 0x00700083: "TM", 0x00700084: "PN",
}  # fmt: skip

_CODE: Final = {0x00080100: "SH", 0x00080102: "SH", 0x00080103: "SH", 0x00080104: "LO"}
_ISSUER: Final = {0x00400031: "UT", 0x00400032: "UT", 0x00400033: "CS"}
_REFERENCE: Final = {0x00081150: "UI", 0x00081155: "UI"}
_REQUEST: Final[Inner] = {
    0x00080050: "SH", 0x0020000D: "UI", 0x00321032: "PN", 0x00321033: "LO", 0x00321060: "LO", 0x00321064: _CODE,
    0x00400007: "LO", 0x00400008: _CODE, 0x00400009: "SH", 0x00401001: "SH", 0x00401002: "LO", 0x0040100A: _CODE,
}  # fmt: skip
_EVIDENCE: Final[Inner] = {0x0020000D: "UI", 0x00081115: {0x0020000E: "UI", 0x00081199: _REFERENCE}}
_PATIENT_ITEMS: Final[dict[int, Inner]] = {
    0x00100024: _ISSUER, 0x00100050: _CODE, 0x00100101: _CODE, 0x00100216: {0x00100214: "LO", 0x00100217: "LO"},
    0x00100219: _CODE, 0x00100229: _CODE, 0x00101002: {0x00100020: "LO", 0x00100021: "LO", 0x00100022: "CS"},
    0x00101100: _EVIDENCE, 0x00102202: _CODE, 0x00102293: _CODE, 0x00102294: {0x00102295: "LO"}, 0x00120064: _CODE,
    0x00380100: _REFERENCE, 0x00380502: {0x00120010: "LO", 0x00120020: "LO", 0x00120040: "LO"},
}  # fmt: skip
_STUDY_ITEMS: Final[dict[int, Inner]] = {
    0x00080051: _ISSUER, 0x00081032: _CODE, 0x00081084: _CODE, 0x00081110: _REFERENCE, 0x00101021: _CODE,
    0x00321064: _CODE, 0x00321067: _CODE, 0x00380014: _ISSUER, 0x00380064: _ISSUER,
}  # fmt: skip
_REGION: Final[Inner] = {**_CODE, 0x00082220: _CODE}
_SERIES_ITEMS: Final[dict[int, Inner]] = {
    0x00080082: _CODE, 0x0008103F: _CODE, 0x00081041: _CODE, 0x00081111: _REFERENCE, 0x00082218: _REGION,
    0x00400260: _CODE, 0x00400275: _REQUEST,
}  # fmt: skip
_IMAGE_ITEMS: Final[dict[int, Inner]] = {
    0x00081115: {0x0020000E: "UI", 0x00081140: _REFERENCE, 0x00081199: _REFERENCE}, 0x00082218: _REGION,
    0x00082228: _CODE, 0x00400513: _ISSUER, 0x00400515: {0x00400512: "LO"}, 0x00400562: _ISSUER, 0x0040A043: _CODE,
    0x0040A073: {0x0040A027: "LO", 0x0040A030: "DT", 0x0040A075: "PN", 0x0040A088: _CODE},
    0x0040A370: {**_REQUEST, 0x00402016: "LO", 0x00402017: "LO"}, 0x0040A375: _EVIDENCE,
    0x0040A504: {0x00080105: "CS", 0x0040DB00: "CS"}, 0x0040A525: _EVIDENCE, 0x00540220: _CODE,
}  # fmt: skip
ITEMS: Final = _PATIENT_ITEMS | _STUDY_ITEMS | _SERIES_ITEMS | _IMAGE_ITEMS
"""What the items of an indexed sequence are matched by and returned with, by the sequence's tag."""

PATIENT_MORE: Final[dict[int, str]] = _PATIENT | dict.fromkeys(_PATIENT_ITEMS, "SQ")
"""What is told of a patient by the studies; kept with them."""

STUDY_MORE: dict[int, str] = PATIENT_MORE | _STUDY | dict.fromkeys(_STUDY_ITEMS, "SQ")
SERIES_MORE: dict[int, str] = _SERIES | dict.fromkeys(_SERIES_ITEMS, "SQ")
IMAGE_MORE: dict[int, str] = _IMAGE | dict.fromkeys(_IMAGE_ITEMS, "SQ")
"""VR by tag; :func:`also` adds to them."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
_keys: dict[int, str] = {}


def key_of(tag: int) -> str:
    """Return the name of a tag in the JSON."""
    return f"{tag:08X}"


def _ready() -> None:
    header.want_items(ITEMS)
    for tags in (STUDY_MORE, SERIES_MORE, IMAGE_MORE):
        header.want({tag: vr for tag, vr in tags.items() if vr != "SQ"})
        _keys.update({tag: key_of(tag) for tag in tags})


_ready()


def also(level: dict[int, str], tags: Iterable[tuple[int, str]]) -> None:
    """Index further tags, given with their VR, at a level from now on. Raises ValueError for a VR that is no text."""
    found = dict(tags)
    header.want({tag: vr for tag, vr in found.items() if tag not in ITEMS})
    level.update(found)
    _ready()


def text_of(found: Header, tags: dict[int, str]) -> str:
    """Return what an object has of ``tags`` as JSON, empty if it has none of them."""
    some = {_keys[tag]: value for tag, value in found.values.items() if value and tag in tags}
    return _encode(some) if some else ""
