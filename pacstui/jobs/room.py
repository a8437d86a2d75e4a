"""The noun ``jobs``, and what the rest of the node sees of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.contract.jobs import (
    JobRow,
    JobsView,
    KindRow,
    ParameterRow,
    PlannedRow,
    RunLine,
    RunRow,
)
from pacstui.db import Database
from pacstui.errors import BadRequest, Denied, NotFound
from pacstui.jobs.checks import check_following, check_name, check_numbers, checked
from pacstui.jobs.kinds import Kind, Wanted
from pacstui.jobs.runner import Entry
from pacstui.jobs.schedule import plan_of
from pacstui.jobs.scheduler import Scheduler
from pacstui.jobs.store import FAILED, RUNNING, Job, micro, moment
from pacstui.jobs.work import Working, row_of
from pacstui.text import safe

_PLANNED = 300
_EACH = 100
_RECENT = 200
_AHEAD = timedelta(days=1)
_LIMIT = 1000
_MOST = 500
Problem = tuple[str, str, str, str, str]


class JobsRoom:
    """Jobs of a node.

    Kinds are registered before `open`; then `want` says which jobs the node makes by itself, and `tick` is called
    about each second. ``caller`` tells who makes the present call, ``may`` whether that one has a permission; ``dress``
    is called in the context of each run as it begins.
    """

    def __init__(self, database: Database, bus: Bus, clock: Clock) -> None:
        self._scheduler = Scheduler(database, bus, clock)
        self._clock = clock
        self.caller: Callable[[], str] = lambda: "somebody"
        self.may: Callable[[str], bool] = lambda permission: True
        self._ahead: tuple[tuple[object, ...], tuple[PlannedRow, ...]] = ((), ())

    @property
    def dress(self) -> Callable[[], None]:
        """What is called in the context of each run as it begins."""
        return self._scheduler.dress

    @dress.setter
    def dress(self, dress: Callable[[], None]) -> None:
        self._scheduler.dress = dress

    def register(self, kind: Kind) -> None:
        """Let there be jobs of a kind."""
        scheduler = self._scheduler
        scheduler.kinds[kind.name] = kind
        for entry in scheduler.entries.values():
            if entry.job.kind == kind.name:
                entry.set(entry.job, kind)

    async def open(self) -> None:
        """Read jobs and runs. Raises PacsError when the database cannot be used."""
        await self._scheduler.open()

    async def tick(self) -> None:
        """Begin what is due, and look after what runs."""
        await self._scheduler.tick()

    async def close(self) -> None:
        """End all runs, in some seconds; those whose kind can go on do so at the next start."""
        await self._scheduler.close()

    def by_hand_only(self) -> None:
        """Begin nothing but what somebody starts: for a copy of a node that is only tried out."""
        self._scheduler.by_hand_only = True

    def row(self, name: str) -> JobRow | None:
        """Return a job as lists show it, none if there is none of that name."""
        entry = self._scheduler.entries.get(name)
        return self._row(entry) if entry is not None else None

    async def begin(self, job: str, parameters: dict[str, str]) -> RunRow:
        """Start a job now, by the present caller, with these parameters instead of its own; see `start`."""
        each = await self._scheduler.start(self._entry(job), safe(self.caller(), 64), _said(parameters))
        return each.row()

    async def want(self, wanted: Sequence[Wanted], of: Collection[str] = ()) -> None:
        """Make the jobs that are missing.

        Of those that were wanted earlier and are not now, the ones go that nobody changed; others stay and can be
        deleted. Only jobs of the kinds that ``wanted`` names, and of those in ``of``, are looked at.
        """
        scheduler = self._scheduler
        names = {each.name for each in wanted}
        kinds = {each.kind for each in wanted}.union(of)
        now = micro(self._clock.now())
        for each in wanted:
            entry = scheduler.entries.get(each.name)
            old = entry.job if entry is not None else Job(each.name, each.kind, upto=now, enabled=each.enabled)
            job = replace(old, builtin=True)
            if not old.edited:
                job = replace(
                    job, kind=each.kind, parameters=dict(each.parameters), schedule=each.schedule, follows=each.after,
                    retries=each.retries, retry_ms=round(each.retry_s * 1000), timeout_ms=round(each.timeout_s * 1000),
                )  # fmt: skip
                if job.schedule != old.schedule:
                    job = replace(job, upto=now)
            if entry is None or job != old:
                await scheduler.put(job)
        gone = [
            entry.job for entry in scheduler.entries.values()
            if entry.job.builtin and entry.job.kind in kinds and entry.job.name not in names
        ]  # fmt: skip
        await scheduler.remove(job.name for job in gone if not job.edited)
        for job in gone:
            if job.edited:
                await scheduler.put(replace(job, builtin=False))

    def part(self) -> dict[str, int]:
        """Return the counts for the status: jobs, runs under way, jobs that failed last or began late, and pause."""
        entries = self._scheduler.entries.values()
        return {
            "total": len(entries),
            "running": len(self._scheduler.working),
            "failed": sum(entry.job.enabled and _failed(entry) for entry in entries),
            "late": sum(entry.job.enabled and entry.job.missed > 0 for entry in entries),
            "paused": int(bool(self._scheduler.paused) or self._scheduler.by_hand_only),
        }

    def problems(self) -> Iterable[Problem]:
        """Yield what is wrong now, for ``monitor.problems``."""
        for name, entry in self._scheduler.entries.items():
            if not entry.job.enabled:
                continue
            if entry.problem:
                yield (
                    f"job-broken {name}", "warn", f"the job {name} cannot run: {safe(entry.problem, 200)}",
                    "e on the screen Jobs changes it, d disables it", "jobs",
                )  # fmt: skip
            elif _failed(entry) and entry.last is not None and not (entry.kind and entry.kind.told_elsewhere):
                retry = moment(entry.job.retry_at)
                then = f"; it tries again at {retry.astimezone():%H:%M}" if retry is not None else ""
                mend = f"{entry.last.hint}; then " if entry.last.hint else ""
                yield (
                    f"job-failed {name}", "warn", f"the job {name} failed: {safe(entry.last.text, 200)}{then}",
                    f"{mend}r on the screen Jobs runs it again", "jobs",
                )  # fmt: skip

    # the noun: looking

    async def list(self) -> JobsView:
        scheduler = self._scheduler
        running = [each.row() for each in (*scheduler.working.values(), *scheduler.waiting)]
        rows = tuple(self._row(entry) for _, entry in sorted(scheduler.entries.items()))
        recent = tuple(row_of(record) for record in list(scheduler.recent)[: -_RECENT - 1 : -1])
        held = scheduler.paused or ("the setting [node] jobs" if scheduler.by_hand_only else "")
        return JobsView(bool(held), held, rows, tuple(running), recent, self._planned(self._clock.now()))

    def _planned(self, now: datetime) -> tuple[PlannedRow, ...]:
        entries = self._scheduler.entries.values()
        key = (int(now.timestamp() // 30), *(entry.job for entry in entries))
        if self._ahead[0] != key:
            found = [
                PlannedRow(entry.job.name, at)
                for entry in entries
                if entry.job.enabled and not entry.problem and entry.plan is not None
                for at in entry.plan.preview(now, _EACH, now + _AHEAD)
            ]
            found.sort(key=lambda row: row.at)
            self._ahead = (key, tuple(found[:_PLANNED]))
        return self._ahead[1]

    def _row(self, entry: Entry) -> JobRow:
        scheduler, job, kind = self._scheduler, entry.job, entry.kind
        under_way = scheduler.under_way(job.name)
        running = [each for each in under_way if each.record.state == RUNNING]
        waits = self._waits(entry, self._clock.now())
        state = (
            "running" if running else "broken" if entry.problem else "waiting" if waits
            else "idle" if job.enabled else "disabled"
        )  # fmt: skip
        plan = entry.plan
        following = f"after {job.follows}" if job.follows else ""
        words = plan.schedule.words if plan is not None else ""
        return JobRow(
            job.name, job.kind, kind.label if kind is not None else job.kind, dict(job.parameters), job.schedule,
            "; ".join(each for each in (words, following) if each) or "by hand", job.hours, job.zone, job.enabled,
            job.follows, job.retries, job.retry_ms / 1000, job.timeout_ms / 1000, job.overlap, state,
            moment(job.retry_at) or entry.next if job.enabled and not entry.problem else None,
            under_way[0].id if under_way else 0, row_of(entry.last) if entry.last is not None else None, job.missed,
            safe(entry.problem, 300), job.builtin, waits, entry.quiet,
        )  # fmt: skip

    def _waits(self, entry: Entry, now: datetime) -> str:
        """Return what a job waits for that would run otherwise, empty if for nothing."""
        scheduler, job, plan = self._scheduler, entry.job, entry.plan
        for each in scheduler.waiting:
            if each.record.job == job.name:
                return scheduler.waits_for(each)
        due = bool(entry.turns) or (job.enabled and entry.next is not None and entry.next <= now)
        retry = moment(job.retry_at)
        if entry.problem or plan is None or not (due or retry):
            return ""
        if scheduler.paused:
            return "that jobs are resumed" if due else ""
        if due and not plan.open(now):
            return f"its hours, {job.hours}"
        return f"its next try at {retry.astimezone():%H:%M}" if retry is not None else ""

    async def history(
        self, job: str = "", limit: int = 100, before: int | None = None, state: str = ""
    ) -> tuple[RunRow, ...]:
        store = self._scheduler.store
        if job and job not in self._scheduler.entries and not await store.known(job):
            raise self._no_job(job)
        found = await store.history(job, max(1, min(limit, _LIMIT)), before, state)
        working = self._scheduler.working
        return tuple(working[each.id].row() if each.id in working else row_of(each) for each in found)

    async def run(self, id: int) -> RunRow:
        each = self._under_way(id)
        if each is not None:
            return each.row()
        record = await self._scheduler.store.run(id)
        if record is None:
            raise NotFound(f"there is no run {id} (any more)", "pacstui jobs history lists those that are kept")
        return row_of(record)

    def _under_way(self, id: int) -> Working | None:
        scheduler = self._scheduler
        return scheduler.working.get(id) or next((each for each in scheduler.waiting if each.id == id), None)

    async def log(self, id: int, after: int = 0, limit: int = 500) -> tuple[RunLine, ...]:
        await self.run(id)
        await self._scheduler.flush(id)
        lines = await self._scheduler.store.lines(id, after, max(1, min(limit, 5 * _LIMIT)))
        return tuple(
            RunLine(number, at, level, text) for number, micros, level, text in lines if (at := moment(micros))
        )

    async def kinds(self) -> tuple[KindRow, ...]:
        return tuple(
            KindRow(
                kind.name, kind.label, kind.text,
                tuple(ParameterRow(each.name, each.text, each.default, each.choices) for each in kind.parameters),
            )
            for _, kind in sorted(self._scheduler.kinds.items())
        )  # fmt: skip

    async def preview(self, schedule: str, window: str = "", zone: str = "", count: int = 5) -> tuple[datetime, ...]:
        return plan_of(schedule, window, zone).preview(self._clock.now(), max(1, min(count, 20)))

    # the noun: doing

    async def start(self, job: str) -> RunRow:
        entry = self._entry(job)
        self._see_that_it_may(entry.kind)
        each = await self._scheduler.start(entry, safe(self.caller(), 64))
        return each.row()

    async def cancel(self, id: int) -> None:
        each = self._under_way(id)
        if each is None:
            row = await self.run(id)
            raise BadRequest(f"run {id} of {row.job} has ended already: {row.state}")
        await self._scheduler.cancel(each, safe(self.caller(), 64))

    async def enable(self, job: str) -> None:
        entry = self._entry(job)
        now = micro(self._clock.now())
        await self._scheduler.put(replace(entry.job, enabled=True, edited=True, upto=now, missed=0))

    async def disable(self, job: str) -> None:
        entry = self._entry(job)
        entry.turns.clear()
        await self._scheduler.put(replace(entry.job, enabled=False, edited=True, retry_at=0, attempt=1))

    async def pause(self) -> None:
        by = safe(self.caller(), 64)
        await self._scheduler.store.pause(by)
        self._scheduler.paused = by

    async def resume(self) -> None:
        await self._scheduler.store.pause("")
        self._scheduler.paused, self._scheduler.resumed = "", self._clock.now()

    async def create(
        self, name: str, kind: str, schedule: str = "", parameters: dict[str, str] | None = None, window: str = "",
        zone: str = "", after: str = "", retries: int = 0, retry_s: float = 300.0, timeout_s: float = 0.0,
        overlap: str = "skip",
    ) -> JobRow:  # fmt: skip
        check_name(name)
        if name in self._scheduler.entries:
            raise BadRequest(f"there is a job {name} already", "choose another name, or change that one")
        if len(self._scheduler.entries) >= _MOST:
            raise BadRequest(f"there are {_MOST} jobs already", "delete some that nobody needs")
        if kind not in self._scheduler.kinds:
            told = ", ".join(sorted(self._scheduler.kinds)) or "none"
            raise BadRequest(f'there is no kind of job "{safe(kind, 40)}"', f"kinds are: {told}")
        job = Job(
            name, kind, _said(parameters or {}), schedule.strip(), window.strip(), zone.strip(), after.strip(), overlap,
            retries=retries, retry_ms=round(retry_s * 1000), timeout_ms=round(timeout_s * 1000),
            upto=micro(self._clock.now()),
        )  # fmt: skip
        return await self._keep(job)

    async def edit(
        self, job: str, schedule: str | None = None, parameters: dict[str, str] | None = None,
        window: str | None = None, zone: str | None = None, after: str | None = None, retries: int | None = None,
        retry_s: float | None = None, timeout_s: float | None = None, overlap: str | None = None,
    ) -> JobRow:  # fmt: skip
        old = self._entry(job).job
        texts = {"schedule": schedule, "hours": window, "zone": zone, "follows": after, "overlap": overlap}
        numbers = {
            "retries": retries, "retry_ms": None if retry_s is None else round(retry_s * 1000),
            "timeout_ms": None if timeout_s is None else round(timeout_s * 1000),
        }  # fmt: skip
        changes: dict[str, object] = {name: text.strip() for name, text in texts.items() if text is not None}
        changes |= {name: number for name, number in numbers.items() if number is not None}
        if parameters is not None:
            changes["parameters"] = _said({**old.parameters, **parameters})
        fresh = replace(old, **changes, edited=True)  # type: ignore[arg-type]
        if (fresh.schedule, fresh.hours, fresh.zone) != (old.schedule, old.hours, old.zone):
            fresh = replace(fresh, upto=micro(self._clock.now()), missed=0)
        return await self._keep(fresh)

    async def _keep(self, job: Job) -> JobRow:
        kind = self._scheduler.kinds.get(job.kind)
        self._see_that_it_may(kind)
        if kind is not None:
            checked(kind, job.parameters)
        plan_of(job.schedule, job.hours, job.zone)
        check_numbers(job)
        check_following(job, {name: entry.job for name, entry in self._scheduler.entries.items()})
        return self._row(await self._scheduler.put(job))

    async def delete(self, job: str) -> None:
        entry = self._entry(job)
        if entry.job.builtin:
            raise BadRequest(
                f"{job} was made by the node, which would make it again", f"disable it: pacstui jobs disable {job}"
            )
        if self._scheduler.under_way(job):
            raise BadRequest(f"{job} is running", "cancel its run first")
        followers = [name for name, each in self._scheduler.entries.items() if each.job.follows == job]
        if followers:
            raise BadRequest(f"{', '.join(followers)} would follow nobody", "let them follow another job first")
        await self._scheduler.remove([job])

    def _see_that_it_may(self, kind: Kind | None) -> None:
        """Raise `Denied` unless the present caller may do by hand what jobs of this kind do."""
        if kind is not None and kind.permission and not self.may(kind.permission):
            raise Denied(
                f"{safe(self.caller(), 64)} may not have this done ({kind.label}): it takes the permission"
                f" {kind.permission}", "an administrator can give it: pacstui accounts edit",
            )  # fmt: skip

    def _entry(self, name: str) -> Entry:
        entry = self._scheduler.entries.get(name)
        if entry is None:
            raise self._no_job(name)
        return entry

    def _no_job(self, name: str) -> NotFound:
        known = ", ".join(sorted(self._scheduler.entries)) or "none"
        return NotFound(f'there is no job "{safe(name, 64)}"', f"jobs are: {known}")


def _failed(entry: Entry) -> bool:
    return entry.last is not None and entry.last.state == FAILED


def _said(parameters: dict[str, str]) -> dict[str, str]:
    """Return parameters without those that say nothing: they have their usual value."""
    return {name: value for name, value in parameters.items() if value.strip()}
