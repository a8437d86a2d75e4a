"""What objects of a study say of their patient and order, read from some of them.

The index cannot tell: where the ID is one that the RIS knows, it has the name, birth date and sex that the RIS told,
not those that came. Only where somebody corrected a study is what the index has also what it says.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pacstui.dicom import header

_READ: Final = 1 << 18
"""Bytes of a data set in which the patient's attributes are looked for."""
_SAMPLED: Final = 6
"""Series of which an object is read where it was not counted what all of them say."""
_SOME: Final = (
    "SELECT i.path, i.data_offset, i.transfer_syntax FROM instances i WHERE i.id IN (SELECT min(o.id) FROM studies s"
    " JOIN series e ON e.study = s.id JOIN instances o ON o.series = e.id WHERE s.study=? AND o.missing=0"
    " GROUP BY e.id ORDER BY 1 LIMIT ?) ORDER BY i.id"
)
_CORRECTED: Final = (
    "SELECT c.kind, coalesce(json_extract(c.body, '$.order'), 0) FROM corrected_studies t"
    " JOIN corrections c ON c.id = t.correction WHERE t.study=? AND c.state='on' ORDER BY c.id DESC"
)


@dataclass(frozen=True, slots=True)
class Told:
    """The patient as an object names them, and its Accession Number."""

    name: str
    patient_id: str
    issuer: str
    born: str
    sex: str
    accession: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object of a study is."""

    study: str
    path: str
    offset: int
    transfer_syntax: str


def places(connection: sqlite3.Connection, studies: Iterable[str]) -> list[Place]:
    """Return where objects are to be read: the first one of each series, of not too many."""
    return [Place(study, *row) for study in studies for row in connection.execute(_SOME, (study, _SAMPLED))]


def corrected(connection: sqlite3.Connection, study: str) -> int | None:
    """Return the order that somebody gave a study to, 0 if it was corrected otherwise, none if not at all."""
    rows = connection.execute(_CORRECTED, (study,)).fetchall()
    if not rows:
        return None
    return next((int(order) for kind, order in rows if kind == "assign"), 0)


def read(root: Path, where: Iterable[Place]) -> list[tuple[str, Told]]:
    """Read what objects say, each with its study; one that cannot be read says nothing here. Blocks: not on the event
    loop."""
    found = []
    for place in where:
        try:
            with open(root / place.path, "rb", buffering=0) as file:
                file.seek(place.offset)
                data = file.read(_READ)
        except OSError:
            continue  # it is told elsewhere that objects cannot be read; the index has to do
        head = header.read(data, place.transfer_syntax)
        if head is not None and (head.values or not head.cut):
            told = Told(
                head.get(0x00100010), head.get(0x00100020), head.get(0x00100021), head.get(0x00100030),
                head.get(0x00100040), head.get(0x00080050),
            )  # fmt: skip
            found.append((place.study, told))
    return found
