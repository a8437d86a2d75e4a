"""Time, in one place, so that tests own it; and as rows have it: whole microseconds since 1970, 0 for none."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Where every room reads the time."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class FakeClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._mono = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._mono

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by ``seconds``."""
        self._now += timedelta(seconds=seconds)
        self._mono += seconds

    def jump(self, seconds: float) -> None:
        """Set the clock that people see, as an administrator or NTP does."""
        self._now += timedelta(seconds=seconds)


SYSTEM: Clock = SystemClock()


def microseconds(at: datetime | None) -> int:
    """Return an aware time as rows have it, to the microsecond; 0 for none."""
    if at is None:
        return 0
    span = at - _EPOCH
    return (span.days * 86400 + span.seconds) * 1_000_000 + span.microseconds


def moment(at: int) -> datetime:
    """Return the time that `microseconds` made a number of."""
    return _EPOCH + timedelta(microseconds=at)


def moment_or_none(at: int | None) -> datetime | None:
    """Return the time that `microseconds` made a number of; none for 0 or none."""
    return moment(at) if at else None
