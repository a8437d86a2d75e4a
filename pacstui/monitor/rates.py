"""Counts per second and per minute, in rings of fixed size."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

from pacstui.clock import Clock
from pacstui.contract.node import History, HistoryPoint, Rates

SECONDS = 120
MINUTES = 24 * 60
_WINDOW = 5


class SecondRing:
    """One number a second for the last `SECONDS` seconds; the running second is not yet part of a mean."""

    def __init__(self, clock: Clock, seconds: int = SECONDS) -> None:
        self._clock = clock
        self._size = seconds
        self._ring = [0] * seconds
        self._second = int(clock.monotonic())

    def _turn(self) -> int:
        now = int(self._clock.monotonic())
        passed = now - self._second
        if passed > 0:
            for step in range(1, min(passed, self._size) + 1):
                self._ring[(self._second + step) % self._size] = 0
            self._second = now
        return now % self._size

    def add(self, amount: int = 1) -> None:
        """Count ``amount`` in the running second."""
        self._ring[self._turn()] += amount

    def series(self) -> tuple[int, ...]:
        """Return the finished seconds, oldest first."""
        at = self._turn()
        return tuple(self._ring[at + 1 :] + self._ring[:at])

    def mean(self, seconds: int = _WINDOW) -> float:
        """Return the mean per second over the last finished ``seconds``."""
        self._turn()
        return sum(self._ring[(self._second - step) % self._size] for step in range(1, seconds + 1)) / seconds


class Recent:
    """A mean over the last five seconds for one of many things: a few numbers instead of a ring each."""

    __slots__ = ("_counts", "_second")

    def __init__(self) -> None:
        self._counts = [0] * (_WINDOW + 1)
        self._second = 0

    def _turn(self, monotonic: float) -> int:
        now = int(monotonic)
        passed = now - self._second
        if passed > 0:
            for step in range(1, min(passed, _WINDOW + 1) + 1):
                self._counts[(self._second + step) % (_WINDOW + 1)] = 0
            self._second = now
        return now % (_WINDOW + 1)

    def add(self, monotonic: float, amount: int = 1) -> None:
        """Count ``amount`` at ``monotonic`` seconds."""
        self._counts[self._turn(monotonic)] += amount

    def mean(self, monotonic: float, age: float) -> float:
        """Return the mean per second; of a thing that is ``age`` seconds old no more seconds than that are counted."""
        at = self._turn(monotonic)
        whole = sum(self._counts) - self._counts[at]
        if age < _WINDOW:
            return sum(self._counts) / max(1.0, age)
        return whole / _WINDOW


@dataclass(slots=True)
class _Minute:
    at: datetime
    instances: int = 0
    bytes: int = 0
    associations: int = 0
    refused: int = 0


class Throughput:
    """What came in: per second for the plots, per minute for the history."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._instances = SecondRing(clock)
        self._bytes = SecondRing(clock)
        self._minutes: deque[_Minute] = deque(maxlen=MINUTES)

    def _minute(self) -> _Minute:
        now = self._clock.now()
        start = datetime.fromtimestamp(now.timestamp() // 60 * 60, UTC)
        if not self._minutes or start > self._minutes[-1].at:
            self._minutes.append(_Minute(start))
        return self._minutes[-1]

    def received(self, octets: int) -> None:
        """Count bytes that arrived."""
        self._bytes.add(octets)

    def stored(self, octets: int) -> None:
        """Count an instance that became durable."""
        self._instances.add()
        minute = self._minute()
        minute.instances += 1
        minute.bytes += octets

    def refused(self) -> None:
        """Count a refused caller."""
        self._minute().refused += 1

    def associations(self, active: int) -> None:
        """Note how many associations are open."""
        minute = self._minute()
        minute.associations = max(minute.associations, active)

    def rates(self) -> Rates:
        """Return what moves now and the last two minutes."""
        return Rates(self._instances.mean(), self._bytes.mean(), 0.0, self._instances.series(), self._bytes.series())

    def history(self, minutes: int) -> History:
        """Return the last ``minutes`` recorded minutes; those in which nothing happened are left out."""
        points = list(self._minutes)[-max(0, minutes) :] if minutes > 0 else []
        return History(tuple(HistoryPoint(m.at, m.instances, m.bytes, m.associations, m.refused) for m in points))
