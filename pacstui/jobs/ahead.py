"""What comes in the next day, worked out away from the event loop: a schedule may be costly, and people look often."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pacstui.contract.jobs import PlannedRow
from pacstui.jobs.runner import Entry
from pacstui.jobs.schedule import Plan

AHEAD: Final = timedelta(days=1)
MOST: Final = 300
_SLACK: Final = timedelta(hours=1)
_EACH: Final = 100
_EACH_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class _Known:
    plan: Plan
    since: datetime
    upto: datetime
    times: tuple[datetime, ...]


class Ahead:
    """Remembers for each job when it comes; once an hour each is worked out anew."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._lock = asyncio.Lock()

    async def planned(self, entries: Mapping[str, Entry], now: datetime) -> tuple[PlannedRow, ...]:
        """Return runs by schedule of the next day, soonest first: the next one of each job, and more up to `MOST`."""
        plans = {
            name: entry.plan for name, entry in entries.items()
            if entry.job.enabled and not entry.problem and entry.plan is not None
        }  # fmt: skip
        async with self._lock:
            known = {name: each for name, each in self._known.items() if name in plans}
            stale = [(name, plan) for name, plan in plans.items() if not _fresh(known.get(name), plan, now)]
            if stale:
                known.update(await asyncio.to_thread(_work_out, stale, now))
            self._known = known
        firsts: list[PlannedRow] = []
        others: list[PlannedRow] = []
        for name, each in known.items():
            rows = [PlannedRow(name, at) for at in each.times if now < at <= now + AHEAD]
            firsts += rows[:1]
            others += rows[1:]
        others.sort(key=_order)
        return tuple(sorted(firsts + others[: max(0, MOST - len(firsts))], key=_order))


def _order(row: PlannedRow) -> tuple[datetime, str]:
    return row.at, row.job


def _fresh(known: _Known | None, plan: Plan, now: datetime) -> bool:
    return known is not None and known.plan == plan and known.since <= now and now + AHEAD <= known.upto


def _work_out(plans: Sequence[tuple[str, Plan]], now: datetime) -> dict[str, _Known]:
    until = now + AHEAD + _SLACK
    return {
        name: _Known(plan, now, until, plan.preview(now, _EACH, until, within_s=_EACH_S)) for name, plan in plans
    }  # fmt: skip
