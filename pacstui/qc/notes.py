"""Rejection notes: Key Object Selection Documents that say what is not to be used any more, and why (PS3.3 A.35.4,
PS3.16 TID 2010 and CID 7011, IHE RAD TF-3 4.66)."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import BinaryIO, Final

from pacstui.dicom.syntaxes import EXPLICIT
from pacstui.dicom.uids import name_of
from pacstui.index.redirects import new_uid
from pacstui.qc.ledger import Row, rows_of
from pacstui.qc.moving import REASONS
from pacstui.transform.source import Source
from pacstui.transform.tree import Element, Item, Part10, open_object
from pacstui.transform.write import write_object

KEY_OBJECTS: Final = "1.2.840.10008.5.1.4.1.1.88.59"
_TITLE, _EVIDENCE, _CONTENT, _REFERENCED = 0x0040A043, 0x0040A375, 0x0040A730, 0x00081199
_SERIES, _STUDY = 0x0020000E, 0x0020000D
_IMAGE: Final = ("Image", "X-Ray", "Multi-frame", "Tomography", "Photography")


@dataclass(frozen=True, slots=True)
class Reference:
    """An object that a note names."""

    study: str
    series: str
    sop_class: str
    sop_instance: str


@dataclass(frozen=True, slots=True)
class Note:
    """What a rejection note says: why, by our word, and which objects it names."""

    sop_instance: str
    reason: str
    named: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A note that was made: a file (PS3.10), and its UIDs."""

    data: bytes
    sop_instance: str
    series: str


def references(connection: sqlite3.Connection, series: Sequence[int], images: Sequence[str]) -> list[Reference]:
    """Return objects as others know them now: those of some series, or some of them only."""
    found = []
    for ident in series:
        rows = rows_of(
            connection,
            "SELECT s.study, e.series, i.sop_class, i.sop_instance FROM instances i JOIN series e ON"
            " e.id = i.series JOIN studies s ON s.id = e.study WHERE e.id=? ORDER BY i.id",
            (ident,),
        )
        wanted = set(images)
        found += [
            Reference(row["study"], row["series"], row["sop_class"], row["sop_instance"])
            for row in rows if not wanted or row["sop_instance"] in wanted
        ]  # fmt: skip
    return found


def make(study: Row, named: Sequence[Reference], reason: str, why: str, at: datetime, station: str) -> Made:
    """Return a note that rejects objects of a study."""
    root = Item()
    sop_instance, series = new_uid(), new_uid()
    day, time = f"{at:%Y%m%d}", f"{at:%H%M%S}"
    for tag, vr, text in (
        (0x00080012, "DA", day), (0x00080013, "TM", time), (0x00080016, "UI", KEY_OBJECTS),
        (0x00080018, "UI", sop_instance), (0x00080020, "DA", study["date"]), (0x00080023, "DA", day),
        (0x00080030, "TM", study["time"]), (0x00080033, "TM", time), (0x00080050, "SH", study["accession"]),
        (0x00080060, "CS", "KO"), (0x00080070, "LO", "pacstui"), (0x00080090, "PN", study["referring"]),
        (0x00081010, "SH", station[:16]), (0x0008103E, "LO", REASONS[reason][1]),
        (0x00100010, "PN", study["patient_name"]), (0x00100020, "LO", study["patient_id"]),
        (0x00100030, "DA", study["birth_date"]), (0x00100040, "CS", study["sex"]), (_STUDY, "UI", study["study"]),
        (_SERIES, "UI", series), (0x00200010, "SH", study["study_id"]), (0x00200011, "IS", "1"),
        (0x00200013, "IS", "1"), (0x0040A040, "CS", "CONTAINER"), (0x0040A050, "CS", "SEPARATE"),
    ):  # fmt: skip
        root.put(tag, vr, text)
    if study["issuer"]:
        root.put(0x00100021, "LO", study["issuer"])
    _items(root, 0x00081111)  # type 2: no performed procedure step is known
    _code(_items(root, _TITLE, 1)[0], *REASONS[reason])
    template = _items(root, 0x0040A504, 1)[0]
    template.put(0x00080105, "CS", "DCMR")
    template.put(0x0040DB00, "CS", "2010")
    _evidence(root, named)
    content = _items(root, _CONTENT, len(named) + bool(why))
    if why:
        text = content[0]
        text.put(0x0040A010, "CS", "CONTAINS")
        text.put(0x0040A040, "CS", "TEXT")
        _code(_items(text, _TITLE, 1)[0], "113012", "Key Object Description")
        text.put(0x0040A160, "UT", why)
    for item, one in zip(content[bool(why) :], named, strict=True):
        item.put(0x0040A010, "CS", "CONTAINS")
        item.put(0x0040A040, "CS", "IMAGE" if any(w in name_of(one.sop_class) for w in _IMAGE) else "COMPOSITE")
        _named(_items(item, _REFERENCED, 1)[0], one)
    out = BytesIO()
    write_object(Part10(EXPLICIT, root, Source(BytesIO(b""))), out)
    return Made(out.getvalue(), sop_instance, series)


def _items(item: Item, tag: int, count: int = 0) -> list[Item]:
    made = [Item(parent=item) for _ in range(count)]
    item.elements[tag] = Element("SQ", items=made)
    return made


def _code(item: Item, value: str, meaning: str) -> None:
    item.put(0x00080100, "SH", value)
    item.put(0x00080102, "SH", "DCM")
    item.put(0x00080104, "LO", meaning)


def _named(item: Item, one: Reference) -> None:
    item.put(0x00081150, "UI", one.sop_class)
    item.put(0x00081155, "UI", one.sop_instance)


def _evidence(root: Item, named: Sequence[Reference]) -> None:
    studies = list(dict.fromkeys(each.study for each in named))
    for item, study in zip(_items(root, _EVIDENCE, len(studies)), studies, strict=True):
        item.put(_STUDY, "UI", study)
        series = list(dict.fromkeys(each.series for each in named if each.study == study))
        for inner, uid in zip(_items(item, 0x00081115, len(series)), series, strict=True):
            inner.put(_SERIES, "UI", uid)
            of = [each for each in named if (each.study, each.series) == (study, uid)]
            for one, each in zip(_items(inner, _REFERENCED, len(of)), of, strict=True):
                _named(one, each)


def read(file: BinaryIO) -> Note | None:
    """Return what a key object document rejects; None for one that is no rejection note.

    Raises
    ------
    TransformError
        Where its bytes cannot be followed.
    """
    part = open_object(file)
    try:
        root = part.root
        title = _first(root, _TITLE)
        if root.text(0x00080016) != KEY_OBJECTS or title is None or title.text(0x00080102) != "DCM":
            return None
        reason = next((word for word, (code, _) in REASONS.items() if code == title.text(0x00080100)), "")
        if not reason:
            return None
        named = [
            Reference(study.text(_STUDY), series.text(_SERIES), one.text(0x00081150), one.text(0x00081155))
            for study in _all(root, _EVIDENCE)
            for series in _all(study, 0x00081115)
            for one in _all(series, _REFERENCED)
        ]
        return Note(root.text(0x00080018), reason, tuple(each for each in named if each.sop_instance))
    finally:
        part.close()


def _all(item: Item, tag: int) -> list[Item]:
    element = item.elements.get(tag)
    return list(element.items or ()) if element is not None else []


def _first(item: Item, tag: int) -> Item | None:
    return next(iter(_all(item, tag)), None)
