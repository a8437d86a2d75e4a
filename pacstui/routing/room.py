"""The queue's room: destinations and their senders, and what people do with what waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

from pacstui import events
from pacstui.archive import Archive
from pacstui.bus import Bus
from pacstui.clock import Clock, microseconds
from pacstui.contract.node import QueuePart
from pacstui.contract.queue import (
    Changed,
    DestinationRow,
    ErrorRow,
    QueueView,
    ReceivingRow,
    SendingRow,
    SendingsPage,
    SendingView,
)
from pacstui.equipment.line import Lines
from pacstui.errors import BadRequest, NotFound, PacsError
from pacstui.imaging.conversions import Conversions
from pacstui.routing import actions, listing, made, standing
from pacstui.routing.actions import Chosen
from pacstui.routing.changing import Changing
from pacstui.routing.courier import Courier, MoveCourier, PeerCourier
from pacstui.routing.destination import Destination
from pacstui.routing.folder import FolderCourier
from pacstui.routing.outbox import Ended, Outbox, Sums
from pacstui.routing.queueing import Queueing
from pacstui.routing.route import PRIORITIES
from pacstui.routing.ways import Ways
from pacstui.services.corrected import Handing, discard
from pacstui.settings import DestinationSettings, RoutingSettings
from pacstui.text import plural, safe

log = logging.getLogger("pacstui.routing")
_PRUNE_S: Final = 300.0
_QUIET_S: Final = 3.0
_MOST: Final = 500
_IDS: Final = 100_000


class Arriving(Protocol):
    """What is being received."""

    def rows(self) -> tuple[ReceivingRow, ...]:
        """Return the studies that arrive."""
        ...


@dataclass(slots=True)
class Places:
    """What the queue needs of the node: destinations that are set up, names of peers, who asks, our AE title;
    ``remembered`` are destinations of which it has to be known for good what they got."""

    settings: Callable[[], RoutingSettings]
    destinations: Callable[[], Iterable[DestinationSettings]]
    peers: Callable[[], Iterable[str]]
    transforms: Callable[[], Iterable[str]]
    caller: Callable[[], str]
    ae_title: Callable[[], str]
    remembered: Callable[[], Iterable[str]] = tuple


class QueueRoom:
    """What arrives and what goes out. Runs on the event loop."""

    def __init__(
        self,
        archive: Archive,
        arriving: Arriving,
        queueing: Queueing,
        lines: Lines,
        places: Places,
        changing: Changing,
        bus: Bus,
        clock: Clock,
    ) -> None:
        self._archive = archive
        self._arriving = arriving
        self._queueing = queueing
        self._lines = lines
        self._places = places
        self._bus = bus
        self._clock = clock
        self._outbox = Outbox(archive.db)
        self._conversions = Conversions()
        self._destinations: dict[str, Destination] = {}
        self._strange: dict[str, str] = {}
        self._quiet: dict[int, tuple[Ended, float]] = {}
        self._sums: dict[str, Sums] = {}
        self._stale = True
        self._pruned_at = -_PRUNE_S
        self.handing: Handing | None = None
        self.held_up: Callable[[str], str] = lambda destination: ""
        self._ways = Ways(
            archive, self._outbox, clock, self._courier, changing, discard, self._down, self._up, self._ended,
            lambda name: self.held_up(name), lambda: self.handing,
        )  # fmt: skip
        bus.subscribe(events.InstanceStored, self._stored)

    async def open(self) -> None:
        """Begin to send what waits."""
        await self.refresh(whole=True)
        await self.arrange()

    async def close(self, patience_s: float) -> None:
        """Stop to send; what is on its way gets some seconds to arrive."""
        await asyncio.gather(*(each.close(patience_s) for each in self._destinations.values()))
        await self._conversions.close()

    async def arrange(self) -> None:
        """Bring the senders up to settings, peers and pauses; others' objects stay where they are in the queue."""
        pauses = await self._archive.db.read(made.pauses)
        known = {each.name: each for each in self._places.destinations()}
        for name in self._places.peers():
            known.setdefault(name, DestinationSettings(name=name))
        self._strange = {}
        for name, settings in known.items():
            try:
                there = self._destinations.get(name)
                if there is None:
                    there = self._destinations[name] = Destination(settings, self._ways)
                    there.start()
                elif there.settings != settings:
                    there.replace(settings)
                paused = pauses.get(name)
                there.paused, there.paused_by = (paused.why, paused.by) if paused else ("", "")
                there.wake()
            except PacsError as fault:
                self._strange[name] = fault.message
        for name in [name for name in self._destinations if name not in known]:
            await self._destinations.pop(name).close()

    def wake(self) -> None:
        """Let all senders look at once, when what held everything up is over, or has begun."""
        for each in self._destinations.values():
            each.wake()

    def _courier(self, settings: DestinationSettings) -> Courier:
        if settings.folder:
            return FolderCourier(Path(settings.folder).expanduser(), self._places.ae_title())
        if settings.move_from:
            return MoveCourier(self._lines, settings.move_from, settings.move_to)
        return PeerCourier(self._lines, settings.name, self._conversions)

    # What happens.

    def _stored(self, _: events.InstanceStored) -> None:
        touched = self._queueing.touched
        if touched:
            self._queueing.touched = set()
            self._stale = True
            for name in touched:
                destination = self._destinations.get(name)
                if destination is not None:
                    destination.wake()

    def _down(self, destination: str, fault: PacsError) -> None:
        self._bus.publish(events.DestinationDown(self._clock.now(), destination, fault.message, fault.hint))

    def _up(self, destination: str) -> None:
        self._bus.publish(events.DestinationUp(self._clock.now(), destination))

    def _ended(self, ended: Ended) -> None:
        """Note that nothing waits of a sending; it is told when nothing more came for a while."""
        self._stale = True
        self._quiet[ended.id] = (ended, self._clock.monotonic())

    def _tell(self, ended: Ended) -> None:
        self._bus.publish(
            events.SendingEnded(
                self._clock.now(), ended.destination, ended.route, ended.study, ended.sent, ended.warning, ended.failed,
                ended.error if ended.failed else "", ended.hint if ended.failed else "", ended.id,
            )
        )  # fmt: skip

    async def refresh(self, whole: bool = False) -> None:
        """Count anew what waits; called every second."""
        if self._queueing.touched:
            self._stored_quietly()
        if self._stale or whole or any(each.sending or each.taken for each in self._destinations.values()):
            self._stale = False
            self._sums = await self._outbox.sums()
        now = self._clock.monotonic()
        for key in [key for key, (_, at) in self._quiet.items() if now - at >= _QUIET_S]:
            self._tell(self._quiet.pop(key)[0])
        if now - self._pruned_at >= _PRUNE_S:
            self._pruned_at = now
            days = self._places.settings().keep_days
            before = microseconds(self._clock.now() - timedelta(days=days))
            while await self._outbox.prune(before, tuple(self._places.remembered())):
                pass

    def _stored_quietly(self) -> None:
        """Look at what was queued without an event, as at a start after a crash."""
        touched, self._queueing.touched = self._queueing.touched, set()
        self._stale = True
        for name in touched & set(self._destinations):
            self._destinations[name].wake()

    # What is shown.

    async def list(self) -> QueueView:
        return QueueView(self._arriving.rows(), self.outgoing(), self._archive.stats().writing)

    def outgoing(self) -> tuple[DestinationRow, ...]:
        """Return destinations that something waits for, failed at, or went to; those in trouble first."""
        names = set(self._sums) | {
            name for name, each in self._destinations.items() if each.attempts.sent or each.paused_by
        }
        return standing.ordered(self._row(name) for name in sorted(names))

    def _row(self, name: str) -> DestinationRow:
        sums, each = self._sums.get(name, Sums()), self._destinations.get(name)
        if each is None:
            return standing.unknown(name, sums, self._strange.get(name, ""))
        return standing.row(each, sums, self.held_up(name), self._clock)

    def part(self) -> QueuePart:
        """Return the counts of what waits to go out."""
        waiting = sum(each.waiting for each in self._sums.values())
        failed = sum(each.failed for each in self._sums.values())
        return QueuePart(
            waiting, sum(each.sending for each in self._destinations.values()), failed,
            sum(each.attempts.sent for each in self._destinations.values()),
        )  # fmt: skip

    def problems(self) -> Iterable[tuple[str, str, str, str, str]]:
        """Yield what is wrong with what goes out, for the list of problems."""
        return standing.problems(self.outgoing(), self._places.settings().waits_h, self._clock.now())

    @property
    def _live(self) -> set[int]:
        return {ident for each in self._destinations.values() for ident in each.live}

    @property
    def _taken(self) -> set[int]:
        return {ident for each in self._destinations.values() for ident in each.attempts.on_the_way}

    async def sendings(
        self,
        destination: str = "",
        state: str = "",
        search: str = "",
        study: str = "",
        before: int = 0,
        limit: int = 100,
    ) -> SendingsPage:
        if state and state not in listing.STATES:
            raise BadRequest(f"{safe(state, 32)} is no state", f"there are: {', '.join(listing.STATES)}")
        live, now = self._live, microseconds(self._clock.now())
        limit = max(1, min(limit, _MOST))
        return await self._archive.db.read(
            lambda c: listing.page(c, destination, state, search, study, before, limit, live, now)
        )

    async def not_sent(self, study: str, to: Sequence[str]) -> str:
        """Return why a study was not sent to all of some destinations, empty if all of it was."""
        for name in to:
            there = self._destinations.get(name)
            if there is not None and there.settings.move_from:
                return f"{safe(name, 64)} gets what {safe(there.settings.move_from, 64)} has, which nobody here knows"
            lacking = await self._outbox.unsent(study, name)
            if lacking:
                return f"{plural(lacking, 'object')} of it were not sent to {safe(name, 64)}"
        return ""

    async def sending(self, id: int) -> SendingView:
        live, taken, now = self._live, self._taken, microseconds(self._clock.now())
        return await self._archive.db.read(lambda c: listing.one(c, id, live, taken, now))

    async def errors(self, destination: str = "") -> tuple[ErrorRow, ...]:
        return await self._archive.db.read(lambda c: listing.errors(c, destination))

    # What people do.

    def _known(self, name: str) -> str:
        if name not in self._destinations:
            known = ", ".join(sorted(self._destinations)) or "none"
            raise NotFound(f"there is no destination {safe(name, 64)}", f"there are: {known}")
        return name

    def _chosen(self, ids: tuple[int, ...], destination: str, error: str = "") -> Chosen:
        if not ids and not destination:
            raise BadRequest("which sendings?", "give their ids, or a destination for all of it")
        if len(ids) > _IDS:
            raise BadRequest(f"at most {_IDS:,} at once", "give a destination for all of it")
        return Chosen(ids, destination, error)

    def _now(self) -> int:
        return microseconds(self._clock.now())

    async def _after(self, recall: bool = True) -> None:
        self._stale = True
        for each in self._destinations.values():
            if recall:
                each.recall()
            each.wake()
        await self.refresh()

    async def send(
        self, study: str, to: str, series: str = "", instance: str = "", priority: str = "medium", transform: str = ""
    ) -> SendingRow:
        self._known(to)
        rank, by, now = _rank(priority), self._places.caller(), self._now()
        if transform and transform not in self._places.transforms():
            known = ", ".join(self._places.transforms()) or "none"
            raise NotFound(f"there is no transformation {safe(transform, 64)}", f"there are: {known}")
        ident = await self._archive.db.write(
            lambda c: actions.ask(c, study, series, instance, to, by, rank, transform, now)
        )
        if not ident:
            what = "instance" if instance else "series" if series else "study"
            raise NotFound(f"the archive has no such {what}", "pacstui studies list has what it has")
        await self._after(recall=False)
        return (await self.sending(ident)).row

    async def send_objects(self, study: str, objects: Sequence[str], to: str) -> int:
        """Queue some objects for a destination before everything else, in their order; return how many there are.

        Raises
        ------
        NotFound
            When there is no such destination.
        """
        self._known(to)
        rank, by, now = _rank("high"), self._places.caller(), self._now()
        number = await self._archive.db.write(
            lambda c: actions.ask_objects(c, study, objects, to, by, rank, now)
        )  # fmt: skip
        await self._after(recall=False)
        return number

    async def retry(self, ids: tuple[int, ...] = (), destination: str = "", error: str = "") -> Changed:
        chosen = self._chosen(ids, destination, error)
        now = self._now()
        found = await self._archive.db.write(lambda c: actions.retry(c, chosen, now))
        for each in self._destinations.values():
            if not destination or each.name == destination:
                each.retry_now()
        await self._after(recall=False)
        return found

    async def hold(self, ids: tuple[int, ...] = (), destination: str = "") -> Changed:
        chosen, now = self._chosen(ids, destination), self._now()
        found = await self._archive.db.write(lambda c: actions.set_held(c, chosen, True, now))
        await self._after()
        return found

    async def release(self, ids: tuple[int, ...] = (), destination: str = "") -> Changed:
        chosen, now = self._chosen(ids, destination), self._now()
        found = await self._archive.db.write(lambda c: actions.set_held(c, chosen, False, now))
        await self._after(recall=False)
        return found

    async def cancel(self, ids: tuple[int, ...] = (), destination: str = "", error: str = "") -> Changed:
        chosen, by, now = self._chosen(ids, destination, error), self._places.caller(), self._now()
        found = await self._archive.db.write(lambda c: actions.cancel(c, chosen, by, now))
        await self._after()
        return found

    async def priority(self, value: str, ids: tuple[int, ...] = (), destination: str = "") -> Changed:
        chosen, rank, now = self._chosen(ids, destination), _rank(value), self._now()
        found = await self._archive.db.write(lambda c: actions.set_priority(c, chosen, rank, now))
        await self._after()
        return found

    async def redirect(self, to: str, ids: tuple[int, ...] = (), destination: str = "") -> Changed:
        self._known(to)
        if destination == to:
            raise BadRequest(f"it goes to {safe(to, 64)} already", "name another destination")
        chosen, by, now = self._chosen(ids, destination), self._places.caller(), self._now()
        found = await self._archive.db.write(lambda c: actions.redirect(c, chosen, to, by, now))
        await self._after()
        return found

    async def pause(self, destination: str, why: str = "") -> None:
        self._known(destination)
        by, now = self._places.caller(), self._now()
        await self._archive.db.write(lambda c: made.pause(c, destination, why, by, now))
        each = self._destinations[destination]
        each.paused, each.paused_by = safe(why, 200), by
        each.recall()

    async def resume(self, destination: str) -> None:
        self._known(destination)
        now = self._now()
        await self._archive.db.write(lambda c: made.pause(c, destination, "", "", now))
        each = self._destinations[destination]
        each.paused, each.paused_by = "", ""
        each.retry_now()


def _rank(priority: str) -> int:
    if priority not in PRIORITIES:
        raise BadRequest(f"{safe(priority, 32)} is no priority", f"there are: {', '.join(PRIORITIES)}")
    return PRIORITIES[priority]
