"""The noun ``storage``: space, growth, speed of the disk, and what was set aside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from pacstui.contract.action import action


@dataclass(frozen=True, slots=True)
class DayUse:
    """Received on one day (node's local date)."""

    day: date
    instances: int
    bytes: int


@dataclass(frozen=True, slots=True)
class StorageView:
    """The volume that holds the archive. Bytes, milliseconds; ``full_on`` is none while nothing grows, or not
    for ten years. ``trash_until`` is the day on which the oldest entry of the trash goes for good.

    ``sync_ms`` and ``commit_ms`` are medians of the last batches: making files durable, committing their rows.
    ``accepting`` is false while objects are answered with A700H; ``detail`` then says why.
    """

    path: str
    total_bytes: int
    free_bytes: int
    archive_bytes: int
    reserve_bytes: int
    today_bytes: int
    growth_bytes_per_day: float
    full_on: date | None
    sync_ms: float
    commit_ms: float
    accepting: bool
    detail: str
    days: tuple[DayUse, ...]
    trash_entries: int = 0
    trash_bytes: int = 0
    trash_until: date | None = None


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """An object that was set aside instead of being stored: why, from whom, and where its bytes are."""

    id: int
    at: datetime
    sop_instance: str
    calling: str
    reason: str
    path: str
    bytes: int


@dataclass(frozen=True, slots=True)
class MissingRow:
    """An object of the index whose file is not there or has another length: what it is and where the file should be."""

    sop_instance: str
    series: str
    study: str
    path: str
    bytes: int
    calling: str
    at: datetime


class Storage(Protocol):
    """The archive's disk."""

    @action("show", "Show space, growth and speed of the archive", permission="storage.view")
    async def show(self) -> StorageView: ...

    @action("quarantine", "List objects that were set aside", permission="storage.view")
    async def quarantine(self, limit: int = 100) -> tuple[QuarantineRow, ...]: ...

    @action("missing", "List objects of the index that have no file", permission="storage.view")
    async def missing(self, limit: int = 100, study: str = "") -> tuple[MissingRow, ...]: ...

    @action(
        "reindex", "Read further attributes of all stored objects into the index", permission="storage.reindex",
        audited=True,
    )  # fmt: skip
    async def reindex(self) -> None: ...
