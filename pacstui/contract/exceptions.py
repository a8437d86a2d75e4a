"""The noun ``exceptions``: studies that do not fit their order or patient, beside what was expected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import Danger, action
from pacstui.contract.privacy import PatientId, PatientText

STATES = ("matched", "probable", "unmatched", "conflicting", "not expected")
"""How well a study fits: to one order in all that counts; to one, with differences that a slip explains; to none; what
it says of patient and order contradicts itself; or no order is expected for it."""


@dataclass(frozen=True, slots=True)
class ExceptionRow:
    """A study and how well it fits. ``order`` is the best candidate, 0 if there is none; ``score`` 0 to 100 how much
    speaks for it; ``why`` says in words what does not fit. ``settled`` says who took it as it is, empty if nobody.
    ``held`` says who put that order on hold and since when, ``held_why`` why; empty if it is on none."""

    study: str
    state: str
    patient_name: PatientText
    patient_id: PatientId
    accession: PatientText
    modality: str
    description: str
    calling: str
    instances: int
    received: datetime
    order: int
    score: int
    why: PatientText
    settled: str = ""
    held: str = ""
    held_why: PatientText = ""


@dataclass(frozen=True, slots=True)
class ExceptionPage:
    """Exceptions, newest first; ``next`` is the cursor of those before, 0 if there are none."""

    rows: tuple[ExceptionRow, ...]
    next: int
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """One attribute side by side. ``mark`` is same, near (a slip), different or missing; ``how`` says in words what is
    not the same."""

    attribute: str
    arrived: PatientText
    expected: PatientText
    mark: str
    how: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An order that the study may belong to, beside what arrived; ``order`` is 0 for a patient who has none. ``state``
    is where the order stands; ``held`` and ``held_why`` as in `ExceptionRow`."""

    order: int
    step: int
    patient_name: PatientText
    patient_id: PatientId
    accession: PatientText
    modality: str
    description: str
    scheduled: str
    score: int
    differences: tuple[Difference, ...]
    reasons: tuple[str, ...]
    issuer: str = ""
    state: str = ""
    held: str = ""
    held_why: PatientText = ""


@dataclass(frozen=True, slots=True)
class SaidText:
    """A value, empty for none, and how many objects of a study have it."""

    value: PatientText
    objects: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An attribute that objects of one study say otherwise, most of them first."""

    attribute: str
    values: tuple[SaidText, ...]


@dataclass(frozen=True, slots=True)
class ExceptionView:
    """A study beside the orders that it may belong to, best first. ``disagreements`` are where its objects disagree;
    ``looked`` is how many of them were looked at for that."""

    row: ExceptionRow
    candidates: tuple[Candidate, ...]
    disagreements: tuple[Disagreement, ...] = ()
    looked: int = 0


class Exceptions(Protocol):
    """Reconciliation of studies with orders and patients."""

    @action("list", "List studies that do not fit an order or patient", permission="qc.view")
    async def list_all(
        self, state: str = "", search: PatientText = "", settled: bool = False, before: int = 0, limit: int = 100
    ) -> ExceptionPage: ...

    @action("show", "Show what arrived beside what was expected", permission="qc.view")
    async def show(self, study: str, search: PatientText = "") -> ExceptionView: ...

    @action("settle", "Take a study as it is, and off the list", permission="qc.correct", danger=Danger.CONFIRM,
            audited=True, key="t")  # fmt: skip
    async def settle(self, study: str, why: str) -> ExceptionRow: ...

    @action("match", "Match a study with orders again", permission="qc.correct", key="m")
    async def match(self, study: str) -> ExceptionRow: ...

    @action("reopen", "Put a study that was taken as it is back on the list", permission="qc.correct", audited=True)
    async def reopen(self, study: str) -> ExceptionRow: ...
