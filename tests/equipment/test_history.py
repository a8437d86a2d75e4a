"""How peers answered: weighed by time, summed by day and month, bounded, and there after a restart."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

import pytest

from pacstui.equipment import store
from pacstui.equipment.line import Call
from pacstui.errors import Unavailable
from tests.equipment.conftest import CONFIGURED, Site

QUARTER = 900


@pytest.fixture
def begins(site: Site) -> Site:
    """A site at a time from which a day can pass without a change of the local day."""
    site.clock.jump((datetime(2026, 3, 10, 1, tzinfo=UTC) - site.clock.now()).total_seconds())
    return site


def echo(site: Site, ok: bool, milliseconds: float = 10.0, after: float = QUARTER) -> None:
    site.clock.advance(after)
    site.room.seen.history.echoed("CT one", site.clock.now(), ok, milliseconds, "" if ok else "TCP: nothing listens")


async def test_an_outage_weighs_what_it_lasts_however_often_one_tries(begins: Site) -> None:
    site = begins
    for _ in range(9):
        echo(site, True)
    for _ in range(90):  # a quarter of an hour in the middle of an outage, with many tries
        echo(site, False, after=10)
    (row,) = await site.room.list()
    assert row.uptime == pytest.approx(8 / 9)
    assert row.silent_since is not None
    assert (site.clock.now() - row.silent_since).total_seconds() == 890
    assert row.rtt_ms == 10.0
    echo(site, True)
    assert (await site.room.list())[0].silent_since is None


async def test_a_long_gap_tells_nothing(begins: Site) -> None:
    echo(begins, True)
    echo(begins, True, after=8 * 3600)
    assert (await begins.room.list())[0].uptime is None


async def test_one_lost_echo_is_no_outage_two_are(begins: Site) -> None:
    site = begins
    echo(site, True)
    echo(site, False)
    assert not [p for p in site.room.seen.problems() if p[0].startswith("peer-silent")]
    echo(site, False)
    (problem,) = [p for p in site.room.seen.problems() if p[0].startswith("peer-silent")]
    assert "has not answered since" in problem[2]
    await site.room.edit("CT one", probe="no")
    assert not [p for p in site.room.seen.problems() if p[0].startswith("peer-silent")]


async def test_days_and_months_are_there_after_a_restart(begins: Site) -> None:
    site = begins
    for milliseconds in (10.0, 30.0, 20.0):
        echo(site, True, milliseconds)
    after = await site.again()
    for milliseconds in (40.0, 50.0):
        echo(after, True, milliseconds)
    history = await after.room.history("CT one")
    (day,) = history.days
    assert (day.asked, day.answered, day.up_s) == (5, 5, 4 * QUARTER)
    assert (day.min_ms, day.median_ms, day.max_ms) == (10.0, 30.0, 50.0)
    (month,) = history.months
    assert (month.day.day, month.asked) == (1, 5)
    assert [each.milliseconds for each in history.echoes] == [50.0, 40.0, 20.0, 30.0, 10.0]


async def test_what_is_kept_is_bounded(begins: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ECHOES_KEPT", 50)
    site = begins
    for _ in range(200):
        echo(site, True)
    echo(site, True, after=4000 * 86400)
    for _ in range(80):
        echo(site, True)
    await site.room.seen.flush()
    with sqlite3.connect(site.database.path) as connection:
        assert connection.execute("SELECT count(*) FROM peer_echoes").fetchone()[0] == 50
        days = [row[0] for row in connection.execute("SELECT day FROM peer_days")]
    assert days
    assert all(day > "2030" for day in days)


async def test_a_disk_that_takes_nothing_for_a_while_costs_no_history(
    begins: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pacstui.errors import StorageFull

    site, seen = begins, begins.room.seen
    echo(site, True)

    async def full(*_: object) -> None:
        raise StorageFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(seen.store, "save", full)
        with pytest.raises(StorageFull):
            await seen.flush()
    echo(site, False)
    history = await site.room.history("CT one")
    assert [each.ok for each in history.echoes] == [False, True]
    assert history.days[0].asked == 2


async def test_a_call_that_failed_counts_until_the_peer_was_reached_or_answered(begins: Site) -> None:
    site = begins
    call = Call(CONFIGURED, "RADNODE1", "sends", "route")
    site.room.seen.missed(call, Unavailable("nothing listens at 192.0.2.17:104"))
    (row,) = await site.room.list()
    assert row.failed == site.clock.now()
    assert "nothing listens" in row.failed_detail
    echo(site, True)
    (row,) = await site.room.list()
    assert (row.failed, row.failed_detail) == (None, "")
