"""An archive with routes, an outbox and real receivers on loopback, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from pacstui.archive import Archive
from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.equipment.book import PeerBook
from pacstui.equipment.line import Lines
from pacstui.events import Event
from pacstui.routing.onward import Onward
from pacstui.settings import DestinationSettings, NodeSettings, PeerSettings, RouteSettings, Settings
from tests.archive.conftest import OPTIONS, send
from tests.archive.objects import Object
from tests.dicom.serving import QUICK, Served, serving


class Nobody:
    """Nothing arrives."""

    def rows(self) -> tuple[Any, ...]:
        return ()


class House:
    """The rooms under test. Nothing is sent before `begin`."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.settings = settings
        self.bus = Bus()
        self.heard: list[Event] = []
        self.bus.subscribe(Event, self.heard.append)
        self.clock = FakeClock()
        self.folder = folder
        self.book = PeerBook(settings.peers)
        self.onward = Onward(lambda: self.settings, self.book, lambda: "admin")

    async def open(self) -> None:
        self.archive = await Archive.open(
            self.folder / "data", OPTIONS, self.bus, self.clock, busy_s=0.3, beside=self.onward.queueing
        )
        self.onward.open(self.archive, Nobody(), Lines(self.book, "PACS", QUICK), self.bus, self.clock)
        self.queue, self.routes = self.onward.queue, self.onward.routes

    async def begin(self) -> None:
        await self.onward.begin()

    async def close(self) -> None:
        await self.queue.close(0.0)
        await self.archive.close()

    async def store(self, *objects: Object, **how: Any) -> None:
        """Store objects as an association would."""
        for each in objects:
            await send(self.archive, each, **how)

    async def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
        self.queue.wake()
        await asyncio.sleep(0)

    async def states(self, destination: str = "") -> dict[str, str]:
        """Return the state of each object in the outbox by SOP Instance UID."""
        found = {}
        for row in (await self.queue.sendings(destination=destination)).rows:
            found |= {each.sop_instance: each.state for each in (await self.queue.sending(row.id)).objects}
        return found

    async def until(self, holds: Callable[[], Any], seconds: float = 10.0) -> Any:
        """Return what holds, a coroutine's result too, as soon as it is true."""
        async with asyncio.timeout(seconds):
            while True:
                value = holds()
                if asyncio.iscoroutine(value):
                    value = await value
                if value:
                    return value
                await asyncio.sleep(0.002)

    async def settled(self, destination: str = "") -> dict[str, str]:
        """Return the states when nothing waits any more."""

        async def over() -> dict[str, str] | None:
            states = await self.states(destination)
            return None if {"waiting", "sending"} & set(states.values()) else states

        found: dict[str, str] = await self.until(over)
        return found


def peer(name: str, port: int, **more: Any) -> PeerSettings:
    return PeerSettings(name=name, ae_title=name, host="127.0.0.1", port=port, **more)


def to(*names: str, name: str = "all", **more: Any) -> RouteSettings:
    return RouteSettings(name=name, to=names, **more)


@asynccontextmanager
async def house(
    folder: Path,
    *routes: RouteSettings,
    peers: Iterable[PeerSettings] = (),
    destinations: Iterable[DestinationSettings] = (),
    begin: bool = True,
) -> AsyncIterator[House]:
    """A house for the time of the block. Peers without settings of their own keep no association for what may come."""
    peers = tuple(peers)
    given = {each.name: each for each in destinations}
    for each in peers:
        given.setdefault(each.name, DestinationSettings(name=each.name, linger_s=0))
    settings = Settings(
        node=NodeSettings(data_dir=folder / "data"), peers=peers, routes=routes, destinations=tuple(given.values())
    )
    made = House(folder, settings)
    await made.open()
    try:
        if begin:
            await made.begin()
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def receivers(count: int) -> AsyncIterator[list[Served]]:
    """Listeners that keep in memory what they get."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(serving()) for _ in range(count)]
