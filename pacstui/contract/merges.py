"""The noun ``merges``: patients that messages of the RIS made one, and taking them apart again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import Danger, action
from pacstui.contract.corrections import Preview
from pacstui.contract.privacy import PatientId, PatientText


@dataclass(frozen=True, slots=True)
class MergeRow:
    """A merge of ``prior`` into ``survivor``; ``kind`` is merge or change of ID.

    ``message`` is the HL7 message that asked for it, 0 if it is not kept any more, ``source`` who sent that. ``orders``
    and ``studies`` count what went along. ``irreversible`` says why it cannot be undone, empty if it can.
    """

    id: int
    at: datetime
    kind: str
    prior_id: PatientId
    prior_issuer: str
    prior_name: PatientText
    survivor_id: PatientId
    survivor_issuer: str
    survivor_name: PatientText
    source: str
    message: int
    orders: int
    studies: int
    undone: datetime | None
    undone_by: str
    why: str
    irreversible: str


@dataclass(frozen=True, slots=True)
class MergePage:
    """Merges, newest first; ``next`` is the cursor of those before, 0 if there are none."""

    rows: tuple[MergeRow, ...]
    next: int


class Merges(Protocol):
    """Patients that were merged by ADT messages. HL7 has no message that undoes it."""

    @action("list", "List patients that HL7 messages merged, newest first", permission="qc.view", key="u")
    async def list_all(self, study: str = "", message: int = 0, before: int = 0, limit: int = 100) -> MergePage: ...

    @action("show", "Show what undoing a merge of patients would put back", permission="qc.view")
    async def show(self, id: int) -> Preview: ...

    @action("undo", "Undo a merge of patients: the prior one is a patient of its own again", permission="qc.correct",
            danger=Danger.CONFIRM, audited=True, key="z")  # fmt: skip
    async def undo(self, id: int, why: str, token: str = "") -> MergeRow: ...
