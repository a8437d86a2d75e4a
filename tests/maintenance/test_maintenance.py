"""Draining by hand and by plan, and the list of what was changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.db import Database
from pacstui.errors import BadRequest, NotFound
from pacstui.events import Event, MaintenanceTold
from pacstui.maintenance.room import MaintenanceRoom
from pacstui.maintenance.windows import moment_of
from pacstui.settings import DicomSettings, PeerSettings, Settings


class Place:
    def __init__(self, database: Database) -> None:
        self.db = database
        self.bus = Bus()
        self.heard: list[Event] = []
        self.bus.subscribe(Event, self.heard.append)
        self.clock = FakeClock()
        self.room = self.again()

    def again(self) -> MaintenanceRoom:
        room = MaintenanceRoom(self.db, self.bus, self.clock, lambda: "admin")
        room.peers = lambda: ("CT1", "WS1")
        return room

    async def advance(self, **how: float) -> None:
        self.clock.advance(timedelta(**how).total_seconds())
        await self.room.tick()

    def said(self) -> list[str]:
        return [each.text for each in self.heard if isinstance(each, MaintenanceTold)]

    def at(self, **how: float) -> str:
        return (self.clock.now() + timedelta(**how)).isoformat()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    database = await Database.open(tmp_path / "index.db")
    found = Place(database)
    await found.room.open()
    yield found
    await database.close()


async def test_a_drain_rejects_for_now_and_ends_when_it_is_to(place: Place) -> None:
    room = place.room
    assert room.refusal() is None
    view = await room.drain("new disks", minutes=30)
    assert (view.effect, view.why, view.by) == ("drain", "new disks", "admin")
    refusal = room.refusal()
    assert refusal is not None
    assert (refusal.result, refusal.source, refusal.reason) == (2, 3, 1)
    assert refusal.text == "maintenance: new disks"
    assert room.held_up("WS1") == "held up by maintenance: new disks"
    ((name, level, text, _, screen),) = room.problems()
    assert (name, level, screen) == ("drained", "warn", "maintenance")
    assert text.startswith("new associations are rejected and nothing is sent: new disks (admin, since ")
    await place.advance(minutes=31)
    assert room.refusal() is None
    assert room.held_up("WS1") == ""
    assert place.said() == ["drained: new disks", "served again: the time that was set is over"]


async def test_echo_only(place: Place) -> None:
    await place.room.drain("tests with CT2", effect="echo")
    assert place.room.refusal() is None
    assert place.room.echo_only() == "maintenance: tests with CT2"
    await place.room.resume()
    assert place.room.echo_only() == ""
    with pytest.raises(BadRequest, match="serves everybody"):
        await place.room.resume()


async def test_a_drain_needs_a_reason(place: Place) -> None:
    with pytest.raises(BadRequest, match="why"):
        await place.room.drain("  ")
    with pytest.raises(BadRequest, match="no way to drain"):
        await place.room.drain("x", effect="explode")


async def test_a_window_begins_and_ends_by_itself_also_over_a_restart(place: Place) -> None:
    made = await place.room.plan(place.at(hours=2), "+1 h", "upgrade", owner="IT", effect="drain")
    assert (made.state, made.owner, made.made_by) == ("planned", "IT", "admin")
    assert list(place.room.problems()) == []
    await place.advance(hours=1, minutes=30)
    ((_, level, text, hint, _),) = place.room.problems()  # an hour before people are told
    assert level == "note"
    assert text.startswith("maintenance from ")
    assert hint == "ask IT"
    assert place.room.refusal() is None
    await place.advance(minutes=31)
    assert place.room.refusal() is not None
    place.room = place.again()
    await place.room.open()
    assert place.room.refusal() is not None
    (row,) = (await place.room.show()).windows
    assert row.state == "running"
    await place.advance(hours=1)
    assert place.room.refusal() is None
    assert place.said()[-1] == "maintenance is over: upgrade"
    (row,) = (await place.room.show()).windows
    assert row.state == "over"
    assert (await place.room.show(past_days=0)).windows == ()


async def test_a_window_about_one_peer_leaves_the_others_alone(place: Place) -> None:
    await place.room.plan(place.at(hours=1), "+1 h", "new tube", effect="drain", peers=("CT1",))
    await place.advance(hours=1, seconds=1)
    assert place.room.refusal() is None
    assert place.room.held_up("WS1") == ""
    assert place.room.held_up("CT1").startswith("held up by maintenance until ")
    with pytest.raises(NotFound, match="no peer or destination CT9"):
        await place.room.plan(place.at(hours=1), "+1 h", "x", peers=("CT9",))


async def test_a_running_window_is_ended_by_cancelling_it(place: Place) -> None:
    made = await place.room.plan(place.at(minutes=1), "+2 h", "upgrade", effect="drain")
    await place.advance(minutes=2)
    with pytest.raises(BadRequest, match="a maintenance window is on: upgrade"):
        await place.room.resume()
    assert (await place.room.cancel(made.id)).state == "over"
    assert place.room.refusal() is None
    assert place.said() == ["maintenance begins: upgrade", "maintenance is over: upgrade"]
    with pytest.raises(BadRequest, match="is over"):
        await place.room.cancel(made.id)
    later = await place.room.plan(place.at(hours=3), "+1 h", "again")
    assert (await place.room.change(later.id, reason="once more", end="+2 h")).reason == "once more"
    assert (await place.room.cancel(later.id)).state == "cancelled"


@pytest.mark.parametrize(
    ("start", "end", "reason", "effect", "said"),
    [
        ("nonsense", "+1 h", "x", "drain", "is no time"),
        ("+1 h", "+0 min", "x", "drain", "ends before it begins"),
        ("+1 h", "+40 d", "x", "drain", "at most 31 days"),
        ("+1 h", "+1 h", " ", "drain", "needs a reason"),
        ("+1 h", "+1 h", "x", "flood", "is no effect"),
        ("2020-01-01", "+1 h", "x", "drain", "is over already"),
    ],
)
async def test_what_is_no_window(place: Place, start: str, end: str, reason: str, effect: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        await place.room.plan(start, end, reason, effect=effect)


def test_times_as_people_write_them() -> None:
    now = datetime(2026, 5, 1, 12, 0).astimezone()
    assert moment_of("22:00", now) == now.replace(hour=22)
    assert moment_of("08:30", now) == now.replace(hour=8, minute=30) + timedelta(days=1)
    assert moment_of("+90 min", now) == now + timedelta(minutes=90)
    assert moment_of("+30", now) == now + timedelta(minutes=30)
    assert moment_of("2026-05-02 06:00", now) == now + timedelta(hours=18)


async def test_changes_of_the_configuration_are_listed_with_what_was(place: Place) -> None:
    first = Settings()
    assert await place.room.compare(first, "file of pacs", "at start") == 0
    assert await place.room.compare(first, "file of pacs", "at start") == 0
    second = first.model_copy(
        update={
            "dicom": DicomSettings(port=104),
            "peers": (PeerSettings(name="CT1", ae_title="CT1", host="10.0.0.5"),),
        }
    )
    assert await place.room.compare(second, "file of pacs", "reloaded") > 2
    found = {row.key: (row.who, row.how, row.old, row.new) for row in await place.room.changes()}
    assert found["[dicom] port"] == ("file of pacs", "reloaded", "11112", "104")
    assert found["peer CT1 host"] == ("file of pacs", "reloaded", "", "10.0.0.5")
    assert [row.key for row in await place.room.changes(search="ct1 10.0")] == ["peer CT1 host"]
    newest = (await place.room.changes(limit=1))[0]
    assert all(row.id < newest.id for row in await place.room.changes(before=newest.id))
