"""How peers answer: echoes one by one for some weeks, and what came of them by day for two years.

An echo tells of the time since the one before: as long as it answers, the peer counts as up. A gap of more than an hour
tells nothing. So an hour of tries in the middle of an outage weighs an hour, however many tries there were.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Final

from pacstui.clock import microseconds, moment_or_none
from pacstui.contract.peers import DayRow, EchoSample, PeerHistory
from pacstui.equipment.store import Day, Echo, Store
from pacstui.text import safe

WINDOW_DAYS: Final = 30
_GAP_US: Final = 3_600_000_000
_SAMPLES: Final = 2000
_RECENT: Final = 32
_SHOWN: Final = 200
_REMEMBERED: Final = 200
_LONGEST: Final = 400
_ALARM: Final = 2


class Answering:
    """What is known of one peer's answers now."""

    __slots__ = ("failed", "last", "samples", "silent_since")

    def __init__(self) -> None:
        self.last: Echo | None = None
        self.silent_since = 0
        self.failed = 0
        self.samples: deque[int] = deque(maxlen=_RECENT)

    def note(self, echo: Echo) -> None:
        """Take an echo that is later than all before."""
        self.last = echo
        if echo.ok:
            self.silent_since, self.failed = 0, 0
            self.samples.append(echo.us)
        else:
            self.silent_since = self.silent_since or echo.at
            self.failed += 1

    @property
    def alarming(self) -> bool:
        """Whether it failed more than once in a row: one lost echo is no outage."""
        return self.failed >= _ALARM

    @property
    def rtt_ms(self) -> float | None:
        """Median round trip of the last echoes in milliseconds."""
        return round(statistics.median(self.samples) / 1000, 1) if self.samples else None


class History:
    """The echoes of all peers, kept in the database by `flush`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._now: dict[str, Answering] = {}
        self._days: dict[str, dict[str, Day]] = {}
        self._today: dict[tuple[str, str], list[int]] = {}
        self._unsaved: list[Echo] = []
        self._dirty: set[tuple[str, str]] = set()

    async def open(self, now: datetime) -> None:
        """Read what is kept."""
        since = (now.astimezone().date() - timedelta(days=WINDOW_DAYS)).isoformat()
        for day in await self._store.days(since):
            self._days.setdefault(day.peer, {})[day.day] = day
        today = _day(microseconds(now))
        for echo in await self._store.last_echoes(_REMEMBERED):
            self.of(echo.peer).note(echo)
            if echo.ok and _day(echo.at) == today:
                self._today.setdefault((echo.peer, today), []).append(echo.us)

    def of(self, peer: str) -> Answering:
        """Return what is known of a peer's answers now."""
        return self._now.setdefault(peer, Answering())

    def echoed(self, peer: str, at: datetime, ok: bool, milliseconds: float, detail: str) -> None:
        """Note an echo."""
        echo = Echo(peer, microseconds(at), int(ok), round(milliseconds * 1000), safe(detail, _LONGEST))
        known = self.of(peer)
        gap = echo.at - known.last.at if known.last is not None else 0
        known.note(echo)
        day = self._day(peer, _day(echo.at))
        day.asked += 1
        day.answered += echo.ok
        if 0 < gap <= _GAP_US:
            if ok:
                day.up_ms += gap // 1000
            else:
                day.down_ms += gap // 1000
        if ok:
            self._timed(day, echo.us)
        self._unsaved.append(echo)

    def _timed(self, day: Day, us: int) -> None:
        samples = self._today.setdefault((day.peer, day.day), [])
        if len(samples) < _SAMPLES:
            samples.append(us)
        day.min_us = min(day.min_us, us) if day.min_us else us
        day.max_us = max(day.max_us, us)
        day.median_us = round(statistics.median(samples))

    def called(self, peer: str, at: datetime, way: str) -> None:
        """Count an association of a peer, ``in`` or ``out``."""
        day = self._day(peer, _day(microseconds(at)))
        if way == "in":
            day.calls_in += 1
        else:
            day.calls_out += 1

    def _day(self, peer: str, name: str) -> Day:
        days = self._days.setdefault(peer, {})
        if name not in days:
            days[name] = Day(peer, name)
            for old in sorted(days)[: -WINDOW_DAYS - 1]:
                if (peer, old) not in self._dirty:
                    del days[old]
            for key in [key for key in self._today if key[0] == peer and key[1] != name]:
                del self._today[key]
        self._dirty.add((peer, name))
        return days[name]

    def uptime(self, peer: str) -> float | None:
        """Return the part of the last `WINDOW_DAYS` days in which a peer answered, none if nothing is known."""
        days = self._days.get(peer, {}).values()
        up, down = sum(day.up_ms for day in days), sum(day.down_ms for day in days)
        return up / (up + down) if up + down else None

    def forget(self, peer: str) -> None:
        """Forget a peer."""
        self._now.pop(peer, None)
        self._days.pop(peer, None)
        self._unsaved = [echo for echo in self._unsaved if echo.peer != peer]
        self._dirty = {key for key in self._dirty if key[0] != peer}
        self._today = {key: value for key, value in self._today.items() if key[0] != peer}

    def rename(self, peer: str, to: str) -> None:
        """Keep what is known of a peer under another name."""
        self.forget(to)
        if peer in self._now:
            self._now[to] = self._now.pop(peer)
        for day in self._days.get(peer, {}).values():
            day.peer = to
        if peer in self._days:
            self._days[to] = self._days.pop(peer)
        for echo in self._unsaved:
            echo.peer = to if echo.peer == peer else echo.peer
        self._dirty = {(to if name == peer else name, day) for name, day in self._dirty}
        self._today = {(to if name == peer else name, day): each for (name, day), each in self._today.items()}

    def unsaved(self) -> tuple[Sequence[Echo], Sequence[Day]]:
        """Return what is not in the database yet, and count it as being there."""
        echoes, self._unsaved = self._unsaved, []
        dirty, self._dirty = self._dirty, set()
        return echoes, [self._days[peer][day] for peer, day in dirty if day in self._days.get(peer, {})]

    def put_back(self, echoes: Sequence[Echo], days: Iterable[Day]) -> None:
        """Count what could not be written as unsaved again."""
        self._unsaved = [*echoes, *self._unsaved][-_SAMPLES:]
        self._dirty.update((day.peer, day.day) for day in days)

    async def show(self, peer: str, now: datetime, days: int) -> PeerHistory:
        """Return the history of a peer: ``days`` days, all months, the last echoes. `flush` comes before."""
        kept = await self._store.days("", peer)
        since = (now.astimezone().date() - timedelta(days=max(1, days) - 1)).isoformat()
        months = [_sum(month, list(of)) for month, of in groupby(kept, key=lambda day: f"{day.day[:7]}-01")]
        echoes = await self._store.echoes(peer, _SHOWN)
        rows = tuple(_row(day) for day in kept if day.day >= since)
        return PeerHistory(peer, rows, tuple(map(_row, months)), tuple(map(_sample, echoes)))


def _day(at: int) -> str:
    """Return the local day of a time in microseconds."""
    told = moment_or_none(at)
    assert told is not None
    return told.astimezone().date().isoformat()


def _sum(name: str, days: Sequence[Day]) -> Day:
    medians = [day.median_us for day in days if day.median_us]
    return Day(
        days[0].peer,
        name,
        sum(d.asked for d in days),
        sum(d.answered for d in days),
        sum(d.up_ms for d in days),
        sum(d.down_ms for d in days),
        min((d.min_us for d in days if d.min_us), default=0),
        round(statistics.median(medians)) if medians else 0,
        max(d.max_us for d in days),
        sum(d.calls_in for d in days),
        sum(d.calls_out for d in days),
    )


def _row(day: Day) -> DayRow:
    return DayRow(
        date.fromisoformat(day.day),
        day.asked,
        day.answered,
        day.up_ms / 1000,
        day.down_ms / 1000,
        day.min_us / 1000,
        day.median_us / 1000,
        day.max_us / 1000,
        day.calls_in,
        day.calls_out,
    )


def _sample(echo: Echo) -> EchoSample:
    at = moment_or_none(echo.at)
    assert at is not None
    return EchoSample(at, bool(echo.ok), echo.us / 1000, echo.detail)
