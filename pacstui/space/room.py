"""The noun ``space``, its kinds of jobs, and when a purge begins by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

from pacstui.archive import Archive
from pacstui.archive.trash_rows import Entry, Which
from pacstui.backups.protection import Kept
from pacstui.clock import Clock, moment
from pacstui.contract.jobs import JobRow, RunRow
from pacstui.contract.space import Emptied, PinRow, PlanRow, PurgePlan, RuleRow, SpaceView, TrashRow, UndoResult
from pacstui.errors import BadRequest, NotFound, PacsError, Unavailable
from pacstui.jobs.kinds import Kind, Outcome, Parameter, Run, Wanted
from pacstui.settings import SpaceSettings
from pacstui.space.pins import Pins
from pacstui.space.purge import ALL, Purge, Sent, Told
from pacstui.space.repair import NOBODY, Peers, Repair
from pacstui.space.rules import Choice, Rule, choose
from pacstui.space.studies import last_rows, matching
from pacstui.space.volume import Problem, Volume
from pacstui.text import plural, safe

_AGAIN_S = 900.0
_TEND_S = 30.0
_BROKEN = 5_001
KINDS = ("purge", "repair")


class Protection(Protocol):
    """What backups have."""

    async def held(self, instances: Sequence[Kept], copies: int) -> list[bool]:
        """Return for each instance whether the newest snapshots of so many targets have it."""
        ...

    async def fetch(self, wanted: Sequence[tuple[bytes, str, str]], to: Path) -> tuple[dict[str, Path], dict[str, str]]:
        """Write objects into a folder; return files by SOP Instance UID, and why there is none of the others."""
        ...


class Jobs(Protocol):
    """What of the jobs room is used here."""

    def row(self, name: str) -> JobRow | None:
        """Return a job as lists show it, none if there is none of that name."""
        ...

    async def begin(self, job: str, parameters: dict[str, str]) -> RunRow:
        """Start a job now, by the present caller, with these parameters instead of its own."""
        ...


class SpaceRoom:
    """Trash, rules and repair of one node.

    Parameters
    ----------
    protection
        What backups have.
    peers
        Other archives, asked for what backups do not have.
    safe_upto
        The highest instance row that so many targets may have.
    full_on
        The day on which the volume is full at the present growth, none where that is not in sight.
    caller
        Who makes the present call.
    told
        Writes purged studies into the audit trail.
    automatic
        Whether jobs may begin by themselves now.
    """

    def __init__(
        self, archive: Archive, jobs: Jobs, settings: SpaceSettings, protection: Protection, peers: Peers,
        safe_upto: Callable[[int], int], full_on: Callable[[], date | None], caller: Callable[[], str], told: Told,
        clock: Clock, automatic: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        self._automatic = automatic
        self.settings = settings
        self._archive = archive
        self._jobs = jobs
        self._protection = protection
        self._peers = peers
        self._safe_upto = safe_upto
        self._volume = Volume(archive, lambda: self.settings, full_on, clock)
        self._caller = caller
        self._told = told
        self._clock = clock
        self._tried = float("-inf")
        self._tended = float("-inf")
        self._totals = (0, 0, 0, 0)
        self.sent: Sent | None = None
        self.pinned = Pins(archive.db, clock, caller)

    async def open(self) -> None:
        """Read what is pinned."""
        await self.pinned.open()

    # jobs

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds of jobs that make room, and mend."""
        rule = Parameter("rule", "the name of a rule, or all", ALL, check=self._check_rule)
        peers = Parameter(
            "peers", f"Names of the peers to ask, in this order, with commas between; empty: all, {NOBODY}: nobody"
        )
        return (
            Kind("purge", "purge", "Empties the trash of what is old, and moves to it what [[space.rules]] say.",
                 self._purge, (rule,), lane="space", permission="storage.purge"),
            Kind("repair", "repair", "Gets missing and damaged objects again: from backups, and from peers what those "
                 "do not have.", self._repair, (peers,), lane="space", permission="storage.repair"),
        )  # fmt: skip

    def _check_rule(self, name: str) -> None:
        if name != ALL and all(each.name != name for each in self.settings.rules):
            raise ValueError(f"there is no rule {name} in the settings")

    def wanted(self) -> tuple[Wanted, ...]:
        """Return the jobs that the node makes by itself."""
        return (
            Wanted("purge", "purge", {}, self.settings.schedule),
            Wanted("repair", "repair", {}, "", after="integrity"),
        )

    async def _purge(self, run: Run) -> Outcome:
        return await Purge(
            self._archive,
            self._protection,
            self.settings,
            self._clock,
            self._told,
            run,
            self.pinned.told,
            self.sent,
        ).work()

    async def _repair(self, run: Run) -> Outcome:
        scratch = self._archive.data_dir / "repair" / str(run.id)
        return await Repair(self._archive, self._protection, self._peers, self._clock, run, scratch).work()

    async def tick(self) -> None:
        """Start a purge when the volume is too full; finish in the trash what could not be finished."""
        now = self._clock.monotonic()
        self._totals = await self._archive.trash.totals()
        if now - self._tended >= _TEND_S:
            self._tended = now
            await self._archive.trash.tend()
        settings = self.settings
        if not self._volume.too_full() or not (settings.rules or self._totals[0]):
            return
        if not self._automatic():
            return
        row = self._jobs.row("purge")
        if row is None or not row.enabled or row.running or now - self._tried < _AGAIN_S:
            return
        self._tried = now
        await self._jobs.begin("purge", {})

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong, for the list of problems."""
        return self._volume.problems()

    # the noun

    async def show(self) -> SpaceView:
        stats, settings = self._archive.stats(), self.settings
        entries, instances, amount, oldest = self._totals = await self._archive.trash.totals()
        missing, _ = await self._archive.index.doubts(_BROKEN)
        purge, repair = self._jobs.row("purge"), self._jobs.row("repair")
        until = (moment(oldest) + timedelta(days=settings.trash_days)).astimezone().date() if entries else None
        return SpaceView(
            used_percent=round(self._volume.used(), 1),
            warn_percent=settings.warn_percent,
            purge_above_percent=settings.purge_above_percent,
            purge_until_percent=settings.purge_until_percent,
            total_bytes=stats.total_bytes,
            free_bytes=stats.free_bytes,
            trash_entries=entries,
            trash_instances=instances,
            trash_bytes=amount,
            trash_days=settings.trash_days,
            trash_until=until,
            forecast=self._volume.forecast(),
            next_step=self._volume.next_step(),
            rules=tuple(RuleRow(each.name, Rule(each).told(), each.when) for each in settings.rules),
            broken=missing,
            purge_next=purge.next_run if purge is not None else None,
            purge_last=_last(purge),
            repair_last=_last(repair),
            pinned=len(self.pinned),
            run=next((row.running for row in (purge, repair) if row is not None and row.running), 0),
        )

    async def trash(self, limit: int = 100) -> tuple[TrashRow, ...]:
        entries = await self._archive.trash.entries()
        return tuple(self._row(entry) for entry in entries[: max(1, min(limit, 10_000))])

    def _row(self, entry: Entry) -> TrashRow:
        at = moment(entry.at)
        return TrashRow(
            entry.id, at, entry.level, entry.key, entry.study, entry.why, entry.rule, entry.by, entry.patient_name,
            entry.patient_id, entry.date, entry.accession,
            tuple(each for each in entry.modalities.split("\\") if each), entry.description, entry.instances,
            entry.bytes, at + timedelta(days=self.settings.trash_days), entry.problem,
        )  # fmt: skip

    async def delete(self, study: str, series: str = "", instance: str = "", why: str = "") -> TrashRow:
        if pinned := self.pinned.told(study):
            raise BadRequest(f"the study is {pinned}", "take the pin off first: p, or pacstui space unpin")
        if instance and not series:
            found = await self._archive.index.instance(instance)
            if found is None or found.study != study:
                raise NotFound(f"there is no instance {safe(instance, 64)} in that study")
            series = found.series
        entry = await self._archive.trash.delete(
            Which(study, series, instance), why=safe(why.strip(), 200), by=safe(self._caller(), 64)
        )
        return self._row(entry)

    async def pin(self, study: str, why: str = "") -> PinRow:
        return await self.pinned.put(study, why)

    async def unpin(self, study: str) -> None:
        await self.pinned.remove(study)

    async def pins(self, limit: int = 100) -> tuple[PinRow, ...]:
        return await self.pinned.rows(max(1, min(limit, 10_000)))

    async def undo(self, entry: int) -> UndoResult:
        back = await self._archive.trash.undo(entry, by=safe(self._caller(), 64))
        if back.refused and not back.instances and not back.there:
            uid, why = back.refused[0]
            raise Unavailable(f"nothing of it could come back: {uid}: {why}", "it is in the trash as before")
        return UndoResult(entry, back.entry.study, back.instances, back.there, back.refused)

    async def empty(self, entry: str) -> Emptied:
        trash, by = self._archive.trash, safe(self._caller(), 64)
        if entry == ALL:
            numbers = [each.id for each in await trash.entries()]
        elif entry.isdigit():
            numbers = [int(entry)]
        else:
            raise BadRequest(f"{safe(entry, 40)} is no number of an entry", "a number of pacstui space trash, or all")
        gone: list[Entry] = []
        failed: list[str] = []
        for number in numbers:
            try:
                gone.append(await trash.empty(number, by=by))
            except PacsError as error:
                if entry != ALL:
                    raise
                failed.append(f"{number}: {error}")
        return Emptied(len(gone), sum(each.instances for each in gone), sum(each.bytes for each in gone), tuple(failed))

    async def plan(self, limit: int = 100) -> PurgePlan:
        now, settings = self._clock.now(), self.settings
        rules = [Rule(each) for each in settings.rules]
        full = self._volume.too_full()
        found = await matching(self._archive.db, rules, now, self.pinned.told) if rules else []
        choices = list(choose(found, rules, now, settings.keep_hours, full))
        last = await last_rows(self._archive.db, [each.study.key for each in choices])
        rows = [
            self._plan_row(choice, row) for choice, row in zip(choices, last, strict=True)
        ]  # fmt: skip
        going = [row for row in rows if not row.kept]
        return PurgePlan(
            tuple(rows[: max(1, min(limit, 10_000))]), len(going), sum(row.instances for row in going),
            sum(row.bytes for row in going), len(rows) - len(going), full,
        )  # fmt: skip

    def _plan_row(self, choice: Choice, last: int) -> PlanRow:
        study, rule = choice.study, choice.rule
        kept = choice.kept
        if not kept and rule.only_if_backed_up and last > self._safe_upto(rule.copies):
            kept = f"not in {plural(rule.copies, 'backup')} yet"
        return PlanRow(
            rule.name, choice.why, kept, study.study, study.patient_name, study.patient_id, study.date,
            study.accession, study.modalities, study.description, study.instances, study.bytes,
        )  # fmt: skip

    async def purge(self, rule: str) -> RunRow:
        try:
            self._check_rule(rule)
        except ValueError as error:
            names = ", ".join(each.name for each in self.settings.rules) or "there are none: write [[space.rules]]"
            raise NotFound(str(error), f"rules: {names}") from None
        return await self._jobs.begin("purge", {"rule": rule})

    async def repair(self) -> RunRow:
        return await self._jobs.begin("repair", {})


def _last(row: JobRow | None) -> str:
    if row is None or row.last is None:
        return ""
    told = row.last.text or row.last.state
    return told if row.last.state in ("done", "warning") else f"{row.last.state}: {told}"
