"""Finds what is due by looking at the clock again and again.

Nothing here sleeps until a time: a machine that was suspended or whose clock was set makes late runs, and none twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta

from pacstui.clock import microseconds, moment_or_none
from pacstui.errors import BadRequest, PacsError, Unavailable
from pacstui.jobs.runner import RECENT, Entry, Runner
from pacstui.jobs.schedule import Plan
from pacstui.jobs.store import CANCELLED, FAILED, INTERRUPTED, RUNNING, WAITING, Job, RunRecord, Turn
from pacstui.jobs.work import Working
from pacstui.text import plural

log = logging.getLogger("pacstui.jobs")
ON_TIME = timedelta(seconds=60)
_BACK = timedelta(hours=25)
_SAVE_S = 5.0
_GRACE_S = 30.0
_COUNTED = 500
_DUE_S = 2.0
_RESTARTS = 3


class Scheduler:
    """Tells a runner when it is time. ``paused`` is who paused all, empty for nobody; with ``by_hand_only`` nothing
    begins that nobody starts."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.paused = ""
        self.by_hand_only = False
        self.resumed: datetime | None = None
        self._complaint = ""

    async def open(self) -> None:
        """Read what is kept, and find out which runs did not come to their end."""
        jobs, lasts, turns, self.paused = await self.runner.store.load()
        for name, job in jobs.items():
            self.runner.entries[name] = entry = Entry(job, self.runner.kinds.get(job.kind), lasts.get(name))
            entry.turns.extend(turns.get(name, ()))
        self.runner.recent.extend(reversed(await self.runner.store.history("", RECENT, None, "")))
        cut = await self.runner.store.unfinished()
        for record in cut:
            self._cut(record)
        if cut:
            owed = {name: tuple(entry.turns) for name, entry in self.runner.entries.items() if entry.turns}
            await self.runner.store.save(cut, owed=owed)
            by_id = {record.id: record for record in cut}
            self.runner.recent = deque((by_id.get(each.id, each) for each in self.runner.recent), RECENT)

    def _cut(self, record: RunRecord) -> None:
        """Settle a run that the end of the node cut off: it goes on, if its kind can do that."""
        entry, kind = self.runner.entries.get(record.job), self.runner.kinds.get(record.kind)
        killed = record.state in (RUNNING, WAITING)
        began = record.state != WAITING
        record.again = 0
        if killed:
            record.state = INTERRUPTED
            record.ended = record.ended or record.started
            record.text = "the node ended in the middle of it" if began else "the node ended before its turn came"
        goes_on = entry is not None and kind is not None and (kind.resumes or not began)
        if goes_on and record.restarts >= _RESTARTS:
            goes_on = False
            record.hint = f"the node ended in the middle of it {_RESTARTS} times: look why, then start it by hand"
        if goes_on and entry is not None:
            entry.turns.append(
                Turn("restart", moment_or_none(record.planned), record.attempt, record.restarts + 1, False, record.said)
            )
            record.hint = "it goes on by itself"
            self.runner.tell(record.job, "info", f"goes on: {record.text or 'the node ended in the middle of it'}")
        elif killed and not record.hint:
            record.hint = "start it again, or wait for its schedule"
        if entry is not None:
            entry.last = record
        if killed:
            self.runner.tell_end(record, goes_on)

    # looking at the clock

    async def tick(self) -> None:
        """Begin what is due, and look after what runs. Called about each second."""
        if self.runner.closing:
            return
        now, at = self.runner.clock.now(), self.runner.clock.monotonic()
        for each in list(self.runner.working.values()):
            self._watch(each, at)
        try:
            for entry in list(self.runner.entries.values()):
                await self._look_safely(entry, now)
            await self.runner.next_turns()
            await self.runner.save([each for each in self.runner.working.values() if at - each.saved >= _SAVE_S])
            await self.runner.save_late()
            self._complaint = ""
        except PacsError as fault:  # the database: everything is tried again in the next round
            if str(fault) != self._complaint:
                self._complaint = str(fault)
                log.warning("jobs cannot be begun or kept now: %s", fault)

    def _watch(self, each: Working, at: float) -> None:
        each.sample(at)
        entry = self.runner.entries.get(each.record.job)
        limit = entry.job.timeout_ms / 1000 if entry is not None else 0
        if limit and at - each.began >= limit:
            told = str(timedelta(seconds=int(limit)))
            each.stop(FAILED, f"it took longer than its {told} and was ended", at)
        if each.stopped_at is not None and at - each.stopped_at >= _GRACE_S and each.task is not None:
            each.stopped_at = at
            each.task.cancel()

    async def _look_safely(self, entry: Entry, now: datetime) -> None:
        try:
            async with self.runner.deciding:
                await self._look(entry, now)
        except PacsError:
            raise
        except Exception as fault:  # a fault of ours with one job must not keep the others from running
            log.exception("the schedule of %s cannot be followed", entry.job.name)
            entry.problem = f"its schedule cannot be followed: {type(fault).__name__}; the node's log says why"

    async def _look(self, entry: Entry, now: datetime) -> None:
        """Begin a job's run if one is due."""
        job, plan = entry.job, entry.plan
        if self.paused or self.by_hand_only:
            return
        if entry.turns and not entry.fault:
            if entry.turns[0].by == "restart" or plan is None or plan.open(now):
                await self._begin_owed(entry)
            return
        if entry.problem or not job.enabled or plan is None:
            return
        retry = moment_or_none(job.retry_at)
        if retry is not None:
            wait = timedelta(milliseconds=job.retry_ms)
            if retry > now + wait:  # the clock was set back
                await self.runner.put_now(entry, replace(job, retry_at=microseconds(now + wait)))
            elif retry <= now and plan.open(now) and not self.runner.under_way(job.name):
                await self._retry(entry, job)
                return
        upto = moment_or_none(job.upto)
        if upto is None or upto > now + _BACK:  # the clock was a day or more ahead: what it showed then is forgotten
            await self.runner.put_now(entry, replace(job, upto=microseconds(now)))
        elif entry.next is not None and entry.next <= now and plan.open(now):
            await self._due(entry, plan, now)

    async def _begin_owed(self, entry: Entry) -> None:
        """Begin the run that a job owes, or say why that cannot be any more."""
        try:
            await self.runner.begin(entry, entry.turns[0], owed=True)
        except BadRequest as fault:  # what it was told does not fit the settings of today
            await self.runner.store.owe({entry.job.name: list(entry.turns)[1:]})
            entry.turns.popleft()
            self.runner.tell(entry.job.name, "warn", f"not begun again: {fault.message}", fault.hint)

    async def _retry(self, entry: Entry, job: Job) -> None:
        """Try a failed run again, with what it was told."""
        by, said = (entry.last.started_by, entry.last.said) if entry.last is not None else ("schedule", {})
        try:
            await self.runner.begin(entry, Turn(by, attempt=job.attempt, parameters=said), replace(job, retry_at=0))
        except BadRequest as fault:
            await self.runner.put_now(entry, replace(job, retry_at=0, attempt=1))
            self.runner.tell(entry.job.name, "warn", f"not tried again: {fault.message}", fault.hint)

    async def _due(self, entry: Entry, plan: Plan, now: datetime) -> None:
        upto = moment_or_none(entry.job.upto) or now
        due = await asyncio.to_thread(plan.preview, upto, _COUNTED, now, _DUE_S)
        missed = sum(now - at > ON_TIME for at in due)
        job = replace(entry.job, upto=microseconds(now), missed=missed, retry_at=0, attempt=1)
        at_it = self.runner.under_way(job.name)
        if at_it and (job.overlap == "skip" or any(each in self.runner.waiting for each in at_it)):
            await self.runner.put_now(entry, job)
            level = "info" if entry.quiet else "warn"
            self.runner.tell(job.name, level, "left out: the run before it is not at its end yet")
            return
        if job.overlap == "cancel-old":
            for each in at_it:
                each.stop(CANCELLED, "a newer run takes its place", self.runner.clock.monotonic())
        planned = due[-1]
        if missed:
            late = now - planned
            told = f"late by {_length(late)}" if late > ON_TIME else "late"
            if missed > 1:
                told += f": one run for {plural(missed, 'time')} that passed without"
            held = self.resumed is not None and planned <= self.resumed
            hint = "jobs were paused" if held else "was the node down, the machine asleep, or its clock set?"
            self.runner.tell(job.name, "info" if entry.quiet or held else "warn", told, hint)
        await self.runner.begin(entry, Turn("schedule", planned), job)

    async def start(self, entry: Entry, by: str, parameters: dict[str, str] | None = None) -> Working:
        """Begin a run by hand; ``parameters`` stand for this run in place of the job's own.

        Raises
        ------
        Unavailable
            When it runs already and its job says that two do not, or it cannot be begun at all.
        """
        async with self.runner.deciding:
            return await self._start(entry, by, parameters or {})

    async def _start(self, entry: Entry, by: str, parameters: dict[str, str]) -> Working:
        if self.runner.closing:
            raise Unavailable("the node stops", "start it again when the node is back")
        if entry.fault:
            raise Unavailable(f"{entry.job.name} cannot run: {entry.fault}", "change the job, or delete it")
        at_it = [each for each in self.runner.under_way(entry.job.name) if _same(each, parameters)]
        if at_it and (entry.job.overlap == "skip" or any(each in self.runner.waiting for each in at_it)):
            raise Unavailable(
                f"{entry.job.name} is at it already, as run {at_it[0].id}",
                f"pacstui jobs cancel {at_it[0].id} ends that one",
            )
        if entry.job.overlap == "cancel-old":
            for each in at_it:
                each.stop(CANCELLED, "a newer run takes its place", self.runner.clock.monotonic())
        return await self.runner.begin(entry, Turn(by, by_hand=True, parameters=parameters))


def _same(each: Working, parameters: dict[str, str]) -> bool:
    """Return whether a run does what one with these parameters would do; one that does another thing may wait."""
    return not parameters or all(each.parameters.get(name) == value for name, value in parameters.items())


def _length(late: timedelta) -> str:
    minutes = int(late / timedelta(minutes=1))
    if minutes < 120:
        return plural(minutes, "minute")
    return plural(minutes // 60, "hour") if minutes < 2880 else plural(minutes // 1440, "day")
