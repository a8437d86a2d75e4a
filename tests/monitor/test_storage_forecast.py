"""Growth and the day on which the volume is full."""

from __future__ import annotations

from datetime import date, timedelta

from pacstui.contract.storage import DayUse
from pacstui.monitor.archive import full_on, growth

TODAY = date(2026, 3, 15)


def _days(*bytes_by_age: tuple[int, int]) -> list[DayUse]:
    return [DayUse(TODAY - timedelta(days=age), 1, count) for age, count in sorted(bytes_by_age, reverse=True)]


def test_growth_is_the_mean_over_finished_days_quiet_ones_included() -> None:
    assert growth(_days((4, 400), (2, 400), (0, 99)), TODAY) == 200


def test_days_older_than_two_weeks_do_not_count_and_a_new_archive_counts_today() -> None:
    assert growth(_days((40, 10_000), (0, 70)), TODAY) == 70
    assert growth([], TODAY) == 0


def test_the_reserve_is_no_room_to_grow_into() -> None:
    assert full_on(1000, 200, 100.0, TODAY) == TODAY + timedelta(days=8)
    assert full_on(100, 200, 100.0, TODAY) == TODAY
    assert full_on(1000, 0, 0.0, TODAY) is None
    assert full_on(10**18, 0, 1.0, TODAY) is None
    assert full_on(37_000, 0, 10.0, TODAY) is None  # in ten years and more nobody knows
    assert full_on(36_000, 0, 10.0, TODAY) == TODAY + timedelta(days=3600)
