"""Periods of whole local days: the last day, week or month that is over, or whichever one names."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from pacstui.errors import BadRequest
from pacstui.text import safe

ALLOWED = (
    "write day, week or month for the last one that is over, a number of days as 30, a month as 2026-01, a day as "
    "2026-01-31, or 2026-01-01..2026-01-31"
)
MOST_DAYS = 3_660
_DAYS = re.compile(r"([0-9]{1,4})(?: ?d(?:ays?)?)?$")
_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})$")


@dataclass(frozen=True, slots=True)
class Period:
    """From the first to the last day, both included; ``word`` says it in file names."""

    first: date
    last: date
    word: str

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1

    def each(self) -> Iterator[date]:
        """Yield its days."""
        for number in range(self.days):
            yield self.first + timedelta(days=number)

    def span(self) -> tuple[int, int]:
        """Return when it begins and ends (not included), in microseconds since 1970, by the machine's time zone."""
        begin = datetime.combine(self.first, time()).astimezone()
        end = datetime.combine(self.last + timedelta(days=1), time()).astimezone()
        return round(begin.timestamp() * 1e6), round(end.timestamp() * 1e6)


def period_of(text: str, today: date) -> Period:
    """Return the period that a text means.

    Raises
    ------
    BadRequest
        When it means none, one that has not begun, or more than ten years.
    """
    found = _period(text.strip().lower(), today)
    if found is None or found.first > found.last or found.days > MOST_DAYS or found.first > today:
        raise BadRequest(f'"{safe(text, 40)}" is no period', ALLOWED)
    return found


def _period(text: str, today: date) -> Period | None:
    yesterday = today - timedelta(days=1)
    if text == "day":
        return Period(yesterday, yesterday, f"{yesterday}")
    if text == "week":
        monday = today - timedelta(days=today.weekday() + 7)
        year, week, _ = monday.isocalendar()
        return Period(monday, monday + timedelta(days=6), f"{year}-W{week:02}")
    if text == "month":
        last = today.replace(day=1) - timedelta(days=1)
        return Period(last.replace(day=1), last, f"{last:%Y-%m}")
    if match := _DAYS.match(text):
        days = int(match[1])
        return Period(today - timedelta(days=days), yesterday, f"{days}d-{yesterday}") if days else None
    try:
        if match := _MONTH.match(text):
            first = date(int(match[1]), int(match[2]), 1)
            return Period(first, first.replace(day=monthrange(first.year, first.month)[1]), text)
        begin, dots, end = text.partition("..")
        first, last = date.fromisoformat(begin), date.fromisoformat(end if dots else begin)
    except ValueError:
        return None
    return Period(first, last, f"{first}" if first == last else f"{first}_{last}")
