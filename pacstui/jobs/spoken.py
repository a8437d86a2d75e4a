"""The words of a schedule: read into cron's fields, and said back as a sentence."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_WORDS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_WORDS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_GROUPS = {
    "daily": frozenset(range(7)), "weekdays": frozenset(range(5)),
    "weekends": frozenset((5, 6)), "weekend": frozenset((5, 6)),
}  # fmt: skip
_TIME = re.compile(r"(\*|[0-9]{1,2}):([0-9]{2})$")
_EVERY = re.compile(
    r"every (?:([0-9]{1,5}) ?)?(min|mins|minute|minutes|m|h|hour|hours|d|day|days)(?: (?:at )?([0-9:]+))?$"
)
_MONTHLY = re.compile(r"monthly ([0-9,]+|last) (\S+)$")
_ITEM = re.compile(r"(?:(\*)|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([0-9]{1,2}))?$")
_UNITS = {"m": "min", "h": "h", "d": "day"}
_MOST = {"min": 10_080, "h": 8_760, "day": 366}
_SOME = 6
Fields = tuple[tuple[tuple[str, str], ...], ...]


def clock(minute: int) -> str:
    """Return a minute of the day as 02:30."""
    return f"{minute // 60:02}:{minute % 60:02}"


def _minute(text: str) -> int:
    match = _TIME.match(text)
    if match is None or match[1] == "*" or int(match[1]) > 23 or int(match[2]) > 59:
        raise ValueError(f'"{text[:20]}" is no time of day such as 02:30')
    return int(match[1]) * 60 + int(match[2])


def every(part: str) -> tuple[int, str, int] | None:
    """Return count, unit (min, h, day) and minute of the day of ``every 15 min``, none for something else."""
    match = _EVERY.match(part)
    if match is None:
        if part.startswith("every"):
            raise ValueError("every is followed by a number and min, h or days")
        return None
    count, unit = int(match[1] or 1), _UNITS[match[2][0]]
    if not 1 <= count <= _MOST[unit]:
        raise ValueError(f"it may be every 1 to {_MOST[unit]:,} {unit}")
    if match[3] and unit != "day":
        raise ValueError("a time of day goes with days only")
    return count, unit, _minute(match[3]) if match[3] else 0


def every_words(count: int, unit: str) -> str:
    """Return ``every 15 minutes``."""
    word = {"min": "minute", "h": "hour"}[unit]
    return f"every {word}" if count == 1 else f"every {count:,} {word}s"


def every_days(count: int, minute: int) -> str:
    """Return ``every 2 days at 00:00``."""
    return f"every {f'{count} days' if count > 1 else 'day'} at {clock(minute)}"


def weekdays(text: str) -> frozenset[int] | None:
    """Return the weekdays (0 is Monday) of ``weekdays``, ``mon,thu`` or ``fri-mon``, none if it says none."""
    if text in _GROUPS:
        return _GROUPS[text]
    found: set[int] = set()
    for item in text.split(","):
        first, dash, last = item.strip().partition("-")
        if first[:3] not in DAYS or not _is_day(first) or (dash and not _is_day(last)):
            return None
        at, end = DAYS.index(first[:3]), DAYS.index((last or first)[:3])
        found.update((at + n) % 7 for n in range((end - at) % 7 + 1))
    return frozenset(found)


def _is_day(text: str) -> bool:
    return text in DAYS or text in tuple(word.lower() for word in _DAY_WORDS)


def is_span(text: str) -> bool:
    """Return whether a text looks like hours, 20:00-06:00."""
    return ":" in text


def span(text: str) -> tuple[int, int] | None:
    """Return begin and end of ``20:00-06:00`` in minutes of the first day, none if it is none."""
    first, dash, last = text.partition("-")
    try:
        begin, end = _minute(first), 1440 if last == "24:00" else _minute(last)
    except ValueError:
        return None
    if not dash or begin == end:
        return None
    return begin, end if end > begin else end + 1440


def fields(part: str) -> tuple[Fields, bool, str]:
    """Return fields for cron triggers of which any may fit, whether they come at any hour, and a sentence.

    Raises
    ------
    ValueError
        With what is wrong.
    """
    if part == "hourly":
        return _times("*:00", {}, "")
    words = part.split(" ")
    if len(words) == 1 and _TIME.match(words[0].split(",")[0]):
        return _times(part, {}, "every day")
    match = _MONTHLY.match(part)
    if match is not None:
        return _monthly(match[1], match[2])
    if len(words) == 5 and not words[0].startswith(tuple("abcdefghijklmnopqrstuvwxyz")):
        return _cron(words)
    days = weekdays(" ".join(words[:-1])) if len(words) > 1 else None
    if days is None:
        raise ValueError("it is not understood")
    some = {} if len(days) == 7 else {"day_of_week": ",".join(DAYS[day] for day in sorted(days))}
    return _times(words[-1], some, _days_words(days))


def _monthly(days: str, times: str) -> tuple[Fields, bool, str]:
    if days == "last":
        return _times(times, {"day": "last"}, "on the last day of each month")
    numbers = {int(each) for each in days.split(",") if each}
    if not numbers or not all(1 <= number <= 31 for number in numbers):
        raise ValueError("days of a month are 1 to 31, or last")
    told = _listed([str(number) for number in sorted(numbers)])
    return _times(times, {"day": _numbers(numbers)}, f"on day {told} of each month")


def _times(text: str, days: dict[str, str], words: str) -> tuple[Fields, bool, str]:
    """Return fields for ``02:00,14:30`` or ``*:30`` on some days."""
    by_minute: dict[int, set[int]] = {}
    any_hour = False
    for each in text.split(","):
        match = _TIME.match(each)
        if match is not None and match[1] == "*" and int(match[2]) < 60:
            any_hour = True
            by_minute[int(match[2])] = set(range(24))
        else:
            minute = _minute(each)
            by_minute.setdefault(minute % 60, set()).add(minute // 60)
    if any_hour and any(len(hours) < 24 for hours in by_minute.values()):
        raise ValueError("times with * for the hour and others are two schedules: join them with ;")
    found = tuple(
        tuple({**days, "hour": _all_or(hours, 24), "minute": str(minute), "second": "0"}.items())
        for minute, hours in sorted(by_minute.items())
    )
    if any_hour:
        at = "on the hour" if list(by_minute) == [0] else f"at minute {_listed([str(m) for m in sorted(by_minute)])}"
        told = f"every hour {at}" + (f", {words}" if days else "")
    else:
        minutes = sorted(hour * 60 + minute for minute, hours in by_minute.items() for hour in hours)
        told = f"{words} at {_listed([clock(minute) for minute in minutes])}"
    return found, any_hour, told


# cron


def _cron(words: Sequence[str]) -> tuple[Fields, bool, str]:
    minutes = _values(words[0], 0, 59, "minute")
    hours = _values(words[1], 0, 23, "hour")
    last = words[2] in ("l", "last")
    days = frozenset[int]() if last else _values(words[2], 1, 31, "day")
    months = _values(_named(words[3], _MONTHS, 1), 1, 12, "month")
    week = frozenset((day - 1) % 7 for day in _values(_named(words[4], (*DAYS[-1:], *DAYS[:-1]), 0), 0, 7, "weekday"))
    base = {"month": _all_or(months, 12), "hour": _all_or(hours, 24), "minute": _all_or(minutes, 60), "second": "0"}
    day_field = "last" if last else _all_or(days, 31)
    week_field = "*" if len(week) == 7 else ",".join(DAYS[day] for day in sorted(week))
    either = day_field != "*" and week_field != "*" and not words[2].startswith("*") and not words[4].startswith("*")
    chosen = [{"day": day_field}, {"day_of_week": week_field}] if either else [
        {"day": day_field, "day_of_week": week_field}
    ]  # fmt: skip
    found = tuple(tuple({**base, **each}.items()) for each in chosen)
    any_hour = words[1].startswith("*") or len(hours) == 24
    told = _cron_days(day_field, days, week_field, week, either)
    if len(months) < 12:
        told += " in " + _listed([_MONTH_WORDS[month - 1] for month in sorted(months)])
    return found, any_hour, f"{_cron_times(minutes, hours, told)}"


def _cron_days(day_field: str, days: Collection[int], week_field: str, week: frozenset[int], either: bool) -> str:
    told = []
    if day_field == "last":
        told.append("on the last day of the month")
    elif day_field != "*":
        told.append(f"on day {_listed([str(day) for day in sorted(days)])} of the month")
    if week_field != "*":
        told.append(_days_words(week))
    return (" or " if either else ", only ").join(told) or "every day"


def _cron_times(minutes: frozenset[int], hours: frozenset[int], days: str) -> str:
    each_day = "" if days == "every day" else f", {days}"
    if len(hours) == 24:
        if len(minutes) == 60:
            return f"every minute{each_day}"
        step = _step(minutes, 60)
        if step:
            return f"every {step} minutes{each_day}"
        if minutes == {0}:
            return f"every hour on the hour{each_day}"
        return f"every hour at minute {_listed([str(minute) for minute in sorted(minutes)])}{each_day}"
    if len(minutes) * len(hours) <= _SOME:
        return f"{days} at {_listed([clock(h * 60 + m) for h in sorted(hours) for m in sorted(minutes)])}"
    step = _step(minutes, 60)
    often = "every minute" if len(minutes) == 60 else f"every {step} minutes" if step else (
        f"at minute {_listed([str(minute) for minute in sorted(minutes)])}"
    )  # fmt: skip
    return f"{days} {often} of hour {_listed(_runs(sorted(hours)))}"


def _step(values: Collection[int], whole: int) -> int:
    """Return n where the values are every n-th from 0 on, else 0."""
    number = len(values)
    if number < 2 or whole % number:
        return 0
    step = whole // number
    return step if set(values) == set(range(0, whole, step)) else 0


def _runs(values: Sequence[int]) -> list[str]:
    """Return numbers with ranges drawn together: 1, 2, 3, 7 as 1-3, 7."""
    out: list[list[int]] = []
    for value in values:
        if out and out[-1][-1] == value - 1:
            out[-1].append(value)
        else:
            out.append([value])
    return [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in out]


def _named(text: str, names: Sequence[str], first: int) -> str:
    """Return a field with names put into numbers, and ranges over the end of the week or year taken apart."""
    out = []
    for item in text.split(","):
        body, slash, step = item.partition("/")
        ends = [str(first + names.index(end)) if end in names else end for end in body.split("-")]
        numbers = [int(end) for end in ends if end.isascii() and end.isdigit() and len(end) < 3]
        if not slash and len(ends) == len(numbers) == 2 and numbers[0] > numbers[1]:
            most = first + len(names) - 1
            out.append(f"{ends[0]}-{most}")
            out.append(f"{first}-{ends[1]}")
        else:
            out.append("-".join(ends) + slash + step)
    return ",".join(out)


def _values(text: str, least: int, most: int, what: str) -> frozenset[int]:
    """Return the numbers of a cron field."""
    found: set[int] = set()
    for item in text.split(","):
        match = _ITEM.match(item)
        if match is None:
            raise ValueError(f'"{item[:20]}" is no {what} of cron')
        first = least if match[1] else int(match[2])
        last = most if match[1] or (match[4] and not match[3]) else int(match[3] or match[2])
        step = int(match[4] or 1)
        if step < 1 or not least <= first <= last <= most:
            raise ValueError(f"the {what} of cron is from {least} to {most}")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _numbers(values: Collection[int]) -> str:
    return ",".join(str(value) for value in sorted(values))


def _all_or(values: Collection[int], whole: int) -> str:
    return "*" if len(values) == whole else _numbers(values)


def _days_words(days: frozenset[int]) -> str:
    if len(days) == 7:
        return "every day"
    if days == _GROUPS["weekdays"]:
        return "Monday to Friday"
    return _listed([_DAY_WORDS[day] for day in sorted(days)])


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
