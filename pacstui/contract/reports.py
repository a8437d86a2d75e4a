"""The noun ``reports``: what the node did in a period, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from pacstui.contract.action import action


@dataclass(frozen=True, slots=True)
class DayRow:
    """Received on one day (node's local date)."""

    day: date
    studies: int
    instances: int
    bytes: int


@dataclass(frozen=True, slots=True)
class PartRow:
    """A modality's, or a sender's, part of what was received and is still here. A study of two counts for both."""

    name: str
    studies: int
    instances: int
    bytes: int


@dataclass(frozen=True, slots=True)
class CallerRow:
    """What passed with an AE title (its address where it has none). ``broken`` associations were aborted, lost or
    timed out. ``not_stored`` and ``set_aside`` are instances that it sent, ``sent``, ``not_sent``, ``fetched`` and
    ``not_fetched`` those that went to it, and came from it when this node asked."""

    name: str
    associations: int = 0
    broken: int = 0
    refused: int = 0
    not_stored: int = 0
    set_aside: int = 0
    sent: int = 0
    not_sent: int = 0
    fetched: int = 0
    not_fetched: int = 0


@dataclass(frozen=True, slots=True)
class SafeRow:
    """A backup target as it stood when the report was made; see :class:`pacstui.contract.backups.TargetRow`."""

    name: str
    state: str
    last_good: datetime | None
    unsaved: int
    unsaved_bytes: int
    problem: str
    checked: str
    drill: str


@dataclass(frozen=True, slots=True)
class WorkRow:
    """How often a job ran in the period, and how that went."""

    job: str
    runs: int
    done: int
    warnings: int
    failed: int
    late: int


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What a node did from ``first`` to ``last``, both included, in local days.

    ``days``, ``modalities`` and ``senders`` count what came then and is still here; deleted studies count nowhere.
    ``archive_*`` and ``volume_*`` are of the moment at which it was made, ``growth_bytes_per_day`` is the mean over
    the period. ``full_on`` is none while that is not in sight.
    """

    node: str
    period: str
    first: date
    last: date
    made: datetime
    studies: int
    instances: int
    bytes: int
    days: tuple[DayRow, ...]
    modalities: tuple[PartRow, ...]
    senders: tuple[PartRow, ...]
    callers: tuple[CallerRow, ...]
    archive_studies: int
    archive_instances: int
    archive_bytes: int
    volume_bytes: int
    free_bytes: int
    growth_bytes_per_day: float
    full_on: date | None
    backups: tuple[SafeRow, ...]
    jobs: tuple[WorkRow, ...]


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A report that was written, and until when it is kept."""

    name: str
    path: str
    bytes: int
    written: datetime
    until: date | None


class Reports(Protocol):
    """Usage and operations in numbers; no patients."""

    @action("show", "Show the numbers of a period", permission="reports.view")
    async def show(self, period: str = "month") -> UsageReport: ...

    @action("files", "List the reports that were written, newest first", permission="reports.view")
    async def files(self) -> tuple[ReportFile, ...]: ...
