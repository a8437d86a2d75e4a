"""An object as the index takes it, and what the archive says of where its bytes are."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from pacstui.dicom.header import Header
from pacstui.index.more import IMAGE_MORE, SERIES_MORE, STUDY_MORE, text_of

_NOTHING: Final[Mapping[int, str]] = {}


class Entry(NamedTuple):
    """One object as the index takes it. ``known`` holds, exactly, every value that patient, study and series rows are
    made of: an entry whose ``known`` was seen before needs no look at those rows. ``called`` is the AE title that was
    called, empty where it is not known; ``attributes`` holds what was read of the object, by tag. Routes are for it
    unless ``onward`` is false."""

    sop_instance: str
    known: tuple[Any, ...]
    patient: tuple[str, str, str]
    study: str
    study_values: tuple[str, ...]
    series: str
    series_values: tuple[str, ...]
    calling: str
    marked: bool
    instance: tuple[str, ...]
    called: str = ""
    attributes: Mapping[int, str] = _NOTHING
    onward: bool = True

    @property
    def transfer_syntax(self) -> str:
        """UID of the transfer syntax that the object is kept in."""
        return self.instance[1]


class Beside(Protocol):
    """What else is written in the transaction that stores an object. Called on the writer lane's thread."""

    def stored(self, connection: sqlite3.Connection, entry: Entry, size: int, received: int) -> None:
        """An object's row was written; ``size`` is in bytes, ``received`` in microseconds since 1970."""

    def flush(self, connection: sqlite3.Connection) -> None:
        """The transaction is about to be committed."""

    def forget(self) -> None:
        """The transaction was rolled back."""


class Place(NamedTuple):
    """Where the object's bytes are and what they are: the rest of its row."""

    digest: bytes
    meta_digest: bytes
    data_offset: int
    size: int
    path: str


class Found(NamedTuple):
    """A stored instance, as the lane needs it to tell repeats from duplicates."""

    id: int
    digest: bytes
    transfer_syntax: str
    path: str
    size: int
    data_offset: int
    series: int
    study: int
    missing: int


def entry_of(header: Header, transfer_syntax: str, calling: str, called: str = "", onward: bool = True) -> Entry:
    """Return the rows' values for an object with valid UIDs."""
    get = header.values.get
    study, series = header.study, header.series
    patient_id = get(0x00100020, "")
    patient = (patient_id, get(0x00100021, ""), "" if patient_id else study)
    study_values = (
        get(0x00100010, ""), get(0x00100030, ""), get(0x00100040, ""), get(0x00080020, ""), get(0x00080030, ""),
        get(0x00080050, ""), get(0x00200010, ""), get(0x00081030, ""), get(0x00080090, ""), get(0x00080080, ""),
        text_of(header, STUDY_MORE),
    )  # fmt: skip
    series_values = (
        get(0x00200011, ""), get(0x00080060, ""), get(0x0008103E, ""), get(0x00081010, ""), get(0x00180015, ""),
        get(0x00181030, ""), get(0x00080021, ""), get(0x00080031, ""), text_of(header, SERIES_MORE),
    )  # fmt: skip
    instance = (
        header.sop_class, transfer_syntax, get(0x00200013, ""), get(0x00080023, ""), get(0x00080033, ""),
        get(0x00080008, ""), get(0x00280008, ""), get(0x00280010, ""), get(0x00280011, ""),
        text_of(header, IMAGE_MORE),
    )  # fmt: skip
    known = (study, series, patient, study_values, series_values, calling, header.marked)
    return Entry(
        header.sop_instance, known, patient, study, study_values, series, series_values, calling, header.marked,
        instance, called, header.values, onward,
    )  # fmt: skip
