"""An archive in a temporary folder, and a way to send to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pacstui.archive import Archive, Stored
from pacstui.bus import Bus
from pacstui.events import Event
from pacstui.settings import ArchiveSettings

from .objects import EXPLICIT, Object

OPTIONS = ArchiveSettings(reserve_bytes=0, journal_bytes=0)


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def heard(bus: Bus) -> list[Event]:
    """Every event that the bus carried."""
    events: list[Event] = []
    bus.subscribe(Event, events.append)
    return events


@pytest.fixture
async def archive(tmp_path: Path, bus: Bus) -> AsyncIterator[Archive]:
    opened = await Archive.open(tmp_path / "data", OPTIONS, bus, busy_s=0.3)
    try:
        yield opened
    finally:
        await opened.close()


Send = Callable[..., Awaitable[Stored]]


async def send(
    archive: Archive, thing: Object | bytes, *, syntax: str = EXPLICIT, sop: str = "", sop_class: str = "",
    piece: int = 16384, **begin: Any,
) -> Stored:  # fmt: skip
    """Store one object as an association would."""
    data = thing if isinstance(thing, bytes) else thing.encode(syntax)
    if isinstance(thing, Object):
        sop = sop or thing.sop
        sop_class = sop_class or thing.text(0x00080016)
    values = {"calling": "SENDER", "address": "127.0.0.1", "association": 1, **begin}
    incoming = archive.begin(sop_class=sop_class, sop_instance=sop, transfer_syntax=syntax, **values)
    for at in range(0, len(data), piece):
        wait = incoming.write(memoryview(data)[at : at + piece])
        if wait is not None:
            await wait
    return await incoming.finish()


def files(archive: Archive, folder: str = "objects") -> list[Path]:
    """Return every file below a folder of the archive."""
    return sorted(path for path in (archive.data_dir / folder).rglob("*") if path.is_file())
