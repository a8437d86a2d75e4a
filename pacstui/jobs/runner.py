"""Runs under way, and those that wait for their turn: each is seen to its end and kept."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import Clock, microseconds, moment_or_none
from pacstui.contract import privacy
from pacstui.db import Database
from pacstui.errors import BadRequest, PacsError
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
    Turn,
)
from pacstui.jobs.work import Working
from pacstui.text import safe

log = logging.getLogger("pacstui.jobs")
_STOP_S = 3.0
RECENT = 300


class Entry:
    """A job with what is known of it now. ``next`` is when it begins by its schedule.

    ``fault`` says why it cannot run at all, ``problem`` that, or why it cannot run by its schedule.
    """

    def __init__(self, job: Job, kind: Kind | None, last: RunRecord | None = None) -> None:
        self.last = last
        self.turns: deque[Turn] = deque()
        self.plan: Plan | None = None
        self.set(job, kind)

    def set(self, job: Job, kind: Kind | None) -> None:
        """Take another state of the job."""
        self.job, self.kind = job, kind
        self.fault = trouble(job, kind)
        self.plan, why = _plan(job)
        self.problem = self.fault or why
        upto = moment_or_none(job.upto)
        self.next = self.plan.after(upto) if self.plan is not None and upto is not None else None

    @property
    def quiet(self) -> bool:
        """Whether nobody needs to hear of runs that went well."""
        return self.kind is not None and self.kind.quiet


def _plan(job: Job) -> tuple[Plan | None, str]:
    """Return when a job runs, or why nobody can tell."""
    try:
        return plan_of(job.schedule, job.hours, job.zone), ""
    except BadRequest as fault:
        return None, fault.message


class Runner:
    """All jobs with their runs that are under way or wait for their turn.

    ``dress`` is called at the beginning of each run, in its own context: there the node says who calls then.
    ``deciding`` is held while somebody decides what begins.
    """

    def __init__(self, database: Database, bus: Bus, clock: Clock) -> None:
        self.store = Store(database)
        self.clock = clock
        self.kinds: dict[str, Kind] = {}
        self.entries: dict[str, Entry] = {}
        self.working: dict[int, Working] = {}
        self.waiting: list[Working] = []
        self.recent: deque[RunRecord] = deque(maxlen=RECENT)
        self.closing = False
        self.dress: Callable[[], None] = lambda: None
        self._bus = bus
        self._lock = asyncio.Lock()
        self.deciding = asyncio.Lock()
        self._unsaved: list[Working] = []

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
            await self.save([each], final=True)

    # runs

    def under_way(self, name: str) -> list[Working]:
        """Return a job's runs that run or wait for their turn."""
        return [each for each in (*self.working.values(), *self.waiting) if each.record.job == name]

    async def begin(self, entry: Entry, turn: Turn, job: Job | None = None, owed: bool = False) -> Working:
        """Give a run its number; it begins now, or waits for its turn. One that was ``owed`` is owed no more."""
        kind, about = entry.kind, entry.job
        assert kind is not None
        now = self.clock.now()
        late = max(timedelta(), now - turn.planned) if turn.planned is not None else timedelta()
        record = RunRecord(
            0, about.name, about.kind, WAITING, turn.by, microseconds(turn.planned), microseconds(now), 0,
            int(late / timedelta(milliseconds=1)), turn.attempt, restarts=turn.restarts,
            parameters=json.dumps(dict(turn.parameters)) if turn.parameters else "",
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
            await self.store.begin(record, fresh, {about.name: list(entry.turns)[1:]} if owed else {})
            if owed:
                entry.turns.popleft()
            if turn.parameters:
                told = privacy.without(turn.parameters)
                each.note("this run was told: " + ", ".join(f"{name} {value}" for name, value in told.items()))
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

    async def next_turns(self) -> None:
        """Let runs begin whose turn has come."""
        for each in list(self.waiting):
            if self._free(each) and each in self.waiting and not self.closing:
                async with self._lock:
                    if self._free(each) and each in self.waiting:
                        self.waiting.remove(each)
                        each.record.state, each.record.started = RUNNING, microseconds(self.clock.now())
                        self._run(each)
                await self.save([each])

    def _run(self, each: Working) -> None:
        each.began = each.saved = self.clock.monotonic()
        each.sample(each.began)
        self.working[each.id] = each
        record = each.record
        self._bus.publish(
            events.JobBegan(self.clock.now(), record.job, record.kind, record.started_by, each.kind.quiet, each.by_hand)
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
        record.ended, record.now = microseconds(self.clock.now()), ""
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
                    job = replace(job, retry_at=microseconds(again), attempt=record.attempt + 1)
                entry.set(job, entry.kind)
            self.recent.append(record)
            each.last_line()
            owed = self._follow(record)
            try:
                await self.save([each], final=True, owed=owed)
                await self.store.prune(record.job, self.clock.now())
            except PacsError as fault:
                self._unsaved.append(each)
                log.warning("the end of run %d of %s is not kept yet: %s", each.id, record.job, fault)
        self.tell_end(record, quiet)
        each.ended.set()

    def _follow(self, record: RunRecord) -> dict[str, Sequence[Turn]]:
        """Let those begin that follow a job, once it is done; return what they owe, which outlives the node."""
        if record.state not in (DONE, WARNING):
            return {}
        owed: dict[str, Sequence[Turn]] = {}
        for name, other in self.entries.items():
            if other.job.follows == record.job and other.job.enabled and not other.fault and not other.turns:
                other.turns.append(Turn(record.job))
                owed[name] = tuple(other.turns)
        return owed

    async def cancel(self, each: Working, by: str) -> None:
        """End a run at its next safe point, or one that waits at once."""
        if each in self.waiting:
            self.waiting.remove(each)
            record = each.record
            record.state, record.ended = CANCELLED, microseconds(self.clock.now())
            record.text = f"cancelled by {by} before its turn came"
            await self._ended(each)
        else:
            each.stop(CANCELLED, f"cancelled by {by}", self.clock.monotonic())

    # keeping

    async def put_now(self, entry: Entry, job: Job) -> None:
        """Keep another state of a job, by somebody who decides at the moment."""
        await self.store.put(job)
        entry.set(job, self.kinds.get(job.kind))

    async def put(self, job: Job) -> Entry:
        """Keep a job, new or changed; what its runs have noted meanwhile stays."""
        async with self.deciding, self._lock:
            entry = self.entries.get(job.name)
            if entry is not None:
                old = entry.job
                job = replace(
                    job, kept=old.kept, upto=max(job.upto, old.upto), retry_at=min(job.retry_at, old.retry_at),
                    missed=min(job.missed, old.missed),
                )  # fmt: skip
            await self.store.put(job)
            if entry is None:
                entry = self.entries[job.name] = Entry(job, self.kinds.get(job.kind))
            else:
                entry.set(job, self.kinds.get(job.kind))
            return entry

    async def remove(self, names: Iterable[str]) -> None:
        """Forget jobs."""
        names = list(names)
        async with self.deciding, self._lock:
            await self.store.remove(names)
            for name in names:
                self.entries.pop(name, None)

    async def forgive(self, entry: Entry) -> None:
        """Let a job owe no runs."""
        async with self.deciding:
            if entry.turns:
                await self.store.owe({entry.job.name: ()})
                entry.turns.clear()

    async def flush(self, ident: int) -> None:
        """Keep what a run has written down so far."""
        each = self.working.get(ident)
        if each is not None and each.lines:
            await self.save([each])

    async def save(
        self, many: list[Working], *, final: bool = False, owed: Mapping[str, Sequence[Turn]] = {}
    ) -> None:  # fmt: skip
        """Keep how far runs are, at their end with all of it, and what is owed then."""
        if not many:
            return
        now = self.clock.now()
        lines = [line for each in many for line in each.taken_lines()]
        records = [each.record if final else replace(each.record, ended=microseconds(now)) for each in many]
        entry = self.entries.get(many[0].record.job) if final else None
        try:
            await self.store.save(records, lines, entry.job if entry is not None else None, owed)
        except PacsError:
            for each in many:
                each.lines = [line for line in lines if line[0] == each.id] + each.lines
            raise
        for each in many:
            each.saved = self.clock.monotonic()

    async def save_late(self) -> None:
        """Keep the ends of runs that could not be kept when they ended."""
        if self._unsaved:
            owed = {name: tuple(entry.turns) for name, entry in self.entries.items() if entry.turns}
            await self.save(self._unsaved, final=True, owed=owed)
            self._unsaved = []

    def tell(self, job: str, level: str, text: str, hint: str = "") -> None:
        """Put a sentence about a job on the bus."""
        self._bus.publish(events.JobTold(self.clock.now(), job, level, text, hint))

    def tell_end(self, record: RunRecord, quiet: bool) -> None:
        """Put the end of a run on the bus."""
        seconds = max(0, record.ended - record.started) / 1e6
        self._bus.publish(
            events.JobEnded(
                self.clock.now(), record.job, record.kind, record.state, record.text, record.hint, seconds, quiet
            )
        )


def _alike(entry: Entry | None, record: RunRecord) -> bool:
    """Return whether a run ended like the one before it."""
    last = entry.last if entry is not None else None
    return last is not None and (last.state, last.text) == (record.state, record.text)
