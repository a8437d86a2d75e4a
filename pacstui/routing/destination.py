"""One destination: takes what is due for it out of the outbox, brings it there, and writes down what became of it.

Each destination has tasks of its own, so that one that does not answer never holds up another. Several objects go over
one association, several associations at once where that is set. After a failure of the destination as a whole nothing
is tried before it has answered a probe; an object that fails alone is tried again later, and others go first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pacstui.clock import microseconds
from pacstui.dicom.net.errors import AssociationEnded, AssociationRejected
from pacstui.errors import PacsError
from pacstui.jobs.schedule import window_of, zone_of
from pacstui.routing.attempts import Attempts
from pacstui.routing.courier import Carrier, kind
from pacstui.routing.outbox import Item, Result
from pacstui.routing.patience import Breaker
from pacstui.routing.tables import CANCELLED
from pacstui.routing.ways import Ways
from pacstui.services.sending import Feed
from pacstui.settings import DestinationSettings
from pacstui.text import duration

log = logging.getLogger("pacstui.routing")
_BATCH: Final = 64
_KINDS_AHEAD: Final = 512
_LOOK_S: Final = 1.0
_LONGEST_S: Final = 60.0
_SHY_S: Final = 3600.0
"""For so long each kind of object is offered alone to a destination that refused an association."""


class Destination:
    """A destination and the tasks that send to it. Everything runs on the event loop."""

    def __init__(self, settings: DestinationSettings, ways: Ways) -> None:
        self.name = settings.name
        self.breaker = Breaker()
        self.taken: set[int] = set()
        self.attempts = Attempts(ways, self.breaker, settings)
        self.paused = ""
        self.paused_by = ""
        self._ways = ways
        self._tasks: list[asyncio.Task[None]] = []
        self._sleepers: set[asyncio.Future[None]] = set()
        self._taking = asyncio.Lock()
        self._stopping = False
        self._due = 0
        self._recalls = 0
        self._wakes = 0
        self._shy_until = 0.0
        self.settings = settings
        self.replace(settings)

    def replace(self, settings: DestinationSettings) -> None:
        """Go on with other settings.

        Raises
        ------
        BadRequest
            When its hours cannot be understood.
        """
        self._window = window_of(settings.hours)
        self.settings = settings
        self._zone = zone_of("")
        self.attempts.replace(settings)
        self._courier = self._ways.courier(settings)
        self.wake()

    def start(self) -> None:
        """Begin to send."""
        self._arrange()

    def _arrange(self) -> None:
        self._tasks = [task for task in self._tasks if not task.done()]
        while len(self._tasks) < self.settings.associations and not self._stopping:
            number = len(self._tasks)
            self._tasks.append(asyncio.create_task(self._work(number), name=f"sending to {self.name}"))

    async def close(self, patience_s: float = 0.0) -> None:
        """End: what is on its way gets some seconds to arrive."""
        self._stopping = True
        self.wake()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience_s or 0.01)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def wake(self) -> None:
        """Look at once whether there is something to do."""
        self._due = 0
        self._wakes += 1
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)

    def retry_now(self) -> None:
        """Ask a destination that did not answer at once."""
        self.breaker.probe_at = 0.0
        self.wake()

    def recall(self) -> None:
        """Take no more of what was taken already: somebody has changed what is to be sent."""
        self._recalls += 1

    @property
    def sending(self) -> int:
        """Objects that are on their way."""
        return len(self.attempts.on_the_way)

    @property
    def live(self) -> frozenset[int]:
        """The sendings of which something is on its way."""
        return frozenset(self.attempts.on_the_way.values())

    def closed(self, now: datetime) -> bool:
        """Return whether it is outside of its hours."""
        return self._window.begin(now, self._zone) != now

    def words(self) -> str:
        """Say what is happening, in a sentence."""
        held = self._ways.held_up(self.name)
        if self.paused_by:
            return f"paused by {self.paused_by}" + (f": {self.paused}" if self.paused else "")
        if held:
            return held
        breaker = self.breaker
        if breaker.open:
            left = max(0.0, breaker.probe_at - self._ways.clock.monotonic())
            return f"{breaker.why}; asked again in {duration(left)}"
        if self.sending or self.taken:
            return "sending"
        now = self._ways.clock.now()
        opens = self._window.begin(now, self._zone)
        if opens != now:
            return f"outside of its hours, sends from {opens.astimezone(self._zone):%a %H:%M}"
        rest = self.attempts.rests_until - self._ways.clock.monotonic()
        if rest > 0:
            return f"keeps to {self.settings.max_mb_per_s:g} MB a second, goes on in {duration(rest)}"
        if self._due:
            left = self._due / 1e6 - now.timestamp()
            if left > 0:
                return f"next try in {duration(left)}"
        return "idle"

    def _hindered(self) -> float:
        """Return for how many seconds nothing is to be sent now; 0 if something may be."""
        if self.paused_by or self._ways.held_up(self.name):
            return _LONGEST_S
        if self.breaker.open:
            return max(0.01, self.breaker.probe_at - self._ways.clock.monotonic())
        now = self._ways.clock.now()
        closed = (self._window.begin(now, self._zone) - now).total_seconds()
        return max(0.0, closed, self.attempts.rests_until - self._ways.clock.monotonic())

    async def _sleep(self, seconds: float, wakes: int) -> None:
        """Sleep until it is time or somebody wakes; not at all if somebody did since there were so many ``wakes``."""
        if self._stopping or wakes != self._wakes:
            return
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.add(sleeper)
        try:
            await asyncio.wait([sleeper], timeout=min(max(seconds, 0.01), _LONGEST_S))
        finally:
            self._sleepers.discard(sleeper)

    async def _work(self, number: int) -> None:
        while not self._stopping and number < self.settings.associations:
            wakes = self._wakes
            try:
                if self.breaker.open and number == 0 and not self.paused_by and not self._ways.held_up(self.name):
                    await self._probe()
                hindered = self._hindered()
                if hindered:
                    await self._sleep(hindered, wakes)
                    continue
                items = await self._take()
                if items:
                    await self._session(items)
                else:
                    await self._sleep(await self._until_due(), wakes)
                if number == 0:
                    self._arrange()
            except PacsError as fault:
                log.warning("%s: %s", self.name, fault)
                await self._sleep(5.0, self._wakes)
            except Exception:  # a fault of ours; what waits is tried again all the same
                log.exception("sending to %s failed", self.name)
                await self._sleep(5.0, self._wakes)

    async def _until_due(self) -> float:
        """Return how long nothing is due; looks at most once a second."""
        due = await self._ways.outbox.next_due(self.name, microseconds(self._ways.clock.now()))
        self._due = due
        if not due:
            return _LONGEST_S
        return max(_LOOK_S, due / 1e6 - self._ways.clock.now().timestamp())

    async def _take(self, limit: int = _BATCH) -> list[Item]:
        async with self._taking:
            now, handing = microseconds(self._ways.clock.now()), self._ways.handing()
            known = handing.corrections if handing is not None else 0
            items = await self._ways.outbox.take(self.name, now, limit, self.taken)
            items = [item._replace(known=known) for item in items] if known else items
            self.taken.update(item.id for item in items)
        return items

    def _give_back(self, items: Sequence[Item]) -> None:
        self.taken.difference_update(item.id for item in items)

    async def _probe(self) -> None:
        """Ask a destination that did not answer whether it does, when it is time."""
        if self._ways.clock.monotonic() < self.breaker.probe_at:
            return
        if not await self._ways.outbox.next_due(self.name, microseconds(self._ways.clock.now())):
            self.breaker.worked()  # nothing waits for it any more, so nobody needs to know
            return
        try:
            await self._courier.probe()
        except PacsError as fault:
            self._trip(fault)
            await self._give_up()
        else:
            self.breaker.answered()
            self.wake()

    def _trip(self, fault: PacsError) -> None:
        if self.breaker.trip(self._ways.clock.monotonic(), fault.message, fault.hint) and self.breaker.failures == 1:
            self._ways.down(self.name, fault)

    async def _give_up(self) -> None:
        hours = self.settings.give_up_h
        if hours:
            now = microseconds(self._ways.clock.now())
            text = f"not reached for {hours:g} h: {self.breaker.why}"
            await self._ways.outbox.give_up(self.name, now - int(hours * 3.6e9), text, self.breaker.hint, now)

    async def _session(self, items: list[Item]) -> None:
        """Bring objects there over one association, and what comes due meanwhile."""
        pending = await self._without_lost(items)
        if not pending:
            return
        ahead = await self._ahead()
        shy = self._ways.clock.monotonic() < self._shy_until
        offered = [item.copy for item in (pending[:1] if shy else (*pending, *ahead)) if item.copy]
        opened = False
        try:
            async with self._courier.open(offered) as carrier:
                opened = True
                while pending and not self._stopping:
                    pending = await self._batch(carrier, pending)
                    if pending or self._hindered():
                        return  # the rest needs another association, or has to wait
                    pending = await self._without_lost(await self._linger())
        except AssociationEnded as fault:
            self.attempts.losses += 1
            if not opened:
                await self._not_opened(fault, pending, ahead, shy)
            elif self.attempts.losses > 1 or not self.attempts.sent:
                self._trip(fault)
        except AssociationRejected as fault:
            await self._not_opened(fault, pending, ahead, shy)
        except PacsError as fault:
            self._trip(fault)
        finally:
            self._give_back(pending)

    async def _not_opened(self, fault: PacsError, pending: list[Item], ahead: list[Item], shy: bool) -> None:
        """Think of who is to blame when an association was refused: the destination, or one kind among those offered.

        For some time each kind is offered alone then, after a probe was answered. One that is refused by itself has
        used up a try, so that it goes behind the others; where all is of one kind, the destination is to blame.
        """
        self._trip(fault)
        if shy and not (isinstance(fault, AssociationRejected) and fault.transient):
            alone = _kind(pending[0])
            if any(_kind(item) != alone for item in (*pending, *ahead)):
                for item in [item for item in pending if _kind(item) == alone]:
                    await self.attempts.note(self.attempts.again(item, -1, fault.message, fault.hint))
        self._shy_until = self._ways.clock.monotonic() + _SHY_S

    async def _ahead(self) -> list[Item]:
        """Look at what else waits, so that its kinds are agreed on as well; nothing of it is taken."""
        now = microseconds(self._ways.clock.now())
        return await self._ways.outbox.take(self.name, now, _KINDS_AHEAD, self.taken)

    async def _linger(self) -> list[Item]:
        """Keep the association for a while for what may come next."""
        ends = self._ways.clock.monotonic() + self.settings.linger_s
        while not self._stopping:
            wakes = self._wakes
            items = await self._take()
            left = ends - self._ways.clock.monotonic()
            if items or left <= 0 or self._hindered():
                return items
            await self._sleep(left, wakes)
        return []

    async def _without_lost(self, items: Sequence[Item]) -> list[Item]:
        """Leave out what the archive does not have any more."""
        for item in items:
            if item.copy is None:
                why = "it was deleted or rejected here before it was sent"
                await self.attempts.note(Result(item, CANCELLED, error=why))
                self.taken.discard(item.id)
        return [item for item in items if item.copy is not None]

    async def _batch(self, carrier: Carrier, items: list[Item]) -> list[Item]:
        """Send objects one after the other; return those that were not tried."""
        feed = Feed(self._ways.archive, [item.copy for item in items if item.copy is not None])
        left, recalls = list(items), self._recalls
        try:
            while left and not self._stopping and recalls == self._recalls:
                item = left[0]
                assert item.copy is not None
                if not carrier.takes(item.copy):
                    return left
                found = await feed.next()
                assert found is not None
                left.pop(0)
                try:
                    await self.attempts.one(carrier, item, found[1])
                finally:
                    self.taken.discard(item.id)
                if self._hindered():
                    break
        finally:
            feed.close()
        return left


def _kind(item: Item) -> tuple[str, str]:
    return kind(item.copy) if item.copy is not None else ("", "")
