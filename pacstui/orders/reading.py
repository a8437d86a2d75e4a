"""A performed procedure step as a modality tells it (PS3.4 Table F.7.2-1): what has to be in it, what it says, and what
becomes of it when more is said."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pacstui.dicom import dataset, syntaxes
from pacstui.dicom.dataset import CHARSET, TEXT_VRS, DataSet, Element
from pacstui.dicom.dimse import Status
from pacstui.dicom.matching import normal_date, normal_time
from pacstui.dicom.uids import valid_uid

IN_PROGRESS, COMPLETED, DISCONTINUED = "IN PROGRESS", "COMPLETED", "DISCONTINUED"
STATES: Final = (IN_PROGRESS, COMPLETED, DISCONTINUED)
NO_LONGER_UPDATED: Final = 0xA710
"""Error ID where a final one is to be changed (PS3.4 F.7.2.2.4)."""

STATE, STARTED, STARTED_AT, ENDED, ENDED_AT = 0x00400252, 0x00400244, 0x00400245, 0x00400250, 0x00400251
SCHEDULED, SERIES, STUDY, ACCESSION, STEP_ID = 0x00400270, 0x00400340, 0x0020000D, 0x00080050, 0x00400009
_PROCEDURE_ID, _PERFORMED_ID, STATION_AE, MODALITY = 0x00401001, 0x00400253, 0x00400241, 0x00080060
_NAME, _PATIENT_ID, _ISSUER, _SERIES_UID = 0x00100010, 0x00100020, 0x00100021, 0x0020000E
_IMAGES, _OTHERS, _REFERENCED = 0x00081140, 0x00400220, 0x00081155
_DISCONTINUED_FOR, _MEANING, _CODE = 0x00400281, 0x00080104, 0x00080100

NEEDED: Final = (SCHEDULED, _PERFORMED_ID, STATION_AE, STARTED, STARTED_AT, STATE, MODALITY)
"""Attributes of type 1 at N-CREATE."""

NEEDED_LAST: Final = (ENDED, ENDED_AT, SERIES)
"""Attributes of type 1 in the final state COMPLETED."""

FIXED: Final = (
    SCHEDULED, _NAME, _PATIENT_ID, _ISSUER, 0x00100024, 0x00101002, 0x00100030, 0x00100040, 0x00081120, 0x00380010,
    _PERFORMED_ID, STATION_AE, 0x00400242, 0x00400243, STARTED, STARTED_AT, MODALITY, 0x00200010,
)  # fmt: skip
"""Attributes that an N-SET may not change."""

_MAX_SERIES: Final = 1000
_MAX_SCHEDULED: Final = 100


class WrongStep(Exception):
    """What was told does not fit; answered with ``status``, the ``attributes`` at fault, and an error ID if not 0."""

    def __init__(self, status: int, comment: str, *attributes: int, error_id: int = 0) -> None:
        super().__init__(comment)
        self.status = status
        self.comment = comment
        self.attributes = attributes
        self.error_id = error_id


@dataclass(frozen=True, slots=True)
class Scheduled:
    """An item of the Scheduled Step Attributes Sequence: what was scheduled, as far as the modality knows."""

    study: str
    accession: str
    procedure_id: str
    step_id: str


@dataclass(frozen=True, slots=True)
class Told:
    """What a performed procedure step says. Times are YYYYMMDDHHMMSS, empty if not told; ``images`` is the number of
    objects; ``series`` are counts by Series Instance UID."""

    state: str
    station_ae: str
    modality: str
    patient_id: str
    issuer: str
    patient_name: str
    performed_id: str
    started: str
    ended: str
    reason: str
    images: int
    series: dict[str, int]
    scheduled: tuple[Scheduled, ...]

    @property
    def studies(self) -> tuple[str, ...]:
        """The Study Instance UIDs, each once."""
        return tuple(dict.fromkeys(each.study for each in self.scheduled if each.study))


def read(data: DataSet) -> Told:
    """Return what a whole step says; never fails."""
    series: dict[str, int] = {}
    images = 0
    for item in data.items(SERIES):
        uid = item.uid(_SERIES_UID)
        count = len(item.items(_IMAGES)) + len(item.items(_OTHERS))
        images += count
        if uid in series or len(series) < _MAX_SERIES:
            series[uid] = series.get(uid, 0) + count
    return Told(
        data.text(STATE), data.text(STATION_AE), data.text(MODALITY), data.text(_PATIENT_ID), data.text(_ISSUER),
        data.text(_NAME), data.text(_PERFORMED_ID), _moment(data, STARTED, STARTED_AT), _moment(data, ENDED, ENDED_AT),
        _reason(data), images, series,
        tuple(
            Scheduled(item.uid(STUDY), item.text(ACCESSION), item.text(_PROCEDURE_ID), item.text(STEP_ID))
            for item in data.items(SCHEDULED)[:_MAX_SCHEDULED]
        ),
    )  # fmt: skip


def _moment(data: DataSet, date: int, time: int) -> str:
    day = normal_date(data.text(date))
    return day + (normal_time(data.text(time))[:6] if day else "")


def _reason(data: DataSet) -> str:
    """Return why a step was discontinued: the meaning of the code. Remarks may say who the patient is."""
    if data.text(STATE) != DISCONTINUED:
        return ""
    codes = [item.text(_MEANING) or item.text(_CODE) for item in data.items(_DISCONTINUED_FOR)[:4]]
    return ", ".join(code for code in codes if code)


def check_new(data: DataSet) -> None:
    """See that a new step has what it has to have (PS3.4 F.7.2.1).

    Raises
    ------
    WrongStep
        0120H for what is absent, 0121H for what is empty, 0106H for values that cannot be.
    """
    _present(data, NEEDED)
    for item in data.items(SCHEDULED):
        if item.get(STUDY) is None:
            raise WrongStep(Status.MISSING_ATTRIBUTE, "Study Instance UID is missing", SCHEDULED, STUDY)
        if not item.uid(STUDY):
            raise WrongStep(Status.MISSING_VALUE, "Study Instance UID has no value", SCHEDULED, STUDY)
        if not valid_uid(item.uid(STUDY)):
            raise WrongStep(Status.INVALID_ATTRIBUTE, "Study Instance UID is not valid", SCHEDULED, STUDY)
    if data.text(STATE) != IN_PROGRESS:
        raise WrongStep(Status.INVALID_ATTRIBUTE, "a new step is IN PROGRESS", STATE)
    _values(data)


def check_change(data: DataSet) -> None:
    """See that what is said of a step can be (PS3.4 F.7.2.2); raises WrongStep."""
    if data.get(STATE) is not None and data.text(STATE) not in STATES:
        raise WrongStep(Status.INVALID_ATTRIBUTE, "no such Performed Procedure Step Status", STATE)
    _values(data)


def check_final(data: DataSet) -> None:
    """See that a step that is COMPLETED has what it has to have then; raises WrongStep."""
    if data.text(STATE) == COMPLETED:
        _present(data, NEEDED_LAST)


def _present(data: DataSet, needed: Iterable[int]) -> None:
    absent = [tag for tag in needed if data.get(tag) is None]
    if absent:
        raise WrongStep(Status.MISSING_ATTRIBUTE, "attributes are missing", *absent)
    empty = [tag for tag in needed if data[tag].is_empty and not data[tag].items]
    if empty:
        raise WrongStep(Status.MISSING_VALUE, "attributes have no value", *empty)


def _values(data: DataSet) -> None:
    wrong = [tag for tag in (STARTED, ENDED) if data.text(tag) and not normal_date(data.text(tag))]
    wrong += [tag for tag in (STARTED_AT, ENDED_AT) if data.text(tag) and not normal_time(data.text(tag))]
    wrong += [tag for tag in (SCHEDULED, SERIES) if data.get(tag) is not None and data[tag].vr != "SQ"]
    if wrong:
        raise WrongStep(Status.INVALID_ATTRIBUTE, "values cannot be read", *wrong)


def merged(before: DataSet, change: DataSet) -> tuple[DataSet, tuple[int, ...]]:
    """Return a step with what an N-SET says, and the attributes that it may not change but would have.

    Both are in UTF-8 afterwards where their character sets differ.
    """
    if change.get(CHARSET) is not None and change.terms != before.terms:
        before, change = in_utf8(before), in_utf8(change)
    elements = {tag: before[tag] for tag in before}
    refused = []
    for tag in change:
        if tag not in FIXED:
            elements[tag] = change[tag]
        elif tag not in before or before[tag] != change[tag]:
            refused.append(tag)
    return DataSet(elements), tuple(refused)


def in_utf8(data: DataSet) -> DataSet:
    """Return a data set with its text in UTF-8."""
    elements: dict[int, Element] = {}
    for tag in data:
        element = data[tag]
        if element.vr == "SQ":
            elements[tag] = Element("SQ", items=[_inner(item) for item in element.items])
        elif element.vr in TEXT_VRS:
            elements[tag] = Element(element.vr, data.text(tag).encode())
        else:
            elements[tag] = element
    elements[CHARSET] = Element("CS", b"ISO_IR 192")
    return DataSet(elements)


def _inner(item: DataSet) -> DataSet:
    found = in_utf8(item)
    found.pop(CHARSET)
    return found


_WIDTHS: Final = {
    "AT": 2, "US": 2, "SS": 2, "OW": 2, "UL": 4, "SL": 4, "FL": 4, "OF": 4, "OL": 4, "FD": 8, "OD": 8, "SV": 8,
    "UV": 8, "OV": 8,
}  # fmt: skip


def pack(data: bytes) -> bytes:
    """Return bytes as they are kept: a list of UIDs takes a tenth of its room."""
    return zlib.compress(data, 6)


def unpack(data: bytes) -> bytes:
    """Return bytes as they were."""
    return zlib.decompress(data)


def decode(data: bytes, transfer_syntax: str) -> DataSet:
    """Read a step in any transfer syntax, its numbers in little endian; raises DataSetError."""
    found = dataset.decode(data, transfer_syntax)
    return _swapped(found) if transfer_syntax == syntaxes.BIG_ENDIAN else found


def encode(data: DataSet, transfer_syntax: str) -> bytes:
    """Write a step whose numbers are in little endian."""
    return dataset.encode(_swapped(data) if transfer_syntax == syntaxes.BIG_ENDIAN else data, transfer_syntax)


def _swapped(data: DataSet) -> DataSet:
    elements: dict[int, Element] = {}
    for tag in data:
        element = data[tag]
        width = _WIDTHS.get(element.vr)
        if element.vr == "SQ":
            elements[tag] = Element("SQ", items=[_swapped(item) for item in element.items])
        elif width:
            value = element.value
            elements[tag] = Element(
                element.vr, b"".join(value[at : at + width][::-1] for at in range(0, len(value), width))
            )
        else:
            elements[tag] = element
    return DataSet(elements)
