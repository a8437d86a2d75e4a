"""One destination: takes what is due for it out of the outbox, brings it there, and writes down what became of it.

Each destination has tasks of its own, so that one that does not answer never holds up another. Several objects go over
one association, several associations at once where that is set. After a failure of the destination as a whole nothing
is tried before it has answered a probe; an object that fails alone is tried again later, and others go first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import datetime
from errno import EDQUOT, ENOSPC
from typing import Final

from pacstui.archive.reading import Content
from pacstui.clock import microseconds
from pacstui.dicom.net.errors import AssociationEnded, AssociationRejected
from pacstui.errors import Corrupt, NotFound, PacsError
from pacstui.imaging.convert import NotConvertible
from pacstui.index.retrieve import Copy
from pacstui.jobs.schedule import window_of, zone_of
from pacstui.monitor.rates import Recent
from pacstui.retrying import delay
from pacstui.routing.courier import Carrier, Hindered, Parcel, kind
from pacstui.routing.outbox import Item, Result
from pacstui.routing.patience import Breaker, Pace
from pacstui.routing.tables import CANCELLED, FAILED, FILTERED, WAITING
from pacstui.routing.verdict import verdict, verdict_on_move
from pacstui.routing.ways import Unfit, Ways, Withheld
from pacstui.services.corrected import Gone, Uncorrected
from pacstui.services.sending import Feed
from pacstui.settings import DestinationSettings
from pacstui.text import duration

log = logging.getLogger("pacstui.routing")
_BATCH: Final = 64
_KINDS_AHEAD: Final = 512
_LOOK_S: Final = 1.0
_LONGEST_S: Final = 60.0
_PACED_S: Final = 5.0
_SHY_S: Final = 3600.0
"""For so long each kind of object is offered alone to a destination that refused an association."""


class Destination:
    """A destination and the tasks that send to it. Everything runs on the event loop."""

    def __init__(self, settings: DestinationSettings, ways: Ways) -> None:
        self.name = settings.name
        self.breaker = Breaker()
        self.taken: set[int] = set()
        self.on_the_way: dict[int, int] = {}
        self.sent = 0
        self.paused = ""
        self.paused_by = ""
        self.last_sent: datetime | None = None
        self._ways = ways
        self._recent = Recent()
        self._began = ways.clock.monotonic()
        self._tasks: list[asyncio.Task[None]] = []
        self._sleepers: set[asyncio.Future[None]] = set()
        self._taking = asyncio.Lock()
        self._stopping = False
        self._due = 0
        self._losses = 0
        self._recalls = 0
        self._wakes = 0
        self._shy_until = 0.0
        self._rests_until = 0.0
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
        self._pace = Pace(settings.max_mb_per_s * 1e6)
        self._rests_until = 0.0
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
        return len(self.on_the_way)

    @property
    def live(self) -> frozenset[int]:
        """The sendings of which something is on its way."""
        return frozenset(self.on_the_way.values())

    def closed(self, now: datetime) -> bool:
        """Return whether it is outside of its hours."""
        return self._window.begin(now, self._zone) != now

    @property
    def rate(self) -> float:
        """Objects a second that it takes."""
        now = self._ways.clock.monotonic()
        return self._recent.mean(now, now - self._began)

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
        rest = self._rests_until - self._ways.clock.monotonic()
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
        return max(0.0, closed, self._rests_until - self._ways.clock.monotonic())

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
            self._ways.down(self, fault)

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
            self._losses += 1
            if not opened:
                await self._not_opened(fault, pending, ahead, shy)
            elif self._losses > 1 or not self.sent:
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
                    await self._note(self._again(item, -1, fault.message, fault.hint))
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
                await self._note(Result(item, CANCELLED, error="it was deleted or rejected here before it was sent"))
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
                    await self._one(carrier, item, found[1])
                finally:
                    self.taken.discard(item.id)
                if self._hindered():
                    break
        finally:
            feed.close()
        return left

    async def _one(self, carrier: Carrier, item: Item, content: Content | PacsError) -> None:
        """Send one object and write down what became of it.

        Raises
        ------
        PacsError
            When the destination as a whole failed.
        """
        assert item.copy is not None
        self.on_the_way[item.id] = item.sending
        try:
            try:
                if isinstance(content, PacsError):
                    raise content
                parcel = await self._parcel(item, item.copy, content)
                try:
                    status, comment = await carrier.carry(parcel)
                finally:
                    self._ways.discard(parcel.content)
            except AssociationEnded as ended:
                await self._note(self._again(item, -1, ended.message, ended.hint))
                raise
            except Withheld as withheld:
                await self._note(Result(item, FILTERED, -1, withheld.message, withheld.hint, 0, item.attempts))
            except (NotConvertible, NotFound, Corrupt, Unfit) as fault:
                await self._note(Result(item, FAILED, -1, fault.message, fault.hint, 0, item.attempts + 1))
            except Hindered as fault:
                await self._note(self._again(item, -1, fault.message, fault.hint))
            except PacsError as fault:
                await self._note(self._again(item, -1, fault.message, fault.hint))
                if not isinstance(content, PacsError):
                    raise
            except OSError as error:
                text, hint = f"{item.copy.path} cannot be read: {error.strerror}", "check the archive's disk"
                if item.transform and error.errno in (ENOSPC, EDQUOT):
                    text, hint = "there is no room here for its changed copy", "free space on the archive's disk"
                await self._note(self._again(item, -1, text, hint))
            except Exception as error:  # a fault of ours with this object; the others are sent all the same
                log.exception("%s could not be sent to %s", item.sop_instance, self.name)
                text = f"this node failed at it ({type(error).__name__})"
                await self._note(self._again(item, -1, text, "its log says more; report it"))
            else:
                await self._answered(item, status, comment)
        finally:
            del self.on_the_way[item.id]
        now = self._ways.clock.monotonic()
        wait = self._pace.wait_s(item.size, now)
        if wait > _PACED_S:  # no association is kept for so long: its peer would end it, and count as failing
            self._rests_until = now + wait
        elif wait:
            await asyncio.sleep(wait)

    async def _parcel(self, item: Item, copy: Copy, content: Content) -> Parcel:
        handing = self._ways.handing()
        if handing is not None and handing.corrections != item.known:
            try:
                copy = await handing.anew(copy, notes=True)
            except Gone as gone:
                raise Hindered(gone.message, gone.hint) from gone  # it may wait by another UID now
        if copy.corrected and handing is not None:
            try:
                copy, content = await handing(copy, content)
            except Uncorrected as fault:
                raise Unfit(fault.message, fault.hint) from fault
        if item.transform:
            plain = content
            try:
                copy, content = await asyncio.to_thread(
                    self._ways.changed, item.transform, self.name, item, copy, plain
                )
            finally:
                self._ways.discard(plain)
        return Parcel(copy, content, item.study, item.priority, item.sending)

    async def _answered(self, item: Item, status: int, comment: str) -> None:
        judge = verdict_on_move if self.settings.move_from else verdict
        found = judge(self.settings.move_from or self.name, status, comment)
        if found.state == FAILED:
            if found.again:
                await self._note(self._again(item, status, found.error, found.hint))
            else:
                await self._note(Result(item, FAILED, status, found.error, found.hint, 0, item.attempts + 1))
            if found.full:
                raise PacsError(found.error, found.hint)
            return
        self._losses = 0
        self.sent += 1
        self.last_sent = self._ways.clock.now()
        self._recent.add(self._ways.clock.monotonic())
        await self._note(Result(item, found.state, status, found.error, found.hint, 0, item.attempts + 1))
        if self.breaker.worked():
            self._ways.up(self)

    def _again(self, item: Item, status: int, error: str, hint: str) -> Result:
        """Return what becomes of an object that failed: it waits for another try, or it was the last."""
        settings, attempts = self.settings, item.attempts + 1
        if attempts > settings.retries:
            return Result(item, FAILED, status, error, hint, 0, attempts)
        wait = delay(attempts, settings.retry_s, settings.retry_most_s)
        due = microseconds(self._ways.clock.now()) + int(wait * 1e6)
        return Result(item, WAITING, status, error, hint, due, attempts)

    async def _note(self, result: Result) -> None:
        for ended in await self._ways.outbox.record(result, microseconds(self._ways.clock.now())):
            with contextlib.suppress(Exception):
                self._ways.ended(ended)


def _kind(item: Item) -> tuple[str, str]:
    return kind(item.copy) if item.copy is not None else ("", "")
