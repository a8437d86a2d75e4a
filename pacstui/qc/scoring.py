"""How much speaks for a study and an order belonging together: points for each attribute, explained in words.

Each attribute gives points by how it compares; they are added, and held between 0 and 100. So more agreement in one
attribute never scores less, whatever the others say, and what one side does not tell neither helps nor harms. No I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pacstui.index.fold import fold
from pacstui.qc import likeness
from pacstui.qc.likeness import MISSING, SAME, Kind, Likeness

STUDY, ACCESSION, ID, NAME, BORN = "study UID", "accession number", "patient ID", "name", "born"
SEX, MODALITY, STATION, TIME, PROCEDURE, STATE = "sex", "modality", "station", "time", "procedure", "order state"

POINTS: Final[dict[str, tuple[int, int, int, int]]] = {
    STUDY: (0, 0, 0, 60),
    ACCESSION: (-25, 5, 40, 45),
    ID: (-20, 12, 27, 30),
    NAME: (-25, 14, 19, 20),
    BORN: (-20, 8, 14, 15),
    SEX: (-8, 0, 3, 3),
    MODALITY: (-12, 0, 4, 8),
    STATION: (-1, 0, 4, 4),
    TIME: (-8, 0, 4, 8),
    PROCEDURE: (0, 1, 2, 4),
    STATE: (-10, -5, 0, 0),
}
"""By attribute, the points where it is different, a slip, the same written another way, and the same. What is missing
has none."""
_RELATED: Final = ({"CR", "DX", "RG", "RF"}, {"PT", "CT", "NM"}, {"XA", "RF", "XC"}, {"MR", "PT"}, {"US", "IVUS"})
"""Modalities of which one stands for another in orders, or comes with it in one study."""
_CLOSE: Final = timedelta(hours=3)
_NEAR: Final = timedelta(hours=30)
_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Arrived:
    """What a study says of itself. ``stations`` are the AE titles that sent it and the names of its stations;
    ``moment`` is local time."""

    study: str = ""
    accession: str = ""
    patient_id: str = ""
    issuer: str = ""
    name: str = ""
    born: str = ""
    sex: str = ""
    modalities: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()
    moment: datetime | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """What an order (with one of its steps) says. ``former`` are other IDs of its patient, with their issuers, which
    were merged into the present one, ``former_names`` what the patient was called before; ``others`` how many other
    studies are matched to the order already; ``held`` who put it on hold and since when, ``held_why`` why."""

    order: int = 0
    step: int = 0
    study: str = ""
    accession: str = ""
    patient_id: str = ""
    issuer: str = ""
    former: tuple[tuple[str, str], ...] = ()
    name: str = ""
    former_names: tuple[str, ...] = ()
    born: str = ""
    sex: str = ""
    modality: str = ""
    stations: tuple[str, ...] = ()
    moment: datetime | None = None
    timed: bool = True
    description: str = ""
    state: str = ""
    others: int = 0
    held: str = ""
    held_why: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One attribute side by side: how it compares, the points that gives, and in words what is not the same."""

    attribute: str
    arrived: str
    expected: str
    kind: Kind
    points: int
    how: str = ""


@dataclass(frozen=True, slots=True)
class Scored:
    """An order, and how well it fits."""

    expected: Expected
    score: int
    parts: tuple[Part, ...]

    def kind(self, attribute: str) -> Kind:
        """Return how an attribute compares."""
        return next((part.kind for part in self.parts if part.attribute == attribute), Kind.MISSING)

    @property
    def linked(self) -> bool:
        """Whether study UID or accession number say that it is this order."""
        return self.kind(STUDY) is Kind.SAME or self.kind(ACCESSION) >= Kind.ALIKE


def _points(attribute: str, kind: Kind) -> int:
    if kind is Kind.MISSING:
        return 0
    different, slip, alike, same = POINTS[attribute]
    return {Kind.DIFFERENT: different, Kind.SLIP: slip, Kind.ALIKE: alike, Kind.SAME: same}[kind]


def _study(a: Arrived, e: Expected) -> Likeness:
    if not a.study or not e.study:
        return MISSING
    return SAME if a.study == e.study else Likeness(Kind.DIFFERENT, "the modality made one of its own")


def _issuers(one: str, other: str) -> bool:
    """Return whether two issuers may be one: one that is not told may be any."""
    return not one or not other or fold(one) == fold(other)


def _patient_id(a: Arrived, e: Expected) -> Likeness:
    found = likeness.identifiers(a.patient_id, e.patient_id)
    if found.kind >= Kind.SLIP and not _issuers(a.issuer, e.issuer):
        found = Likeness(Kind.DIFFERENT, "the same digits, of another issuer")
    if found.kind <= Kind.SLIP and a.patient_id.strip():
        for ident, issuer in e.former:
            if likeness.identifiers(a.patient_id, ident).kind >= Kind.ALIKE and _issuers(a.issuer, issuer):
                return Likeness(Kind.ALIKE, "a former ID of this patient")
    return found


def _name(a: Arrived, e: Expected) -> Likeness:
    found = likeness.names(a.name, e.name)
    if found.kind <= Kind.SLIP and any(likeness.names(a.name, name).kind >= Kind.ALIKE for name in e.former_names):
        return Likeness(Kind.ALIKE, "a former name of this patient")
    return found


def _sex(a: Arrived, e: Expected) -> Likeness:
    one, other = a.sex.strip().upper()[:1], e.sex.strip().upper()[:1]
    if one not in ("M", "F") or other not in ("M", "F"):
        return MISSING
    return SAME if one == other else Likeness(Kind.DIFFERENT, "the other one")


def _modality(a: Arrived, e: Expected) -> Likeness:
    wanted = e.modality.strip().upper()
    there = {each.strip().upper() for each in a.modalities} - {""}
    if not wanted or not there:
        return MISSING
    if wanted in there:
        return SAME
    if any(wanted in group and there & group for group in _RELATED):
        return Likeness(Kind.ALIKE, "a related one")
    return Likeness(Kind.DIFFERENT, "another one")


def _station(a: Arrived, e: Expected) -> Likeness:
    there, wanted = ({fold(each) for each in side} - {""} for side in (a.stations, e.stations))
    if not there or not wanted:
        return MISSING
    return SAME if there & wanted else Likeness(Kind.DIFFERENT, "another one")


def _time(a: Arrived, e: Expected) -> Likeness:
    if a.moment is None or e.moment is None:
        return MISSING
    if not e.timed and a.moment.date() == e.moment.date():
        return SAME
    try:
        apart = abs(a.moment - e.moment)
    except (OverflowError, TypeError):
        return MISSING
    if apart <= _CLOSE:
        return SAME
    late = "later" if a.moment > e.moment else "earlier"
    hours = round(apart / timedelta(hours=1))
    told = f"{hours} h {late}" if hours < 48 else f"{hours // 24} days {late}"
    if apart <= _NEAR:
        return Likeness(Kind.ALIKE, told)
    return Likeness(Kind.SLIP if apart <= _WEEK else Kind.DIFFERENT, told)


def _procedure(a: Arrived, e: Expected) -> Likeness:
    one, other = fold(a.description), fold(e.description)
    if not one or not other:
        return MISSING
    if one == other:
        return SAME
    first, second = (set(text.replace("/", " ").replace("-", " ").split()) for text in (one, other))
    shared = first & second
    if not shared:
        return Likeness(Kind.DIFFERENT, "other words")
    return Likeness(Kind.ALIKE if 2 * len(shared) >= min(len(first), len(second)) else Kind.SLIP, "some words shared")


def _state(a: Arrived, e: Expected) -> Likeness:
    if e.state == "cancelled":
        return Likeness(Kind.DIFFERENT, "the order was cancelled")
    if e.others:
        return Likeness(Kind.SLIP, "another study is matched to it already")
    return SAME


def _when(moment: datetime | None, timed: bool = True) -> str:
    if moment is None:
        return ""
    return f"{moment:%Y-%m-%d %H:%M}" if timed else f"{moment:%Y-%m-%d}"


def _whose(ident: str, issuer: str) -> str:
    return f"{ident} ({issuer})" if issuer and ident else ident


_Compare = tuple[
    str, Callable[[Arrived, Expected], Likeness], Callable[[Arrived], str], Callable[[Expected], str]
]  # fmt: skip
_COMPARED: Final[tuple[_Compare, ...]] = (
    (NAME, _name, lambda a: a.name, lambda e: e.name),
    (ID, _patient_id, lambda a: _whose(a.patient_id, a.issuer), lambda e: _whose(e.patient_id, e.issuer)),
    (BORN, lambda a, e: likeness.dates(a.born, e.born), lambda a: a.born, lambda e: e.born),
    (SEX, _sex, lambda a: a.sex, lambda e: e.sex),
    (
        ACCESSION, lambda a, e: likeness.identifiers(a.accession, e.accession), lambda a: a.accession,
        lambda e: e.accession,
    ),
    (MODALITY, _modality, lambda a: "/".join(a.modalities), lambda e: e.modality),
    (PROCEDURE, _procedure, lambda a: a.description, lambda e: e.description),
    (TIME, _time, lambda a: _when(a.moment), lambda e: _when(e.moment, e.timed)),
    (STATION, _station, lambda a: ", ".join(a.stations), lambda e: ", ".join(each for each in e.stations if each)),
    (STUDY, _study, lambda a: a.study, lambda e: e.study),
    (STATE, _state, lambda a: "", lambda e: e.state),
)  # fmt: skip


def score(arrived: Arrived, expected: Expected) -> Scored:
    """Compare a study with an order; the parts stand in the order in which people look at them."""
    parts = []
    for attribute, compare, of_arrived, of_expected in _COMPARED:
        found = compare(arrived, expected)
        parts.append(
            Part(
                attribute, of_arrived(arrived), of_expected(expected), found.kind, _points(attribute, found.kind),
                found.how,
            )
        )  # fmt: skip
    return Scored(expected, max(0, min(100, sum(part.points for part in parts))), tuple(parts))
