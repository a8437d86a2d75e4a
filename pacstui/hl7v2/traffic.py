"""Who sends, how much, how fast: counted in memory, begun with what is kept."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pacstui.clock import microseconds, moment
from pacstui.hl7v2 import store

Who = tuple[str, str, str]
"""Sending application, sending facility, address."""
_SENDERS: Final = 500
_HOURS: Final = 24
_RATE_S: Final = 10


@dataclass(slots=True)
class Counts:
    """One sender within the last day: by hour messages and failures; by second, for its rate."""

    last: datetime | None = None
    hours: dict[int, list[int]] = field(default_factory=dict)
    minutes: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=6))

    def add(self, at: datetime, failed: int, count: int = 1) -> None:
        """Count messages."""
        self.last = at if self.last is None else max(self.last, at)
        hour = int(at.timestamp()) // 3600
        told = self.hours.setdefault(hour, [0, 0])
        told[0] += count
        told[1] += failed
        for old in [each for each in self.hours if each <= hour - _HOURS]:
            del self.hours[old]

    def tick(self, at: datetime) -> None:
        """Count one towards the rate."""
        minute = int(at.timestamp()) // 60
        if self.minutes and self.minutes[-1][0] == minute:
            self.minutes[-1] = (minute, self.minutes[-1][1] + 1)
        else:
            self.minutes.append((minute, 1))

    def sums(self, now: datetime) -> tuple[int, int]:
        """Return messages and failures within the last day."""
        first = int(now.timestamp()) // 3600 - _HOURS
        told = [each for hour, each in self.hours.items() if hour > first]
        return sum(each[0] for each in told), sum(each[1] for each in told)

    def per_minute(self, now: datetime) -> float:
        """Return messages a minute over the last five."""
        minute = int(now.timestamp()) // 60
        return sum(count for at, count in self.minutes if minute - 5 < at <= minute) / 5


class Traffic:
    """What came in, by sender and by day."""

    def __init__(self) -> None:
        self.senders: OrderedDict[Who, Counts] = OrderedDict()
        self.today = self.repeated_today = self.refused_today = 0
        self._day = ""
        self._seconds: deque[tuple[int, int]] = deque(maxlen=_RATE_S + 1)

    def begin(self, connection: sqlite3.Connection, now: datetime) -> None:
        """Take over what is kept of the last day."""
        self._turn(now)
        midnight = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        day_ago = microseconds(now - timedelta(days=1))
        for sender, facility, origin, hour, count, failed, last in connection.execute(
            "SELECT sender, facility, origin, at / 3600000000, count(*), sum(answer NOT IN ('AA', 'CA')), max(at)"
            " FROM hl7_messages WHERE at >= ? AND made_by = '' GROUP BY 1, 2, 3, 4 ORDER BY max(at)",
            (day_ago,),
        ).fetchall():
            counts = self._of((sender, facility, origin))
            told = counts.hours.setdefault(hour, [0, 0])
            told[0] += count
            told[1] += failed
            counts.last = moment(last)
        self.today, self.repeated_today = connection.execute(
            "SELECT count(*), coalesce(sum(state = 'repeated'), 0) FROM hl7_messages WHERE at >= ? AND made_by = ''",
            (microseconds(midnight),),
        ).fetchone()

    def message(self, who: Who, at: datetime, state: str) -> None:
        """Count a message."""
        self._turn(at)
        self.today += 1
        self.repeated_today += state == store.REPEATED
        failed = state == store.FAILED
        counts = self._of(who)
        counts.add(at, failed)
        counts.tick(at)
        second = int(at.timestamp())
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + 1)
        else:
            self._seconds.append((second, 1))

    def refused(self, at: datetime) -> None:
        """Count a connection that was not taken."""
        self._turn(at)
        self.refused_today += 1

    def per_second(self, now: datetime) -> float:
        """Return messages a second over the last ten."""
        second = int(now.timestamp())
        return sum(count for at, count in self._seconds if second - _RATE_S <= at < second) / _RATE_S

    def _of(self, who: Who) -> Counts:
        counts = self.senders.get(who)
        if counts is None:
            counts = self.senders[who] = Counts()
            while len(self.senders) > _SENDERS:
                self.senders.popitem(last=False)
        self.senders.move_to_end(who)
        return counts

    def _turn(self, now: datetime) -> None:
        day = f"{now.astimezone():%Y%m%d}"
        if day != self._day:
            self._day = day
            self.today = self.repeated_today = self.refused_today = 0
