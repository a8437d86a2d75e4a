"""What the best candidates of a study come to: matched, probable, unmatched or conflicting, and why, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pacstui.qc import scoring
from pacstui.qc.likeness import Kind
from pacstui.qc.scoring import Arrived, Part, Scored
from pacstui.text import person

MATCHED, PROBABLE, UNMATCHED, CONFLICTING, APART = "matched", "probable", "unmatched", "conflicting", "not expected"
"""``APART`` is a study for which no order is expected: no exception."""
_PERSON: Final = (scoring.ID, scoring.NAME, scoring.BORN)
_COUNTS: Final = (scoring.NAME, scoring.ID, scoring.BORN, scoring.SEX)
WHO: Final = _COUNTS
"""The attributes that say who a patient is."""
_TOLD: Final = (*_COUNTS, scoring.ACCESSION, scoring.MODALITY, scoring.STATE, scoring.TIME)
_CLEAR: Final = 10
"""Points that the best candidate has to be ahead of the next order, unless UID or accession number name it."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores from which a study is matched, and from which an order is probably its own."""

    matched: int = 80
    probable: int = 40


@dataclass(frozen=True, slots=True)
class Doubts:
    """What speaks against a study whatever orders there are: ``conflict`` of the index (objects of two patients),
    ``issuers`` of which each knows the ID that the study has without one; ``patient`` whether its ID is known, and
    ``owner``, if the patient who has it is somebody else, in words what differs."""

    conflict: str = ""
    issuers: tuple[str, ...] = ()
    patient: bool = False
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How well a study fits, to which order (0: none), and why, in words."""

    state: str
    order: int
    step: int
    score: int
    why: str


def _strikes(scored: Scored) -> tuple[int, int]:
    """Return how many of ID, name and birth date are different, and how many agree at least but for a slip."""
    kinds = [scored.kind(attribute) for attribute in _PERSON]
    return sum(kind is Kind.DIFFERENT for kind in kinds), sum(kind >= Kind.SLIP for kind in kinds)


def contradicts(scored: Scored) -> bool:
    """Return whether the patient of an order cannot well be the one that a study names: two of ID, name and birth date
    are different, or one is and the others do not both agree."""
    against, agree = _strikes(scored)
    return against >= 2 or (against == 1 and agree < 2)


def _person(scored: Scored) -> str:
    e = scored.expected
    return f"{person(e.name)} ({e.patient_id})" if e.name else e.patient_id


def _said(part: Part) -> str:
    if part.attribute == scoring.STATE:
        return part.how
    if part.attribute == scoring.TIME:
        return part.how
    return f"{part.attribute}: {part.how}"


def differences(scored: Scored, attributes: Sequence[str] = _TOLD) -> str:
    """Return in words what is not the same, gravest first."""
    parts = [p for p in scored.parts if p.attribute in attributes and p.kind in (Kind.DIFFERENT, Kind.SLIP) and p.how]
    return "; ".join(_said(part) for part in sorted(parts, key=lambda p: p.points))


def _smooth(scored: Scored) -> bool:
    """Return whether nothing that counts is different or a slip."""
    if scored.kind(scoring.STATE) is Kind.DIFFERENT:
        return False
    return all(scored.kind(attribute) not in (Kind.DIFFERENT, Kind.SLIP) for attribute in (*_COUNTS, scoring.ACCESSION))


def rank(found: Sequence[Scored]) -> list[Scored]:
    """Return candidates best first, one for each order: the step that fits best."""
    best: dict[int, Scored] = {}
    for each in found:
        there = best.get(each.expected.order)
        if there is None or _total(each) > _total(there):
            best[each.expected.order] = each
    return sorted(best.values(), key=lambda each: (each.score, _total(each), each.expected.order), reverse=True)


def _total(scored: Scored) -> int:
    return sum(part.points for part in scored.parts)


def _best(ranked: Sequence[Scored]) -> Scored | None:
    """Return the candidate that counts: one that UID or accession number name, though it is somebody else's; else the
    best that may be it at all."""
    tied = next((each for each in ranked if each.linked), None)
    if tied is not None and contradicts(tied):
        return tied
    return next((each for each in ranked if plausible(each)), ranked[0] if ranked else None)


def judge(arrived: Arrived, ranked: Sequence[Scored], doubts: Doubts, thresholds: Thresholds) -> Verdict:
    """Return how well a study fits to the best of its candidates.

    A study that UID or accession number tie to an order of somebody else is conflicting, not unmatched, as is one whose
    ID belongs to somebody with another name and birth date: its images may be seen under the wrong patient.
    """
    best = _best(ranked)
    if doubts.conflict:
        return _verdict(CONFLICTING, best, thresholds, doubts.conflict)
    if doubts.owner and (best is None or not best.linked or best.kind(scoring.ID) is Kind.DIFFERENT):
        return _verdict(CONFLICTING, best, thresholds, f"its patient ID is somebody else's: {doubts.owner}")
    if best is None:
        return Verdict(UNMATCHED, 0, 0, 0, _nobody(arrived, doubts))
    if best.linked and contradicts(best):
        tie = "accession number" if best.kind(scoring.ACCESSION) >= Kind.ALIKE else "study UID"
        told = f"its {tie} is that of an order for somebody else, {_person(best)}: {differences(best, _COUNTS)}"
        right = next((each for each in ranked if plausible(each) and not contradicts(each)), None)
        if right is None or right.score < thresholds.probable:
            right = best
        return Verdict(CONFLICTING, right.expected.order, right.expected.step, right.score, told)
    if len(doubts.issuers) > 1 and not best.linked:
        told = f"its patient ID has no issuer and is known from several: {', '.join(doubts.issuers)}"
        return _verdict(CONFLICTING, best, thresholds, told)
    if best.score < thresholds.probable or not plausible(best):
        return Verdict(UNMATCHED, 0, 0, best.score, _nobody(arrived, doubts, best))
    rivals = [each for each in ranked if each is not best and plausible(each) and not contradicts(each)]
    close = not best.linked and any(each.score > best.score - _CLEAR for each in rivals)
    if best.score >= thresholds.matched and _smooth(best) and not close:
        return Verdict(MATCHED, best.expected.order, best.expected.step, best.score, "")
    told = differences(best)
    if close:
        told = "; ".join(filter(None, (told, "another order fits nearly as well")))
    if not told:
        told = "nothing differs, but little is told: " + _silent(best)
    return Verdict(PROBABLE, best.expected.order, best.expected.step, best.score, told)


def plausible(scored: Scored) -> bool:
    """Return whether a study may be what was ordered: named by UID or accession number, else not of another time or
    modality, and not of another day where a study of the order is there."""
    if scored.linked:
        return True
    if Kind.DIFFERENT in (scored.kind(scoring.TIME), scored.kind(scoring.MODALITY)):
        return False
    return scored.kind(scoring.STATE) is not Kind.SLIP or scored.kind(scoring.TIME) >= Kind.ALIKE


def _verdict(state: str, best: Scored | None, thresholds: Thresholds, why: str) -> Verdict:
    if best is None or best.score < thresholds.probable or not plausible(best):
        return Verdict(state, 0, 0, best.score if best else 0, why)
    return Verdict(state, best.expected.order, best.expected.step, best.score, why)


def _silent(scored: Scored) -> str:
    missing = [a for a in (scoring.ACCESSION, scoring.ID, scoring.NAME, scoring.BORN) if scored.kind(a) is Kind.MISSING]
    return f"{', '.join(missing)} missing" if missing else "few attributes agree"


def _nobody(arrived: Arrived, doubts: Doubts, best: Scored | None = None) -> str:
    if not arrived.patient_id.strip():
        told = "it has no patient ID"
    elif doubts.patient:
        told = "its patient has no order that fits"
    else:
        told = "no patient with its ID is known"
    if arrived.accession.strip() and (best is None or not best.linked):
        told += ", no order has its accession number"
    elif not arrived.accession.strip():
        told += ", it has no accession number"
    return told
