"""The noun ``corrections``: putting a wrong study right, previewed and reversible; the originals are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import Danger, action
from pacstui.contract.privacy import PatientId, PatientText, PatientTexts


@dataclass(frozen=True, slots=True)
class ChangeText:
    """One attribute, as it is and as it will be; ``level`` is patient, study, series or image."""

    level: str
    attribute: str
    old: PatientText
    new: PatientText


@dataclass(frozen=True, slots=True)
class Downstream:
    """A destination that already got the wrong copy: how many objects, when last, and what it was sent about it since
    (nothing, rejection note, right copy)."""

    destination: str
    instances: int
    last: datetime | None
    told: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a correction would do. ``token`` is given to `apply`; it holds while nothing that counts has changed.

    ``sentence`` says it in words, with numbers; ``doubts`` what speaks against it. ``patient_id`` is whose study it is.
    ``already`` are attributes that an order or patient gives and that are so here (old and new are the same); ``since``
    says in sentences what has changed since the preview that this one takes the place of.
    """

    token: str
    sentence: PatientText
    changes: tuple[ChangeText, ...]
    studies: tuple[str, ...]
    series: int
    instances: int
    new_uids: bool
    downstream: tuple[Downstream, ...]
    doubts: tuple[PatientText, ...]
    patient_id: PatientId = ""
    already: tuple[ChangeText, ...] = ()
    since: PatientTexts = ()


@dataclass(frozen=True, slots=True)
class CorrectionRow:
    """A correction. ``kind`` is assign, edit, split, merge, move or reject; ``state`` is on or undone. ``reversible``
    says why it cannot be undone any more, empty if it can."""

    id: int
    at: datetime
    by: str
    kind: str
    study: str
    patient_name: PatientText
    patient_id: PatientId
    sentence: PatientText
    why: str
    state: str
    instances: int
    undone_by: str
    undone: datetime | None
    irreversible: str
    downstream: tuple[Downstream, ...] = ()


@dataclass(frozen=True, slots=True)
class CorrectionPage:
    """Corrections, newest first; ``next`` is the cursor of those before, 0 if there are none."""

    rows: tuple[CorrectionRow, ...]
    next: int


class Corrections(Protocol):
    """Corrections of studies. Each kind is previewed first; `apply` does what was previewed."""

    @action("list", "List corrections, newest first", permission="qc.view")
    async def list_all(self, study: str = "", before: int = 0, limit: int = 100) -> CorrectionPage: ...

    @action("assign", "Preview giving a study to an order, or to a patient", permission="qc.correct", key="a")
    async def assign(self, study: str, order: int = 0, patient_id: PatientId = "", issuer: str = "") -> Preview: ...

    @action("edit", "Preview changing what a study, series or image says", permission="qc.correct", key="e")
    async def edit(
        self, study: str, changes: dict[str, PatientText], series: tuple[str, ...] = (), images: tuple[str, ...] = ()
    ) -> Preview: ...

    @action("split", "Preview taking series out of a study into one of their own", permission="qc.correct", key="t")
    async def split(self, study: str, series: tuple[str, ...], order: int = 0) -> Preview: ...

    @action("merge", "Preview putting a study into another one of the same patient", permission="qc.correct", key="m")
    async def merge(self, study: str, into: str) -> Preview: ...

    @action("move", "Preview moving series into another study", permission="qc.correct", key="v")
    async def move(self, study: str, series: tuple[str, ...], into: str) -> Preview: ...

    @action("reject", "Preview rejecting a study, series or images, with a reason (IHE IOCM)", permission="qc.correct",
            key="x")  # fmt: skip
    async def reject(
        self, study: str, reason: str, series: tuple[str, ...] = (), images: tuple[str, ...] = ()
    ) -> Preview: ...

    @action("renew", "Bring a preview that does not hold any more up to date, and say what changed since",
            permission="qc.correct")  # fmt: skip
    async def renew(self, token: str) -> Preview: ...

    @action("apply", "Do what was previewed", permission="qc.correct", danger=Danger.CONFIRM, audited=True)
    async def apply(self, token: str, why: str) -> CorrectionRow: ...

    @action("undo", "Undo a correction", permission="qc.correct", danger=Danger.CONFIRM, audited=True, key="z")
    async def undo(self, id: int, why: str) -> CorrectionRow: ...

    @action("tell", "Send destinations that got the wrong copy the rejection note and the right one",
            permission="qc.correct", danger=Danger.CONFIRM, audited=True, key="n")  # fmt: skip
    async def tell(self, id: int, destinations: tuple[str, ...] = ()) -> CorrectionRow: ...
