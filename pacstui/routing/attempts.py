"""A destination's objects, each on its own: handed over, and what became of it written down."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import datetime
from errno import EDQUOT, ENOSPC
from typing import Final

from pacstui.archive.reading import Content
from pacstui.clock import microseconds
from pacstui.dicom.net.errors import AssociationEnded
from pacstui.errors import Corrupt, NotFound, PacsError
from pacstui.imaging.convert import NotConvertible
from pacstui.index.retrieve import Copy
from pacstui.monitor.rates import Recent
from pacstui.retrying import delay
from pacstui.routing.courier import Carrier, Hindered, Parcel
from pacstui.routing.outbox import Item, Result
from pacstui.routing.patience import Breaker, Pace
from pacstui.routing.tables import FAILED, FILTERED, WAITING
from pacstui.routing.verdict import verdict, verdict_on_move
from pacstui.routing.ways import Unfit, Ways, Withheld
from pacstui.services.corrected import Gone, Uncorrected
from pacstui.settings import DestinationSettings

log = logging.getLogger("pacstui.routing")
_PACED_S: Final = 5.0


class Attempts:
    """Tries to hand objects over to one destination.

    ``on_the_way`` are the objects that are being handed over, each with its sending. ``sent`` counts those that the
    destination took, the last at ``last_sent``; ``losses`` counts associations that were lost since it took one.
    Before ``rests_until`` (monotonic seconds) nothing is sent, to keep to its limit.
    """

    def __init__(self, ways: Ways, breaker: Breaker, settings: DestinationSettings) -> None:
        self.on_the_way: dict[int, int] = {}
        self.sent = 0
        self.last_sent: datetime | None = None
        self.losses = 0
        self._ways = ways
        self._breaker = breaker
        self._recent = Recent()
        self._began = ways.clock.monotonic()
        self.replace(settings)

    def replace(self, settings: DestinationSettings) -> None:
        """Go on with other settings."""
        self._settings = settings
        self._pace = Pace(settings.max_mb_per_s * 1e6)
        self.rests_until = 0.0

    @property
    def rate(self) -> float:
        """Objects a second that it takes."""
        now = self._ways.clock.monotonic()
        return self._recent.mean(now, now - self._began)

    async def one(self, carrier: Carrier, item: Item, content: Content | PacsError) -> None:
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
                await self.note(self.again(item, -1, ended.message, ended.hint))
                raise
            except Withheld as withheld:
                await self.note(Result(item, FILTERED, -1, withheld.message, withheld.hint, 0, item.attempts))
            except (NotConvertible, NotFound, Corrupt, Unfit) as fault:
                await self.note(Result(item, FAILED, -1, fault.message, fault.hint, 0, item.attempts + 1))
            except Hindered as fault:
                await self.note(self.again(item, -1, fault.message, fault.hint))
            except PacsError as fault:
                await self.note(self.again(item, -1, fault.message, fault.hint))
                if not isinstance(content, PacsError):
                    raise
            except OSError as error:
                text, hint = f"{item.copy.path} cannot be read: {error.strerror}", "check the archive's disk"
                if item.transform and error.errno in (ENOSPC, EDQUOT):
                    text, hint = "there is no room here for its changed copy", "free space on the archive's disk"
                await self.note(self.again(item, -1, text, hint))
            except Exception as error:  # a fault of ours with this object; the others are sent all the same
                log.exception("%s could not be sent to %s", item.sop_instance, self._settings.name)
                text = f"this node failed at it ({type(error).__name__})"
                await self.note(self.again(item, -1, text, "its log says more; report it"))
            else:
                await self._answered(item, status, comment)
        finally:
            del self.on_the_way[item.id]
        now = self._ways.clock.monotonic()
        wait = self._pace.wait_s(item.size, now)
        if wait > _PACED_S:  # no association is kept for so long: its peer would end it, and count as failing
            self.rests_until = now + wait
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
                    self._ways.changed, item.transform, self._settings.name, item, copy, plain
                )
            finally:
                self._ways.discard(plain)
        return Parcel(copy, content, item.study, item.priority, item.sending)

    async def _answered(self, item: Item, status: int, comment: str) -> None:
        judge = verdict_on_move if self._settings.move_from else verdict
        found = judge(self._settings.move_from or self._settings.name, status, comment)
        if found.state == FAILED:
            if found.again:
                await self.note(self.again(item, status, found.error, found.hint))
            else:
                await self.note(Result(item, FAILED, status, found.error, found.hint, 0, item.attempts + 1))
            if found.full:
                raise PacsError(found.error, found.hint)
            return
        self.losses = 0
        self.sent += 1
        self.last_sent = self._ways.clock.now()
        self._recent.add(self._ways.clock.monotonic())
        await self.note(Result(item, found.state, status, found.error, found.hint, 0, item.attempts + 1))
        if self._breaker.worked():
            self._ways.up(self._settings.name)

    def again(self, item: Item, status: int, error: str, hint: str) -> Result:
        """Return what becomes of an object that failed: it waits for another try, or it was the last."""
        settings, attempts = self._settings, item.attempts + 1
        if attempts > settings.retries:
            return Result(item, FAILED, status, error, hint, 0, attempts)
        wait = delay(attempts, settings.retry_s, settings.retry_most_s)
        due = microseconds(self._ways.clock.now()) + int(wait * 1e6)
        return Result(item, WAITING, status, error, hint, due, attempts)

    async def note(self, result: Result) -> None:
        """Write down what became of an object; tell what nothing waits of any more."""
        for ended in await self._ways.outbox.record(result, microseconds(self._ways.clock.now())):
            with contextlib.suppress(Exception):
                self._ways.ended(ended)
