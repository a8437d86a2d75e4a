"""A room of peers on a database, without a node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.db import Database
from pacstui.equipment.book import PeerBook
from pacstui.equipment.line import Lines
from pacstui.equipment.room import PeersRoom
from pacstui.settings import PeerSettings

CONFIGURED = PeerSettings(name="CT one", ae_title="CT1", host="192.0.2.17", notes="of the configuration")


class Site:
    """What a node has around its peers. ``noted`` are the changes that were told."""

    def __init__(self, database: Database, clock: FakeClock | None = None) -> None:
        self.database, self.bus, self.clock = database, Bus(), clock or FakeClock()
        self.book = PeerBook([CONFIGURED])
        self.lines = Lines(self.book, "RADNODE1")
        self.room = PeersRoom(database, self.lines, self.bus, self.clock, lambda: "op1")
        self.noted: list[tuple[str, str, str]] = []
        self.room.register.noted = lambda *told: self.noted.append(told)

    async def again(self) -> Site:
        """Return the site after a restart."""
        await self.room.close()
        after = Site(self.database, self.clock)
        await after.room.open()
        return after


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    database = await Database.open(tmp_path / "index.db")
    made = Site(database)
    await made.room.open()
    yield made
    await made.room.close()
    await database.close()
