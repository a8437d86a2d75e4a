"""The noun ``node``: the whole in one look, its history, and stopping it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import Danger, action


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong now: what, since when, what mends it, and which screen shows more.

    ``level`` is fail (the node does not do its work), warn (it will not for long, or not in full) or note (somebody
    should look some day; health stays ok).
    """

    name: str
    text: str
    hint: str
    since: datetime
    screen: str = ""
    level: str = "warn"


@dataclass(frozen=True, slots=True)
class NodePart:
    """Who answers."""

    version: str
    pid: int
    uptime_s: float
    ae_title: str
    dicom: str
    data_dir: str
    user: str


@dataclass(frozen=True, slots=True)
class AssociationsPart:
    """Associations now and since start; ``rejected_total`` counts every refused caller."""

    active: int
    accepted_total: int
    rejected_total: int
    limit: int


@dataclass(frozen=True, slots=True)
class ArchivePart:
    """What the archive holds; sizes in bytes."""

    patients: int
    studies: int
    series: int
    instances: int
    bytes: int
    free_bytes: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class QueuePart:
    """What waits to go out."""

    pending: int
    sending: int
    failed: int
    sent_total: int


@dataclass(frozen=True, slots=True)
class Status:
    """One page of truth; ``health`` is ok, degraded or down. ``exceptions`` counts by state the studies that do not fit
    an order or patient."""

    health: str
    node: NodePart
    associations: AssociationsPart
    archive: ArchivePart
    queue: QueuePart
    jobs: dict[str, int]
    backups: dict[str, int]
    hl7: dict[str, int]
    exceptions: dict[str, int]
    worklist: dict[str, int]
    alerts: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Rates:
    """What moves now: instances and bytes per second (mean of the last five seconds), and the last minutes.

    ``instances`` and ``bytes`` hold one number for each of the last seconds, oldest first, at most 120.
    """

    in_per_s: float
    in_bytes_per_s: float
    out_per_s: float
    instances: tuple[int, ...]
    bytes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HistoryPoint:
    """One minute: instances and bytes received, most associations at once, refusals."""

    at: datetime
    instances: int
    bytes: int
    associations: int
    refused: int


@dataclass(frozen=True, slots=True)
class History:
    """Recorded minutes, oldest first."""

    points: tuple[HistoryPoint, ...] = field(default=())


class Node(Protocol):
    """The node as a whole."""

    @action("status", "Show the state of the node", permission="node.view")
    async def status(self) -> Status: ...

    @action("history", "Show the last hours, minute by minute", permission="node.view")
    async def history(self, minutes: int = 180) -> History: ...

    @action(
        "stop",
        "Stop the node: finish running associations, then end",
        permission="node.stop",
        danger=Danger.CONFIRM,
        audited=True,
    )
    async def stop(self) -> None: ...
