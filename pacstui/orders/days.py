"""Days as people write them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from pacstui.dicom.matching import normal_date
from pacstui.errors import BadRequest
from pacstui.text import safe

_NAMED: Final = {"": 0, "today": 0, "tomorrow": 1, "yesterday": -1}
_HINT: Final = "today, tomorrow, yesterday, +2, -3, 2026-11-28 or 20261128"
_FURTHEST: Final = 36500


def day_of(text: str, now: datetime) -> str:
    """Return a day as YYYYMMDD, empty text being today; raises BadRequest."""
    word = text.strip().lower()
    days = _NAMED.get(word)
    if days is None and word[:1] in ("+", "-") and word[1:].isascii() and word[1:].isdigit() and len(word) < 7:
        days = int(word)
    if days is not None and abs(days) <= _FURTHEST:
        return (now.astimezone() + timedelta(days=days)).strftime("%Y%m%d")
    day = normal_date(word)
    if not day or not real(day):
        raise BadRequest(f"{safe(text, 32)} is no day", _HINT)
    return day


def days_of(text: str, now: datetime) -> tuple[str, str]:
    """Return the first and the last of a range of days, such as a day, ``all`` or ``20261101..20261130``."""
    if text.strip().lower() == "all":
        return "", "99999999"
    first, dots, last = text.partition("..")
    return day_of(first, now), day_of(last if dots else first, now)


def shown(name: str, value: str) -> str:
    """Return a value for people: dates with hyphens, times with a colon, nothing as ``none``."""
    if name == "date" and len(value) == 8:
        return f"{value[:4]}-{value[4:6]}-{value[6:]}"
    if name == "time" and len(value) >= 4:
        return f"{value[:2]}:{value[2:4]}"
    return value or "none"


def real(day: str) -> bool:
    """Return whether a date is one of the calendar."""
    try:
        datetime.strptime(day, "%Y%m%d")  # noqa: DTZ007 - a date
    except ValueError:
        return False
    return True


def minutes_late(date: str, time: str, now: datetime) -> int:
    """Return how many minutes ago a local time was, 0 for one to come or one that is none."""
    try:
        due = datetime.strptime(f"{date}{time[:4].ljust(4, '0')}", "%Y%m%d%H%M").astimezone()
    except ValueError:
        return 0
    return max(0, int((now - due).total_seconds() // 60))
