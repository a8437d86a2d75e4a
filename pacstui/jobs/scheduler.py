"""Finds what is due by looking at the clock again and again, and sees each run to its end.

Nothing here sleeps until a time: a machine that was suspended or whose clock was set makes late runs, and none twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.db import Database
from pacstui.errors import BadRequest, PacsError, Unavailable
from pacstui.jobs.checks import checked, trouble
from pacstui.jobs.kinds import Cancelled, Kind, Outcome
from pacstui.jobs.schedule import Plan, plan_of
from pacstui.jobs.store import (
    CANCELLED,
    DONE,
    FAILED,
    INTERRUPTED,
    RUNNING,
    WAITING,
    WARNING,
    Job,
    RunRecord,
    Store,
    micro,
    moment,
)
from pacstui.jobs.work import Working
from pacstui.text import plural, safe

log = logging.getLogger("pacstui.jobs")
ON_TIME = timedelta(seconds=60)
_BACK = timedelta(hours=25)
_SAVE_S = 5.0
_GRACE_S = 30.0
_STOP_S = 3.0
_COUNTED = 500
_RESTARTS = 3
_RECENT = 300


@dataclass(slots=True)
class Turn:
    """A run that is to be begun: who wants it, when the schedule wanted it, and what is known of earlier tries."""

    by: str
    planned: datetime | None = None
    attempt: int = 1
    restarts: int = 0
    by_hand: bool = False
    parameters: dict[str, str] = field(default_factory=dict)


class Entry:
    """A job with what is known of it now. ``next`` is when it begins by its schedule."""

    def __init__(self, job: Job, kind: Kind | None, last: RunRecord | None = None) -> None:
        self.last = last
        self.turns: deque[Turn] = deque()
        self.plan: Plan | None = None
        self.set(job, kind)

    def set(self, job: Job, kind: Kind | None) -> None:
        """Take another state of the job."""
        self.job, self.kind = job, kind
        self.problem = trouble(job, kind)
        try:
            self.plan = plan_of(job.schedule, job.hours, job.zone)
        except BadRequest:
            self.plan = None
        upto = moment(job.upto)
        self.next = self.plan.after(upto) if self.plan is not None and upto is not None else None

    @property
    def quiet(self) -> bool:
        """Whether nobody needs to hear of runs that went well."""
        return self.kind is not None and self.kind.quiet


class Scheduler:
    """All jobs, their runs that are under way, and those that wait for their turn.

    ``dress`` is called at the beginning of each run, in its own context: there the node says who calls then. With
    ``by_hand_only`` nothing begins that nobody starts.
    """

    def __init__(self, database: Database, bus: Bus, clock: Clock) -> None:
        self.store = Store(database)
        self.clock = clock
        self.kinds: dict[str, Kind] = {}
        self.entries: dict[str, Entry] = {}
        self.working: dict[int, Working] = {}
        self.waiting: list[Working] = []
        self.recent: deque[RunRecord] = deque(maxlen=_RECENT)
        self.paused = ""
        self.by_hand_only = False
        self.closing = False
        self.dress: Callable[[], None] = lambda: None
        self._bus = bus
        self._lock = asyncio.Lock()
        self._unsaved: list[Working] = []
        self._complaint = ""

    # life

    async def open(self) -> None:
        """Read what is kept, and find out which runs did not come to their end."""
        jobs, lasts, self.paused = await self.store.load()
        for name, job in jobs.items():
            self.entries[name] = Entry(job, self.kinds.get(job.kind), lasts.get(name))
        self.recent.extend(reversed(await self.store.history("", _RECENT, None, "")))
        cut = await self.store.unfinished()
        for record in cut:
            self._cut(record)
        if cut:
            await self.store.save(cut)
            by_id = {record.id: record for record in cut}
            self.recent = deque((by_id.get(each.id, each) for each in self.recent), _RECENT)

    def _cut(self, record: RunRecord) -> None:
        """Settle a run that the end of the node cut off: it goes on, if its kind can do that."""
        entry, kind = self.entries.get(record.job), self.kinds.get(record.kind)
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
            entry.turns.append(Turn("restart", moment(record.planned), record.attempt, record.restarts + 1))
            record.hint = "it goes on by itself"
            self.tell(record.job, "info", f"goes on: {record.text or 'the node ended in the middle of it'}")
        elif killed and not record.hint:
            record.hint = "start it again, or wait for its schedule"
        if entry is not None:
            entry.last = record
        if killed:
            self._tell_end(record, goes_on)

    async def close(self) -> None:
        """Let all runs end at their next safe point, for some seconds; then they are cut off."""
        self.closing = True
        at = self.clock.monotonic()
        async with self._lock:
            tasks = [each.task for each in self.working.values() if each.task is not None]
            for each in self.working.values():
                each.stop(INTERRUPTED, "the node stops", at)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_STOP_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1.0)
        for each in [*self.working.values(), *self._unsaved]:  # what swallowed even that
            each.record.state, each.record.again = INTERRUPTED, int(each.kind.resumes)
            await self._save([each], final=True)

    # looking at the clock

    async def tick(self) -> None:
        """Begin what is due, and look after what runs. Called about each second."""
        if self.closing:
            return
        now, at = self.clock.now(), self.clock.monotonic()
        for each in list(self.working.values()):
            self._watch(each, at)
        try:
            for entry in list(self.entries.values()):
                await self._look_safely(entry, now)
            await self._next_turns()
            await self._save([each for each in self.working.values() if at - each.saved >= _SAVE_S])
            if self._unsaved:
                await self._save(self._unsaved, final=True)
                self._unsaved = []
            self._complaint = ""
        except PacsError as fault:  # the database: everything is tried again in the next round
            if str(fault) != self._complaint:
                self._complaint = str(fault)
                log.warning("jobs cannot be begun or kept now: %s", fault)

    def _watch(self, each: Working, at: float) -> None:
        each.sample(at)
        entry = self.entries.get(each.record.job)
        limit = entry.job.timeout_ms / 1000 if entry is not None else 0
        if limit and at - each.began >= limit:
            told = str(timedelta(seconds=int(limit)))
            each.stop(FAILED, f"it took longer than its {told} and was ended", at)
        if each.stopped_at is not None and at - each.stopped_at >= _GRACE_S and each.task is not None:
            each.stopped_at = at
            each.task.cancel()

    async def _look_safely(self, entry: Entry, now: datetime) -> None:
        try:
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
        if entry.turns and not entry.problem:
            turn = entry.turns[0]
            if turn.by == "restart" or plan is None or plan.open(now):
                await self._begin(entry, turn)
                entry.turns.popleft()
            return
        if entry.problem or not job.enabled or plan is None:
            return
        retry = moment(job.retry_at)
        if retry is not None:
            wait = timedelta(milliseconds=job.retry_ms)
            if retry > now + wait:  # the clock was set back
                await self._put(entry, replace(job, retry_at=micro(now + wait)))
            elif retry <= now and plan.open(now) and not self.under_way(job.name):
                by = entry.last.started_by if entry.last is not None else "schedule"
                await self._begin(entry, Turn(by, attempt=job.attempt), replace(job, retry_at=0))
                return
        upto = moment(job.upto)
        if upto is None or upto > now + _BACK:  # the clock was a day or more ahead: what it showed then is forgotten
            await self._put(entry, replace(job, upto=micro(now)))
        elif entry.next is not None and entry.next <= now and plan.open(now):
            await self._due(entry, plan, now)

    async def _due(self, entry: Entry, plan: Plan, now: datetime) -> None:
        due = plan.preview(moment(entry.job.upto) or now, _COUNTED, now)
        missed = sum(now - at > ON_TIME for at in due)
        job = replace(entry.job, upto=micro(now), missed=missed, retry_at=0, attempt=1)
        at_it = self.under_way(job.name)
        if at_it and (job.overlap == "skip" or any(each in self.waiting for each in at_it)):
            await self._put(entry, job)
            self.tell(job.name, "info" if entry.quiet else "warn", "left out: the run before it is not at its end yet")
            return
        if job.overlap == "cancel-old":
            for each in at_it:
                each.stop(CANCELLED, "a newer run takes its place", self.clock.monotonic())
        planned = due[-1]
        if missed:
            late = now - planned
            told = f"late by {_length(late)}" if late > ON_TIME else "late"
            if missed > 1:
                told += f": one run for {plural(missed, 'time')} that passed without"
            hint = "was the node down, the machine asleep, or its clock set?"
            self.tell(job.name, "info" if entry.quiet else "warn", told, hint)
        await self._begin(entry, Turn("schedule", planned), job)

    # runs

    def under_way(self, name: str) -> list[Working]:
        """Return a job's runs that run or wait for their turn."""
        return [each for each in (*self.working.values(), *self.waiting) if each.record.job == name]

    async def start(self, entry: Entry, by: str, parameters: dict[str, str] | None = None) -> Working:
        """Begin a run by hand; ``parameters`` stand for this run in place of the job's own.

        Raises
        ------
        Unavailable
            When it runs already and its job says that two do not, or it cannot be begun at all.
        """
        if self.closing:
            raise Unavailable("the node stops", "start it again when the node is back")
        if entry.problem:
            raise Unavailable(f"{entry.job.name} cannot run: {entry.problem}", "change the job, or delete it")
        at_it = [each for each in self.under_way(entry.job.name) if _same(each, parameters)]
        if at_it and (entry.job.overlap == "skip" or any(each in self.waiting for each in at_it)):
            raise Unavailable(
                f"{entry.job.name} is at it already, as run {at_it[0].id}",
                f"pacstui jobs cancel {at_it[0].id} ends that one",
            )
        if entry.job.overlap == "cancel-old":
            for each in at_it:
                each.stop(CANCELLED, "a newer run takes its place", self.clock.monotonic())
        return await self._begin(entry, Turn(by, by_hand=True, parameters=parameters or {}))

    async def _begin(self, entry: Entry, turn: Turn, job: Job | None = None) -> Working:
        """Give a run its number; it begins now, or waits for its turn."""
        kind, about = entry.kind, entry.job
        assert kind is not None
        now = self.clock.now()
        late = max(timedelta(), now - turn.planned) if turn.planned is not None else timedelta()
        record = RunRecord(
            0, about.name, about.kind, WAITING, turn.by, micro(turn.planned), micro(now), 0,
            int(late / timedelta(milliseconds=1)), turn.attempt, restarts=turn.restarts,
        )  # fmt: skip

        async def keep(text: str) -> None:
            entry.job = replace(entry.job, kept=text)
            await self.store.keep(about.name, text)

        given = checked(kind, {**about.parameters, **turn.parameters})
        each = Working(record, kind, given, about.kept, self.clock.now, keep)
        each.by_hand = turn.by_hand
        async with self._lock:
            if self._free(each):
                record.state = RUNNING
            fresh = replace(job or entry.job, kept=entry.job.kept)
            await self.store.begin(record, fresh)
            entry.set(fresh, kind)
            if record.state == RUNNING and not self.closing:
                self._run(each)
            else:
                self.waiting.append(each)
        return each

    def _free(self, each: Working) -> bool:
        """Return whether nothing runs that a run has to wait for."""
        return not any(
            other.record.job == each.record.job or (each.lane and other.lane == each.lane)
            for other in self.working.values()
        )

    def waits_for(self, each: Working) -> str:
        """Return in words what a run waits for."""
        for other in self.working.values():
            if other.record.job == each.record.job or (each.lane and other.lane == each.lane):
                return f"its turn: {other.record.job} is at it"
        return "its turn"

    async def _next_turns(self) -> None:
        for each in list(self.waiting):
            if self._free(each) and each in self.waiting and not self.closing:
                async with self._lock:
                    if self._free(each) and each in self.waiting:
                        self.waiting.remove(each)
                        each.record.state, each.record.started = RUNNING, micro(self.clock.now())
                        self._run(each)
                await self._save([each])

    def _run(self, each: Working) -> None:
        each.began = each.saved = self.clock.monotonic()
        each.sample(each.began)
        self.working[each.id] = each
        record = each.record
        self._bus.publish(
            events.JobBegan(
                self.clock.now(), record.job, record.kind, record.started_by, each.kind.quiet, each.by_hand
            )
        )
        each.task = asyncio.create_task(self._work(each), name=f"job {record.job}")

    async def _work(self, each: Working) -> None:
        self.dress()
        state, text, hint = FAILED, "", ""
        try:
            outcome: Outcome = await each.kind.work(each)
            state, text, hint = WARNING if outcome.warning else DONE, outcome.text, outcome.hint
        except Cancelled as fault:
            state, text, hint = each.ends_as or CANCELLED, each.why or fault.message, fault.hint
        except asyncio.CancelledError:
            state, text = each.ends_as or INTERRUPTED, each.why or "it was cut off"
        except PacsError as fault:
            text, hint = fault.message, fault.hint
        except Exception as fault:  # a fault of the work's own: this run failed, and nothing else
            log.exception("job %s, run %d failed", each.record.job, each.id)
            text, hint = f"it broke off: {type(fault).__name__}: {fault}", "the node's log says where"
        record = each.record
        record.state, record.text, record.hint = state, safe(text, 1000), safe(hint, 500)
        record.ended, record.now = micro(self.clock.now()), ""
        record.again = int(self.closing and state == INTERRUPTED and each.kind.resumes)
        if state == FAILED and each.ends_as:
            record.hint = "give it more time (timeout), or look why it takes so long"
        await self._ended(each)

    async def _ended(self, each: Working) -> None:
        record = each.record
        async with self._lock:
            self.working.pop(each.id, None)
            entry = self.entries.get(record.job)
            quiet = each.kind.quiet and (record.state == DONE or _alike(entry, record))
            if entry is not None:
                entry.last = record
                job = replace(entry.job, retry_at=0, attempt=1)
                if record.state == FAILED and record.attempt <= job.retries and job.enabled:
                    again = self.clock.now() + timedelta(milliseconds=job.retry_ms)
                    job = replace(job, retry_at=micro(again), attempt=record.attempt + 1)
                entry.set(job, entry.kind)
            self.recent.append(record)
            each.last_line()
            try:
                await self._save([each], final=True)
                await self.store.prune(record.job, self.clock.now())
            except PacsError as fault:
                self._unsaved.append(each)
                log.warning("the end of run %d of %s is not kept yet: %s", each.id, record.job, fault)
        self._tell_end(record, quiet)
        if record.state in (DONE, WARNING) and not self.closing:
            for other in self.entries.values():
                if other.job.follows == record.job and other.job.enabled and not other.problem and not other.turns:
                    other.turns.append(Turn(record.job))
        each.ended.set()

    async def cancel(self, each: Working, by: str) -> None:
        """End a run at its next safe point, or one that waits at once."""
        if each in self.waiting:
            self.waiting.remove(each)
            record = each.record
            record.state, record.ended = CANCELLED, micro(self.clock.now())
            record.text = f"cancelled by {by} before its turn came"
            await self._ended(each)
        else:
            each.stop(CANCELLED, f"cancelled by {by}", self.clock.monotonic())

    # keeping

    async def _put(self, entry: Entry, job: Job) -> None:
        await self.store.put(job)
        entry.set(job, self.kinds.get(job.kind))

    async def put(self, job: Job) -> Entry:
        """Keep a job, new or changed."""
        async with self._lock:
            entry = self.entries.get(job.name)
            if entry is not None:
                job = replace(job, kept=entry.job.kept)
            await self.store.put(job)
            if entry is None:
                entry = self.entries[job.name] = Entry(job, self.kinds.get(job.kind))
            else:
                entry.set(job, self.kinds.get(job.kind))
            return entry

    async def remove(self, names: Iterable[str]) -> None:
        """Forget jobs."""
        names = list(names)
        async with self._lock:
            await self.store.remove(names)
            for name in names:
                self.entries.pop(name, None)

    async def flush(self, ident: int) -> None:
        """Keep what a run has written down so far."""
        each = self.working.get(ident)
        if each is not None and each.lines:
            await self._save([each])

    async def _save(self, many: list[Working], *, final: bool = False) -> None:
        if not many:
            return
        now = self.clock.now()
        lines = [line for each in many for line in each.taken_lines()]
        records = [each.record if final else replace(each.record, ended=micro(now)) for each in many]
        entry = self.entries.get(many[0].record.job) if final else None
        try:
            await self.store.save(records, lines, entry.job if entry is not None else None)
        except PacsError:
            for each in many:
                each.lines = [line for line in lines if line[0] == each.id] + each.lines
            raise
        for each in many:
            each.saved = self.clock.monotonic()

    def tell(self, job: str, level: str, text: str, hint: str = "") -> None:
        """Put a sentence about a job on the bus."""
        self._bus.publish(events.JobTold(self.clock.now(), job, level, text, hint))

    def _tell_end(self, record: RunRecord, quiet: bool) -> None:
        seconds = max(0, record.ended - record.started) / 1e6
        self._bus.publish(
            events.JobEnded(
                self.clock.now(), record.job, record.kind, record.state, record.text, record.hint, seconds, quiet
            )
        )


def _same(each: Working, parameters: dict[str, str] | None) -> bool:
    """Return whether a run does what one with these parameters would do; one that does another thing may wait."""
    return not parameters or all(each.parameters.get(name) == value for name, value in parameters.items())


def _alike(entry: Entry | None, record: RunRecord) -> bool:
    """Return whether a run ended like the one before it."""
    last = entry.last if entry is not None else None
    return last is not None and (last.state, last.text) == (record.state, record.text)


def _length(late: timedelta) -> str:
    minutes = int(late / timedelta(minutes=1))
    if minutes < 120:
        return plural(minutes, "minute")
    return plural(minutes // 60, "hour") if minutes < 2880 else plural(minutes // 1440, "day")
