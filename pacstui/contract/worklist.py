"""The noun ``worklist``: what is scheduled today, where it stands, and what was performed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import Danger, action
from pacstui.contract.privacy import PatientId, PatientText, PatientTexts

STATES = ("scheduled", "arrived", "on hold", "in progress", "completed", "no images yet", "discontinued", "cancelled")
"""Where a step stands. ``no images yet`` is a completed one of which nothing has arrived; ``on hold`` one that has not
begun and is not to be done now: no modality is told of it."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """A scheduled procedure step with its order and patient; dates and times as in DICOM (YYYYMMDD, HHMMSS, local).

    ``expected`` is the number of instances that its performed procedure step names, -1 if it has not said; ``received``
    how many of its study are here. ``late_min`` is how many minutes it is overdue, 0 if it is not. ``held`` says who
    put its order on hold and since when, ``held_why`` why; empty if it is on none.
    """

    id: int
    order: int
    date: str
    time: str
    modality: str
    station_ae: str
    room: str
    state: str
    patient_name: PatientText
    patient_id: PatientId
    issuer: str
    birth_date: PatientText
    sex: str
    accession: PatientText
    description: str
    procedure_id: str
    step_id: str
    study: str
    priority: str
    physician: str
    expected: int
    received: int
    late_min: int
    source: str
    held: str = ""
    held_why: PatientText = ""


@dataclass(frozen=True, slots=True)
class StepPage:
    """Steps by date and time; ``next`` is the cursor of those after, empty if there are none."""

    rows: tuple[StepRow, ...]
    next: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How many steps of a modality (and room, where one is named) stand where."""

    modality: str
    room: str
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class UnorderedRow:
    """A study of the day that belongs to no order."""

    study: str
    patient_name: PatientText
    patient_id: PatientId
    accession: PatientText
    modality: str
    description: str
    calling: str
    instances: int
    first: datetime


@dataclass(frozen=True, slots=True)
class WorklistView:
    """A day: where its steps stand, and studies without an order."""

    day: str
    standing: tuple[Standing, ...]
    unordered: int


@dataclass(frozen=True, slots=True)
class PerformedRow:
    """A performed procedure step (PS3.4 F.7): IN PROGRESS, COMPLETED or DISCONTINUED; ``step`` is 0 if it was done
    without an order. ``forwarded`` says in words who was told of it, who not yet, and who refused it."""

    id: int
    sop_instance: str
    state: str
    station_ae: str
    modality: str
    patient_name: PatientText
    patient_id: PatientId
    study: str
    accession: PatientText
    step: int
    started: str
    ended: str
    expected: int
    received: int
    reason: str
    forwarded: str


@dataclass(frozen=True, slots=True)
class StepView:
    """A step, what was performed of it, and what happened to its order, oldest first, as sentences."""

    row: StepRow
    performed: tuple[PerformedRow, ...]
    codes: tuple[str, ...]
    reason: PatientText
    comments: PatientText
    referring: str
    placer: PatientText
    filler: PatientText
    history: PatientTexts


class Worklist(Protocol):
    """The modality worklist and performed procedures."""

    @action("day", "Show where a day's procedures stand, by modality and room", permission="worklist.view")
    async def day(self, day: str = "") -> WorklistView: ...

    @action("list", "List scheduled procedure steps", permission="worklist.view")
    async def steps(
        self, day: str = "", modality: str = "", state: str = "", search: PatientText = "", after: str = "",
        limit: int = 100,
    ) -> StepPage: ...  # fmt: skip

    @action("show", "Show a scheduled procedure step and what was performed of it", permission="worklist.view")
    async def step(self, id: int) -> StepView: ...

    @action("unordered", "List a day's studies that belong to no order", permission="worklist.view", key="u")
    async def unordered(self, day: str = "", limit: int = 200) -> tuple[UnorderedRow, ...]: ...

    @action("performed", "List performed procedure steps", permission="worklist.view", key="p")
    async def performed(
        self, day: str = "", state: str = "", before: int = 0, limit: int = 100
    ) -> tuple[PerformedRow, ...]: ...

    @action("again", "Pass a performed procedure step on again", permission="worklist.edit", audited=True, key="a")
    async def again(self, performed: int) -> int: ...

    @action("new", "Enter a worklist item by hand", permission="worklist.edit", audited=True, key="n")
    async def add(
        self, patient_id: PatientId, patient_name: PatientText, modality: str, date: str = "", time: str = "",
        issuer: str = "", birth_date: PatientText = "", sex: str = "", accession: PatientText = "",
        description: str = "", station_ae: str = "", room: str = "", priority: str = "", referring: str = "",
        done: bool = False,
    ) -> StepRow: ...  # fmt: skip

    @action("edit", "Change a worklist item", permission="worklist.edit", audited=True, key="e")
    async def change(
        self, id: int, modality: str | None = None, date: str | None = None, time: str | None = None,
        description: str | None = None, station_ae: str | None = None, room: str | None = None,
        priority: str | None = None, accession: PatientText | None = None,
    ) -> StepRow: ...  # fmt: skip

    @action("set", "Set where a step stands: arrived, scheduled, on hold, completed or discontinued",
            permission="worklist.edit", danger=Danger.CONFIRM, audited=True, key="s")  # fmt: skip
    async def set_state(self, id: int, state: str, why: str = "") -> StepRow: ...

    @action("cancel", "Cancel a worklist item", permission="worklist.edit", danger=Danger.CONFIRM, audited=True,
            key="x")  # fmt: skip
    async def cancel(self, id: int, why: str) -> StepRow: ...
