"""When jobs are due: the texts, the two nights in which the clock is turned, and windows."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pacstui.errors import BadRequest
from pacstui.jobs.schedule import plan_of, schedule_of, window_of

AUTUMN, SPRING, PACIFIC = date(2025, 10, 26), date(2026, 3, 29), date(2022, 3, 13)


def on(day: date, text: str, zone: str, window: str = "") -> list[str]:
    """Return the local times at which a schedule runs on a local day."""
    there = ZoneInfo(zone)
    plan = plan_of(text, window, zone)
    found = plan.preview(datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=2), 5000,
                         datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=3))  # fmt: skip
    assert all(a < b for a, b in zip(found, found[1:], strict=False))
    local = [at.astimezone(there) for at in found]
    return [f"{at:%H:%M%z}" for at in local if at.date() == day]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("daily 02:00", "every day at 02:00"),
        ("weekdays 22:30", "Monday to Friday at 22:30"),
        ("Mon,Thu  04:15", "Monday and Thursday at 04:15"),
        ("fri-mon 4:15", "Monday, Friday, Saturday and Sunday at 04:15"),
        ("monthly 1 03:00", "on day 1 of each month at 03:00"),
        ("monthly last 03:00", "on the last day of each month at 03:00"),
        ("hourly", "every hour on the hour"),
        ("*:30", "every hour at minute 30"),
        ("every 15 min", "every 15 minutes"),
        ("every 1 h", "every hour"),
        ("every 2 days", "every 2 days at 00:00"),
        ("every 3 days 04:30", "every 3 days at 04:30"),
        ("daily 02:00,14:30", "every day at 02:00 and 14:30"),
        ("daily 02:00; sun 05:00", "every day at 02:00; Sunday at 05:00"),
        ("30 2 * * 1-5", "Monday to Friday at 02:30"),
        ("*/10 * * * *", "every 10 minutes"),
        ("0 4 * * 0", "Sunday at 04:00"),
        ("0 4 * * 7", "Sunday at 04:00"),
        ("0 0 13 * fri", "on day 13 of the month or Friday at 00:00"),
        ("0 3 1 jan,jul *", "on day 1 of the month in January and July at 03:00"),
        ("0 3 l * *", "on the last day of the month at 03:00"),
        ("*/20 8-18 * * 1-5", "Monday to Friday every 20 minutes of hour 8-18"),
        ("", ""),
    ],
)
def test_texts_are_said_back(text: str, words: str) -> None:
    assert schedule_of(text).words == words


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sometimes", "not understood"), ("daily", "not understood"), ("daily 25:00", "no time of day"),
        ("daily 2", "no time of day"), ("every 0 min", "1 to 10,080 min"), ("every 15", "followed by"),
        ("every 4 h 02:00", "with days only"), ("monthly 32 03:00", "1 to 31"), ("0 0 30 2 *", "never comes"),
        ("monthly 31 2:00;;", "empty part"), ("0 25 * * *", "from 0 to 23"), ("61 * * * *", "from 0 to 59"),
        ("* * * * 8", "from 0 to 7"), ("*/0 * * * *", "from 0 to 59"), ("x" * 400, "longer than"),
        ("mon-foo 02:00", "not understood"), ("*:30,02:00", "two schedules"), ("0 0 * jan5 *", "no month"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_what_is_allowed(text: str, why: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(why)) as told:
        schedule_of(text)
    assert "daily 02:00" in told.value.hint


def test_a_zone_that_there_is_not() -> None:
    for name in ("Europe/Nowhere", "../../etc/passwd", "\0", "Europe"):
        with pytest.raises(BadRequest, match="no time zone"):
            plan_of("daily 02:00", zone=name)


# the nights in which the clock is turned


@pytest.mark.parametrize(
    ("zone", "day", "text", "runs"),
    [
        ("Europe/Berlin", AUTUMN, "daily 02:30", ["02:30+0200"]),  # the first of two
        ("Europe/Berlin", AUTUMN, "30 2 * * *", ["02:30+0200"]),
        ("Europe/Berlin", SPRING, "daily 02:30", ["03:30+0200"]),  # there is no 02:30
        ("Europe/Berlin", SPRING, "daily 02:30,03:00", ["03:00+0200", "03:30+0200"]),
        ("Europe/Berlin", SPRING, "daily 02:30,03:30", ["03:30+0200"]),
        ("US/Pacific", PACIFIC, "daily 02:30", ["03:30-0700"]),
        ("US/Pacific", PACIFIC, "daily 00:00", ["00:00-0800"]),
        ("America/Sao_Paulo", date(2018, 11, 4), "daily 00:00", ["01:00-0200"]),  # midnight does not exist
        ("America/Sao_Paulo", date(2018, 2, 17), "daily 23:30", ["23:30-0200"]),  # 23:30 comes twice
        ("Asia/Beirut", date(2021, 3, 28), "daily 00:00", ["01:00+0300"]),
        ("Asia/Beirut", date(2021, 10, 30), "daily 23:59", ["23:59+0300"]),
        ("Australia/Lord_Howe", date(2021, 4, 4), "daily 01:45", ["01:45+1100"]),  # half an hour is turned
        ("Pacific/Apia", date(2011, 12, 31), "daily 12:00", ["12:00+1400"]),  # the day before was left out
    ],
)
def test_a_fixed_hour_comes_once_a_day(zone: str, day: date, text: str, runs: list[str]) -> None:
    assert on(day, text, zone) == runs


@pytest.mark.parametrize(("day", "runs"), [(AUTUMN, 25), (SPRING, 23), (date(2025, 7, 1), 24)])
def test_any_hour_comes_as_often_as_the_wall_shows_it(day: date, runs: int) -> None:
    assert len(on(day, "*:30", "Europe/Berlin")) == runs
    assert len(on(day, "hourly", "Europe/Berlin")) == runs
    assert len(on(day, "every 30 min", "Europe/Berlin")) == 2 * runs
    assert len(on(day, "*/15 * * * *", "Europe/Berlin")) == 4 * runs


def test_every_two_days_is_counted_over_the_calendar() -> None:
    plan = plan_of("every 2 days 02:30", zone="Europe/Berlin")
    local = [at.astimezone(ZoneInfo("Europe/Berlin")) for at in plan.preview(datetime(2025, 10, 20, tzinfo=UTC), 100)]
    days = [at.date() for at in local]
    assert all(b - a == timedelta(days=2) for a, b in zip(days, days[1:], strict=False))


def test_day_and_weekday_of_cron_are_either_or() -> None:
    plan = plan_of("0 6 13 * fri", zone="UTC")
    found = plan.preview(datetime(2026, 3, 1, tzinfo=UTC), 6)
    assert [(at.day, at.weekday()) for at in found] == [(6, 4), (13, 4), (20, 4), (27, 4), (3, 4), (10, 4)]
    both = plan_of("0 6 */2 * fri", zone="UTC").preview(datetime(2026, 3, 1, tzinfo=UTC), 3)
    assert all(at.day % 2 and at.weekday() == 4 for at in both)


# windows


@pytest.mark.parametrize(
    ("window", "at", "begins"),
    [
        ("20:00-06:00", "2026-06-01 12:00", "2026-06-01 20:00"),
        ("20:00-06:00", "2026-06-01 23:00", "2026-06-01 23:00"),
        ("20:00-06:00", "2026-06-01 05:59", "2026-06-01 05:59"),
        ("20:00-06:00", "2026-06-01 06:00", "2026-06-01 20:00"),
        ("sat,sun", "2026-06-03 12:00", "2026-06-06 00:00"),  # a Wednesday
        ("sat,sun", "2026-06-07 23:59", "2026-06-07 23:59"),
        ("weekdays 20:00-06:00", "2026-06-06 05:00", "2026-06-06 05:00"),  # Friday's, on Saturday morning
        ("weekdays 20:00-06:00", "2026-06-06 06:00", "2026-06-08 20:00"),
        ("weekdays 20:00-06:00; sat,sun", "2026-06-06 12:00", "2026-06-06 12:00"),
        ("00:00-24:00", "2026-06-06 12:00", "2026-06-06 12:00"),
    ],
)
def test_windows(window: str, at: str, begins: str) -> None:
    zone = ZoneInfo("Europe/Berlin")
    moment = datetime.fromisoformat(at).replace(tzinfo=zone).astimezone(UTC)
    assert f"{window_of(window).begin(moment, zone).astimezone(zone):%Y-%m-%d %H:%M}" == begins


@pytest.mark.parametrize("window", ["20:00", "20:00-20:00", "20-6", "nights", "mon 25:00-06:00", "mon,x 1:00-2:00"])
def test_windows_that_are_none(window: str) -> None:
    with pytest.raises(BadRequest):
        window_of(window)


def test_what_is_due_outside_of_the_window_waits_for_it() -> None:
    assert on(date(2026, 6, 1), "daily 12:00", "Europe/Berlin", "20:00-06:00") == ["20:00+0200"]
    assert len(on(date(2026, 6, 1), "every 15 min", "Europe/Berlin", "20:00-22:00")) == 8
    assert on(SPRING, "daily 02:30", "Europe/Berlin", "02:00-03:00") == ["03:30+0200"]  # the window is turned with it


# anything

TEXTS = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"(daily|weekdays|mon,thu|monthly [0-9]{1,2}|every [0-9]{1,3} (min|h|days)) ?[0-9*]{0,2}:?[0-9]{0,2}",
                  fullmatch=True),
    st.from_regex(r"[0-9*/,-]{1,5} [0-9*/,-]{1,5} [0-9*/,-]{1,4} [0-9*/,-]{1,4} [0-9a-z*/,-]{1,5}", fullmatch=True),
)  # fmt: skip
ZONES = st.sampled_from(("Europe/Berlin", "US/Pacific", "America/Sao_Paulo", "Asia/Beirut", "Australia/Lord_Howe",
                         "Pacific/Apia", "Africa/Casablanca", "UTC", "Asia/Kathmandu"))  # fmt: skip
TIMES = st.datetimes(datetime(1995, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
GOOD = ("daily 02:30", "*:30", "hourly", "every 15 min", "every 5 h", "every 2 days 02:30", "monthly last 00:00",
        "0 0 29 2 *", "*/7 2 * * *", "daily 00:00,23:59", "30 2 13 * fri", "mon 02:30; daily 02:30")  # fmt: skip


@given(TEXTS)
@example("0 0 30 2 *")
@example("0 0 31 2,4,6,9,11 *")
@example("0 0 29 2 */6")
@example("١ ٢ * * *")
@settings(max_examples=120, deadline=None)
def test_any_text_is_a_schedule_or_a_mistake(text: str) -> None:
    try:
        schedule = schedule_of(text)
    except BadRequest as told:
        assert told.hint
        return
    assert schedule.after(datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo("Europe/Berlin")) or not schedule.rules
    assert schedule.words or not schedule.rules


WINDOWS = st.from_regex(r"(sat,sun|weekdays|mon-fri)? ?[0-9:]{0,5}-[0-9:]{0,5}", fullmatch=True)


@given(st.one_of(st.text(max_size=30), WINDOWS), ZONES, TIMES)
@settings(max_examples=120, deadline=None)
def test_any_text_is_a_window_or_a_mistake(text: str, zone: str, at: datetime) -> None:
    try:
        window = window_of(text)
    except BadRequest as told:
        assert told.hint
        return
    begins = window.begin(at, ZoneInfo(zone))
    assert at <= begins <= at + timedelta(days=9)
    assert window.begin(begins, ZoneInfo(zone)) == begins


@given(st.sampled_from(GOOD), ZONES, TIMES, st.sampled_from(("", "20:00-06:00", "sat,sun")))
@settings(max_examples=120, deadline=None)
def test_the_next_time_is_always_later(text: str, zone: str, at: datetime, window: str) -> None:
    plan = plan_of(text, window, zone)
    following = plan.after(at)
    assert following is not None
    assert following > at
    assert plan.open(following)
    again = plan.after(following)
    assert again is not None
    assert again > following


@given(ZONES, st.dates(date(1995, 1, 1), date(2040, 1, 1)), st.integers(0, 1439))
@settings(max_examples=60, deadline=None)
def test_a_fixed_time_comes_once_for_each_day_whatever_the_zone_does(zone: str, day: date, minute: int) -> None:
    there = ZoneInfo(zone)
    plan = plan_of(f"daily {minute // 60:02}:{minute % 60:02}", "", zone)
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=3)
    found = plan.preview(begin, 20, begin + timedelta(days=7))
    walls = {datetime(d.year, d.month, d.day) + timedelta(minutes=minute)
             for d in (begin.date() + timedelta(days=n) for n in range(-1, 9))}  # fmt: skip
    meant = {wall.replace(tzinfo=there).astimezone(UTC) for wall in walls}
    assert set(found) == {at for at in meant if begin < at <= begin + timedelta(days=7)}


def test_the_ends_of_time() -> None:
    plan = plan_of("daily 02:00", "", "Europe/Berlin")
    assert plan.after(datetime(9999, 12, 31, tzinfo=UTC)) is None
    assert plan.after(datetime(1, 1, 1, tzinfo=UTC)) is not None
