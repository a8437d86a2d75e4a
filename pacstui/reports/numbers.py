"""Reads the numbers of a period from the index, a part at a time: a busy archive is not kept waiting."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Final

from pacstui.contract.reports import CallerRow, DayRow, PartRow, WorkRow
from pacstui.db import Database
from pacstui.reports import tally
from pacstui.reports.period import Period
from pacstui.text import safe

_AT_ONCE: Final = 50_000
_DAYS: Final = "SELECT day, studies, instances, bytes FROM daily WHERE day BETWEEN ? AND ? ORDER BY day"
_PARTS: Final = (
    "SELECT e.modality, i.calling, e.study, count(*), sum(i.size) FROM instances i JOIN series e ON e.id = i.series"
    " WHERE i.id > ? AND i.id <= ? AND i.received >= ? AND i.received < ? GROUP BY 1, 2, 3"
)
_CALLERS: Final = "SELECT who, what, sum(amount) FROM usage WHERE day BETWEEN ? AND ? GROUP BY 1, 2"
_WORK: Final = (
    "SELECT job, count(*), sum(state = 'done'), sum(state = 'warning'), sum(state IN ('failed', 'interrupted')),"
    " sum(late_ms >= 60000) FROM job_runs WHERE started >= ? AND started < ? GROUP BY job ORDER BY job"
)
_FIELDS: Final[Mapping[str, str]] = {
    tally.ASSOCIATIONS: "associations", tally.BROKEN: "broken", tally.REFUSED: "refused",
    tally.NOT_STORED: "not_stored", tally.SET_ASIDE: "set_aside", tally.SENT: "sent", tally.NOT_SENT: "not_sent",
    tally.FETCHED: "fetched", tally.NOT_FETCHED: "not_fetched",
}  # fmt: skip


@dataclass(slots=True)
class _Sum:
    studies: set[int] = field(default_factory=set)
    instances: int = 0
    bytes: int = 0

    def row(self, name: str) -> PartRow:
        return PartRow(safe(name, 64) or "(none)", len(self.studies), self.instances, self.bytes)


def _ordered(sums: Mapping[str, _Sum]) -> tuple[PartRow, ...]:
    rows = (each.row(name) for name, each in sums.items())
    return tuple(sorted(rows, key=lambda row: (-row.bytes, row.name)))


async def days(db: Database, period: Period) -> tuple[DayRow, ...]:
    """Return what came on each day of a period, days without anything too."""
    span = (period.first.isoformat(), period.last.isoformat())
    found = {row[0]: row[1:] for row in await db.read(lambda c: c.execute(_DAYS, span).fetchall())}
    return tuple(DayRow(day, *found.get(day.isoformat(), (0, 0, 0))) for day in period.each())


async def parts(
    db: Database, period: Period, watch: Callable[[int, int], None] = lambda done, total: None
) -> tuple[tuple[PartRow, ...], tuple[PartRow, ...]]:
    """Return modalities and senders of what came in a period, the largest first.

    ``watch`` is told now and then how many objects of how many were looked at; what it raises ends it.
    """
    last = (await db.read(lambda c: c.execute("SELECT coalesce(max(id), 0) FROM instances").fetchone()))[0]
    begin, end = period.span()
    modalities: dict[str, _Sum] = defaultdict(_Sum)
    senders: dict[str, _Sum] = defaultdict(_Sum)
    for after in range(0, last, _AT_ONCE):
        watch(after, last)
        for modality, calling, study, count, size in await db.read(partial(_part, after, begin, end)):
            for one in (modalities[modality], senders[calling]):
                one.studies.add(study)
                one.instances += count
                one.bytes += size
    watch(last, last)
    return _ordered(modalities), _ordered(senders)


def _part(after: int, begin: int, end: int, connection: sqlite3.Connection) -> list[tuple[str, str, int, int, int]]:
    return connection.execute(_PARTS, (after, after + _AT_ONCE, begin, end)).fetchall()


async def callers(db: Database, period: Period) -> tuple[CallerRow, ...]:
    """Return what passed with each AE title in a period, the busiest first."""
    span = (period.first.isoformat(), period.last.isoformat())
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for who, what, amount in await db.read(lambda c: c.execute(_CALLERS, span).fetchall()):
        if what in _FIELDS:
            found[who][_FIELDS[what]] = amount
    rows = (CallerRow(who, **counts) for who, counts in found.items())
    return tuple(sorted(rows, key=lambda row: (-row.associations - row.refused, row.name)))


async def work(db: Database, period: Period) -> tuple[WorkRow, ...]:
    """Return how often each job ran in a period, and how that went."""
    rows = await db.read(lambda c: c.execute(_WORK, period.span()).fetchall())
    return tuple(WorkRow(safe(row[0], 64), *row[1:]) for row in rows)


def growth(rows: Iterable[DayRow], today: date) -> float:
    """Return bytes a day over a period, from the first day with anything on; a day that is not over does not count."""
    over = [row for row in rows if row.day < today]
    busy = [row.day for row in over if row.bytes]
    if not busy:
        return 0.0
    return sum(row.bytes for row in over) / ((over[-1].day - busy[0]) / timedelta(days=1) + 1)
