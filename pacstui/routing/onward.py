"""The parts of this room put together: routes and the outbox from before the archive opens, the rest after it did."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable

from pacstui import events
from pacstui.archive import Archive
from pacstui.bus import Bus
from pacstui.clock import Clock, microseconds
from pacstui.equipment.book import PeerBook
from pacstui.equipment.line import Lines
from pacstui.errors import PacsError
from pacstui.events import PerformedChanged
from pacstui.routing import made
from pacstui.routing.changing import Changing
from pacstui.routing.committing import Committing
from pacstui.routing.queueing import Queueing
from pacstui.routing.room import Arriving, Places, QueueRoom
from pacstui.routing.routes_room import RouteSources, RoutesRoom
from pacstui.settings import Settings, TransformSettings

log = logging.getLogger("pacstui.routing")


class _Named:
    """The transformations of the settings by name; made anew only when the settings are."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._of: Settings | None = None
        self._named: dict[str, TransformSettings] = {}

    def __call__(self) -> dict[str, TransformSettings]:
        settings = self._settings()
        if settings is not self._of:
            self._of, self._named = settings, {each.name: each for each in settings.transforms}
        return self._named


class Onward:
    """What sends studies on.

    Parameters
    ----------
    settings
        The present ones.
    book
        Peers, who are destinations by their names.
    caller
        Who asks for what is done now.
    """

    def __init__(self, settings: Callable[[], Settings], book: PeerBook, caller: Callable[[], str]) -> None:
        self._settings = settings
        self._book = book
        self._caller = caller
        self.sources = RouteSources(lambda: settings().routes, self.titles, self.transforms, caller)
        self.queueing = Queueing(self.sources.load)
        self._tasks: set[asyncio.Task[None]] = set()

    def titles(self) -> dict[str, str]:
        """Return the AE titles of all destinations by name; empty for one that has none."""
        found = {}
        for name in self._book.names():
            peer = self._book.named(name)
            if peer is not None:
                found[name] = peer.ae_title
        for each in self._settings().destinations:
            if each.folder or each.move_from or each.name in found:
                found.setdefault(each.name, each.move_to)
        return found

    def transforms(self) -> Iterable[str]:
        """Return the names of the transformations that there are."""
        return (each.name for each in self._settings().transforms)

    def open(self, archive: Archive, arriving: Arriving, lines: Lines, bus: Bus, clock: Clock) -> None:
        """Make the rooms; `QueueRoom.open` begins to send."""
        places = Places(
            lambda: self._settings().routing, lambda: self._settings().destinations, self._book.names, self.transforms,
            self._caller, lambda: self._settings().dicom.ae_title,
            lambda: {name for rule in self._settings().space.rules for name in rule.only_if_sent_to},
        )  # fmt: skip
        named = _Named(self._settings)
        changing = Changing(archive.data_dir, named, self.titles, lambda: self._settings().dicom.ae_title, clock.now)
        self.queue = QueueRoom(archive, arriving, self.queueing, lines, places, changing, bus, clock)
        self.committing = Committing(
            archive.db, lambda: {each.name for each in self._settings().destinations if each.commit}, clock
        )
        bus.subscribe(events.CommitmentAnswered, lambda _: self.committing.answered())
        self.routes = RoutesRoom(archive.db, self.sources, self.queueing, clock)
        self._db, self._clock = archive.db, clock
        bus.subscribe(PerformedChanged, self._performed)

    def _performed(self, event: PerformedChanged) -> None:
        """A modality said something: what a route waits for may be here."""
        if event.state != "IN PROGRESS":
            task = asyncio.ensure_future(self._let_go(event.studies))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _let_go(self, studies: tuple[str, ...]) -> None:
        now = microseconds(self._clock.now())
        try:
            if await self._db.write(lambda connection: self.queueing.performed(connection, studies, now)):
                self.queue.wake()
        except PacsError as fault:
            log.warning("what was performed is sent on later: %s", fault)

    async def begin(self) -> None:
        """Begin to send, and see whether the routes can be used."""
        await self.queue.open()
        await self.routes.look()

    def follow(self, connection: sqlite3.Connection, old: str, new: str) -> None:
        """Let the queue, pauses and routes have a peer's new name; on the writer's thread."""
        connection.execute("UPDATE sendings SET destination=? WHERE destination=?", (new, old))
        made.rename_destination(connection, old, new)
        self.queueing.forget()
        self.queueing.renew()

    async def bound(self, name: str) -> list[str]:
        """Return in words what names a peer where it cannot be changed from here: in the configuration."""
        settings = self._settings()
        found = [
            f"the route {each.name} of the configuration sends to it" for each in settings.routes if name in each.to
        ]
        found += [
            f"[[destinations]] has {'settings for it' if each.name == name else each.name + ', which asks it to send'}"
            for each in settings.destinations if name in (each.name, each.move_from)
        ]  # fmt: skip
        rules = [rule.name for rule in settings.space.rules if name in rule.only_if_sent_to]
        return found + [f"the rule {each} of the configuration asks whether it was sent there" for each in rules]

    async def renew(self) -> None:
        """Take in that settings or peers have changed."""
        self.queueing.renew()
        await self.queue.arrange()
        await self.queue.refresh(whole=True)
        await self.routes.look()

    def problems(self) -> Iterable[tuple[str, str, str, str, str]]:
        """Yield what is wrong, for the list of problems."""
        yield from self.queue.problems()
        yield from self.committing.problems()
        yield from self.routes.problems()
