"""The information models of Query/Retrieve (PS3.4 C.6): their SOP classes, levels and unique keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pacstui.dicom.dataset import DataSet
from pacstui.index.attributes import IMAGE, LEVELS, PATIENT, SERIES, STUDY, UNIQUE

_ROOT: Final = "1.2.840.10008.5.1.4.1.2."
LEVEL: Final = 0x00080052


@dataclass(frozen=True, slots=True)
class Model:
    """An information model and its levels from the top."""

    name: str
    levels: tuple[str, ...]


_PATIENT_ROOT = Model("Patient Root", LEVELS)
_STUDY_ROOT = Model("Study Root", (STUDY, SERIES, IMAGE))
_PATIENT_STUDY = Model("Patient/Study Only", (PATIENT, STUDY))

FIND: Final = {_ROOT + "1.1": _PATIENT_ROOT, _ROOT + "2.1": _STUDY_ROOT, _ROOT + "3.1": _PATIENT_STUDY}
MOVE: Final = {_ROOT + "1.2": _PATIENT_ROOT, _ROOT + "2.2": _STUDY_ROOT, _ROOT + "3.2": _PATIENT_STUDY}
GET: Final = {_ROOT + "1.3": _PATIENT_ROOT, _ROOT + "2.3": _STUDY_ROOT, _ROOT + "3.3": _PATIENT_STUDY}
MODELS: Final = FIND | MOVE | GET
"""By SOP class."""

RELATIONAL, COMBINED, FUZZY = 0, 1, 2
"""Bytes of the application information of extended negotiation (PS3.4 C.5.1.1)."""


class WrongIdentifier(Exception):
    """The identifier does not fit its SOP class: answered with A900H and the offending tags (PS3.4 C.4.1.1.4)."""

    def __init__(self, comment: str, *offending: int) -> None:
        super().__init__(comment)
        self.comment = comment
        self.offending = offending


def level_of(model: Model, identifier: DataSet) -> str:
    """Return the level that an identifier asks for.

    Raises
    ------
    WrongIdentifier
        When it names none of the model's.
    """
    level = identifier.text(LEVEL)
    if level not in model.levels:
        told = f"{model.name} has no level {level}" if level else "Query/Retrieve Level is missing"
        raise WrongIdentifier(told, LEVEL)
    return level


def check_above(model: Model, level: str, identifier: DataSet) -> None:
    """See that the unique keys of the levels above have one value each (PS3.4 C.4.1.2.1).

    Raises
    ------
    WrongIdentifier
        Naming those that do not.
    """
    wrong = []
    for above in model.levels[: model.levels.index(level)]:
        value = identifier.text(UNIQUE[above])
        if (
            not value
            or "\\" in value
            or (above != PATIENT and not set(value) <= set("0123456789."))
            or (above == PATIENT and ("*" in value or "?" in value))
        ):
            wrong.append(UNIQUE[above])
    if wrong:
        raise WrongIdentifier("unique keys of the levels above need one value each", *wrong)


def options_of(information: bytes, offered: bytes) -> bytes:
    """Return the answer to extended negotiation: what is asked for and offered, as long as it was proposed."""
    return bytes(
        1 if asked == 1 and at < len(offered) and offered[at] else 0 for at, asked in enumerate(information[:6])
    )
