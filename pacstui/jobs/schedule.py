"""When a job runs: the schedule that people write, the hours in which it may begin, and both said back in words.

APScheduler's triggers know which days and hours are meant; they are asked about plain wall time only, which has no
zone. What a wall time is in the job's zone is decided here, because the triggers' own arithmetic runs an autumn job
twice and leaves spring days out (see docs/decisions.md):

- fixed hours (``daily 02:30``): once for each local day. Of an hour that comes twice the first counts, and a time that
  a change to summer time leaves out comes as far after the change as it was meant: 02:30 is 03:30 then.
- any hour (``*:30``, ``hourly``): whenever the clock on the wall shows it, 25 times or 23 on such days.
- ``every 15 min``: by elapsed time.

Times that are returned are UTC and strictly later than the time that was asked about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from time import monotonic
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from tzlocal import get_localzone

from pacstui.errors import BadRequest
from pacstui.jobs import spoken
from pacstui.text import safe

ALLOWED = (
    "write daily 02:00, weekdays 22:30, mon,thu 04:15, monthly 1 03:00, hourly, every 15 min, every 4 h, every 2 days, "
    "or five fields of cron; several are joined with ;"
)
WINDOWS = "write 20:00-06:00, sat,sun or weekdays 20:00-06:00; several are joined with ;"
_LONGEST = 300
_PARTS = 12
_YEARS = 41
"""How far is looked: 29 February on a Sunday is at most 40 years away."""
_AROUND = timedelta(hours=26)
"""No zone's clock was ever turned further than a day."""
_FIRST, _LAST = datetime(1971, 1, 1, tzinfo=UTC), datetime(9900, 1, 1, tzinfo=UTC)
_ANCHOR = date(2000, 1, 3)
"""A Monday, from whose midnight in the job's zone elapsed time is counted."""


def zone_of(name: str) -> tzinfo:
    """Return the time zone of an IANA name, the machine's for an empty one.

    Raises
    ------
    BadRequest
        When there is no such zone.
    """
    if not name:
        try:
            return get_localzone()
        except (LookupError, OSError, ValueError):
            return UTC  # a machine whose zone cannot be found out
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        raise BadRequest(
            f'there is no time zone "{safe(name, 40)}"',
            "write one as Europe/Berlin or America/New_York; empty: the machine's",
        ) from None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())


def _instant(wall: datetime, zone: tzinfo, fold: int = 0) -> datetime:
    """Return when a wall time is. In a gap fold 0 counts on with the old offset, which is as far into the new time."""
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _wall(at: datetime, zone: tzinfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def _turns(at: datetime, zone: tzinfo) -> bool:
    """Return whether the clock is turned about that time."""
    offsets = {(at + by).astimezone(zone).utcoffset() for by in (-_AROUND, timedelta(), _AROUND)}
    return len(offsets) > 1


@dataclass(frozen=True)
class Wall:
    """Times on the wall. ``any_hour`` ones come whenever the wall shows them, others once a local day."""

    fields: tuple[tuple[tuple[str, str], ...], ...]
    any_hour: bool
    words: str

    def _walls(self, start: datetime) -> Iterator[datetime]:
        """Yield wall times not before ``start``, in order."""
        end = start.replace(tzinfo=UTC) + timedelta(days=366 * _YEARS)
        triggers = [CronTrigger(**dict(fields), timezone=UTC, end_date=end) for fields in self.fields]
        nexts = [trigger.get_next_fire_time(None, start.replace(tzinfo=UTC)) for trigger in triggers]
        while known := [each for each in nexts if each is not None]:
            soonest = min(known)
            yield soonest.replace(tzinfo=None)
            later = soonest + timedelta(minutes=1)
            nexts = [
                trigger.get_next_fire_time(None, later) if each is not None and each <= soonest else each
                for trigger, each in zip(triggers, nexts, strict=True)
            ]

    def _instants(self, wall: datetime, zone: tzinfo) -> Iterator[datetime]:
        if not self.any_hour:
            yield _instant(wall, zone)
            return
        for fold in (0, 1):
            at = _instant(wall, zone, fold)
            if _wall(at, zone) == wall:
                yield at

    def after(self, at: datetime, zone: tzinfo) -> datetime | None:
        """Return the next time, none if there is none in forty years."""
        start = _wall(at, zone) - (_AROUND if _turns(at, zone) else timedelta())
        best: datetime | None = None
        enough: datetime | None = None
        for wall in self._walls(start):
            if enough is not None and wall > enough:
                break
            for found in self._instants(wall, zone):
                if found > at and (best is None or found < best):
                    best = found
                    enough = wall + (_AROUND if _turns(found, zone) else timedelta())
        return best


@dataclass(frozen=True)
class Elapsed:
    """Again and again after so many minutes, whatever the wall shows."""

    minutes: int
    words: str

    def after(self, at: datetime, zone: tzinfo) -> datetime | None:
        """Return the next time."""
        step = timedelta(minutes=self.minutes)
        begin = _instant(_midnight(_ANCHOR), zone) - _MANY * step
        trigger = IntervalTrigger(minutes=self.minutes, start_date=begin, timezone=UTC)
        found: datetime = trigger.get_next_fire_time(None, at)
        while found <= at:
            found += step
        return found


_MANY = 1_000


@dataclass(frozen=True)
class Days:
    """Every few days at a time on the wall, counted over the calendar."""

    days: int
    minute: int
    words: str

    def after(self, at: datetime, zone: tzinfo) -> datetime | None:
        """Return the next time."""
        day = _wall(at, zone).date() - timedelta(days=2)
        day += timedelta(days=-day.toordinal() % self.days)
        while True:
            found = _instant(_midnight(day) + timedelta(minutes=self.minute), zone)
            if found > at:
                return found
            day += timedelta(days=self.days)


Rule = Wall | Elapsed | Days


@dataclass(frozen=True)
class Schedule:
    """When something is due; without rules never by itself. ``words`` says it as a sentence."""

    rules: tuple[Rule, ...] = ()
    words: str = ""

    def after(self, at: datetime, zone: tzinfo) -> datetime | None:
        """Return the first time that is strictly later than ``at``, none if it never comes (again)."""
        if not _FIRST < at < _LAST:
            at = _FIRST if at <= _FIRST else _LAST
            if at == _LAST:
                return None
        found = (rule.after(at, zone) for rule in self.rules)
        return min((each for each in found if each is not None), default=None)


@dataclass(frozen=True)
class Hours:
    """Hours of some weekdays (0 is Monday); ``end`` may be over midnight, minutes of the day that it began."""

    weekdays: frozenset[int]
    start: int
    end: int

    def span(self, day: date, zone: tzinfo) -> tuple[datetime, datetime]:
        """Return when the hours of a day begin and end."""
        midnight = _midnight(day)
        begin = _instant(midnight + timedelta(minutes=self.start), zone)
        end = _instant(midnight + timedelta(minutes=self.end), zone)
        if end <= begin:  # the clock was turned over all of them
            end = begin + timedelta(minutes=self.end - self.start)
        return begin, end


@dataclass(frozen=True)
class Window:
    """The hours in which something may begin; without any it may always."""

    hours: tuple[Hours, ...] = ()
    words: str = ""

    def begin(self, at: datetime, zone: tzinfo) -> datetime:
        """Return ``at`` where it lies inside, else when the window opens next."""
        if not self.hours:
            return at
        today = _wall(at, zone).date()
        openings = []
        for number in range(-2, 10):
            day = today + timedelta(days=number)
            for hours in self.hours:
                if day.weekday() in hours.weekdays:
                    begin, end = hours.span(day, zone)
                    if begin <= at < end:
                        return at
                    if begin > at:
                        openings.append(begin)
        return min(openings)


@dataclass(frozen=True)
class Plan:
    """A schedule with its window, in a zone."""

    schedule: Schedule
    window: Window
    zone: tzinfo

    def after(self, at: datetime) -> datetime | None:
        """Return when it begins next, strictly later than ``at``; what is due outside of the window waits for it."""
        due = self.schedule.after(at, self.zone)
        return None if due is None else self.window.begin(due, self.zone)

    def open(self, at: datetime) -> bool:
        """Return whether something may begin at ``at``."""
        return self.window.begin(at, self.zone) == at

    def preview(
        self, at: datetime, count: int, until: datetime | None = None, within_s: float = float("inf")
    ) -> tuple[datetime, ...]:  # fmt: skip
        """Return the next times, at most ``count``, none later than ``until``.

        Some schedules take a while to work out: after ``within_s`` seconds no more are looked for, and away from the
        event loop is the place to do it.
        """
        found: list[datetime] = []
        end = monotonic() + within_s
        while len(found) < count and (not found or monotonic() < end):
            upcoming = self.after(found[-1] if found else at)
            if upcoming is None or (until is not None and upcoming > until):
                break
            found.append(upcoming)
        return tuple(found)


@lru_cache(256)
def schedule_of(text: str) -> Schedule:
    """Return the schedule that a text means; an empty text is none.

    Raises
    ------
    BadRequest
        When it cannot be understood, or means a day that never comes.
    """
    rules = tuple(_rule(part) for part in _parts(text, "schedule", ALLOWED))
    for rule, part in zip(rules, _parts(text, "schedule", ALLOWED), strict=True):
        if rule.after(datetime(2024, 1, 1, tzinfo=UTC), UTC) is None:
            raise BadRequest(f'"{safe(part, 60)}" is a day that never comes', ALLOWED)
    return Schedule(rules, "; ".join(rule.words for rule in rules))


@lru_cache(256)
def window_of(text: str) -> Window:
    """Return the hours that a text means; an empty text is any time.

    Raises
    ------
    BadRequest
        When it cannot be understood.
    """
    found = []
    for part in _parts(text, "window", WINDOWS):
        days, _, hours = part.rpartition(" ") if spoken.is_span(part.rpartition(" ")[2]) else (part, "", "")
        span = spoken.span(hours) if hours else (0, 1440)
        weekdays = spoken.weekdays(days) if days else frozenset(range(7))
        if span is None or weekdays is None:
            raise BadRequest(f'the window "{safe(part, 60)}" is not understood', WINDOWS)
        found.append(Hours(weekdays, *span))
    return Window(tuple(found), "; ".join(_parts(text, "window", WINDOWS)))


def plan_of(schedule: str, window: str = "", zone: str = "") -> Plan:
    """Return when a job runs. Raises `BadRequest` as `schedule_of`, `window_of` and `zone_of` do."""
    return Plan(schedule_of(schedule), window_of(window), zone_of(zone))


def _parts(text: str, what: str, allowed: str) -> Sequence[str]:
    if len(text) > _LONGEST:
        raise BadRequest(f"the {what} is longer than {_LONGEST} characters", allowed)
    parts = [" ".join(part.split()).lower() for part in text.split(";")]
    if len(parts) > 1 and parts[-1] == "":
        parts.pop()
    if parts == [""]:
        return ()
    if "" in parts or len(parts) > _PARTS:
        raise BadRequest(f'the {what} "{safe(text, 60)}" has an empty part, or more than {_PARTS}', allowed)
    return tuple(dict.fromkeys(parts))


def _rule(part: str) -> Rule:
    try:
        every = spoken.every(part)
        if every is not None:
            count, unit, minute = every
            if unit == "day":
                return Days(count, minute, spoken.every_days(count, minute))
            return Elapsed(count * (60 if unit == "h" else 1), spoken.every_words(count, unit))
        fields, any_hour, words = spoken.fields(part)
        rule = Wall(fields, any_hour, words)
        for each in fields:
            CronTrigger(**dict(each), timezone=UTC)
    except ValueError as fault:
        raise BadRequest(f'"{safe(part, 60)}" is no schedule: {fault}', ALLOWED) from None
    return rule
