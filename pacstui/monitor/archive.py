"""The nouns ``storage`` and ``studies``: what the archive holds, how its disk fares, and when that will be full."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pacstui import events
from pacstui.archive import Archive, Refused
from pacstui.archive.importer import outcome_of, reason_of
from pacstui.archive.imports import Skipped
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.contract.node import ArchivePart
from pacstui.contract.storage import DayUse, MissingRow, QuarantineRow, StorageView
from pacstui.contract.studies import StudyDetail, StudyPage, StudyRow
from pacstui.errors import Unavailable
from pacstui.index.queries import Counts
from pacstui.monitor.problems import Problems
from pacstui.text import plural, safe, size

_GROWTH_DAYS = 14
_SOON_DAYS = 14
_TREND_DAYS = 3
_FORESEEN_DAYS = 3_653
_LOW_SHARE = 0.05
_RECOUNT_S = 15.0
_DAYS_SHOWN = 60
_DOUBTS = 1001


def growth(days: Sequence[DayUse], today: date) -> float:
    """Return bytes a day: the mean over the finished days of the last two weeks, from the first one with anything on.

    A new archive has only today; then today counts as it is.
    """
    since = today - timedelta(days=_GROWTH_DAYS)
    finished = [day for day in days if since <= day.day < today]
    if not finished:
        return float(sum(day.bytes for day in days if day.day == today))
    return sum(day.bytes for day in finished) / (today - finished[0].day).days


def full_on(free: int, reserve: int, per_day: float, today: date) -> date | None:
    """Return the day on which the free space above the reserve is used up; none if nothing grows, or not in ten years:
    no growth of these days says anything about then."""
    if per_day <= 0:
        return None
    left = max(0, free - reserve) / per_day
    return today + timedelta(days=int(left)) if left < _FORESEEN_DAYS else None


async def _nobody() -> object:
    raise Unavailable("this node runs no jobs")


def _some(count: int, one: str, many: str = "") -> str:
    """Return a count in words, where counting stopped at `_DOUBTS`."""
    return f"{count - 1:,} or more {many or one + 's'}" if count >= _DOUBTS else plural(count, one, many)


class ArchiveRoom:
    """Watches the archive. Counts are read from the index when somebody asks and something changed.

    ``start_reindex`` starts the job that reads objects into the index; ``trash_days`` tells how long the trash keeps.
    """

    def __init__(self, archive: Archive, problems: Problems, bus: Bus, clock: Clock) -> None:
        self._archive = archive
        self._clock = clock
        self._counts = Counts()
        self._missing = 0
        self._conflicts = 0
        self._days: tuple[DayUse, ...] = ()
        self._trash = (0, 0, 0, 0)
        self.trash_days: Callable[[], int] = lambda: 0
        self._changed = True
        self._counted = -_RECOUNT_S
        self.start_reindex: Callable[[], Awaitable[object]] = _nobody
        problems.watch(self._check)
        for kind in (events.InstanceStored, events.InstanceQuarantined, events.ReconciliationDone,
                     events.TrashChanged):  # fmt: skip
            bus.subscribe(kind, self._note)

    def _note(self, event: events.Event) -> None:
        self._changed = True

    async def refresh(self) -> None:
        """Read the counts again if something changed, and in any case now and then."""
        now = self._clock.monotonic()
        old = now - self._counted >= _RECOUNT_S
        if not self._changed and not old:
            return
        self._changed = False
        index = self._archive.index
        self._counts = await index.counts()
        self._days = await index.days(_DAYS_SHOWN)
        self._trash = await self._archive.trash.totals()
        if old:
            self._counted = now
            self._missing, self._conflicts = await index.doubts(_DOUBTS)

    def _check(self) -> Iterable[tuple[str, str, str, str, str]]:
        view = self._view()
        stats = self._archive.stats()
        if stats.unsettled:
            yield (
                "journal-stuck",
                "fail",
                f"files cannot be written out, only the journal keeps them: {stats.unsettled}",
                f"check the disk of {safe(view.path)} before the node is stopped; it goes on trying",
                "storage",
            )
        if not view.accepting:
            yield (
                "storage-refuses",
                "fail",
                f"objects are refused (A700): {view.detail}",
                f"{stats.remedy or 'check the disk'}: {safe(view.path)}; objects are taken again by themselves",
                "storage",
            )
        else:
            yield from self._space_runs_out(view)
        if self._missing:
            yield (
                "objects-missing",
                "fail",
                f"{_some(self._missing, 'object')} of the index without file, or with a damaged one",
                "which: pacstui storage missing; Storage, m (pacstui space repair) gets them from backups and peers; "
                "or send them again",
                "studies:missing",
            )
        if self._counts.quarantined:
            yield (
                "quarantine",
                "note",
                f"{plural(self._counts.quarantined, 'object')} set aside",
                "compare them with the stored ones: pacstui storage quarantine",
                "storage",
            )
        if self._conflicts:
            yield (
                "conflicts",
                "note",
                f"{_some(self._conflicts, 'study', 'studies')} with objects of two patients",
                "which: pacstui studies list --only conflicts; find out which patient is right, correct it at the "
                "modality",
                "studies:conflicts",
            )

    def _space_runs_out(self, view: StorageView) -> Iterable[tuple[str, str, str, str, str]]:
        mend = "add space, or move old studies away"
        left = view.free_bytes - view.reserve_bytes
        if left < _LOW_SHARE * view.total_bytes:
            yield "storage-low", "warn", f"only {size(max(0, left))} left before objects are refused", mend, "storage"
        elif view.full_on is not None and sum(day.day < self._today() for day in view.days) >= _TREND_DAYS:
            days = (view.full_on - self._today()).days
            if days < _SOON_DAYS:
                told = f"the archive's volume is full in {plural(days, 'day')} at the last days' growth"
                yield "storage-soon-full", "warn", told, mend, "storage"

    def _today(self) -> date:
        return self._clock.now().astimezone().date()

    def part(self) -> ArchivePart:
        """Return the counts for the status."""
        c = self._counts
        return ArchivePart(
            c.patients, c.studies, c.series, c.instances, c.bytes, self._archive.stats().free_bytes, c.quarantined
        )

    @property
    def writing(self) -> int:
        """How many received objects wait for the disk."""
        return self._archive.stats().writing

    def full_on(self) -> date | None:
        """Return the day on which the volume is full at the present growth, none where that is not in sight."""
        return self._view().full_on

    def _view(self) -> StorageView:
        stats = self._archive.stats()
        today = self._today()
        per_day = growth(self._days, today)
        entries, _, trashed, oldest = self._trash
        until = datetime.fromtimestamp(oldest / 1e6, UTC) + timedelta(days=self.trash_days())
        return StorageView(
            path=str(self._archive.data_dir),
            total_bytes=stats.total_bytes,
            free_bytes=stats.free_bytes,
            archive_bytes=self._counts.bytes,
            reserve_bytes=self._archive.settings.reserve_bytes,
            today_bytes=sum(day.bytes for day in self._days if day.day == today),
            growth_bytes_per_day=per_day,
            full_on=full_on(stats.free_bytes, self._archive.settings.reserve_bytes, per_day, today),
            sync_ms=round(stats.sync_ms, 2),
            commit_ms=round(stats.commit_ms, 2),
            accepting=stats.accepting,
            detail=safe(stats.detail),
            days=self._days,
            trash_entries=entries,
            trash_bytes=trashed,
            trash_until=until.astimezone().date() if entries else None,
        )

    async def show(self) -> StorageView:
        return self._view()

    async def quarantine(self, limit: int = 100) -> tuple[QuarantineRow, ...]:
        return await self._archive.index.quarantine(max(1, min(limit, 1000)))

    async def missing(self, limit: int = 100, study: str = "") -> tuple[MissingRow, ...]:
        limit, index = max(1, min(limit, 1000)), self._archive.index
        if study:
            gone = (each for each in await index.instances(study) if each.missing)
            rows = sorted(gone, key=lambda each: each.received, reverse=True)[:limit]
        else:
            rows = await index.missing(limit)
        return tuple(
            MissingRow(each.sop_instance, each.series, each.study, each.path, each.size, each.calling, each.received)
            for each in rows
        )

    async def reindex(self) -> None:
        await self.start_reindex()

    async def import_one(self, source: str, read: Callable[[], Awaitable[bytes]]) -> dict[str, Any]:
        """Take one DICOM file that the command line streams in.

        Returns
        -------
        dict
            ``result`` is stored, duplicate, set aside, skipped or refused, with the ``reason`` and ``sop_instance``.
        """
        incoming = self._archive.begin_import(source)
        try:
            while chunk := await read():
                waiting = incoming.write(chunk)
                if waiting is not None:
                    await waiting
            stored = await incoming.finish()
        except Refused as refusal:
            outcome = "skipped" if isinstance(refusal, Skipped) else "refused"
            return {"result": outcome, "reason": reason_of(refusal), "sop_instance": ""}
        except BaseException:
            incoming.abandon()
            raise
        result, told = outcome_of(stored)
        return {
            "result": result,
            "reason": told,
            "sop_instance": stored.header.sop_instance,
            "bytes": stored.size,
            "study": stored.header.study,
        }


class StudiesRoom:
    """The noun ``studies``."""

    def __init__(self, archive: Archive) -> None:
        self._index = archive.index
        self.pinned: Callable[[str], str] = lambda study: ""

    def _row(self, row: StudyRow) -> StudyRow:
        pinned = self.pinned(row.study)
        return replace(row, pinned=pinned) if pinned else row

    async def list(
        self, search: str = "", limit: int = 100, before: int | None = None, only: str = "", after: int | None = None
    ) -> StudyPage:
        page = await self._index.studies(search, limit, before, only, after)
        return replace(page, rows=tuple(self._row(row) for row in page.rows))

    async def show(self, study: str) -> StudyDetail:
        detail = await self._index.study(study)
        return replace(detail, row=self._row(detail.row))
