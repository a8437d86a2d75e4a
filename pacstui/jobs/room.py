"""The noun ``jobs``, and what the rest of the node sees of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from pacstui.bus import Bus
from pacstui.clock import Clock, microseconds, moment_or_none
from pacstui.contract import privacy
from pacstui.contract.jobs import JobRow, JobsView, KindRow, ParameterRow, RunLine, RunRow
from pacstui.db import Database
from pacstui.errors import BadRequest, Denied, NotFound
from pacstui.jobs.checks import check_following, check_name, check_numbers, checked
from pacstui.jobs.kinds import Kind, Wanted
from pacstui.jobs.runner import Entry, Runner
from pacstui.jobs.schedule import plan_of
from pacstui.jobs.scheduler import Scheduler
from pacstui.jobs.shown import Problem, Shown
from pacstui.jobs.store import Job
from pacstui.jobs.wanted import want
from pacstui.jobs.work import Working, row_of
from pacstui.text import safe

_LIMIT = 1000
_MOST = 500
_PREVIEW_S = 1.0


class JobsRoom:
    """Jobs of a node.

    Kinds are registered before `open`; then `want` says which jobs the node makes by itself, and `tick` is called
    about each second. ``caller`` tells who makes the present call, ``may`` whether that one has a permission; ``dress``
    is called in the context of each run as it begins.
    """

    def __init__(self, database: Database, bus: Bus, clock: Clock) -> None:
        self._runner = Runner(database, bus, clock)
        self._scheduler = Scheduler(self._runner)
        self._clock = clock
        self.caller: Callable[[], str] = lambda: "somebody"
        self.may: Callable[[str], bool] = lambda permission: True
        self._shown = Shown(self._scheduler, clock, lambda permission: self.may(permission))

    @property
    def dress(self) -> Callable[[], None]:
        """What is called in the context of each run as it begins."""
        return self._runner.dress

    @dress.setter
    def dress(self, dress: Callable[[], None]) -> None:
        self._runner.dress = dress

    def register(self, kind: Kind) -> None:
        """Let there be jobs of a kind."""
        runner = self._runner
        runner.kinds[kind.name] = kind
        for entry in runner.entries.values():
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
        await self._runner.close()

    def by_hand_only(self) -> None:
        """Begin nothing but what somebody starts: for a copy of a node that is only tried out."""
        self._scheduler.by_hand_only = True

    def row(self, name: str) -> JobRow | None:
        """Return a job as lists show it, none if there is none of that name."""
        entry = self._runner.entries.get(name)
        return self._shown.row(entry) if entry is not None else None

    async def want(self, wanted: Sequence[Wanted], of: Collection[str] = ()) -> None:
        """Make the jobs that are missing, and remove those that are wanted no more; see `pacstui.jobs.wanted`."""
        await want(self._runner, self._clock, wanted, of)

    def part(self) -> dict[str, int]:
        """Return the counts for the status."""
        return self._shown.part()

    def problems(self) -> Iterable[Problem]:
        """Yield what is wrong now, for ``monitor.problems``."""
        return self._shown.problems()

    async def begin(self, job: str, parameters: dict[str, str]) -> RunRow:
        """Start a job now, by the present caller, with these parameters instead of its own; see `start`."""
        each = await self._scheduler.start(self._entry(job), safe(self.caller(), 64), _said(parameters))
        return each.row()

    def naming(self, word: str) -> Iterable[str]:
        """Yield in words which jobs have ``word`` among their parameters."""
        for name, entry in self._runner.entries.items():
            if any(word in (part.strip() for part in told.split(",")) for told in entry.job.parameters.values()):
                yield f"the job {name} names it"

    # the noun: looking

    async def list(self) -> JobsView:
        return await self._shown.view()

    async def history(
        self, job: str = "", limit: int = 100, before: int | None = None, state: str = ""
    ) -> tuple[RunRow, ...]:
        store = self._runner.store
        if job and job not in self._runner.entries and not await store.known(job):
            raise self._no_job(job)
        found = await store.history(job, max(1, min(limit, _LIMIT)), before, state)
        working = self._runner.working
        return tuple(working[each.id].row() if each.id in working else row_of(each) for each in found)

    async def run(self, id: int) -> RunRow:
        each = self._under_way(id)
        if each is not None:
            return each.row()
        record = await self._runner.store.run(id)
        if record is None:
            raise NotFound(f"there is no run {id} (any more)", "pacstui jobs history lists those that are kept")
        return row_of(record)

    def _under_way(self, id: int) -> Working | None:
        runner = self._runner
        return runner.working.get(id) or next((each for each in runner.waiting if each.id == id), None)

    async def log(self, id: int, after: int = 0, limit: int = 500) -> tuple[RunLine, ...]:
        await self.run(id)
        await self._runner.flush(id)
        lines = await self._runner.store.lines(id, after, max(1, min(limit, 5 * _LIMIT)))
        return tuple(
            RunLine(number, at, level, text) for number, micros, level, text in lines if (at := moment_or_none(micros))
        )

    async def kinds(self) -> tuple[KindRow, ...]:
        return tuple(
            KindRow(
                kind.name, kind.label, kind.text,
                tuple(ParameterRow(each.name, each.text, each.default, each.choices) for each in kind.parameters),
            )
            for _, kind in sorted(self._runner.kinds.items())
        )  # fmt: skip

    async def preview(self, schedule: str, window: str = "", zone: str = "", count: int = 5) -> tuple[datetime, ...]:
        most, now = max(1, min(count, 20)), self._clock.now()
        return await asyncio.to_thread(
            lambda: plan_of(schedule, window, zone).preview(now, most, within_s=_PREVIEW_S)
        )  # fmt: skip

    # the noun: doing

    async def start(self, job: str, parameters: dict[str, str] | None = None) -> RunRow:
        entry, given = self._entry(job), _said(parameters or {})
        self._see_that_it_may(entry.kind)
        if given:
            self._see_that_it_may_say(entry, given)
        each = await self._scheduler.start(entry, safe(self.caller(), 64), given)
        return each.row()

    async def cancel(self, id: int) -> None:
        each = self._under_way(id)
        if each is None:
            row = await self.run(id)
            raise BadRequest(f"run {id} of {row.job} has ended already: {row.state}")
        await self._runner.cancel(each, safe(self.caller(), 64))

    async def enable(self, job: str) -> None:
        entry = self._entry(job)
        now = microseconds(self._clock.now())
        await self._runner.put(replace(entry.job, enabled=True, edited=True, upto=now, missed=0))

    async def disable(self, job: str) -> None:
        entry = self._entry(job)
        await self._runner.forgive(entry)
        await self._runner.put(replace(entry.job, enabled=False, edited=True, retry_at=0, attempt=1))

    async def pause(self) -> None:
        by = safe(self.caller(), 64)
        await self._runner.store.pause(by)
        self._scheduler.paused = by

    async def resume(self) -> None:
        await self._runner.store.pause("")
        self._scheduler.paused, self._scheduler.resumed = "", self._clock.now()

    async def create(
        self, name: str, kind: str, schedule: str = "", parameters: dict[str, str] | None = None, window: str = "",
        zone: str = "", after: str = "", retries: int = 0, retry_s: float = 300.0, timeout_s: float = 0.0,
        overlap: str = "skip",
    ) -> JobRow:  # fmt: skip
        check_name(name)
        if name in self._runner.entries:
            raise BadRequest(f"there is a job {name} already", "choose another name, or change that one")
        if len(self._runner.entries) >= _MOST:
            raise BadRequest(f"there are {_MOST} jobs already", "delete some that nobody needs")
        if kind not in self._runner.kinds:
            told = ", ".join(sorted(self._runner.kinds)) or "none"
            raise BadRequest(f'there is no kind of job "{safe(kind, 40)}"', f"kinds are: {told}")
        job = Job(
            name, kind, _said(parameters or {}), schedule.strip(), window.strip(), zone.strip(), after.strip(), overlap,
            retries=retries, retry_ms=round(retry_s * 1000), timeout_ms=round(timeout_s * 1000),
            upto=microseconds(self._clock.now()),
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
            fresh = replace(fresh, upto=microseconds(self._clock.now()), missed=0)
        return await self._keep(fresh)

    async def _keep(self, job: Job) -> JobRow:
        kind = self._runner.kinds.get(job.kind)
        self._see_that_it_may(kind)
        old = self._runner.entries.get(job.name)
        self._see_that_it_may_name(job.parameters, old.job.parameters if old is not None else {})
        if kind is not None:
            checked(kind, job.parameters)
        plan_of(job.schedule, job.hours, job.zone)
        check_numbers(job)
        check_following(job, {name: entry.job for name, entry in self._runner.entries.items()})
        return self._shown.row(await self._runner.put(job))

    async def delete(self, job: str) -> None:
        entry = self._entry(job)
        if entry.job.builtin:
            raise BadRequest(
                f"{job} was made by the node, which would make it again", f"disable it: pacstui jobs disable {job}"
            )
        if self._runner.under_way(job):
            raise BadRequest(f"{job} is running", "cancel its run first")
        followers = [name for name, each in self._runner.entries.items() if each.job.follows == job]
        if followers:
            raise BadRequest(f"{', '.join(followers)} would follow nobody", "let them follow another job first")
        await self._runner.remove([job])

    def _see_that_it_may(self, kind: Kind | None) -> None:
        """Raise `Denied` unless the present caller may do by hand what jobs of this kind do."""
        if kind is not None and kind.permission and not self.may(kind.permission):
            raise Denied(
                f"{safe(self.caller(), 64)} may not have this done ({kind.label}): it takes the permission"
                f" {kind.permission}", "an administrator can give it: pacstui accounts edit",
            )  # fmt: skip

    def _see_that_it_may_say(self, entry: Entry, given: Mapping[str, str]) -> None:
        """Raise `Denied` unless the present caller may give a run parameters of its own, `BadRequest` if none fit."""
        old = entry.job.parameters
        self._see_that_it_may_name({**old, **given}, old)
        if entry.kind is not None:
            checked(entry.kind, {**old, **given})
            if not entry.kind.permission and not self.may("jobs.edit"):
                raise Denied("other parameters for a run take the permission jobs.edit", "start it without them")

    def _see_that_it_may_name(self, given: Mapping[str, str], old: Mapping[str, str]) -> None:
        """Raise `Denied` where the present caller changes what points at patients, and may not see who they are."""
        changed = [name for name in sorted(privacy.KEYS) if given.get(name, "") != old.get(name, "")]
        if changed and not self.may(privacy.PERMISSION):
            raise Denied(
                f"{changed[0]} says which patients: to set it takes the permission {privacy.PERMISSION}",
                "an administrator can give it: pacstui accounts edit",
            )

    def _entry(self, name: str) -> Entry:
        entry = self._runner.entries.get(name)
        if entry is None:
            raise self._no_job(name)
        return entry

    def _no_job(self, name: str) -> NotFound:
        known = ", ".join(sorted(self._runner.entries)) or "none"
        return NotFound(f'there is no job "{safe(name, 64)}"', f"jobs are: {known}")


def _said(parameters: dict[str, str]) -> dict[str, str]:
    """Return parameters without those that say nothing: they have their usual value."""
    return {name: value for name, value in parameters.items() if value.strip()}
