"""The noun ``space``: what was deleted and can come back, which studies rules let go, and repair of objects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from pacstui.contract.action import Danger, action
from pacstui.contract.jobs import RunRow
from pacstui.contract.privacy import PatientId, PatientText


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule for purging; ``told`` is what it says in words, ``when`` always or full."""

    name: str
    told: str
    when: str


@dataclass(frozen=True, slots=True)
class SpaceView:
    """Room on the volume, as percentages of it in use.

    ``trash_until`` is the day on which the oldest entry of the trash goes for good, none while it is empty.
    ``forecast`` says in words when the volume is full at the present growth, and ``next_step`` what happens then, or
    now. ``broken`` counts objects that are missing or
    damaged (beyond some thousand not counted further). ``purge_next`` is when rules are applied next, ``purge_last``
    how that went last; ``run`` is the run of a purge or repair that is under way, 0 without. ``pinned`` counts studies
    that no rule purges.
    """

    used_percent: float
    warn_percent: float
    purge_above_percent: float
    purge_until_percent: float
    total_bytes: int
    free_bytes: int
    trash_entries: int
    trash_instances: int
    trash_bytes: int
    trash_days: int
    trash_until: date | None
    forecast: str
    next_step: str
    rules: tuple[RuleRow, ...]
    broken: int
    purge_next: datetime | None
    purge_last: str
    repair_last: str
    run: int
    pinned: int = 0


@dataclass(frozen=True, slots=True)
class TrashRow:
    """One deletion. ``level`` is study, series or instance and ``uid`` its UID. ``by`` is who did it, ``rule`` the rule
    that asked for it, empty for a person. ``until`` is when it goes for good. ``problem`` says why not all of it is
    where it belongs."""

    id: int
    at: datetime
    level: str
    uid: str
    study: str
    why: str
    rule: str
    by: str
    patient_name: PatientText
    patient_id: PatientId
    date: str
    accession: PatientText
    modalities: tuple[str, ...]
    description: str
    instances: int
    bytes: int
    until: datetime
    problem: str


@dataclass(frozen=True, slots=True)
class UndoResult:
    """What came back: ``instances`` that are in the archive again, ``there`` those that it has already; ``refused``
    are SOP Instance UIDs and why they stay in the trash."""

    id: int
    study: str
    instances: int
    there: int
    refused: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Emptied:
    """What is gone for good; ``failed`` says what could not be removed, and why."""

    entries: int
    instances: int
    bytes: int
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A study that a rule is for, and why; ``kept`` says why it stays all the same, empty if it goes."""

    rule: str
    why: str
    kept: str
    study: str
    patient_name: PatientText
    patient_id: PatientId
    date: str
    accession: PatientText
    modalities: tuple[str, ...]
    description: str
    instances: int
    bytes: int


@dataclass(frozen=True, slots=True)
class PinRow:
    """A study that is pinned, by whom and why: no rule purges it. ``instances`` is 0 while the archive does not have
    it."""

    study: str
    at: datetime
    by: str
    why: PatientText
    patient_name: PatientText
    patient_id: PatientId
    date: str
    accession: PatientText
    modalities: tuple[str, ...]
    description: str
    instances: int
    bytes: int


@dataclass(frozen=True, slots=True)
class PurgePlan:
    """What a purge would do now: studies that go, in this order, and those that rules are for but something keeps.

    ``full`` tells whether rules for a full volume apply. ``studies``, ``instances`` and ``bytes`` count what goes,
    ``kept`` what stays; ``rows`` are the first of both. Whether a backup really has each object is asked of the targets
    when it is done.
    """

    rows: tuple[PlanRow, ...]
    studies: int
    instances: int
    bytes: int
    kept: int
    full: bool


class Space(Protocol):
    """Trash, rules and repair."""

    @action("show", "Show how full the volume is, the trash and the rules", permission="storage.view")
    async def show(self) -> SpaceView: ...

    @action("trash", "List what was deleted and can come back, newest first", permission="storage.view")
    async def trash(self, limit: int = 100) -> tuple[TrashRow, ...]: ...

    @action("delete", "Move a study, series or instance to the trash", permission="studies.delete",
            danger=Danger.TYPE_NAME, audited=True, key="D")  # fmt: skip
    async def delete(self, study: str, series: str = "", instance: str = "", why: str = "") -> TrashRow: ...

    @action("pin", "Pin a study: no rule purges it", permission="studies.pin", audited=True, key="p")
    async def pin(self, study: str, why: str = "") -> PinRow: ...

    @action("unpin", "Take the pin off a study", permission="studies.pin", danger=Danger.CONFIRM, audited=True)
    async def unpin(self, study: str) -> None: ...

    @action("pins", "List pinned studies, newest first", permission="storage.view")
    async def pins(self, limit: int = 100) -> tuple[PinRow, ...]: ...

    @action("undo", "Bring back what was deleted", permission="studies.delete", audited=True, key="u")
    async def undo(self, entry: int) -> UndoResult: ...

    @action("empty", "Remove something in the trash for good, or all of it", permission="storage.purge",
            danger=Danger.TYPE_NAME, audited=True, key="E")  # fmt: skip
    async def empty(self, entry: str) -> Emptied: ...

    @action("plan", "Show what the rules would purge now", permission="storage.view", key="v")
    async def plan(self, limit: int = 100) -> PurgePlan: ...

    @action("purge", "Purge what a rule says, or all of them", permission="storage.purge", danger=Danger.TYPE_NAME,
            audited=True, key="p")  # fmt: skip
    async def purge(self, rule: str) -> RunRow: ...

    @action("repair", "Get missing and damaged objects again from backups and peers", permission="storage.repair",
            audited=True, key="m")  # fmt: skip
    async def repair(self) -> RunRow: ...
