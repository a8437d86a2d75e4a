"""The noun ``remote``: studies at other archives, and how they get here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import action
from pacstui.contract.privacy import PatientId, PatientText


@dataclass(frozen=True, slots=True)
class RemoteStudy:
    """A study at a peer, as that answers; texts may be empty. ``here`` is how many of its instances are stored here."""

    study: str
    patient_name: PatientText
    patient_id: PatientId
    birth_date: PatientText
    date: str
    time: str
    modalities: tuple[str, ...]
    description: str
    accession: PatientText
    series: int
    instances: int
    here: int


@dataclass(frozen=True, slots=True)
class RemotePage:
    """What a peer has; ``more`` tells that it has more than were asked for."""

    peer: str
    rows: tuple[RemoteStudy, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """A study here beside the same study at a peer: SOP Instance UIDs that are at one side only, at most 1000 each."""

    peer: str
    study: str
    here: int
    there: int
    both: int
    only_here: tuple[str, ...]
    only_there: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PullRow:
    """A study on its way here. ``state`` is running, done, failed or cancelled; ``verb`` is C-GET or C-MOVE.

    ``total`` is 0 while it is not known. ``why`` says what went wrong, ``hint`` what mends it.
    """

    id: int
    peer: str
    study: str
    verb: str
    state: str
    total: int
    received: int
    failed: int
    started: datetime
    seconds: float
    why: str
    hint: str


class Remote(Protocol):
    """Other archives, by Query/Retrieve."""

    @action("find", "Find studies at a peer", permission="remote.find", key="f")
    async def find(
        self, peer: str, name: PatientText = "", id: PatientText = "", accession: PatientText = "",
        date: str = "", modality: str = "", study: str = "", limit: int = 100,
    ) -> RemotePage: ...  # fmt: skip

    @action("compare", "Compare a study here with the same study at a peer", permission="remote.find", key="c")
    async def compare(self, peer: str, study: str) -> Comparison: ...

    @action("pull", "Fetch a study from a peer", permission="remote.pull", audited=True, key="p")
    async def pull(self, peer: str, study: str) -> PullRow: ...

    @action("pulls", "List studies that are on their way here, and the latest that were", permission="remote.find")
    async def pulls(self) -> tuple[PullRow, ...]: ...

    @action(
        "cancel", "Cancel a study that is on its way here: what came is kept", permission="remote.pull", audited=True
    )
    async def cancel(self, id: int) -> None: ...
