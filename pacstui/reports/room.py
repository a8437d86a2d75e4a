"""The noun ``reports``, and the kind of job that writes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.contract.backups import BackupsView
from pacstui.contract.node import ArchivePart
from pacstui.contract.reports import ReportFile, SafeRow, UsageReport
from pacstui.contract.storage import StorageView
from pacstui.db import Database
from pacstui.errors import BadRequest
from pacstui.jobs.kinds import Kind, Outcome, Parameter, Run, Wanted
from pacstui.jobs.values import listed
from pacstui.reports import numbers, shelf
from pacstui.reports.pages import FORMATS
from pacstui.reports.period import ALLOWED, Period, period_of
from pacstui.reports.tally import Tally
from pacstui.settings import ReportsSettings
from pacstui.text import plural, safe, size

KINDS = ("report",)
_LATE = date(9000, 1, 1)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a report asks the rest of the node: its name, what the archive holds, its volume, how backups stand."""

    name: Callable[[], str]
    part: Callable[[], ArchivePart]
    storage: Callable[[], Awaitable[StorageView]]
    backups: Callable[[], Awaitable[BackupsView]]


class ReportsRoom:
    """Reports of one node; written ones lie in a folder of the data directory unless the settings name another."""

    def __init__(
        self, database: Database, bus: Bus, clock: Clock, settings: ReportsSettings, data_dir: Path,
        around: Surroundings,
    ) -> None:  # fmt: skip
        self.settings = settings
        self._db = database
        self._clock = clock
        self._data_dir = data_dir
        self._around = around
        self._tally = Tally(database, bus)

    async def tick(self) -> None:
        """Write what was counted."""
        await self._tally.flush()

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kind of job that writes a report."""
        period = Parameter("period", f"Which days: {ALLOWED}", "month", check=_check_period)
        formats = Parameter(
            "formats", "With commas: txt, csv, json, html; empty: as the settings say", check=_check_formats
        )
        text = "Writes what was received, by whom, how it went and how backups stand into the folder of reports."
        return (Kind("report", "usage report", text, self._work, (period, formats), resumes=True, lane="reports"),)

    def wanted(self) -> tuple[Wanted, ...]:
        """Return the job that the node makes by itself."""
        return (Wanted("report", "report", {"period": "month"}, self.settings.schedule),)

    def _folder(self) -> Path:
        return Path(self.settings.folder) if self.settings.folder else self._data_dir / "reports"

    def _today(self) -> date:
        return self._clock.now().astimezone().date()

    async def _work(self, run: Run) -> Outcome:
        period = period_of(run.parameters["period"], self._today())
        wanted = listed(run.parameters["formats"].lower()) or list(self.settings.formats)

        def watch(done: int, total: int) -> None:
            run.check()
            run.tell(done=done, total=total, unit="objects")

        report = await self._numbers(period, run.parameters["period"], watch)
        folder = self._folder()

        def write() -> tuple[list[Path], int]:
            written = shelf.write(folder, period.word, {each: FORMATS[each](report) for each in wanted})
            keep = self.settings.keep_days
            return written, shelf.prune(folder, self._clock.now() - timedelta(days=keep)) if keep else 0

        written, gone = await asyncio.to_thread(write)
        for path in written:
            run.note(f"written: {path}")
        told = f"{period.first} to {period.last}: {plural(report.studies, 'study', 'studies')}, "
        told += f"{plural(report.instances, 'instance')}, {size(report.bytes)}; written to {written[0]}"
        more = ", ".join(path.suffix for path in written[1:])
        old = f"; {plural(gone, 'old report')} removed" if gone else ""
        return Outcome(told + (f" and {more}" if more else "") + old)

    async def _numbers(
        self, period: Period, word: str, watch: Callable[[int, int], None] = lambda done, total: None
    ) -> UsageReport:
        await self._tally.flush()
        db, around = self._db, self._around
        days = await numbers.days(db, period)
        modalities, senders = await numbers.parts(db, period, watch)
        storage, backups, part = await around.storage(), await around.backups(), around.part()
        return UsageReport(
            safe(around.name(), 16), word, period.first, period.last, self._clock.now(),
            sum(day.studies for day in days), sum(day.instances for day in days), sum(day.bytes for day in days),
            days, modalities, senders, await numbers.callers(db, period), part.studies, part.instances, part.bytes,
            storage.total_bytes, storage.free_bytes, numbers.growth(days, self._today()), storage.full_on,
            tuple(
                SafeRow(row.name, row.state, row.last_good, row.unsaved, row.unsaved_bytes, row.problem, row.checked,
                        row.drill)
                for row in backups.targets
            ),
            await numbers.work(db, period),
        )  # fmt: skip

    # the noun

    async def show(self, period: str = "month") -> UsageReport:
        return await self._numbers(period_of(period, self._today()), period)

    async def files(self) -> tuple[ReportFile, ...]:
        return tuple(await asyncio.to_thread(shelf.files, self._folder(), self.settings.keep_days))


def _check_period(text: str) -> None:
    try:
        period_of(text, _LATE)  # whether it has begun is seen when it is asked for
    except BadRequest as fault:
        raise ValueError(fault.hint) from None


def _check_formats(text: str) -> None:
    unknown = [each for each in listed(text.lower()) if each not in FORMATS]
    if unknown:
        raise ValueError(f"{safe(unknown[0], 16)} is none of {', '.join(FORMATS)}")
