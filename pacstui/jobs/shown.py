"""Jobs as people see them: rows with their state, what comes, counts for the status, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from pacstui.clock import Clock, moment_or_none
from pacstui.contract import privacy
from pacstui.contract.jobs import JobRow, JobsView
from pacstui.jobs.ahead import Ahead
from pacstui.jobs.runner import Entry
from pacstui.jobs.scheduler import Scheduler
from pacstui.jobs.store import FAILED, RUNNING, Job
from pacstui.jobs.work import row_of
from pacstui.text import safe

Problem = tuple[str, str, str, str, str]
_RECENT: Final = 200
_RESUMED: Final = "that jobs are resumed"


class Shown:
    """What there is to see. ``may`` tells whether the present caller has a permission."""

    def __init__(self, scheduler: Scheduler, clock: Clock, may: Callable[[str], bool]) -> None:
        self._scheduler = scheduler
        self._runner = scheduler.runner
        self._clock = clock
        self._may = may
        self._ahead = Ahead()

    def _held(self) -> str:
        """Return who or what keeps jobs from beginning by themselves, empty if nothing does."""
        return self._scheduler.paused or ("the setting [node] jobs" if self._scheduler.by_hand_only else "")

    async def view(self) -> JobsView:
        """Return all of it."""
        runner = self._runner
        planned = await self._ahead.planned(runner.entries, self._clock.now())
        running = tuple(each.row() for each in (*runner.working.values(), *runner.waiting))
        rows = tuple(self.row(entry) for _, entry in sorted(runner.entries.items()))
        recent = tuple(row_of(record) for record in list(runner.recent)[: -_RECENT - 1 : -1])
        return JobsView(bool(self._held()), self._held(), rows, running, recent, planned)

    def part(self) -> dict[str, int]:
        """Return the counts for the status: jobs, runs under way, jobs that failed last or began late, and pause."""
        entries = self._runner.entries.values()
        return {
            "total": len(entries),
            "running": len(self._runner.working),
            "failed": sum(entry.job.enabled and _failed(entry) for entry in entries),
            "late": sum(entry.job.enabled and entry.job.missed > 0 for entry in entries),
            "paused": int(bool(self._held())),
        }

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong now, for ``monitor.problems``."""
        for name, entry in self._runner.entries.items():
            if not entry.job.enabled:
                continue
            if entry.problem:
                how, by_hand = ("cannot run", "") if entry.fault else ("cannot run by its schedule", ", r runs it now")
                yield (
                    f"job-broken {name}", "warn", f"the job {name} {how}: {safe(entry.problem, 200)}",
                    f"e on the screen Jobs changes it, d disables it{by_hand}", "jobs",
                )  # fmt: skip
            elif _failed(entry) and entry.last is not None and not (entry.kind and entry.kind.told_elsewhere):
                retry = moment_or_none(entry.job.retry_at)
                then = f"; it tries again at {retry.astimezone():%H:%M}" if retry is not None else ""
                mend = f"{entry.last.hint}; then " if entry.last.hint else ""
                yield (
                    f"job-failed {name}", "warn", f"the job {name} failed: {safe(entry.last.text, 200)}{then}",
                    f"{mend}r on the screen Jobs runs it again", "jobs",
                )  # fmt: skip

    def row(self, entry: Entry) -> JobRow:
        """Return a job as lists show it."""
        runner, job, kind = self._runner, entry.job, entry.kind
        under_way = runner.under_way(job.name)
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
            job.name, job.kind, kind.label if kind is not None else job.kind, self._parameters(job), job.schedule,
            "; ".join(each for each in (words, following) if each) or "by hand", job.hours, job.zone, job.enabled,
            job.follows, job.retries, job.retry_ms / 1000, job.timeout_ms / 1000, job.overlap, state,
            moment_or_none(job.retry_at) or entry.next if job.enabled and not entry.problem else None,
            under_way[0].id if under_way else 0, row_of(entry.last) if entry.last is not None else None, job.missed,
            safe(entry.problem, 300), job.builtin, waits, entry.quiet,
        )  # fmt: skip

    def _parameters(self, job: Job) -> dict[str, str]:
        """Return a job's parameters, without those that point at patients where the present caller may not see them."""
        return dict(job.parameters) if self._may(privacy.PERMISSION) else privacy.without(job.parameters)

    def _waits(self, entry: Entry, now: datetime) -> str:
        """Return what a job waits for that would run otherwise, empty if for nothing."""
        runner, job, plan = self._runner, entry.job, entry.plan
        for each in runner.waiting:
            if each.record.job == job.name:
                return runner.waits_for(each)
        if entry.fault:
            return ""
        retry = moment_or_none(job.retry_at)
        by_clock = job.enabled and not entry.problem
        due = by_clock and any(at is not None and at <= now for at in (entry.next, retry))
        if entry.turns or due:
            if self._held():
                return _RESUMED
            return f"its hours, {job.hours}" if plan is not None and not plan.open(now) else ""
        return f"its next try at {retry.astimezone():%H:%M}" if by_clock and retry is not None else ""


def _failed(entry: Entry) -> bool:
    return entry.last is not None and entry.last.state == FAILED
